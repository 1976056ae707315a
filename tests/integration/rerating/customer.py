"""A customer whose usage is priced again: its own card, contract and wallet, and the calls about them."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from credits.ledger.v1 import (
    agreement_pb2,
    contract_service_pb2,
    history_service_pb2,
    price_model_pb2,
    rate_card_service_pb2,
    wallet_pb2,
)
from credits.rating.v1 import rating_service_pb2, rerating_service_pb2, rerating_service_pb2_grpc
from tests.integration.authorization.gateway import Gateway
from tests.integration.ledger.client import CREDIT, CUSTOMER, Client, key, timestamp

HOUR = timedelta(hours=1)
SOFT = wallet_pb2.SHORTFALL_MODE_SOFT


def rates(*, tokens: str = "1", first_calls: str = "10", calls: str = "4") -> list[agreement_pb2.Rate]:
    """Return prices in units: a token's, and those of a call up to the fifth of a cycle and beyond."""
    return [linear_rate("tokens", tokens), tiered("calls", 5, first_calls, calls)]


def linear_rate(dimension: str, price: str) -> agreement_pb2.Rate:
    """Return a price in units for each of a dimension."""
    return agreement_pb2.Rate(dimension=dimension, unit=agreement_pb2.UnitModel(unit_price=_whole(price)))


def tiered(dimension: str, up_to: int, first: str, beyond: str) -> agreement_pb2.Rate:
    """Return a price in units up to a total of the cycle, and another beyond."""
    tiers = [
        price_model_pb2.PriceTier(up_to=up_to, unit_price=_whole(first)),
        price_model_pb2.PriceTier(unit_price=_whole(beyond)),
    ]
    return agreement_pb2.Rate(dimension=dimension, graduated=price_model_pb2.GraduatedModel(tiers=tiers))


def _whole(units: str) -> str:
    return f"{Decimal(units).scaleb(-6):f}"


class Customer:
    """One customer. `start` is the first instant of its contract and of its card."""

    def __init__(self, gateway: Gateway, name: str, wallet: str, start: datetime) -> None:
        self.gateway, self.name, self.wallet, self.start = gateway, name, wallet, start
        self.card, self.contract = f"rateCards/{name}", f"contracts/{name}"
        self.reratings = rerating_service_pb2_grpc.ReratingServiceStub(gateway.channel)

    @property
    def ledger(self) -> Client:
        """The ledger."""
        return self.gateway.ledger

    @classmethod
    async def signed(cls, gateway: Gateway, *, units: int = 100_000) -> Customer:
        """Return a customer with so many units."""
        name, start = uuid4().hex, await gateway.ledger.clock()
        wallet = await gateway.ledger.open_wallet(mode=SOFT)
        await gateway.ledger.grant(wallet, units)
        customer = cls(gateway, name, wallet, start)
        await gateway.ledger.rate_cards.CreateRateCard(
            rate_card_service_pb2.CreateRateCardRequest(
                rate_card_id=name, rate_card=agreement_pb2.RateCard(asset=CREDIT), idempotency_key=key()
            )
        )
        await customer.publish(rates(), start)
        terms = agreement_pb2.PlanPhase(key="main", rate_card=customer.card, shortfall_mode=SOFT)
        await gateway.ledger.contracts.PublishPlan(
            contract_service_pb2.PublishPlanRequest(
                plan_id=name, plan=agreement_pb2.Plan(asset=CREDIT, phases=[terms]), idempotency_key=key()
            )
        )
        contract = agreement_pb2.Contract(
            customer=CUSTOMER,
            wallet=wallet,
            plan=f"plans/{name}",
            start_time=timestamp(start),
            cycle=agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH),
        )
        await gateway.ledger.contracts.SignContract(
            contract_service_pb2.SignContractRequest(
                contract_id=name, contract=contract, idempotency_key=key()
            )
        )
        return customer

    async def publish(self, prices: list[agreement_pb2.Rate], from_time: datetime) -> Any:
        """Publish a phase, or propose it if it begins in the past."""
        phase = agreement_pb2.RateCardPhase(from_time=timestamp(from_time), rates=prices)
        answer = await self.ledger.rate_cards.PublishRateCardPhase(
            rate_card_service_pb2.PublishRateCardPhaseRequest(
                name=self.card, phase=phase, retroactive=True, idempotency_key=key()
            )
        )
        self.position = answer.position
        return answer

    async def use(self, at: datetime, **quantities: int) -> Any:
        """Record a usage."""
        usage = rating_service_pb2.Usage(id=key(), contract=self.contract, quantities=quantities)
        usage.effective_time.FromDatetime(at)
        answer = await self.gateway.rating.RecordUsage(
            rating_service_pb2.RecordUsageRequest(usage=usage, min_position=self.position)
        )
        self.position = answer.position
        return answer

    async def show(
        self, phase: str
    ) -> tuple[rerating_service_pb2.Rerating, list[rerating_service_pb2.CycleRerating]]:
        """Return what a phase changes."""
        request = rerating_service_pb2.ShowReratingRequest(name=phase)
        answers = [each async for each in self.reratings.ShowRerating(request)]
        return answers[-1].rerating, [each.cycle for each in answers if each.HasField("cycle")]

    async def accept(self, phase: str, *, token: str = "") -> list[rerating_service_pb2.PostedAdjustment]:
        """Accept a phase and return what was posted."""
        request = rerating_service_pb2.AcceptReratingRequest(name=phase, token=token)
        answers = [each async for each in self.reratings.AcceptRerating(request)]
        self.position = max(self.position, answers[-1].position)
        return [each.adjustment for each in answers if each.HasField("adjustment")]

    async def reject(self, phase: str) -> rerating_service_pb2.RejectReratingResponse:
        """Reject a phase."""
        return await self.reratings.RejectRerating(rerating_service_pb2.RejectReratingRequest(name=phase))

    async def used_units(self) -> int:
        """Return what was taken from 100,000 units."""
        return 100_000 - (await self.ledger.balance(self.wallet)).posted_units

    async def findings(self) -> list[str]:
        """Return the checks that fail when the ledger verifies its history."""
        call = self.ledger.history.VerifyHistory(history_service_pb2.VerifyHistoryRequest())
        return [finding.check async for answer in call for finding in answer.findings]
