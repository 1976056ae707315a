"""A gateway as it calls the services: it asks before a request runs and tells afterwards what it used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from credits.ledger.v1 import (
    agreement_pb2,
    contract_service_pb2,
    rate_card_service_pb2,
    wallet_pb2,
    wallet_rules_pb2,
)
from credits.rating.v1 import authorization_pb2, rating_service_pb2_grpc
from rating_service.bootstrap import build
from tests.integration.ledger.client import CREDIT, CUSTOMER, HARD, NO_ALERTS, Client, key, timestamp
from tests.integration.rating.harness import settings_for
from tests.servers import LedgerServer

UNIT_PRICES = {"input_tokens": "0.000001", "output_tokens": "0.000002", "calls": "0.000005"}
"""Whole assets of scale 6: an input token costs a unit, an output token two, a call five."""


class Signed:
    """A wallet with credit, and its contract."""

    def __init__(self, wallet: str, contract: str, position: int) -> None:
        self.wallet, self.contract, self.position = wallet, contract, position


class Gateway:
    """Stubs of both services, and the usual requests in few words."""

    def __init__(self, ledger: Client, channel: grpc.aio.Channel, address: str) -> None:
        self.ledger = ledger
        self.address = address
        self.channel = channel
        self.rating = rating_service_pb2_grpc.RatingServiceStub(channel)

    async def sign(
        self,
        *,
        units: int = 1_000_000,
        mode: wallet_pb2.ShortfallMode.ValueType = HARD,
        rules: wallet_rules_pb2.WalletRules = NO_ALERTS,
        starts_after: timedelta = timedelta(),
        **terms: Any,
    ) -> Signed:
        """Return a wallet with units and a contract from now on, billed by the month."""
        name = uuid4().hex
        now = await self.ledger.clock()
        card = await self._card(name, now)
        wallet = await self.ledger.open_wallet(rules=rules)
        if units:
            await self.ledger.grant(wallet, units)
        phase = agreement_pb2.PlanPhase(key="main", rate_card=card, shortfall_mode=mode, **terms)
        plan = agreement_pb2.Plan(asset=CREDIT, phases=[phase])
        await self.ledger.contracts.PublishPlan(
            contract_service_pb2.PublishPlanRequest(plan_id=name, plan=plan, idempotency_key=key())
        )
        contract = agreement_pb2.Contract(
            customer=CUSTOMER,
            wallet=wallet,
            plan=f"plans/{name}",
            start_time=timestamp(now + starts_after),
            cycle=agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH),
        )
        signed = await self.ledger.contracts.SignContract(
            contract_service_pb2.SignContractRequest(
                contract_id=name, contract=contract, idempotency_key=key()
            )
        )
        return Signed(wallet, f"contracts/{name}", signed.position)

    async def _card(self, name: str, now: datetime) -> str:
        await self.ledger.rate_cards.CreateRateCard(
            rate_card_service_pb2.CreateRateCardRequest(
                rate_card_id=name, rate_card=agreement_pb2.RateCard(asset=CREDIT), idempotency_key=key()
            )
        )
        phase = agreement_pb2.RateCardPhase(
            from_time=timestamp(now),
            rates=[
                agreement_pb2.Rate(dimension=dimension, unit=agreement_pb2.UnitModel(unit_price=price))
                for dimension, price in UNIT_PRICES.items()
            ],
        )
        await self.ledger.rate_cards.PublishRateCardPhase(
            rate_card_service_pb2.PublishRateCardPhaseRequest(
                name=f"rateCards/{name}", phase=phase, idempotency_key=key()
            )
        )
        return f"rateCards/{name}"

    async def authorize(
        self, signed: Signed, *, tokens: int = 10, holds: bool = True, **fields: Any
    ) -> authorization_pb2.AuthorizeResponse:
        """Ask whether a request of so many input tokens may run, with a hold of its own unless told."""
        asked: dict[str, Any] = {
            "contract": signed.contract,
            "quantities": {"input_tokens": tokens},
            "place_hold": holds,
            "idempotency_key": key(),
            "min_position": signed.position,
        }
        request = authorization_pb2.AuthorizeRequest(**asked | fields)
        answer: authorization_pb2.AuthorizeResponse = await self.rating.Authorize(request)
        return answer

    async def settle(self, authorization: str, *, tokens: int = 10, **fields: Any) -> Any:
        """Tell that a request used so many input tokens."""
        return await self.rating.Settle(
            authorization_pb2.SettleRequest(
                authorization=authorization, quantities={"input_tokens": tokens}, **fields
            )
        )

    async def cancel(self, authorization: str) -> Any:
        """Tell that a request did not run."""
        return await self.rating.CancelAuthorization(
            authorization_pb2.CancelAuthorizationRequest(authorization=authorization)
        )

    async def available(self, signed: Signed) -> int:
        """Return the units that a wallet may spend."""
        return (await self.ledger.balance(signed.wallet)).available_units

    async def pass_time(self, span: timedelta) -> None:
        """Move the manual clock on."""
        await self.ledger.advance(await self.ledger.clock() + span)


def reasons(answer: authorization_pb2.AuthorizeResponse) -> list[str]:
    """Return the reasons of an answer, without their prefix."""
    return [
        authorization_pb2.DenialReason.Name(denial.reason).removeprefix("DENIAL_REASON_")
        for denial in answer.denials
    ]


class Refused:
    """A refusal as a caller sees it."""

    def __init__(self, failure: grpc.aio.AioRpcError) -> None:
        status = rpc_status.from_call(failure)  # type: ignore[arg-type] # the stub knows only blocking calls
        assert status is not None, failure
        self.code = failure.code()
        self.field = ""
        info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
        for detail in status.details:
            if detail.Unpack(bad):
                self.field = bad.field_violations[0].field
            detail.Unpack(info)
        self.reason, self.metadata = info.reason, dict(info.metadata)


async def refusal(call: Awaitable[Any]) -> Refused:
    """Return why a call was refused."""
    try:
        await call
    except grpc.aio.AioRpcError as failure:
        return Refused(failure)
    raise AssertionError("it was not refused")


@asynccontextmanager
async def running_gateway(server: LedgerServer, rating_url: str) -> AsyncIterator[Gateway]:
    """Run a rating service in front of a ledger until the test is done."""
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(Client(server.address))
        parts = await build(settings_for(rating_url, server.address), stack)
        await parts.served.server.start()
        stack.push_async_callback(parts.served.server.stop, None)
        following = asyncio.create_task(parts.follower.run())
        stack.push_async_callback(_ended, following)
        address = f"127.0.0.1:{parts.served.port}"
        channel = grpc.aio.insecure_channel(address)
        stack.push_async_callback(channel.close)
        async with asyncio.timeout(30):
            while not parts.follower.is_ready:  # noqa: ASYNC110, nobody announces it
                await asyncio.sleep(0.01)
        yield Gateway(ledger, channel, address)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
