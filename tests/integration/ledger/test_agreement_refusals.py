"""Refusals of rate cards, plans and contracts over a real channel, each beside the request that is let through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest
import pytest_asyncio

from credits.ledger.v1 import (
    agreement_pb2,
    contract_service_pb2,
    money_pb2,
    rate_card_service_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import (
    CREDIT,
    CUSTOMER,
    HARD,
    Client,
    Refused,
    key,
    refusal,
    send,
    timestamp,
)

MICROSECOND = timedelta(microseconds=1)
TOKEN = money_pb2.Asset(code="TOKEN")
Code = grpc.StatusCode


class Agreements:
    """Makes agreements on the sandbox, whose clock is known."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def card(self, rate_card_id: str = "", *, asset: money_pb2.Asset = CREDIT) -> str:
        """Create a rate card."""
        request = rate_card_service_pb2.CreateRateCardRequest(
            rate_card_id=rate_card_id or f"c-{key()}",
            rate_card=agreement_pb2.RateCard(asset=asset),
            idempotency_key=key(),
        )
        response = await send(self.client.rate_cards.CreateRateCard, request)
        return str(response.rate_card.name)

    async def phase(
        self, card: str, after_seconds: float = 0.0, *, retroactive: bool = False, **fields: Any
    ) -> None:
        """Publish a phase so long after the clock; with one rate unless the fields say otherwise."""
        from_time = await self.client.clock() + timedelta(seconds=after_seconds)
        phase: dict[str, Any] = {"from_time": timestamp(from_time), "rates": [rate()]} | fields
        request = rate_card_service_pb2.PublishRateCardPhaseRequest(
            name=card,
            idempotency_key=key(),
            phase=agreement_pb2.RateCardPhase(**phase),
            retroactive=retroactive,
        )
        await send(self.client.rate_cards.PublishRateCardPhase, request)

    async def plan(self, card: str, *, asset: money_pb2.Asset = CREDIT, **fields: Any) -> str:
        """Publish a plan of one phase, HARD unless the fields say otherwise."""
        terms: dict[str, Any] = {"key": "main", "rate_card": card, "shortfall_mode": HARD} | fields
        phase = agreement_pb2.PlanPhase(**terms)
        request = contract_service_pb2.PublishPlanRequest(
            plan_id=f"p-{key()}",
            plan=agreement_pb2.Plan(asset=asset, phases=[phase]),
            idempotency_key=key(),
        )
        return str((await send(self.client.contracts.PublishPlan, request)).plan.name)

    async def sign(self, plan: str, wallet: str, contract_id: str = "", **fields: Any) -> str:
        """Sign a contract from now on, monthly."""
        contract: dict[str, Any] = {
            "customer": CUSTOMER,
            "wallet": wallet,
            "plan": plan,
            "start_time": timestamp(await self.client.clock()),
            "cycle": agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH),
        } | fields
        request = contract_service_pb2.SignContractRequest(
            contract_id=contract_id or f"k-{key()}",
            contract=agreement_pb2.Contract(**contract),
            idempotency_key=key(),
        )
        return str((await send(self.client.contracts.SignContract, request)).contract.name)


def rate(unit_price: str = "1", *, dimension: str = "tokens", **match: str) -> agreement_pb2.Rate:
    """Return a rate."""
    return agreement_pb2.Rate(
        dimension=dimension, unit=agreement_pb2.UnitModel(unit_price=unit_price), match=match
    )


def multiplier(*up_to: int) -> agreement_pb2.Multiplier:
    """Return a multiplier with these tiers."""
    tiers = [agreement_pb2.MultiplierTier(up_to=each, factor="1") for each in up_to]
    return agreement_pb2.Multiplier(property="context_tokens", tiers=tiers)


def told(refused: Refused) -> tuple[grpc.StatusCode, str, str]:
    """Return code, reason and field."""
    assert refused.domain == "ledger.credits"
    return refused.code, refused.reason, refused.field


@pytest_asyncio.fixture
async def agreements(sandbox: Client) -> Agreements:
    """Makes agreements on the sandbox."""
    return Agreements(sandbox)


async def test_a_rate_card_is_created_once(agreements: Agreements) -> None:
    name = await agreements.card()

    refused = await refusal(agreements.card(name.removeprefix("rateCards/")))

    assert told(refused) == (Code.ALREADY_EXISTS, "RATE_CARD_EXISTS", "rate_card_id")


async def test_a_phase_needs_its_card(agreements: Agreements) -> None:
    refused = await refusal(agreements.phase("rateCards/none", 1))

    assert told(refused) == (Code.NOT_FOUND, "RATE_CARD_NOT_FOUND", "name")


async def test_a_phase_may_begin_now_and_not_a_microsecond_before_unless_retroactive(
    agreements: Agreements,
) -> None:
    await agreements.phase(await agreements.card(), 0)
    await agreements.phase(await agreements.card(), -0.000001, retroactive=True)
    refused = await refusal(agreements.phase(await agreements.card(), -0.000001))

    assert told(refused) == (Code.FAILED_PRECONDITION, "PHASE_IN_PAST", "phase.from_time")


async def test_a_phase_begins_after_the_one_before_it(agreements: Agreements) -> None:
    card = await agreements.card()
    await agreements.phase(card, 10)

    refused = await refusal(agreements.phase(card, 10))
    await agreements.phase(card, 10.000001)

    assert told(refused) == (Code.FAILED_PRECONDITION, "PHASE_OVERLAPS", "phase.from_time")


async def test_two_equally_specific_rates_that_may_meet_are_refused(agreements: Agreements) -> None:
    card = await agreements.card()

    refused = await refusal(agreements.phase(card, 1, rates=[rate(model="a*"), rate(model="*a")]))
    await agreements.phase(card, 1, rates=[rate(model="a*"), rate(model="b*")])

    assert told(refused) == (Code.INVALID_ARGUMENT, "RATES_AMBIGUOUS", "phase.rates")


async def test_tiers_ascend(agreements: Agreements) -> None:
    card = await agreements.card()

    refused = await refusal(agreements.phase(card, 1, multipliers=[multiplier(8192, 8192)]))
    await agreements.phase(card, 1, multipliers=[multiplier(8192, 8193)])

    assert told(refused) == (Code.INVALID_ARGUMENT, "TIERS_OUT_OF_ORDER", "phase.multipliers[0].tiers")


@pytest.mark.parametrize(
    ("unit_price", "is_fine"),
    [
        ("0." + "0" * 17 + "1", True),
        ("0." + "0" * 18 + "1", False),
        ("-1", False),
        ("1e3", False),
        ("NaN", False),
    ],
)
async def test_a_price_is_a_plain_decimal_of_at_most_18_decimals(
    agreements: Agreements, unit_price: str, is_fine: bool
) -> None:
    publishing = agreements.phase(await agreements.card(), 1, rates=[rate(unit_price)])

    if is_fine:
        await publishing
    else:
        told_so = told(await refusal(publishing))
        assert told_so == (Code.INVALID_ARGUMENT, "FIELD_MALFORMED", "phase.rates[0].unit.unit_price")


async def test_a_plan_names_a_card_that_prices_its_asset(agreements: Agreements) -> None:
    card = await agreements.card(asset=TOKEN)

    no_card = await refusal(agreements.plan("rateCards/none"))
    other_asset = await refusal(agreements.plan(card))
    await agreements.plan(card, asset=TOKEN)

    assert told(no_card) == (Code.NOT_FOUND, "RATE_CARD_NOT_FOUND", "plan.phases[0].rate_card")
    assert told(other_asset) == (Code.FAILED_PRECONDITION, "ASSET_MISMATCH", "plan.asset")


async def test_a_contract_binds_the_customers_own_wallet_to_a_plan_that_exists_once(
    agreements: Agreements,
) -> None:
    plan = await agreements.plan(await agreements.card())
    other_plan = await agreements.plan(await agreements.card(asset=TOKEN), asset=TOKEN)
    wallet, another = [await agreements.client.open_wallet() for _ in range(2)]

    refused = [
        await refusal(agreements.sign("plans/none", wallet)),
        await refusal(agreements.sign(plan, wallet, plan_version=2)),
        await refusal(agreements.sign(plan, "wallets/none")),
        await refusal(agreements.sign(plan, wallet, customer="customers/other")),
        await refusal(agreements.sign(other_plan, wallet)),
    ]
    contract = await agreements.sign(plan, wallet, plan_version=1)
    refused += [
        await refusal(agreements.sign(plan, another, contract.removeprefix("contracts/"))),
        await refusal(agreements.sign(plan, wallet)),
    ]

    assert [told(each) for each in refused] == [
        (Code.NOT_FOUND, "PLAN_NOT_FOUND", "contract.plan"),
        (Code.NOT_FOUND, "PLAN_NOT_FOUND", "contract.plan_version"),
        (Code.NOT_FOUND, "WALLET_NOT_FOUND", "contract.wallet"),
        (Code.FAILED_PRECONDITION, "CUSTOMER_MISMATCH", "contract.customer"),
        (Code.FAILED_PRECONDITION, "ASSET_MISMATCH", "contract.wallet"),
        (Code.ALREADY_EXISTS, "CONTRACT_EXISTS", "contract_id"),
        (Code.ALREADY_EXISTS, "CONTRACT_EXISTS", "contract.wallet"),
    ]


async def test_the_overage_limit_of_a_phase_is_kept_shown_and_met_to_the_unit(agreements: Agreements) -> None:
    client = agreements.client
    plan = await agreements.plan(
        await agreements.card(), shortfall_mode=wallet_pb2.SHORTFALL_MODE_SOFT, overage_limit_units=5
    )
    wallet = await client.open_wallet(granted_units=3, mode=wallet_pb2.SHORTFALL_MODE_SOFT)
    contract = await agreements.sign(plan, wallet)

    beyond = await refusal(client.debit(wallet, 9))
    met = await client.debit(wallet, 8)
    again = await refusal(client.debit(wallet, 1))
    delivered = await client.debit(wallet, 1, delivered=True)

    assert told(beyond) == (Code.FAILED_PRECONDITION, "OVERAGE_LIMIT_EXCEEDED", "amount_units")
    assert beyond.metadata == {"overage_units": "6", "overage_limit_units": "5"}
    assert (met.debit.overage_units, again.reason) == (5, "OVERAGE_LIMIT_EXCEEDED")
    assert delivered.debit.overage_units == 1
    read = await send(client.contracts.GetContract, contract_service_pb2.GetContractRequest(name=contract))
    assert [phase.terms.overage_limit_units for phase in read.contract.phases] == [5]
    shown = await send(client.wallets.GetWallet, wallet_service_pb2.GetWalletRequest(name=wallet))
    assert shown.wallet.overage_limit_units == 5


async def test_an_overage_limit_of_a_phase_is_not_negative(agreements: Agreements) -> None:
    card = await agreements.card()

    refused = await refusal(agreements.plan(card, overage_limit_units=-1))
    await agreements.plan(card, overage_limit_units=2**63 - 1)

    assert told(refused) == (
        Code.INVALID_ARGUMENT,
        "NUMBER_OUT_OF_RANGE",
        "plan.phases[0].overage_limit_units",
    )


async def test_a_contract_that_does_not_exist_cannot_be_read(agreements: Agreements) -> None:
    request = contract_service_pb2.GetContractRequest(name="contracts/none")

    refused = await refusal(send(agreements.client.contracts.GetContract, request))

    assert told(refused) == (Code.NOT_FOUND, "CONTRACT_NOT_FOUND", "name")


@pytest.mark.parametrize("interval", [0, 99])
async def test_an_unknown_interval_is_refused(agreements: Agreements, interval: int) -> None:
    plan = await agreements.plan(await agreements.card())
    wallet = await agreements.client.open_wallet()

    refused = await refusal(agreements.sign(plan, wallet, cycle=cycle_of(interval)))

    assert told(refused) == (Code.INVALID_ARGUMENT, "VALUE_UNSPECIFIED", "contract.cycle.interval")


def cycle_of(interval: int) -> agreement_pb2.Cycle:
    """Return a cycle whose interval the protos need not know."""
    cycle: Any = agreement_pb2.Cycle()
    cycle.interval = interval
    return agreement_pb2.Cycle.FromString(cycle.SerializeToString())


@pytest.mark.parametrize(
    ("ahead", "is_fine"), [(timedelta(minutes=5), True), (timedelta(minutes=5) + MICROSECOND, False)]
)
async def test_a_debit_lies_at_most_five_minutes_ahead(
    sandbox: Client, ahead: timedelta, is_fine: bool
) -> None:
    wallet = await sandbox.open_wallet(granted_units=1)
    debiting = sandbox.debit(wallet, 1, effective_time=timestamp(await sandbox.clock() + ahead))

    if is_fine:
        await debiting
    else:
        assert told(await refusal(debiting)) == (Code.OUT_OF_RANGE, "TIME_IN_FUTURE", "effective_time")


async def test_the_sandbox_clock_refuses_to_go_back(sandbox: Client) -> None:
    refused = await refusal(sandbox.advance(await sandbox.clock() - MICROSECOND))

    assert told(refused) == (Code.FAILED_PRECONDITION, "CLOCK_WOULD_GO_BACK", "to_time")
