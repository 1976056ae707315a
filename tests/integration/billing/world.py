"""A real ledger on a manual clock and a rating service that bills only when it is asked to, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import msgspec

from credits.ledger.v1 import (
    agreement_pb2,
    billing_terms_pb2,
    contract_service_pb2,
    money_pb2,
    rate_card_service_pb2,
    wallet_service_pb2,
)
from credits.rating.v1 import (
    billing_pb2,
    invoice_service_pb2,
    invoice_service_pb2_grpc,
    rating_service_pb2,
    rating_service_pb2_grpc,
)
from rating_service.bootstrap import Parts, build
from tests.integration.ledger.client import CREDIT, SOFT, Client, key, timestamp
from tests.integration.rating.harness import settings_for, until

DAY = timedelta(days=1)
GRACE = timedelta(hours=24)
MICROSECOND = timedelta(microseconds=1)
GRANTED = "wallet.CreditsGranted.v1"
ROLLED_OVER = "wallet.CreditsRolledOver.v1"
MONTHLY = agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH)


def terms(key: str = "main", **fields: Any) -> agreement_pb2.PlanPhase:
    """Return a plan phase with a fee of 20 USD, 1,000 units included and overage at 2 USD a CREDIT."""
    values: dict[str, Any] = {
        "rate_card": "rateCards/llm",
        "shortfall_mode": SOFT,
        "base_fee": money_pb2.Money(currency_code="USD", nanos=20 * 10**9),
        "included_units": 1_000,
        "overage_price": money_pb2.UnitPrice(currency_code="USD", price="2"),
    }
    return agreement_pb2.PlanPhase(key=key, **values | fields)


def roll_over(percent: str, *, cap_units: int = 0, times: int = 1) -> billing_terms_pb2.IncludedRollOver:
    """Return what of the included credit moves into the next cycle."""
    return billing_terms_pb2.IncludedRollOver(percent=percent, cap_units=cap_units, times=times)


class World:
    """What a test plays with; `start` is when it begins, with a year."""

    def __init__(self, ledger: Client, parts: Parts, channel: grpc.aio.Channel, start: datetime) -> None:
        self.start = start
        self.ledger = ledger
        self.parts = parts
        self.rating = rating_service_pb2_grpc.RatingServiceStub(channel)
        self.invoices = invoice_service_pb2_grpc.InvoiceServiceStub(channel)

    def at(self, text: str) -> datetime:
        """Return the instant behind ISO text without the year, in UTC."""
        return datetime.fromisoformat(f"{self.start.year}-{text}").replace(tzinfo=UTC)

    async def publish_card(self) -> None:
        """Publish a card on which an output token costs a unit."""
        await self.ledger.rate_cards.CreateRateCard(
            rate_card_service_pb2.CreateRateCardRequest(
                rate_card_id="llm", rate_card=agreement_pb2.RateCard(asset=CREDIT), idempotency_key="create"
            )
        )
        rate = agreement_pb2.Rate(
            dimension="output_tokens", unit_size=1_000_000, unit=agreement_pb2.UnitModel(unit_price="1")
        )
        phase = agreement_pb2.RateCardPhase(
            from_time=timestamp(datetime(2000, 1, 1, tzinfo=UTC)), rates=[rate]
        )
        await self.ledger.rate_cards.PublishRateCardPhase(
            rate_card_service_pb2.PublishRateCardPhaseRequest(
                name="rateCards/llm", idempotency_key="publish", phase=phase, retroactive=True
            )
        )

    async def publish_plan(self, *phases: agreement_pb2.PlanPhase) -> str:
        """Publish a plan and return its name."""
        request = contract_service_pb2.PublishPlanRequest(
            plan_id=f"p-{key()}",
            plan=agreement_pb2.Plan(asset=CREDIT, phases=phases or [terms()]),
            idempotency_key=key(),
        )
        return (await self.ledger.contracts.PublishPlan(request)).plan.name

    async def sign(
        self,
        *phases: agreement_pb2.PlanPhase,
        start: datetime | None = None,
        cycle: agreement_pb2.Cycle = MONTHLY,
        plan: str = "",
    ) -> agreement_pb2.Contract:
        """Open a wallet and bind it to a plan of these phases."""
        wallet = await self.ledger.open_wallet(mode=SOFT)
        contract = agreement_pb2.Contract(
            customer="customers/acme",
            wallet=wallet,
            plan=plan or await self.publish_plan(*phases),
            start_time=timestamp(start or self.start),
            cycle=cycle,
        )
        request = contract_service_pb2.SignContractRequest(
            contract_id=wallet.removeprefix("wallets/"), contract=contract, idempotency_key=key()
        )
        return (await self.ledger.contracts.SignContract(request)).contract

    async def bill(
        self, contract: str = "", *, until_time: datetime | None = None
    ) -> billing_pb2.RunBillingResponse:
        """Run billing and return what it came to."""
        request = billing_pb2.RunBillingRequest(contract=contract)
        if until_time is not None:
            request.until_time.FromDatetime(until_time)
        done = billing_pb2.RunBillingResponse()
        async for answer in self.invoices.RunBilling(request):
            invoices, failures = [*done.invoices, *answer.invoices], [*done.failures, *answer.failures]
            done = answer
            del done.invoices[:], done.failures[:]
            done.invoices.extend(invoices)
            done.failures.extend(failures)
        return done

    async def use(self, contract: str, units: int, *, when: datetime | None = None) -> None:
        """Record usage that costs units, now unless told."""
        usage = rating_service_pb2.Usage(id=key(), contract=contract, quantities={"output_tokens": units})
        usage.effective_time.FromDatetime(when or await self.ledger.clock())
        request = rating_service_pb2.RecordUsageRequest(usage=usage, min_position=await self.head())
        answer = await self.rating.RecordUsage(request)
        assert not answer.HasField("quarantined"), answer

    async def head(self) -> int:
        """Return the position of the ledger's newest event."""
        return (await self.ledger.events())[-1].position

    async def granted(self, wallet: str) -> list[tuple[datetime, datetime, int]]:
        """Return what was granted to a wallet: from when to when, and how many units."""
        events = await self.ledger.events(stream=wallet)
        facts = [msgspec.json.decode(each.state) for each in events if each.topic == GRANTED]
        return [
            (
                datetime.fromisoformat(fact["effective_time"]),
                datetime.fromisoformat(fact["event"]["expire_time"]),
                fact["event"]["amount_units"],
            )
            for fact in facts
        ]

    async def available(self, wallet: str) -> int:
        """Return what a wallet may spend now."""
        return (await self.ledger.balance(wallet)).available_units

    async def cycles(self, contract: str, **fields: Any) -> list[billing_pb2.BillingCycle]:
        """Return the cycles of a contract."""
        request = billing_pb2.ListCyclesRequest(contract=contract, **fields)
        return list((await self.invoices.ListCycles(request)).cycles)

    async def issued(self, contract: str) -> list[invoice_service_pb2.Invoice]:
        """Return the invoices of a contract by name."""
        request = invoice_service_pb2.ListInvoicesRequest(contract=contract)
        return list((await self.invoices.ListInvoices(request)).invoices)

    async def preview(self, contract: str) -> invoice_service_pb2.Invoice:
        """Return the invoice of the running cycle, as it would be issued now."""
        request = invoice_service_pb2.PreviewInvoiceRequest(contract=contract)
        request.cycle_time.FromDatetime(await self.ledger.clock())
        return (await self.invoices.PreviewInvoice(request)).invoice

    async def reverse(self, debit: str) -> None:
        """Take a debit back."""
        request = wallet_service_pb2.ReverseDebitRequest(name=debit, idempotency_key=key())
        await self.ledger.wallets.ReverseDebit(request)


@asynccontextmanager
async def running_rating(
    ledger: Client, ledger_address: str, rating_url: str, start: datetime
) -> AsyncIterator[World]:
    """Run a rating service that does not bill by itself."""
    async with AsyncExitStack() as stack:
        parts = await build(settings_for(rating_url, ledger_address, billing_interval=None), stack)
        await parts.served.server.start()
        stack.push_async_callback(parts.served.server.stop, None)
        following = asyncio.create_task(parts.follower.run())
        stack.push_async_callback(_ended, following)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{parts.served.port}")
        stack.push_async_callback(channel.close)
        await until(lambda: parts.follower.is_ready)
        yield World(ledger, parts, channel, start)


async def next_year(ledger: Client) -> datetime:
    """Move the clock to the next beginning of a year, unless it stands at one."""
    now = await ledger.clock()
    year = now.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    if now > year:
        year = year.replace(year=now.year + 1)
        await ledger.advance(year)
    return year


@asynccontextmanager
async def running_world(ledger_address: str, rating_url: str) -> AsyncIterator[World]:
    """Run a rating service beside a ledger that has a card."""
    async with Client(ledger_address) as ledger:
        start = await next_year(ledger)
        async with running_rating(ledger, ledger_address, rating_url, start) as world:
            await world.publish_card()
            yield world


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
