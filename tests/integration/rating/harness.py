"""A running rating service for a test: real PostgreSQL, real channels, a fake ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import msgspec
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from credits.rating.v1 import (
    invoice_service_pb2_grpc,
    rating_service_pb2,
    rating_service_pb2_grpc,
    usage_report_service_pb2_grpc,
)
from rating_service.bootstrap import Parts, build
from rating_service.settings import Address, Settings, parse_address, read_settings
from tests.fakes.fake_ledger import FakeLedger, iso, start_fake_ledger

CONTRACT = "contracts/acme"
WALLET = "wallets/acme"
CARD = "rateCards/llm"
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


async def until(holds: Callable[[], bool], *, seconds_max: float = 20) -> None:
    """Return once something holds that nobody announces; fail when it takes too long."""
    async with asyncio.timeout(seconds_max):
        while not holds():  # noqa: ASYNC110, it may be the state of another process
            await asyncio.sleep(0.005)


class Service:
    """The service under test, its stubs and its ledger."""

    def __init__(self, parts: Parts, channel: grpc.aio.Channel, ledger: FakeLedger) -> None:
        self.parts = parts
        self.follower = parts.follower
        self.channel = channel
        self.ledger = ledger
        self.rating = rating_service_pb2_grpc.RatingServiceStub(channel)
        self.invoices = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        self.reports = usage_report_service_pb2_grpc.UsageReportServiceStub(channel)

    async def caught_up(self) -> None:
        """Wait until everything in the ledger is followed."""
        await self.follower.wait_for(len(self.ledger.events))
        await until(lambda: self.follower.is_ready)


def settings_for(database_url: str, ledger_address: str, **changes: object) -> Settings:
    """Return settings for a free port on the sandbox clock."""
    settings = read_settings({"RATING_SANDBOX": "1", "RATING_LOG_LEVEL": "error"})
    return msgspec.structs.replace(
        settings,
        database_url=database_url,
        data_directory=Path("unused"),
        listen=Address("127.0.0.1", 0),
        ledger_address=parse_address(ledger_address),
        **changes,
    )


@asynccontextmanager
async def running_service(database_url: str, ledger: FakeLedger, **changes: object) -> AsyncIterator[Service]:
    """Run the service against a ledger until the test is done."""
    async with AsyncExitStack() as stack:
        ledger_server, address = await start_fake_ledger(ledger)
        stack.push_async_callback(ledger_server.stop, None)
        parts = await build(settings_for(database_url, address, **changes), stack)
        await parts.served.server.start()
        stack.push_async_callback(parts.served.server.stop, None)
        following = asyncio.create_task(parts.follower.run())
        stack.push_async_callback(_ended, following)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{parts.served.port}")
        stack.push_async_callback(channel.close)
        service = Service(parts, channel, ledger)
        await service.caught_up()
        yield service


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def publish_card(
    ledger: FakeLedger, *, phase: int = 1, from_time: datetime = START, input_price: str = "3"
) -> None:
    """Publish a phase of a card with three dimensions at scale 6; the first phase creates the card."""
    if phase == 1:
        asset = {"code": "CREDIT", "scale": 6}
        await ledger.publish(CARD, "rate_card.RateCardCreated.v1", {"asset": asset})
    prices = {"input_tokens": input_price, "cached_input_tokens": "0.3", "output_tokens": "15"}
    rates = [
        {"dimension": name, "unit_price": price, "unit_size": 1_000_000} for name, price in prices.items()
    ]
    multipliers = [
        {
            "property": "context_tokens",
            "tiers": [{"up_to": 8192, "factor": "1"}, {"up_to": 32768, "factor": "1.8"}],
        }
    ]
    event = {
        "phase": phase,
        "from_time": iso(from_time),
        "rates": rates,
        "phase_hash": str(phase) * 64,
        "multipliers": multipliers,
    }
    await ledger.publish(CARD, "rate_card.RateCardPhasePublished.v1", event)


async def sign_contract(ledger: FakeLedger, *, name: str = CONTRACT, wallet: str = WALLET) -> None:
    """Bind a customer to a plan with a fee of 20 USD, 5 CREDIT included and overage at 2 USD a CREDIT."""
    terms = {
        "key": "main",
        "rate_card": CARD,
        "shortfall_mode": "SOFT",
        "base_fee": {"currency_code": "USD", "nanos": 20_000_000_000},
        "included_units": 5_000_000,
        "overage_price": {"currency_code": "USD", "price": "2"},
    }
    event = {
        "customer": "customers/acme",
        "wallet": wallet,
        "plan": "plans/pro",
        "plan_version": 1,
        "asset": {"code": "CREDIT", "scale": 6},
        "start_time": iso(START),
        "cycle": {"interval": "MONTH", "anchor_time": iso(START)},
        "phases": [{"from_time": iso(START), "terms": terms}],
    }
    await ledger.publish(name, "contract.ContractSigned.v1", event)


async def agreed_ledger() -> FakeLedger:
    """Return a ledger with a card and a contract, whose wallet is empty and SOFT."""
    ledger = FakeLedger()
    await publish_card(ledger)
    await sign_contract(ledger)
    return ledger


def usage(
    usage_id: str = "u-1",
    *,
    contract: str = CONTRACT,
    at: datetime = START + DAY,
    context_tokens: int | str = 1_000,
    **quantities: int,
) -> rating_service_pb2.Usage:
    """Return a usage of 1,000 input tokens, unless quantities say otherwise: 3,000 units."""
    message = rating_service_pb2.Usage(
        id=usage_id,
        contract=contract,
        properties={"model": "m", "context_tokens": str(context_tokens)},
        quantities=quantities or {"input_tokens": 1_000},
    )
    message.effective_time.FromDatetime(at)
    return message


def reason(status: status_pb2.Status) -> tuple[str, str]:
    """Return the domain and reason in a status."""
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    return info.domain, info.reason


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """Return the code and reason with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type] # the stub knows only blocking calls
    assert status is not None, caught.value
    return caught.value.code(), reason(status)[1]
