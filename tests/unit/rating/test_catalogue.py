"""What was in force when."""

from datetime import datetime, timedelta

import pytest

from rating_service.domain.agreements.agreement import ContractPhase, Rate
from rating_service.domain.agreements.catalogue import (
    EMPTY,
    BrokenLogError,
    Catalogue,
    UnknownTopicError,
    card_phase_at,
    contract,
    contract_phase_at,
    evolve,
    plan,
    rate_card,
)
from rating_service.domain.price_models.running_total import NO_TOTALS
from rating_service.domain.prices.pricing import Pricer
from rating_service.domain.prices.rating import quote_by_card, rate_usage, whole_asset_text
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Usage
from tests.unit.rating import builders
from tests.unit.rating.builders import FEBRUARY, JANUARY, MONTHLY, at, fact

MICROSECOND = timedelta(microseconds=1)
MAY = at("2016-05-08T00:00")


def created() -> bytes:
    return fact({"asset": {"code": "CREDIT", "scale": 6}, "display_name": "LLM", "not_known_yet": [1]})


def published(number: int, start: datetime, *rates: Rate) -> bytes:
    return fact({"phase": number, "from_time": start, "rates": rates, "phase_hash": f"hash-{number}"})


def plan_version(number: int) -> bytes:
    terms = {"key": "evergreen", "rate_card": "rateCards/llm", "shortfall_mode": "SOFT"}
    return fact({"plan_version": number, "asset": {"code": "CREDIT", "scale": 6}, "phases": [terms]})


def signed(*phases: ContractPhase) -> bytes:
    return fact(
        {
            "customer": "customers/acme",
            "wallet": "wallets/acme",
            "plan": "plans/starter",
            "plan_version": 1,
            "asset": {"code": "CREDIT", "scale": 6},
            "start_time": phases[0].from_time,
            "cycle": MONTHLY,
            "phases": phases,
        }
    )


def catalogue(*events: tuple[str, str, bytes]) -> Catalogue:
    found = EMPTY
    for stream, topic, state in events:
        found = evolve(found, stream, topic, state)
    return found


def with_two_prices() -> Catalogue:
    evergreen = ContractPhase(at("2016-04-01T00:00"), builders.plan_phase(overage="0.01"))
    return catalogue(
        ("rateCards/llm", "rate_card.RateCardCreated.v1", created()),
        (
            "rateCards/llm",
            "rate_card.RateCardPhasePublished.v1",
            published(1, at("2016-04-01T00:00"), builders.rate("calls", "1.5")),
        ),
        (
            "rateCards/llm",
            "rate_card.RateCardPhasePublished.v1",
            published(2, MAY, builders.rate("calls", "2.5")),
        ),
        ("contracts/acme", "contract.ContractSigned.v1", signed(evergreen)),
    )


@pytest.mark.parametrize(
    ("instant", "phase"),
    [(MAY - MICROSECOND, 1), (MAY, 2), (MAY + MICROSECOND, 2), (at("2016-04-01T00:00"), 1)],
)
def test_a_card_phase_is_in_force_from_its_first_instant_until_the_next_one(
    instant: datetime, phase: int
) -> None:
    card = rate_card(with_two_prices(), "rateCards/llm")

    assert card_phase_at(card, instant).name == f"rateCards/llm/phases/{phase}"


def test_before_the_first_phase_of_a_card_nothing_is_in_force() -> None:
    card = rate_card(with_two_prices(), "rateCards/llm")

    with pytest.raises(Refusal) as refused:
        card_phase_at(card, at("2016-04-01T00:00") - MICROSECOND)

    assert refused.value.reason is Reason.NO_PHASE_IN_FORCE


TRIAL_THEN_EVERGREEN = builders.contract(
    ContractPhase(JANUARY, builders.plan_phase("trial"), FEBRUARY),
    ContractPhase(FEBRUARY, builders.plan_phase("evergreen"), at("2026-03-01T00:00")),
)


@pytest.mark.parametrize(
    ("instant", "key"),
    [
        (JANUARY, "trial"),
        (FEBRUARY - MICROSECOND, "trial"),
        (FEBRUARY, "evergreen"),
        (at("2026-03-01T00:00") - MICROSECOND, "evergreen"),
    ],
)
def test_a_contract_phase_is_half_open(instant: datetime, key: str) -> None:
    assert contract_phase_at(TRIAL_THEN_EVERGREEN, instant).terms.key == key


@pytest.mark.parametrize("instant", [JANUARY - MICROSECOND, at("2026-03-01T00:00")])
def test_outside_its_phases_a_contract_is_not_in_force(instant: datetime) -> None:
    with pytest.raises(Refusal) as refused:
        contract_phase_at(TRIAL_THEN_EVERGREEN, instant)

    assert refused.value.reason is Reason.CONTRACT_NOT_IN_FORCE


def test_names_that_were_never_recorded_are_refused() -> None:
    with pytest.raises(Refusal) as no_contract:
        contract(EMPTY, "contracts/nobody")
    with pytest.raises(Refusal) as no_card:
        rate_card(EMPTY, "rateCards/none")

    assert no_contract.value.reason is Reason.UNKNOWN_CONTRACT
    assert no_card.value.reason is Reason.UNKNOWN_RATE_CARD
    assert plan(EMPTY, "plans/none") is None


def test_every_version_of_a_plan_is_kept_and_the_newest_is_the_default() -> None:
    found = catalogue(
        ("plans/p", "plan.PlanPublished.v1", plan_version(1)),
        ("plans/p", "plan.PlanPublished.v1", plan_version(2)),
    )

    versions = [plan(found, "plans/p", 1), plan(found, "plans/p", 2), plan(found, "plans/p")]

    assert [each.version for each in versions if each] == [1, 2, 2]


def test_an_earlier_catalogue_does_not_see_what_came_after() -> None:
    before = catalogue(("rateCards/llm", "rate_card.RateCardCreated.v1", created()))
    after = evolve(
        before,
        "rateCards/llm",
        "rate_card.RateCardPhasePublished.v1",
        published(1, JANUARY, builders.rate("t", "1")),
    )

    assert rate_card(before, "rateCards/llm").phases == ()
    assert len(rate_card(after, "rateCards/llm").phases) == 1


@pytest.mark.parametrize(
    "topic", ["wallet.CreditsDebited.v1", "wallet.Whatever.v9", "breakage_pool.X.v1", "checkpoint.X.v1"]
)
def test_facts_that_agree_nothing_leave_the_catalogue_as_it_is(topic: str) -> None:
    assert evolve(EMPTY, "wallets/acme", topic, b"not even JSON") is EMPTY


@pytest.mark.parametrize(
    "topic",
    ["contract.ContractPaused.v1", "rate_card.RateCardPhasePublished.v2", "wallets", "", "price.Cut.v1"],
)
def test_a_topic_that_may_change_prices_is_not_passed_over(topic: str) -> None:
    with pytest.raises(UnknownTopicError):
        evolve(EMPTY, "contracts/acme", topic, b"{}")


def test_a_phase_of_a_card_that_was_never_created_is_a_broken_log() -> None:
    with pytest.raises(BrokenLogError):
        catalogue(("rateCards/x", "rate_card.RateCardPhasePublished.v1", published(1, JANUARY)))


@pytest.mark.parametrize(
    ("day", "amount", "phase"), [("2016-05-02T00:00", "150", 1), ("2016-05-10T00:00", "250", 2)]
)
def test_usage_is_priced_by_the_phase_of_its_own_day(day: str, amount: str, phase: int) -> None:
    used = Usage(at(day), {"calls": 100}, contract="contracts/acme")

    rated = rate_usage(with_two_prices(), {}, used, lambda *_: NO_TOTALS)

    assert whole_asset_text(rated.charge.exact_units, scale=6) == amount
    assert rated.charge.rate_card_phase == f"rateCards/llm/phases/{phase}"
    assert (rated.charge.contract, rated.charge.contract_phase) == ("contracts/acme", "evergreen")
    assert rated.charge.overage_price == builders.plan_phase(overage="0.01").overage_price
    assert rated.contract.wallet == "wallets/acme"


def test_a_quote_by_card_needs_no_contract() -> None:
    quoted = quote_by_card(with_two_prices(), {}, Usage(MAY, {"calls": 1}), "rateCards/llm")

    assert (quoted.contract, quoted.exact_units) == ("", "2500000")


def test_a_phase_is_compiled_once() -> None:
    pricers: dict[str, Pricer] = {}
    found = with_two_prices()
    quote_by_card(found, pricers, Usage(MAY, {"calls": 1}), "rateCards/llm")
    first = pricers["rateCards/llm/phases/2"]

    quote_by_card(found, pricers, Usage(MAY, {"calls": 2}), "rateCards/llm")

    assert pricers == {"rateCards/llm/phases/2": first}
