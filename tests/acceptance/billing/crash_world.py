"""A ledger with many contracts, and rating processes that are started and killed beside it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import psycopg

from credits.ledger.v1 import (
    agreement_pb2,
    billing_terms_pb2,
    contract_service_pb2,
    money_pb2,
    rate_card_service_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from tests.forked import ForkedLedger, ForkedRating
from tests.integration.ledger.client import CREDIT, CUSTOMER, NO_ALERTS, SOFT, Client, timestamp
from tests.postgres import PostgresServer
from tests.servers import WAIT_SECONDS, free_port

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
IN_FLIGHT_MAX: Final = 64


class CrashWorld:
    """What is killed and what is looked at."""

    def __init__(self, ledger: Client, ledger_address: str, rating_url: str, log_file: Path) -> None:
        self.ledger = ledger
        self.contracts: list[str] = []
        self._ledger_address = ledger_address
        self._rating_url = rating_url
        self._looking = psycopg.connect(rating_url, autocommit=True)
        self._log_file = log_file

    def start_rating(self) -> ForkedRating:
        """Start a rating service that bills by itself every second."""
        variables = {
            "RATING_DATABASE_URL": self._rating_url,
            "RATING_LEDGER_ADDRESS": self._ledger_address,
            "RATING_LISTEN": f"127.0.0.1:{free_port()}",
            "RATING_SANDBOX": "1",
            "RATING_BILLING_INTERVAL_SECONDS": "1",
        }
        return ForkedRating(self._log_file, variables)

    async def sign(self, count: int) -> None:
        """Sign contracts of 1,000 units and 20 USD a month, all from START; every fourth pays in advance."""
        await self._offer()
        limit = asyncio.Semaphore(IN_FLIGHT_MAX)

        async def sign(number: int) -> str:
            async with limit:
                return await self._sign(f"c-{number:06}", plan="ahead" if number % 4 == 0 else "pro")

        self.contracts = await asyncio.gather(*map(sign, range(count)))

    def expected_invoices(self) -> Counter[str]:
        """Return how many invoices each contract must have in the end: one more if its fees are in advance."""
        return Counter({name: 2 if place % 4 == 0 else 1 for place, name in enumerate(self.contracts)})

    def invoices(self) -> Counter[str]:
        """Return how many invoices each contract has."""
        return Counter(contract for (contract,) in self._rows("SELECT contract FROM rating.invoices"))

    def documents(self) -> dict[str, str]:
        """Return the hash of each invoice."""
        return dict(self._rows("SELECT name, hash FROM rating.invoices"))

    def work_done(self) -> int:
        """Return how much of the billing is done: plans of included credit, invoices, and their records."""
        try:
            [(plans,)] = self._rows("SELECT count(*) FROM rating.billing WHERE allotted_until IS NOT NULL")
            [(invoices, recorded)] = self._rows("SELECT count(*), count(position) FROM rating.ledger_records")
        except psycopg.errors.UndefinedTable:
            return 0
        return int(plans + invoices + recorded)

    def has_done(self, work: int) -> bool:
        """Say whether so much of the billing is done."""
        return self.work_done() >= work

    def is_done(self) -> bool:
        """Say whether every contract has been billed, and the ledger knows of it."""
        [(left,)] = self._rows("SELECT count(*) FROM rating.billing WHERE billed_until IS NULL")
        [(unrecorded,)] = self._rows("SELECT count(*) FROM rating.ledger_records WHERE position IS NULL")
        return bool(len(self.invoices()) == len(self.contracts) and left == unrecorded == 0)

    async def facts(self, topic: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the ledger's events of a topic: stream and fact."""
        return [
            (each.stream, msgspec.json.decode(each.state))
            for each in await self.ledger.events(topics=(topic,))
        ]

    def close(self) -> None:
        """Close the connection that looks on."""
        self._looking.close()

    def _rows(self, query: str) -> list[Any]:
        return self._looking.execute(query.encode()).fetchall()

    async def _offer(self) -> None:
        card = agreement_pb2.RateCard(asset=CREDIT)
        await self.ledger.rate_cards.CreateRateCard(
            rate_card_service_pb2.CreateRateCardRequest(
                rate_card_id="llm", rate_card=card, idempotency_key="card"
            )
        )
        phase = agreement_pb2.PlanPhase(
            key="main",
            rate_card="rateCards/llm",
            shortfall_mode=SOFT,
            base_fee=money_pb2.Money(currency_code="USD", nanos=20 * 10**9),
            included_units=1_000,
            included_roll_over=billing_terms_pb2.IncludedRollOver(percent="50", times=1),
        )
        await self._publish("pro", phase)
        phase.fee_timing = billing_terms_pb2.FEE_TIMING_ADVANCE
        await self._publish("ahead", phase)

    async def _publish(self, plan_id: str, phase: agreement_pb2.PlanPhase) -> None:
        await self.ledger.contracts.PublishPlan(
            contract_service_pb2.PublishPlanRequest(
                plan_id=plan_id, plan=agreement_pb2.Plan(asset=CREDIT, phases=[phase]), idempotency_key="plan"
            )
        )

    async def _sign(self, name: str, *, plan: str) -> str:
        wallet = wallet_pb2.Wallet(customer=CUSTOMER, asset=CREDIT, shortfall_mode=SOFT, rules=NO_ALERTS)
        await self.ledger.wallets.OpenWallet(
            wallet_service_pb2.OpenWalletRequest(wallet_id=name, wallet=wallet, idempotency_key="open")
        )
        contract = agreement_pb2.Contract(
            customer=CUSTOMER,
            wallet=f"wallets/{name}",
            plan=f"plans/{plan}",
            start_time=timestamp(START),
            cycle=agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH),
        )
        request = contract_service_pb2.SignContractRequest(
            contract_id=name, contract=contract, idempotency_key="sign"
        )
        return (await self.ledger.contracts.SignContract(request)).contract.name


@asynccontextmanager
async def crash_world(postgres: PostgresServer, directory: Path) -> AsyncIterator[CrashWorld]:
    """Run a ledger on a manual clock, without rating."""
    ledger_url, rating_url = postgres.create_database(), postgres.create_database(migrated=False)
    settings = {"sandbox": "true", "sandbox_start_time": START.isoformat()}
    with ForkedLedger(directory / "ledger.log", database_url=ledger_url, **settings) as server:
        server.wait_for_line("serving")
        async with Client(server.address) as ledger:
            world = CrashWorld(ledger, server.address, rating_url, directory / "rating.log")
            try:
                yield world
            finally:
                world.close()
    postgres.drop_database(ledger_url)
    postgres.drop_database(rating_url)


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds, which is looked at in a thread."""
    deadline = asyncio.get_running_loop().time() + 2 * WAIT_SECONDS
    while not await asyncio.to_thread(condition):
        assert asyncio.get_running_loop().time() < deadline, f"{what}: not within {2 * WAIT_SECONDS} s"
        await asyncio.sleep(0.03)
