"""What a contract promises: for how long it binds, and what fees, minimums and commitments come to."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction

import pytest

from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.cycles import cycles_before
from ledger_service.domain.agreement.promises import commitments, fees, minimums, term_at
from ledger_service.domain.events import PlanPhase
from tests.builders import MICROSECOND, cycle
from tests.promises import EUR, contract_of, terms

START = datetime(2026, 1, 1, tzinfo=UTC)
FEB, MAR, APR = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4))
NEXT = datetime(2027, 1, 1, tzinfo=UTC)
AFTER = datetime(2028, 1, 1, tzinfo=UTC)


def total(contract: Contract, begin: datetime, end: datetime) -> Fraction:
    """Return the fees of a span in euros."""
    return sum((each.nanos for each in fees(contract, begin, end)), Fraction(0)) / EUR


@pytest.mark.parametrize(
    ("contract", "at", "until"),
    [
        pytest.param(contract_of((terms(), START, None)), FEB, MAR, id="without an end, the running cycle"),
        pytest.param(
            contract_of((terms(), FEB, None)), START, FEB, id="not begun and without an end, nothing"
        ),
        pytest.param(contract_of((terms(), START, NEXT)), FEB, NEXT, id="with an end, up to it"),
        pytest.param(contract_of((terms(), START, FEB)), MAR, MAR, id="ended, nothing"),
        pytest.param(
            contract_of((terms("year", duration="P1Y"), START, NEXT), (terms(), NEXT, None)),
            FEB,
            NEXT,
            id="a phase with a duration, up to its end",
        ),
        pytest.param(
            contract_of((terms("year", duration="P1Y"), NEXT, AFTER), (terms(), AFTER, None)),
            FEB,
            AFTER,
            id="a phase with a duration that is to come",
        ),
        pytest.param(
            contract_of(
                (terms("one", duration="P1M"), START, FEB),
                (terms("two", duration="P2M"), FEB, APR),
                (terms(), APR, None),
            ),
            START,
            APR,
            id="phases that follow each other",
        ),
        pytest.param(
            contract_of((terms(), START, MAR), (terms("dear", fee=9), MAR, None)),
            START,
            FEB,
            id="other terms to come bind no longer than the running cycle",
        ),
    ],
)
def test_a_customer_is_bound_to_the_end_or_to_that_of_the_running_cycle(
    contract: Contract, at: datetime, until: datetime
) -> None:
    assert term_at(contract, at).to_time == until


@pytest.mark.parametrize(("end", "short"), [(NEXT, True), (AFTER, False)])
def test_a_contract_is_short_by_how_long_it_was_agreed_for(end: datetime, short: bool) -> None:
    contract = contract_of((terms(), START, end))

    assert term_at(contract, MAR).is_short is short


def test_fees_are_those_of_cycles_in_proportion_to_time() -> None:
    contract = contract_of((terms(fee=28, seat_fee=2, seats=14), START, NEXT))
    half = datetime(2026, 2, 15, tzinfo=UTC)

    assert total(contract, FEB, MAR) == 56
    assert total(contract, half, MAR) == 28
    assert total(contract, START, NEXT) == 12 * 56


def test_fees_are_not_above_the_maximum_of_a_cycle() -> None:
    capped = PlanPhase(
        "p",
        "rateCards/llm",
        terms().shortfall_mode,
        base_fee=terms(fee=9).base_fee,
        maximum_spend=terms(fee=4).base_fee,
    )

    assert total(contract_of((capped, START, NEXT)), FEB, MAR) == 4


def test_free_phases_promise_nothing() -> None:
    contract = contract_of((terms("trial", duration="P1M"), START, FEB), (terms(fee=9), FEB, None))

    assert total(contract, START, term_at(contract, START).to_time) == 0


def test_a_minimum_promises_what_fees_leave_of_it() -> None:
    contract = contract_of((terms(fee=30, minimum=100), START, NEXT))
    found = [(each.from_time, int(each.nanos / EUR)) for each in minimums(contract, FEB, APR)]

    assert found == [(FEB, 70), (MAR, 70)]


def test_a_minimum_below_the_fees_promises_nothing_more() -> None:
    contract = contract_of((terms(fee=30, minimum=20), START, NEXT))

    assert [each.nanos for each in minimums(contract, FEB, MAR)] == [0]


def test_a_minimum_that_ends_in_mid_cycle_is_prorated() -> None:
    half = datetime(2026, 2, 15, tzinfo=UTC)
    contract = contract_of((terms(minimum=100), START, half))

    assert [int(each.nanos / EUR) for each in minimums(contract, FEB, half)] == [50]


def test_a_commitment_that_has_begun_is_promised_whole_beyond_the_running_cycle() -> None:
    contract = contract_of((terms(commitment=1_200), START, None))
    found = list(commitments(contract, MAR, term_at(contract, MAR).to_time))

    assert [(each.from_time, each.to_time, int(each.nanos / EUR)) for each in found] == [(START, NEXT, 1_200)]


def test_periods_of_a_commitment_that_are_to_come_are_promised_in_the_term() -> None:
    contract = contract_of((terms(commitment=1_200), START, AFTER))
    found = list(commitments(contract, MAR, AFTER))

    assert [(each.from_time, int(each.nanos / EUR)) for each in found] == [(START, 1_200), (NEXT, 1_200)]


def test_a_period_that_an_end_cuts_short_is_promised_in_proportion() -> None:
    contract = contract_of((terms(commitment=365, period="P1Y"), START, FEB))

    assert [int(each.nanos / EUR) for each in commitments(contract, START, FEB)] == [31]


def test_a_commitment_goes_on_through_phases_that_keep_it() -> None:
    contract = contract_of(
        (terms(commitment=1_200), START, APR), (terms("dear", fee=9, commitment=1_200), APR, None)
    )
    found = list(commitments(contract, MAR, APR))

    assert [(each.from_time, each.to_time) for each in found] == [(START, NEXT)]


@pytest.mark.parametrize(
    ("instant", "cycles"),
    [
        (START, Fraction(0)),
        (FEB, Fraction(1)),
        (datetime(2026, 2, 15, tzinfo=UTC), Fraction(3, 2)),
        (datetime(2025, 12, 1, tzinfo=UTC), Fraction(-1)),
        (FEB - MICROSECOND, 1 - Fraction(1, 31 * 86_400 * 10**6)),
    ],
)
def test_cycles_are_counted_from_the_anchor_in_proportion_to_time(
    instant: datetime, cycles: Fraction
) -> None:
    assert cycles_before(cycle(anchor_time=START), instant) == cycles
