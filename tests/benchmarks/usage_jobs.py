"""Usage for the rating service: the agreement that prices it, and batches of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import (
    agreement_pb2,
    contract_service_pb2,
    contract_service_pb2_grpc,
    money_pb2,
    rate_card_service_pb2,
    rate_card_service_pb2_grpc,
    wallet_pb2,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
from credits.rating.v1 import (
    billing_pb2,
    invoice_service_pb2_grpc,
    rating_service_pb2,
    rating_service_pb2_grpc,
    rerating_service_pb2,
    rerating_service_pb2_grpc,
)
from tests.benchmarks.jobs import Agree, BatchUsage, Done, Rerate, Rerated, Throughput, wallet_name

PRICES: Final = {"input_tokens": "3", "cached_input_tokens": "0.3", "output_tokens": "15"}
"""Per million tokens, in whole credits."""
SIGNERS: Final = 64
"""Contracts signed at once."""


def timestamp(instant: datetime) -> Timestamp:
    """Return an instant as a message."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


async def agree(job: Agree, channel: grpc.aio.Channel) -> Done:
    """Publish the card and the plan, then open a wallet and sign a contract for each customer."""
    # Some days ago, so that usage of now is inside every phase.
    start = timestamp(datetime.now(UTC).replace(microsecond=0) - timedelta(days=job.days_ago))
    await _publish(channel, start, job.included_units)
    remaining = iter(range(job.contracts))
    positions: list[int] = []

    async def sign_remaining() -> None:
        for number in remaining:
            position = await _sign(channel, number, start)
            positions.append(position)

    await asyncio.gather(*(sign_remaining() for _ in range(SIGNERS)))
    return Done(position=max(positions))


async def run_billing(channel: grpc.aio.Channel) -> Throughput:
    """Run billing to its end. Raises RuntimeError if a contract fails."""
    stub: Any = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
    begun = time.perf_counter()
    contracts = 0
    async for progress in stub.RunBilling(billing_pb2.RunBillingRequest()):
        for failure in progress.failures:
            raise RuntimeError(f"{failure.contract}: {failure.message}")
        contracts = progress.contracts_done
    return Throughput(items=contracts, seconds=time.perf_counter() - begun)


async def rerate(job: Rerate, ledger: grpc.aio.Channel, channel: grpc.aio.Channel) -> Rerated:
    """Propose the phase, look at what it changes, and accept just that."""
    cards: Any = rate_card_service_pb2_grpc.RateCardServiceStub(ledger)
    stub: Any = rerating_service_pb2_grpc.ReratingServiceStub(channel)
    from_time = timestamp(datetime.now(UTC) - timedelta(hours=12))
    proposed = await cards.PublishRateCardPhase(
        rate_card_service_pb2.PublishRateCardPhaseRequest(
            name="rateCards/llm",
            idempotency_key="cheaper",
            phase=agreement_pb2.RateCardPhase(from_time=from_time, rates=_rates(share=Decimal("0.5"))),
            retroactive=True,
        )
    )
    items, token, adjustments = 0, "", 0
    begun = time.perf_counter()
    async for shown in stub.ShowRerating(rerating_service_pb2.ShowReratingRequest(name=proposed.phase.name)):
        items += shown.cycle.differing_count
        token = shown.rerating.token or token
    looked = time.perf_counter()
    request = rerating_service_pb2.AcceptReratingRequest(name=proposed.phase.name, token=token)
    async for progress in stub.AcceptRerating(request):
        adjustments += progress.HasField("adjustment")
    return Rerated(
        items=items,
        shown_seconds=looked - begun,
        accepted_seconds=time.perf_counter() - looked,
        adjustments=adjustments,
    )


def _rates(share: Decimal) -> list[agreement_pb2.Rate]:
    """Return the rates of the card, at a share of its prices."""
    return [
        agreement_pb2.Rate(
            dimension=dimension,
            unit_size=1_000_000,
            unit=agreement_pb2.UnitModel(unit_price=f"{Decimal(price) * share:f}"),
        )
        for dimension, price in PRICES.items()
    ]


async def _publish(channel: grpc.aio.Channel, start: Timestamp, included_units: int) -> None:
    cards: Any = rate_card_service_pb2_grpc.RateCardServiceStub(channel)
    plans: Any = contract_service_pb2_grpc.ContractServiceStub(channel)
    asset = money_pb2.Asset(code="CREDIT", scale=6)
    await cards.CreateRateCard(
        rate_card_service_pb2.CreateRateCardRequest(
            rate_card_id="llm", rate_card=agreement_pb2.RateCard(asset=asset), idempotency_key="card"
        )
    )
    await cards.PublishRateCardPhase(
        rate_card_service_pb2.PublishRateCardPhaseRequest(
            name="rateCards/llm",
            idempotency_key="phase",
            phase=agreement_pb2.RateCardPhase(from_time=start, rates=_rates(share=Decimal(1))),
            retroactive=True,
        )
    )
    phase = agreement_pb2.PlanPhase(
        key="main",
        rate_card="rateCards/llm",
        shortfall_mode=wallet_pb2.SHORTFALL_MODE_SOFT,
        included_units=included_units,
    )
    await plans.PublishPlan(
        contract_service_pb2.PublishPlanRequest(
            plan_id="pro", plan=agreement_pb2.Plan(asset=asset, phases=[phase]), idempotency_key="plan"
        )
    )


async def _sign(channel: grpc.aio.Channel, number: int, start: Timestamp) -> int:
    wallets: Any = wallet_service_pb2_grpc.WalletServiceStub(channel)
    contracts: Any = contract_service_pb2_grpc.ContractServiceStub(channel)
    name, customer = wallet_name(number), f"customers/c{number:07d}"
    await wallets.OpenWallet(
        wallet_service_pb2.OpenWalletRequest(
            wallet_id=name.removeprefix("wallets/"),
            wallet=wallet_pb2.Wallet(customer=customer, asset=money_pb2.Asset(code="CREDIT", scale=6)),
            idempotency_key="open",
        )
    )
    grant = wallet_pb2.Grant(amount_units=10**15, category=wallet_pb2.GRANT_CATEGORY_PROMOTIONAL)
    await wallets.Grant(wallet_service_pb2.GrantRequest(name=name, idempotency_key="grant", grant=grant))
    cycle = agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH, count=1, anchor_time=start)
    contract = agreement_pb2.Contract(
        customer=customer, wallet=name, plan="plans/pro", plan_version=1, start_time=start, cycle=cycle
    )
    signed = await contracts.SignContract(
        contract_service_pb2.SignContractRequest(
            contract_id=f"k{number:07d}", contract=contract, idempotency_key="sign"
        )
    )
    return int(signed.position)


def usage_batches(
    job: BatchUsage, channel: grpc.aio.Channel
) -> tuple[list[Any], Callable[[Any], Awaitable[Any]]]:
    """Return the job's requests and what sends one."""
    random = Random(job.key)
    stub: Any = rating_service_pb2_grpc.RatingServiceStub(channel)
    now = timestamp(datetime.now(UTC))
    batches = [
        rating_service_pb2.BatchRecordUsageRequest(
            usages=[
                rating_service_pb2.Usage(
                    id=f"{job.key}-{batch}-{item}",
                    contract=f"contracts/k{random.randrange(job.contracts):07d}",
                    effective_time=now,
                    properties={"model": "large", "operation": "chat"},
                    quantities={name: random.randrange(1, 5_000) for name in PRICES},
                )
                for item in range(job.batch_size)
            ],
            min_position=job.min_position,
        )
        for batch in range(job.batches)
    ]
    return batches, stub.BatchRecordUsage
