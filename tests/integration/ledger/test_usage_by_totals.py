"""Usage priced by running totals, on the real services: two rating services and one customer, one ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import grpc
import msgspec
import pytest_asyncio

from credits.ledger.v1 import agreement_pb2, price_model_pb2, wallet_pb2
from credits.rating.v1 import authorization_pb2, rating_service_pb2, rating_service_pb2_grpc
from rating_service.bootstrap import build
from tests.integration.ledger.client import Client, instant_of, key, timestamp
from tests.integration.ledger.test_agreement_refusals import Agreements
from tests.integration.ledger.test_meter_totals import read
from tests.integration.rating.harness import settings_for, until
from tests.postgres import PostgresServer
from tests.servers import LedgerServer

YEAR = timedelta(days=365)
"""How late usage may be for rating here: the wallet's own bound is what is looked at."""
MICROSECOND = timedelta(microseconds=1)
WHOLE = 1_000_000
"""Units of one CREDIT."""
Tier = price_model_pb2.PriceTier
GRADUATED = price_model_pb2.GraduatedModel(
    tiers=[Tier(up_to=10, unit_price="7", flat_fee="1"), Tier(unit_price="6")]
)
VOLUME = price_model_pb2.VolumeModel(tiers=[Tier(up_to=10, unit_price="7"), Tier(unit_price="6")])


def graduated(quantity: int) -> int:
    """Return what a cycle owes for so many calls, in whole CREDIT."""
    return 1 + 7 * min(quantity, 10) + 6 * max(quantity - 10, 0)


class Customer(msgspec.Struct):
    """A contract with calls in tiers and notes at a volume price, and two rating services that know it."""

    client: Client
    contract: str
    wallet: str
    ratings: list[Any]
    now: datetime

    def usage(self, at: datetime | None = None, usage_id: str = "", **quantities: int) -> Any:
        """Return a usage."""
        return rating_service_pb2.Usage(
            id=usage_id or key(),
            contract=self.contract,
            effective_time=timestamp(at or self.now),
            quantities=quantities or {"calls": 1},
        )

    async def record(self, usage: Any, rating: int = 0) -> Any:
        """Record a usage."""
        request = rating_service_pb2.RecordUsageRequest(usage=usage)
        return await self.ratings[rating].RecordUsage(request)

    async def batch(self, usages: list[Any], rating: int = 0) -> list[Any]:
        """Record a batch of which nothing is refused."""
        request = rating_service_pb2.BatchRecordUsageRequest(usages=usages)
        results = (await self.ratings[rating].BatchRecordUsage(request)).results
        assert [result.error.message for result in results if result.HasField("error")] == []
        return [result.response for result in results]

    async def totals(self) -> list[tuple[int, int]]:
        """Return what the wallet has counted, (quantity, usages)."""
        return [(each.quantity, each.usages) for each in await read(self.client, self.wallet, self.contract)]


@asynccontextmanager
async def rating_service(postgres: PostgresServer, address: str) -> AsyncIterator[Any]:
    """Run a rating service with an empty database on a ledger and lend its stub."""
    url = postgres.create_database(migrated=False)
    async with AsyncExitStack() as stack:
        # In a thread: a statement of another service on this loop may have to end first.
        stack.push_async_callback(asyncio.to_thread, postgres.drop_database, url)
        parts = await build(settings_for(url, address, max_lateness=YEAR), stack)
        await parts.served.server.start()
        stack.push_async_callback(parts.served.server.stop, None)
        following = asyncio.create_task(parts.follower.run())
        stack.push_async_callback(_ended, following)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{parts.served.port}")
        stack.push_async_callback(channel.close)
        # Ready is a page short of the head at most; what was just signed may lie in that page.
        await until(lambda: parts.follower.is_ready and parts.follower.lag_events == 0)
        yield rating_service_pb2_grpc.RatingServiceStub(channel)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture
async def customer(
    sandbox: Client, running_sandbox: LedgerServer, postgres_server: PostgresServer
) -> AsyncIterator[Customer]:
    """A customer whose contract begins now."""
    agreements = Agreements(sandbox)
    card = await agreements.card()
    rates = [
        agreement_pb2.Rate(dimension="calls", graduated=GRADUATED),
        agreement_pb2.Rate(dimension="notes", volume=VOLUME),
        agreement_pb2.Rate(dimension="tokens", unit=agreement_pb2.UnitModel(unit_price="0.5")),
    ]
    await agreements.phase(card, rates=rates)
    wallet = await sandbox.open_wallet(mode=wallet_pb2.SHORTFALL_MODE_SOFT)
    plan = await agreements.plan(card, shortfall_mode=wallet_pb2.SHORTFALL_MODE_SOFT)
    contract = await agreements.sign(plan, wallet)
    async with (
        rating_service(postgres_server, running_sandbox.address) as one,
        rating_service(postgres_server, running_sandbox.address) as other,
    ):
        yield Customer(sandbox, contract, wallet, [one, other], await sandbox.clock())


def steps(answers: list[Any]) -> list[int]:
    """Return the quantities before each usage, smallest first."""
    return sorted(answer.charge.lines[0].total_before.quantity for answer in answers)


def debited(answers: list[Any]) -> int:
    """Return what usages were debited, in units."""
    return sum(answer.debit.amount_units for answer in answers)


async def test_two_services_racing_on_one_customer_never_price_a_step_twice(customer: Customer) -> None:
    singles = [customer.record(customer.usage(), rating) for rating in (0, 1) for _ in range(15)]
    batches = [customer.batch([customer.usage() for _ in range(20)], rating) for rating in (0, 1)]

    answers = await asyncio.gather(*singles)
    answers += [answer for batch in await asyncio.gather(*batches) for answer in batch]

    assert steps(answers) == list(range(70))
    assert debited(answers) == graduated(70) * WHOLE
    assert await customer.totals() == [(70, 70)]


async def test_a_retry_through_the_other_service_gets_the_first_answer_and_counts_nothing(
    customer: Customer,
) -> None:
    usages = [customer.usage() for _ in range(12)]
    first = await customer.batch(usages[:6])

    again = await customer.batch(usages, 1)
    alone = await customer.record(usages[0], 1)

    assert [answer.replayed for answer in again] == [True] * 6 + [False] * 6
    assert [answer.debit.name for answer in again[:6]] == [answer.debit.name for answer in first]
    assert (alone.replayed, alone.charge.lines[0].total_before.quantity) == (True, 0)
    assert debited([*first, *again[6:]]) == graduated(12) * WHOLE
    assert await customer.totals() == [(12, 12)]


async def test_usage_counts_in_its_own_cycle_also_when_it_is_late(customer: Customer) -> None:
    first = await customer.record(customer.usage())
    end = instant_of(first.charge.lines[0].total_before.cycle_end_time)
    await customer.client.advance(end + timedelta(days=1))

    new = await customer.record(customer.usage(end))
    late = await customer.record(customer.usage(end - MICROSECOND), 1)
    newer = await customer.record(customer.usage(end), 1)

    before = [answer.charge.lines[0].total_before for answer in (first, new, late, newer)]
    assert [each.quantity for each in before] == [0, 0, 1, 1]
    assert [instant_of(each.cycle_start_time) < end for each in before] == [True, False, True, False]
    assert debited([first, late]) == debited([new, newer]) == graduated(2) * WHOLE
    assert await customer.totals() == [(2, 2), (2, 2)]


async def test_usage_of_a_cycle_that_ended_long_ago_is_refused_by_name(customer: Customer) -> None:
    first = await customer.record(customer.usage())
    end = instant_of(first.charge.lines[0].total_before.cycle_end_time)
    await customer.client.advance(end + timedelta(days=35) - MICROSECOND)
    kept = await customer.record(customer.usage())
    await customer.client.advance(end + timedelta(days=35))

    request = rating_service_pb2.BatchRecordUsageRequest(usages=[customer.usage(), customer.usage(tokens=2)])
    old, plain = (await customer.ratings[0].BatchRecordUsage(request)).results

    assert kept.charge.lines[0].total_before.quantity == 1
    assert "35 days ago" in old.quarantined.message
    assert old.quarantined.reason == "TOTALS_NOT_KEPT"
    assert plain.response.debit.amount_units == WHOLE


async def test_a_falling_price_gives_back_through_the_charges_after_it(customer: Customer) -> None:
    answers = [await customer.record(customer.usage(notes=quantity)) for quantity in (10, 1, 1, 1)]

    # 10 x 7 = 70, then 11 x 6 = 66, 72 and 78.
    assert [answer.charge.exact_units for answer in answers] == ["70000000", "-4000000", "6000000", "6000000"]
    assert [answer.debit.amount_units for answer in answers] == [70 * WHOLE, 0, 2 * WHOLE, 6 * WHOLE]


async def test_a_quote_goes_on_from_what_was_counted_and_counts_nothing(customer: Customer) -> None:
    await customer.record(customer.usage(calls=9))

    quotes = [
        await customer.ratings[1].QuoteUsage(
            rating_service_pb2.QuoteUsageRequest(usage=customer.usage(calls=quantity))
        )
        for quantity in (1, 2)
    ]

    assert [quote.exact_amount for quote in quotes] == ["7", "13"]
    assert quotes[0].charge.lines[0].total_before.usages == 1
    assert await customer.totals() == [(9, 1)]


async def authorized(customer: Customer, calls: int, rating: int = 0) -> Any:
    """Authorize a request for so many calls, without a hold."""
    request = authorization_pb2.AuthorizeRequest(contract=customer.contract, quantities={"calls": calls})
    return await customer.ratings[rating].Authorize(request)


async def settled(customer: Customer, authorization: str, calls: int, rating: int = 0) -> Any:
    """Settle an authorization."""
    request = authorization_pb2.SettleRequest(authorization=authorization, quantities={"calls": calls})
    return await customer.ratings[rating].Settle(request)


async def test_an_authorized_request_is_estimated_and_settled_by_what_was_counted(customer: Customer) -> None:
    await customer.record(customer.usage(calls=9))
    allowed = await authorized(customer, 2, rating=1)
    await customer.record(customer.usage())

    answer = await settled(customer, allowed.authorization, 2, rating=1)
    again = await settled(customer, allowed.authorization, 2)

    assert (allowed.allowed, allowed.estimated_units) == (True, 13 * WHOLE)
    assert (answer.debit.amount_units, answer.charge.lines[0].total_before.quantity) == (12 * WHOLE, 10)
    assert (again.replayed, again.debit.name) == (True, answer.debit.name)


async def test_requests_settled_at_once_by_two_services_never_price_a_step_twice(customer: Customer) -> None:
    allowed = [await authorized(customer, 1, number % 2) for number in range(12)]

    answers = await asyncio.gather(
        *[settled(customer, each.authorization, 1, number % 2) for number, each in enumerate(allowed)]
    )

    assert steps(answers) == list(range(12))
    assert debited(answers) == graduated(12) * WHOLE
