"""Both services as processes on real databases, with a card, a contract and a wallet, for tests that kill one."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from credits.ledger.v1 import agreement_pb2, contract_service_pb2, rate_card_service_pb2, wallet_pb2
from credits.rating.v1 import rating_service_pb2, rating_service_pb2_grpc
from tests.integration.ledger.client import CREDIT, CUSTOMER, Client, key, timestamp
from tests.postgres import PostgresServer
from tests.servers import LedgerServer, free_port

CONTRACT: Final = "contracts/acme"
START_SECONDS_MAX: Final = 30


class Rating:
    """A rating process that may be killed and started again on the same port and database."""

    def __init__(self, *, url: str, ledger: str, log_file: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._log_file = log_file
        self._environment = {
            **os.environ,
            "RATING_DATABASE_URL": url,
            "RATING_LEDGER_ADDRESS": ledger,
            "RATING_LISTEN": self.address,
        }
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it and wait until it serves."""
        with self._log_file.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220, it returns at once
                [sys.executable, "-m", "rating_service", "serve"],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        async with asyncio.timeout(START_SECONDS_MAX):
            while not await self._serves():  # noqa: ASYNC110, it is the state of another process
                await asyncio.sleep(0.05)

    def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def _serves(self) -> bool:
        async with grpc.aio.insecure_channel(self.address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=2)
            except grpc.aio.AioRpcError:
                return False
            return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


class World:
    """What a test plays with."""

    def __init__(self, ledger: Client, rating: Rating, wallet: str) -> None:
        self.ledger = ledger
        self.rating = rating
        self.wallet = wallet
        self.time = datetime.now(UTC)

    async def balance(self) -> wallet_pb2.Balance:
        """Return the wallet's balance."""
        return await self.ledger.balance(self.wallet)

    def usage(self, usage_id: str, tokens: int) -> rating_service_pb2.Usage:
        """Return a usage of tokens at 2 units each."""
        message = rating_service_pb2.Usage(
            id=usage_id, contract=CONTRACT, quantities={"output_tokens": tokens}
        )
        message.effective_time.FromDatetime(self.time)
        return message

    def chunk(
        self, usage_id: str, sequence: int, tokens: int, *, final: bool = False, ttl: float = 60
    ) -> rating_service_pb2.StreamUsageRequest:
        """Return a chunk with its totals."""
        message = rating_service_pb2.StreamUsageRequest(
            usage=self.usage(usage_id, tokens), sequence=sequence, final=final
        )
        message.ttl.FromTimedelta(timedelta(seconds=ttl))
        return message

    async def send(
        self, *chunks: rating_service_pb2.StreamUsageRequest
    ) -> list[rating_service_pb2.StreamUsageResponse]:
        """Send chunks in one call and return the answers."""
        async with grpc.aio.insecure_channel(self.rating.address) as channel:
            stub = rating_service_pb2_grpc.RatingServiceStub(channel)
            return [answer async for answer in stub.StreamUsage(iter(chunks))]


@asynccontextmanager
async def world(
    postgres: PostgresServer, directory: Path, *, credit_units: int, mode: wallet_pb2.ShortfallMode.ValueType
) -> AsyncIterator[World]:
    """Run both services; an output token costs 2 units, and the wallet has this credit."""
    ledger_url, rating_url = postgres.create_database(), postgres.create_database(migrated=False)
    with LedgerServer(directory / "ledger.log", database_url=ledger_url) as server:
        server.wait_for_line("serving")
        rating = Rating(url=rating_url, ledger=server.address, log_file=directory / "rating.log")
        async with Client(server.address) as ledger:
            try:
                wallet = await _agree(ledger, credit_units, mode)
                await rating.start()
                yield World(ledger, rating, wallet)
            finally:
                rating.kill()
    postgres.drop_database(ledger_url)
    postgres.drop_database(rating_url)


async def _agree(ledger: Client, credit_units: int, mode: wallet_pb2.ShortfallMode.ValueType) -> str:
    """Publish a card and a plan, open a wallet with credit and sign a contract; return the wallet."""
    now = datetime.now(UTC)
    created = await ledger.rate_cards.CreateRateCard(
        rate_card_service_pb2.CreateRateCardRequest(
            rate_card_id="llm", rate_card=agreement_pb2.RateCard(asset=CREDIT), idempotency_key=key()
        )
    )
    rate = agreement_pb2.Rate(
        dimension="output_tokens", unit_size=1_000_000, unit=agreement_pb2.UnitModel(unit_price="2")
    )
    phase = agreement_pb2.RateCardPhase(from_time=timestamp(now - timedelta(days=1)), rates=[rate])
    await ledger.rate_cards.PublishRateCardPhase(
        rate_card_service_pb2.PublishRateCardPhaseRequest(
            name=created.rate_card.name, idempotency_key=key(), phase=phase, retroactive=True
        )
    )
    terms = agreement_pb2.PlanPhase(key="main", rate_card=created.rate_card.name, shortfall_mode=mode)
    plan = await ledger.contracts.PublishPlan(
        contract_service_pb2.PublishPlanRequest(
            plan_id="pro", plan=agreement_pb2.Plan(asset=CREDIT, phases=[terms]), idempotency_key=key()
        )
    )
    wallet = await ledger.open_wallet(granted_units=credit_units, mode=mode)
    contract = agreement_pb2.Contract(
        customer=CUSTOMER,
        wallet=wallet,
        plan=plan.plan.name,
        start_time=timestamp(now),
        cycle=agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH, anchor_time=timestamp(now)),
    )
    await ledger.contracts.SignContract(
        contract_service_pb2.SignContractRequest(contract_id="acme", contract=contract, idempotency_key=key())
    )
    return wallet
