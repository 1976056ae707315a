"""Re-rating: which phase prices a usage again, what it is priced by, and how a difference is posted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from fractions import Fraction

import msgspec
import pytest

from rating_service.domain.agreements.agreement import (
    Contract,
    ContractPhase,
    RateCard,
    RateCardPhase,
    UnitPrice,
)
from rating_service.domain.agreements.card_life import with_proposal
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.agreements.price_terms import Band, Bracket
from rating_service.domain.corrections.rerating import (
    CardPrices,
    CycleRerating,
    CycleUsage,
    Share,
    rerate_cycle,
)
from rating_service.domain.corrections.rerating_plan import (
    PARTS_MAX,
    adjustment_key,
    plan_adjustments,
    shares_of,
)
from rating_service.domain.debits import DebitFact
from rating_service.domain.prices.rating import is_metered
from rating_service.domain.usage import Charge, ChargeLine, TakenBack
from tests.unit.rating.builders import CREDIT, FEBRUARY, JANUARY, card_phase, contract, plan_phase, rate

DAY = timedelta(days=1)
NOW = JANUARY + 20 * DAY
TERMS = plan_phase(overage="2")
CONTRACT: Contract = contract(ContractPhase(JANUARY, TERMS))
CYCLE = cycle_at(CONTRACT.cycle, JANUARY)
OLD = card_phase(rate("tokens", "0.000002"))


def proposing(phase: RateCardPhase) -> RateCard:
    """Return the card with a phase accepted for the past; at first a token costs two units."""
    proposal = msgspec.structs.replace(phase, retroactive=True)
    return with_proposal(RateCard("rateCards/llm", CREDIT, (OLD,), proposal=proposal))


def debit(version: int, tokens: int, *, day: int = 5, **properties: str) -> DebitFact:
    """Return a debit for tokens at two units each."""
    line = ChargeLine("tokens", tokens, "0.000002", str(2 * tokens))
    charge = Charge(
        CONTRACT.name, "evergreen", OLD.name, OLD.phase_hash, (line,), str(2 * tokens), properties
    )
    at = JANUARY + day * DAY
    return DebitFact(version, CONTRACT.wallet, version, at, 2 * tokens, charge=charge, usage=f"u-{version}")


def found(
    card: RateCard, *debits: DebitFact, reversed_units: Mapping[int, int] | None = None
) -> CycleRerating:
    """Return debits priced again."""
    usage = CycleUsage(CONTRACT, CYCLE, debits, reversed_units=reversed_units or {})
    return rerate_cycle(CardPrices(card), usage, keeps_meters=True)


def sums(result: CycleRerating) -> tuple[int, int]:
    """Return what was charged and what it costs, in whole units."""
    return int(result.charged), int(result.rated)


def test_only_usage_of_the_phases_time_is_priced_by_it() -> None:
    card = proposing(card_phase(rate("tokens", "0.000003"), number=2, start=JANUARY + 5 * DAY))
    early, late = debit(1, 10, day=4), debit(2, 10, day=5)

    result = found(card, early, late)

    assert (*sums(result), result.differing_count) == (40, 50, 1)


def test_a_usage_that_was_taken_back_whole_costs_nothing_and_one_in_part_costs_all_of_it() -> None:
    card = proposing(card_phase(rate("tokens", "0.000003"), number=2))
    whole, partly = debit(1, 10), debit(2, 10)

    result = found(card, whole, partly, reversed_units={1: 20, 2: 19})

    assert (result.usage_count, *sums(result)) == (2, 20, 30)


def test_a_usage_that_the_phase_cannot_price_stays_as_it_was_and_is_told() -> None:
    card = proposing(card_phase(rate("tokens", "0.000003", model="large"), number=2))

    result = found(card, debit(1, 10, model="large"), debit(2, 10, model="small"), debit(3, 10))

    assert (*sums(result), result.unrateable_count) == (60, 70, 2)
    assert [(each.debit.version, each.refusal.reason.value) for each in result.unrateable] == [
        (2, "NO_RATE_FOR_USAGE"),
        (3, "MISSING_PROPERTY"),
    ]


def test_what_a_bracket_of_the_phase_derives_is_derived_anew() -> None:
    bracket = Bracket("size", ("tokens",), (Band("short", 15), Band("long")))
    phase = card_phase(
        rate("tokens", "0.000003", size="short"), rate("tokens", "0.000005", size="long"), number=2
    )
    card = proposing(msgspec.structs.replace(phase, brackets=(bracket,)))

    # The older phase drew the line elsewhere, and said so in the charge.
    result = found(card, debit(1, 10, size="long"), debit(2, 20, size="short"))

    assert (*sums(result), result.unrateable_count) == (60, 30 + 100, 0)


def test_a_quantity_that_only_decided_a_tier_is_a_quantity_where_the_phase_prices_it() -> None:
    card = proposing(card_phase(rate("tokens", "0.000002"), rate("context_tokens", "0.000001"), number=2))

    assert found(card, debit(1, 10, context_tokens="7")).rated == 27


def test_a_charge_that_names_no_phase_of_the_card_is_left_alone() -> None:
    card = proposing(card_phase(rate("tokens", "0.000003"), number=2, start=FEBRUARY))
    own = debit(1, 10)
    assert own.charge is not None
    unknown = msgspec.structs.replace(
        own, charge=msgspec.structs.replace(own.charge, rate_card_phase="rateCards/llm/phases/9")
    )

    assert not is_metered(own.charge)
    assert not found(card, unknown).differs


# What is posted


def differing(rated: str, *shares: Share, contract: Contract = CONTRACT) -> CycleRerating:
    """Return a cycle that was charged 100 units."""
    return CycleRerating(contract, CYCLE, charged=Fraction(100), rated=Fraction(rated), shares=list(shares))


def test_a_cycle_that_is_right_posts_nothing() -> None:
    assert list(plan_adjustments(differing("100"), OLD, number=1, now=NOW, watermark_position=7)) == []


def test_a_difference_above_nothing_is_one_charge_under_the_terms_of_now() -> None:
    [order] = plan_adjustments(differing("112.75"), OLD, number=3, now=NOW, watermark_position=7)

    adjustment = order.charge.adjustment
    assert adjustment is not None
    assert (order.charge.exact_units, order.effective_time) == ("12.75", None)
    assert (order.charge.contract_phase, order.charge.overage_price) == ("evergreen", UnitPrice("USD", "2"))
    assert (adjustment.charged_units, adjustment.rated_units, adjustment.number) == ("100", "112.75", 3)
    assert order.key == adjustment_key(OLD.name, CONTRACT.name, CYCLE.start_time, 3)


def test_a_contract_that_has_ended_is_adjusted_at_its_last_instant() -> None:
    ended = contract(ContractPhase(JANUARY, TERMS, to_time=NOW))

    [order] = plan_adjustments(differing("101", contract=ended), OLD, number=1, now=NOW, watermark_position=7)

    assert order.effective_time == NOW - timedelta(microseconds=1)


def test_each_debit_gives_back_the_whole_units_by_which_the_sum_of_shares_grew() -> None:
    shares = [Share(version, Fraction(2, 3), 9) for version in (1, 2, 3, 4)]

    assert list(shares_of(shares, 2)) == [TakenBack(2, 1), TakenBack(3, 1)]
    assert list(shares_of(shares, 1)) == [TakenBack(2, 1)]


def test_what_one_debit_has_not_left_later_ones_make_up_for() -> None:
    shares = [Share(1, Fraction(5), 2), Share(2, Fraction(1), 3), Share(3, Fraction(1), 9)]

    assert list(shares_of(shares, 7)) == [TakenBack(1, 2), TakenBack(2, 3), TakenBack(3, 2)]


@pytest.mark.parametrize("count", [PARTS_MAX, PARTS_MAX + 1])
def test_more_debits_than_one_adjustment_takes_are_taken_by_several(count: int) -> None:
    shares = [Share(version, Fraction(1), 1) for version in range(1, count + 1)]
    result = CycleRerating(CONTRACT, CYCLE, charged=Fraction(2 * count), rated=count - Fraction(1, 2))
    result.shares = shares

    orders = list(plan_adjustments(result, OLD, number=1, now=NOW, watermark_position=7))

    adjustments = [order.charge.adjustment for order in orders if order.charge.adjustment]
    assert [each.number for each in adjustments] == list(range(1, len(orders) + 1))
    assert [len(each.taken_back) for each in adjustments] == [PARTS_MAX, count - PARTS_MAX][: len(orders)]
    assert [order.charge.exact_units for order in orders][-1] == "-0.5"
    assert (len(orders), adjustments[0].left_units) == ((1, "0") if count == PARTS_MAX else (2, "-1.5"))
