"""Laws of changing plans: a change is the difference of two invoices, and gives back what was charged at most."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import (
    Asset,
    Contract,
    ContractPhase,
    Cycle,
    CycleInterval,
    Money,
    PlanPhase,
    ShortfallMode,
)
from rating_service.domain.agreements.agreement_events import PlanChanged
from rating_service.domain.agreements.contract_life import changed
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.agreements.stretches import stretches
from rating_service.domain.invoicing.invoice_fees import fee_lines
from rating_service.domain.invoicing.plan_change import plan_change_figures

START = datetime(2026, 1, 1, tzinfo=UTC)
CENT = 10**7

fees = st.none() | st.integers(0, 10_000).map(lambda cents: Money("USD", cents * CENT))
phases = st.builds(
    PlanPhase,
    key=st.just("a"),
    rate_card=st.just("rateCards/llm"),
    shortfall_mode=st.just(ShortfallMode.SOFT),
    base_fee=fees,
    included_units=st.integers(0, 10_000),
    seat_fee=fees,
    seats=st.integers(0, 9),
)
instants = st.integers(0, 100 * 86_400 * 10**6).map(lambda each: START + timedelta(microseconds=each))


def signed(terms: PlanPhase) -> Contract:
    return Contract(
        "contracts/a",
        "customers/a",
        "wallets/a",
        "plans/old",
        1,
        Asset("CREDIT", 6),
        START,
        Cycle(CycleInterval.MONTH, START),
        (ContractPhase(START, terms),),
    )


def under(contract: Contract, terms: PlanPhase, instant: datetime) -> Contract:
    return changed(contract, PlanChanged(instant, "plans/new", 1, (ContractPhase(instant, terms),)))


def fee_of_cycle(contract: Contract, instant: datetime) -> Fraction:
    cycle = cycle_at(contract.cycle, instant)
    lines = fee_lines(stretches(contract, cycle), cycle)
    return sum((line.exact for line in lines), Fraction(0))


@settings(max_examples=60)
@given(phases, phases, instants)
def test_a_change_is_the_difference_between_the_two_invoices(
    old: PlanPhase, new: PlanPhase, instant: datetime
) -> None:
    before = signed(old)
    after = under(before, new, instant)

    figures = plan_change_figures(before, after, instant)

    exact = sum((Fraction(line.exact_nanos) for line in figures.lines), Fraction(0))
    assert exact == fee_of_cycle(after, instant) - fee_of_cycle(before, instant)
    assert figures.amount.nanos == sum(line.amount.nanos for line in figures.lines)
    assert abs(figures.amount.nanos - exact) <= Fraction(CENT, 2)


@settings(max_examples=60)
@given(phases, phases, instants)
def test_no_more_is_given_back_than_the_old_plan_charges(
    old: PlanPhase, new: PlanPhase, instant: datetime
) -> None:
    before = signed(old)

    figures = plan_change_figures(before, under(before, new, instant), instant)

    given_back = -sum(min(Fraction(line.exact_nanos), Fraction(0)) for line in figures.lines)
    assert given_back <= fee_of_cycle(before, instant)


@settings(max_examples=30)
@given(phases, instants)
def test_a_change_to_the_same_terms_comes_to_nothing(terms: PlanPhase, instant: datetime) -> None:
    before = signed(terms)

    figures = plan_change_figures(before, under(before, terms, instant), instant)

    assert figures.lines == ()
    assert figures.previous_included_units == figures.included_units
