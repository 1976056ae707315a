"""Simulations over recorded and synthetic usage: real PostgreSQL, real channel, real worker process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import grpc
import psutil
import psycopg
import pytest_asyncio
from psycopg.sql import SQL, Identifier

from credits.ledger.v1 import agreement_pb2, money_pb2
from credits.rating.v1 import (
    rating_service_pb2,
    simulation_service_pb2,
    simulation_service_pb2_grpc,
    simulation_traffic_pb2,
)
from rating_service.application.simulating.simulate import SIMULATIONS_MAX
from tests.fakes.fake_ledger import FakeLedger, iso
from tests.integration.rating.harness import (
    CARD,
    CONTRACT,
    DAY,
    START,
    Service,
    publish_card,
    refused,
    running_service,
    sign_contract,
    until,
    usage,
)
from tests.integration.rating.test_reversals import reverse, version_of

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
OTHER = "contracts/other"
TIERED = "rateCards/tiered"
CREDIT = money_pb2.Asset(code="CREDIT", scale=6)


class Simulated(NamedTuple):
    """What a simulation told."""

    progress: list[simulation_service_pb2.SimulationProgress]
    contracts: dict[str, simulation_service_pb2.SimulatedContract]
    result: simulation_service_pb2.SimulationResult


async def publish_tiered(ledger: FakeLedger, *, asset: str = "CREDIT", card: str = TIERED) -> None:
    """Publish graduated prices that depend on the size of a request, and volume prices."""
    await ledger.publish(card, "rate_card.RateCardCreated.v1", {"asset": {"code": asset, "scale": 6}})
    tiers = [{"unit_price": "3", "up_to": 10_000}, {"unit_price": "2"}]
    volume = [{"unit_price": "5", "up_to": 3}, {"unit_price": "1"}]
    rates = [
        {
            "dimension": "input_tokens",
            "unit_price": "",
            "unit_size": 1_000,
            "price_model": {"type": "GRADUATED", "tiers": tiers},
        },
        {"dimension": "images", "unit_price": "", "price_model": {"type": "VOLUME", "tiers": volume}},
        {"dimension": "output_tokens", "unit_price": "15", "unit_size": 1_000, "provider_cost": "4"},
    ]
    multipliers = [
        {
            "property": "context_tokens",
            "dimensions": ["input_tokens"],
            "tiers": [{"up_to": 8192, "factor": "1"}, {"up_to": 32768, "factor": "1.8"}],
        }
    ]
    event = {
        "phase": 1,
        "from_time": iso(START),
        "rates": rates,
        "phase_hash": "1" * 64,
        "multipliers": multipliers,
        "cost_currency": "CREDIT",
    }
    await ledger.publish(card, "rate_card.RateCardPhasePublished.v1", event)


async def agree(ledger: FakeLedger) -> None:
    """Bind one customer to linear prices and another one to tiers."""
    await publish_card(ledger)
    await sign_contract(ledger)
    await publish_tiered(ledger)
    terms = {"key": "main", "rate_card": TIERED, "shortfall_mode": "SOFT"}
    event = {
        "customer": "customers/other",
        "wallet": "wallets/other",
        "plan": "plans/tiers",
        "plan_version": 1,
        "asset": {"code": "CREDIT", "scale": 6},
        "start_time": iso(START),
        "cycle": {"interval": "MONTH", "anchor_time": iso(START + 9 * DAY)},
        "phases": [{"from_time": iso(START), "terms": terms}],
    }
    await ledger.publish(OTHER, "contract.ContractSigned.v1", event)
    plan = {
        "plan_version": 1,
        "asset": {"code": "CREDIT", "scale": 6},
        "phases": [
            {
                "key": "main",
                "rate_card": CARD,
                "shortfall_mode": "SOFT",
                "base_fee": {"currency_code": "USD", "nanos": 5_000_000_000},
                "overage_price": {"currency_code": "USD", "price": "10"},
            }
        ],
    }
    await ledger.publish("plans/small", "plan.PlanPublished.v1", plan)


def other_usage(
    usage_id: str, at: datetime, context: int = 1_000, **quantities: int
) -> rating_service_pb2.Usage:
    """Return a usage of the contract on tiers."""
    message = usage(usage_id, contract=OTHER, at=at, context_tokens=context, **quantities)
    message.feature = "chat"
    return message


@pytest_asyncio.fixture
async def recorded(rating_url: str) -> AsyncIterator[Service]:
    """The service with three months of usage, some of it late, some taken back in part and whole."""
    ledger = FakeLedger()
    await agree(ledger)
    async with running_service(rating_url, ledger, max_lateness=400 * DAY) as service:
        service.ledger.now = APRIL
        usages = [
            usage(f"u-{day}", at=START + day * DAY, input_tokens=1_000 + day) for day in range(0, 90, 5)
        ]
        # Sizes, and so factors, take turns: the exact sum of a cycle depends on the order of its usage.
        usages += [
            other_usage(
                f"o-{day}",
                START + ((day * 7) % 90) * DAY,
                20_000 if day % 2 else 1_000,
                input_tokens=900 + 77 * day,
                images=day % 4,
                output_tokens=day,
            )
            for day in range(0, 90, 3)
        ]
        request = rating_service_pb2.BatchRecordUsageRequest(usages=usages)
        answer = await service.rating.BatchRecordUsage(request)
        assert not any(each.HasField("error") or each.HasField("quarantined") for each in answer.results)
        await reverse(service, version_of(service, "u-10"), 1_000)
        await reverse(service, version_of(service, "u-20"), 3_060)
        await service.caught_up()
        yield service


def candidate(**members: Any) -> simulation_service_pb2.SimulationCandidate:
    """Return a candidate."""
    return simulation_service_pb2.SimulationCandidate(**members)


def flat_card(price: str = "6", **members: Any) -> agreement_pb2.RateCard:
    """Return a card that nobody published, for input tokens by the million, as the linear card has them."""
    rate = agreement_pb2.Rate(
        dimension="input_tokens",
        unit_size=1_000_000,
        unit=agreement_pb2.UnitModel(unit_price=price),
        **members,
    )
    phase = agreement_pb2.RateCardPhase(rates=[rate])
    phase.from_time.FromDatetime(datetime(2027, 1, 1, tzinfo=UTC))
    return agreement_pb2.RateCard(asset=CREDIT, phases=[phase])


def request(
    *candidates: simulation_service_pb2.SimulationCandidate,
    span: tuple[datetime, datetime] = (START, APRIL),
    synthetic: simulation_traffic_pb2.TrafficModel | None = None,
    baseline: simulation_service_pb2.SimulationCandidate | None = None,
    threshold_percent: str = "",
    **recorded: Any,
) -> simulation_service_pb2.SimulateRateCardRequest:
    """Return a request; keywords select recorded usage."""
    message = simulation_service_pb2.SimulateRateCardRequest(
        candidates=candidates, synthetic=synthetic, baseline=baseline, threshold_percent=threshold_percent
    )
    if recorded:
        message.recorded.CopyFrom(simulation_service_pb2.RecordedTraffic(**recorded))
    message.from_time.FromDatetime(span[0])
    message.to_time.FromDatetime(span[1])
    return message


async def simulate(service: Service, asked: simulation_service_pb2.SimulateRateCardRequest) -> Simulated:
    """Return all that a simulation tells; its last message is the result."""
    stub = simulation_service_pb2_grpc.SimulationServiceStub(service.channel)
    told = [each async for each in stub.SimulateRateCard(asked)]
    assert [each.WhichOneof("message") for each in told].index("result") == len(told) - 1
    contracts = [contract for each in told for contract in each.contracts.contracts]
    assert [each.contract for each in contracts] == sorted(each.contract for each in contracts)
    return Simulated(
        [each.progress for each in told if each.HasField("progress")],
        {each.contract: each for each in contracts},
        told[-1].result,
    )


async def refusal_of(
    service: Service, asked: simulation_service_pb2.SimulateRateCardRequest
) -> tuple[Any, str]:
    """Return the code and reason with which a simulation is refused."""
    stub = simulation_service_pb2_grpc.SimulationServiceStub(service.channel)
    # A worker that is slow to start shows life before it refuses.
    return await refused(_read_on(stub.SimulateRateCard(asked)))


async def contents(url: str) -> list[list[Any]]:
    """Return every row of every table of rating."""
    async with await psycopg.AsyncConnection.connect(url) as lent:
        found = await lent.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'rating' ORDER BY 1")
        tables = [str(name) for (name,) in await found.fetchall()]
        assert {"debits", "invoices", "tracking"} <= set(tables)
        query = SQL("SELECT t::text FROM rating.{} AS t ORDER BY 1")
        return [await (await lent.execute(query.format(Identifier(table)))).fetchall() for table in tables]


def added(contracts: dict[str, simulation_service_pb2.SimulatedContract], member: str) -> Decimal:
    """Return the sum over contracts of one amount under the first candidate."""
    return sum((Decimal(getattr(each.sums.candidates[0], member)) for each in contracts.values()), Decimal(0))


async def test_the_card_in_force_changes_nothing_for_anybody(recorded: Service) -> None:
    for card, contract in ((CARD, CONTRACT), (TIERED, OTHER)):
        for span in ((START, APRIL), (START + 33 * DAY, APRIL - 20 * DAY)):
            found = await simulate(
                recorded, request(candidate(rate_card=card), span=span, contracts=[contract])
            )
            [side] = found.contracts[contract].sums.candidates

            assert side.priced_count == found.contracts[contract].sums.usage_count > 3
            assert (side.difference_units, side.units) == ("0", found.contracts[contract].sums.units_now)
            assert [each.candidates[0].difference_units for each in found.result.dimensions] == ["0"] * len(
                found.result.dimensions
            )


async def test_sums_of_contracts_months_and_models_are_the_total(recorded: Service) -> None:
    found = await simulate(recorded, request(candidate(inline_card=flat_card("7.1"))))
    total = found.result.total

    assert found.result.contract_count == len(found.contracts) == 2
    assert total.usage_count == sum(each.sums.usage_count for each in found.contracts.values()) == 47
    assert added(found.contracts, "units") == Decimal(total.candidates[0].units)
    for view in (found.result.months, found.result.models, found.result.features):
        assert sum(Decimal(each.units_now) for each in view) == Decimal(total.units_now)
        assert sum(Decimal(each.candidates[0].difference_units) for each in view) == Decimal(
            total.candidates[0].difference_units
        )
    assert {each.key: each.usage_count for each in found.result.features} == {"": 17, "chat": 30}
    assert [each.key for each in found.result.months] == ["2026-01", "2026-02", "2026-03"]


async def test_what_was_taken_back_is_off_both_sides_in_proportion(recorded: Service) -> None:
    doubled = request(candidate(inline_card=flat_card("6")), span=(START + 10 * DAY, START + 11 * DAY))
    doubled.recorded.contracts.append(CONTRACT)
    found = await simulate(recorded, doubled)
    whole = request(candidate(inline_card=flat_card("6")), span=(START + 20 * DAY, START + 21 * DAY))
    whole.recorded.contracts.append(CONTRACT)
    gone = await simulate(recorded, whole)

    # 1,010 tokens at 3 were 3,030 units, of which 2,030 are left; at 6 they are 4,060.
    assert found.result.total.units_now == "2030"
    assert found.result.total.candidates[0].units == "4060"
    assert (gone.result.reversed_count, gone.result.total.usage_count) == (1, 0)


async def test_a_dearer_card_shows_who_loses_and_who_moves(recorded: Service) -> None:
    asked = request(candidate(inline_card=flat_card("3.6")), contracts=[CONTRACT], threshold_percent="20")
    at_threshold = await simulate(recorded, asked)
    asked.threshold_percent = "19.99"
    above = await simulate(recorded, asked)
    [outcome] = at_threshold.result.candidates

    assert [(each.contract, each.difference_percent) for each in outcome.losers] == [(CONTRACT, "20")]
    assert (outcome.dearer_count, outcome.cheaper_count, outcome.moved_count) == (1, 0, 0)
    assert above.result.candidates[0].moved_count == 1


async def test_unrateable_usage_is_counted_by_reason_with_examples(recorded: Service) -> None:
    found = await simulate(recorded, request(candidate(inline_card=flat_card()), contracts=[OTHER]))
    [outcome] = found.result.candidates
    total = found.result.total

    assert {each.reason for each in outcome.unrateable} == {"UNKNOWN_DIMENSION"}
    assert sum(each.usage_count for each in outcome.unrateable) == total.candidates[0].unrateable_count == 30
    assert all(1 <= len(each.examples) <= 5 for each in outcome.unrateable)
    assert outcome.unrateable[0].examples[0].startswith("wallets/other/debits/")


async def test_usage_of_cards_that_are_not_replaced_stays_as_it_was_charged(recorded: Service) -> None:
    found = await simulate(recorded, request(candidate(inline_card=flat_card()), replaced_rate_card=CARD))

    assert found.contracts[OTHER].sums.candidates[0].difference_units == "0"
    assert found.contracts[CONTRACT].sums.candidates[0].difference_percent == "100"


async def test_tiers_hold_the_quantity_of_their_dimension(recorded: Service) -> None:
    found = await simulate(recorded, request(candidate(rate_card=TIERED), contracts=[OTHER]))
    quantities = {each.key: each.quantity for each in found.result.dimensions}
    tiers = found.result.candidates[0].tiers

    for dimension in ("input_tokens", "images"):
        assert (
            sum(each.quantity for each in tiers if each.dimension == dimension) == quantities[dimension] > 0
        )
    assert [each.quantity for each in tiers if each.model == "graduated" and each.tier == 1] == [40_000]


async def test_plans_are_compared_by_their_bills(recorded: Service) -> None:
    free = agreement_pb2.Plan(asset=CREDIT)
    free.phases.add(key="main", rate_card=CARD, base_fee=money_pb2.Money(currency_code="USD", nanos=10**11))
    asked = request(
        candidate(plan="plans/small"), candidate(label="dear", inline_plan=free), contracts=[CONTRACT]
    )
    found = await simulate(recorded, asked)
    contract = found.contracts[CONTRACT]
    small, dear = contract.bills

    # Three cycles at 20 USD with 5 CREDIT included, against 5 USD and 10 USD a CREDIT: 0.017255, 0.015675 and
    # 0.019305 of them.
    assert contract.bill_now == money_pb2.Money(currency_code="USD", nanos=60 * 10**9)
    assert small.bill.nanos == sum((500 + cents) * 10**7 for cents in (17, 16, 19))
    assert (dear.difference_nanos, dear.difference_percent) == (240 * 10**9, "400")
    assert contract.best_candidate == 0
    assert [each.best_count for each in found.result.candidates] == [1, 0]
    assert [each.label for each in found.result.candidates] == ["plans/small", "dear"]


async def test_simulating_changes_no_row_of_any_table(recorded: Service, rating_url: str) -> None:
    before = await contents(rating_url)
    events = len(recorded.ledger.events)
    await simulate(recorded, request(candidate(inline_card=flat_card()), candidate(plan="plans/small")))

    assert await contents(rating_url) == before
    assert len(recorded.ledger.events) == events


def traffic(**members: Any) -> simulation_traffic_pb2.TrafficModel:
    """Return ten customers with ten requests a day."""
    tokens = [
        simulation_traffic_pb2.TokenQuantile(percent=percent, quantity=quantity)
        for percent, quantity in (("0", 10), ("50", 500), ("100", 8_000))
    ]
    segment = {
        "key": "small",
        "customers": 10,
        "requests_per_day": "10",
        "quantities": [simulation_traffic_pb2.TokenDistribution(dimension="input_tokens", quantiles=tokens)],
        **members,
    }
    return simulation_traffic_pb2.TrafficModel(
        seed=7, segments=[simulation_traffic_pb2.TrafficSegment(**segment)]
    )


async def test_synthetic_traffic_gives_the_same_numbers_for_the_same_seed(recorded: Service) -> None:
    asked = request(
        candidate(inline_card=flat_card("6")),
        synthetic=traffic(),
        baseline=candidate(inline_card=flat_card("3")),
        span=(START, START + 30 * DAY),
    )
    first, second = await simulate(recorded, asked), await simulate(recorded, asked)
    asked.synthetic.seed = 8
    third = await simulate(recorded, asked)

    assert first.result == second.result
    assert first.result.total.units_now != third.result.total.units_now
    assert 2_990 <= first.result.total.usage_count <= 3_010
    assert first.result.total.candidates[0].difference_percent == "100"
    assert len(first.contracts) == 10


async def test_bad_input_is_refused_by_name(recorded: Service) -> None:
    code = grpc.StatusCode
    good = candidate(inline_card=flat_card())
    other_asset = flat_card()
    other_asset.asset.code = "USD"
    malformed = flat_card("3,5")
    uneven = traffic(weekday_weights=[1, 2])
    cases = [
        (request(good, span=(APRIL, APRIL)), (code.INVALID_ARGUMENT, "EMPTY_SPAN")),
        (request(), (code.INVALID_ARGUMENT, "FIELD_REQUIRED")),
        (request(good, contracts=["contracts/nobody"]), (code.NOT_FOUND, "UNKNOWN_CONTRACT")),
        (request(good, customers=["customers/nobody"]), (code.NOT_FOUND, "UNKNOWN_CUSTOMER")),
        (request(good, share_percent=101), (code.INVALID_ARGUMENT, "NUMBER_OUT_OF_RANGE")),
        (request(candidate(rate_card="rateCards/none")), (code.NOT_FOUND, "UNKNOWN_RATE_CARD")),
        (request(candidate(rate_card=f"{CARD}/phases/9")), (code.FAILED_PRECONDITION, "NO_PHASE_IN_FORCE")),
        (request(candidate(plan="plans/none")), (code.NOT_FOUND, "UNKNOWN_PLAN")),
        (
            request(candidate(inline_card=other_asset), contracts=[CONTRACT]),
            (code.FAILED_PRECONDITION, "ASSET_DIFFERS"),
        ),
        (request(candidate(inline_card=other_asset)), (code.FAILED_PRECONDITION, "ASSET_DIFFERS")),
        (request(candidate(inline_card=malformed)), (code.INVALID_ARGUMENT, "FIELD_MALFORMED")),
        (request(good, threshold_percent="-1"), (code.INVALID_ARGUMENT, "FIELD_MALFORMED")),
        (request(good, synthetic=uneven), (code.INVALID_ARGUMENT, "FIELD_MALFORMED")),
        (request(good, baseline=good), (code.INVALID_ARGUMENT, "FIELD_MALFORMED")),
    ]

    assert [await refusal_of(recorded, asked) for asked, _ in cases] == [expected for _, expected in cases]


async def simulate_when_there_is_room(
    service: Service, asked: simulation_service_pb2.SimulateRateCardRequest
) -> Simulated:
    """Return what a simulation tells once those that were stopped have made room."""
    async with asyncio.timeout(20):
        while True:
            with suppress(grpc.aio.AioRpcError):
                return await simulate(service, asked)
            await asyncio.sleep(0.05)


def workers() -> list[psutil.Process]:
    """Return the workers that run; one that has ended and is not waited for yet runs no more."""
    return [each for each in psutil.Process().children() if "simulation_worker" in " ".join(_command(each))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


async def test_cancelling_stops_the_worker_and_makes_room(recorded: Service) -> None:
    stub = simulation_service_pb2_grpc.SimulationServiceStub(recorded.channel)
    asked = request(
        candidate(inline_card=flat_card()),
        synthetic=traffic(customers=1_000, requests_per_day="1000"),
        span=(START, START + 90 * DAY),
    )
    calls = [stub.SimulateRateCard(asked) for _ in range(SIMULATIONS_MAX)]
    async with asyncio.timeout(20):
        told = [[await call.read() for _ in range(3)] for call in calls]
    busy = await refusal_of(recorded, asked)
    begun = len(workers())
    for call in calls:
        call.cancel()
    await until(lambda: not workers())
    asked.synthetic.CopyFrom(traffic())
    after = await simulate_when_there_is_room(recorded, asked)

    assert all(str(each).startswith("progress") for each in told[0])
    assert (busy, begun) == ((grpc.StatusCode.RESOURCE_EXHAUSTED, "SIMULATIONS_BUSY"), SIMULATIONS_MAX)
    assert after.result.total.usage_count > 8_000


async def test_a_worker_that_dies_is_an_internal_error_and_makes_room(recorded: Service) -> None:
    stub = simulation_service_pb2_grpc.SimulationServiceStub(recorded.channel)
    asked = request(
        candidate(inline_card=flat_card()),
        synthetic=traffic(customers=1_000, requests_per_day="1000"),
        span=(START, START + 90 * DAY),
    )
    call = stub.SimulateRateCard(asked)
    await call.read()
    for worker in workers():
        worker.kill()
    code, reason = await refused(_read_on(call))

    assert (code, reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
    assert (await simulate(recorded, request(candidate(rate_card=CARD)))).result.contract_count == 2


async def _read_on(call: Any) -> None:
    while await call.read() is not grpc.aio.EOF:
        pass
