"""When a contract is billed, and what its plan of included credit becomes."""

from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest

from rating_service.domain.agreements.agreement import ContractPhase, FeeTiming
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.invoicing.allotted import AllotmentState, Allotted, key_of, note_grant
from rating_service.domain.invoicing.billing import (
    PLANNED_CYCLES_MAX,
    ContractBilling,
    CycleState,
    Failure,
    Waits,
    changed_cycle,
    cycles_until,
    due_cycles,
    failed,
    next_time,
    owes_advance,
    planned,
    retry_time,
    state_of,
)
from tests.unit.rating.builders import at, contract, plan_phase

JANUARY, FEBRUARY, MARCH, APRIL = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4))
GRACE = timedelta(hours=24)
WAITS = Waits(GRACE, timedelta(days=35))
MICROSECOND = timedelta(microseconds=1)
SIGNED = contract(ContractPhase(JANUARY, plan_phase(included=10)))
NEW = ContractBilling("contracts/acme", None)


def granted(billing: ContractBilling) -> ContractBilling:
    """Return a billing all of whose grants were made."""
    for each in billing.open_allotted:
        number = each.number
        billing = changed_cycle(
            billing, each.allotment.cycle, partial(note_grant, number=number, grant="grant")
        )
    return billing


@pytest.mark.parametrize(
    ("now", "starts"),
    [
        pytest.param(FEBRUARY, [], id="at its end"),
        pytest.param(FEBRUARY + GRACE - MICROSECOND, [], id="a microsecond before its grace is over"),
        pytest.param(FEBRUARY + GRACE, [JANUARY], id="when its grace is over"),
        pytest.param(MARCH + GRACE, [JANUARY, FEBRUARY], id="with the one after it"),
    ],
)
def test_a_cycle_is_due_when_its_grace_is_over(now: datetime, starts: list[datetime]) -> None:
    assert [each.start_time for each in due_cycles(NEW, SIGNED, now, WAITS)] == starts


def test_what_was_billed_is_not_due_again() -> None:
    billed = msgspec.structs.replace(NEW, billed_until=FEBRUARY)

    assert list(due_cycles(billed, SIGNED, MARCH, WAITS)) == []
    assert next(due_cycles(billed, SIGNED, MARCH + GRACE, WAITS)) == CycleBounds(FEBRUARY, MARCH)


def test_a_contract_is_due_next_for_its_invoice_or_for_the_credit_of_a_cycle_ahead() -> None:
    ahead = granted(planned(NEW, SIGNED, JANUARY, 1))

    assert ahead.allotted_until == MARCH
    assert next_time(ahead, SIGNED, JANUARY, WAITS) == FEBRUARY
    later = granted(planned(ahead, SIGNED, FEBRUARY, 1))
    assert next_time(later, SIGNED, JANUARY, WAITS) == FEBRUARY + GRACE
    billed = msgspec.structs.replace(later, billed_until=FEBRUARY)
    assert next_time(billed, SIGNED, JANUARY, WAITS) == MARCH


def test_a_contract_of_which_the_ledger_has_yet_to_hear_is_due_at_once() -> None:
    assert next_time(planned(NEW, SIGNED, JANUARY, 1), SIGNED, JANUARY, WAITS) == JANUARY


def test_an_ended_contract_whose_cycles_are_billed_is_never_due_again() -> None:
    ended = contract(ContractPhase(JANUARY, plan_phase(included=10), FEBRUARY))
    done = msgspec.structs.replace(granted(planned(NEW, ended, MARCH, 1)), billed_until=APRIL)

    assert next_time(done, ended, JANUARY, WAITS) is None


def test_a_cycle_in_which_the_contract_ends_is_due_from_that_end() -> None:
    end = at("2026-02-10T12:00")
    ended = contract(ContractPhase(JANUARY, plan_phase(), end))
    billed = msgspec.structs.replace(NEW, billed_until=FEBRUARY, allotted_until=MARCH)
    final = CycleBounds(FEBRUARY, MARCH)

    assert next_time(billed, ended, JANUARY, WAITS) == end + GRACE
    assert list(due_cycles(billed, ended, end + GRACE - MICROSECOND, WAITS)) == []
    assert list(due_cycles(billed, ended, end + GRACE, WAITS)) == [final]
    assert state_of(ended, final, billed, end - MICROSECOND) is CycleState.OPEN
    assert state_of(ended, final, billed, end) is CycleState.DRAFT


def test_cycles_after_the_end_are_looked_at_until_no_usage_can_come_any_more() -> None:
    ended = contract(ContractPhase(JANUARY, plan_phase(), FEBRUARY - timedelta(days=4)))
    into_march = Waits(GRACE, MARCH + MICROSECOND - (FEBRUARY - timedelta(days=4)))
    up_to_march = into_march._replace(lateness=into_march.lateness - MICROSECOND)

    def starts(waits: Waits) -> list[datetime]:
        return [each.start_time for each in due_cycles(NEW, ended, JANUARY + timedelta(days=999), waits)]

    assert starts(into_march) == [JANUARY, FEBRUARY, MARCH]
    assert starts(up_to_march) == [JANUARY, FEBRUARY]


def test_a_contract_that_never_began_is_looked_at_for_what_was_billed_ahead_of_it() -> None:
    never = contract(start=JANUARY)

    assert [each.start_time for each in due_cycles(NEW, never, APRIL, WAITS)] == [JANUARY, FEBRUARY]


def test_fees_in_advance_are_due_when_the_contract_begins_and_only_before_it_is_billed() -> None:
    paid = msgspec.structs.replace(plan_phase(fee="20"), fee_timing=FeeTiming.ADVANCE)
    ahead = contract(ContractPhase(JANUARY, paid))
    granted_ahead = msgspec.structs.replace(NEW, allotted_until=MARCH)
    billed = msgspec.structs.replace(granted_ahead, billed_until=FEBRUARY)

    assert next_time(granted_ahead, ahead, JANUARY - MICROSECOND, WAITS) == JANUARY
    assert next_time(granted_ahead, ahead, JANUARY, WAITS) == FEBRUARY
    assert [owes_advance(each, ahead) for each in (granted_ahead, billed)] == [True, False]
    assert not owes_advance(granted_ahead, SIGNED)


def test_a_contract_that_was_signed_years_late_is_planned_in_parts() -> None:
    late = JANUARY + timedelta(days=31 * 3 * PLANNED_CYCLES_MAX)
    first = planned(NEW, SIGNED, late, 1)

    assert len(first.allotted) == PLANNED_CYCLES_MAX
    second = planned(first, SIGNED, late, 1)
    assert len(second.allotted) == 2 * PLANNED_CYCLES_MAX


def test_a_change_leaves_cycles_that_have_ended_as_they_are() -> None:
    before = granted(planned(NEW, SIGNED, FEBRUARY - MICROSECOND, 1))
    richer = contract(ContractPhase(JANUARY, plan_phase(included=99)))
    changed = planned(before, richer, FEBRUARY, 2)

    units = [
        (each.allotment.cycle.start_time, each.allotment.entitled_units, each.state)
        for each in changed.allotted
    ]
    assert units == [
        (FEBRUARY, 10, AllotmentState.UNWANTED),
        (FEBRUARY, 99, AllotmentState.WANTED),
        (MARCH, 99, AllotmentState.WANTED),
    ]


@pytest.mark.parametrize(
    ("end_time", "goes_on"), [(None, True), (FEBRUARY, True), (FEBRUARY - MICROSECOND, False)]
)
def test_a_withdrawn_allotment_goes_on_if_what_comes_in_its_place_lasts_as_long(
    end_time: datetime | None, goes_on: bool
) -> None:
    before = granted(planned(NEW, SIGNED, JANUARY, 1))
    other = contract(ContractPhase(JANUARY, plan_phase(included=99), end_time))
    changed = planned(before, other, JANUARY, 2)

    withdrawn = [each for each in changed.allotted if each.state is AllotmentState.UNWANTED]
    assert withdrawn[0].allotment.cycle.start_time == JANUARY
    assert withdrawn[0].goes_on is goes_on
    assert planned(changed, SIGNED, JANUARY, 3).allotted[0].goes_on is goes_on


def test_what_is_wanted_again_gets_a_number_and_a_key_of_its_own() -> None:
    other = contract(ContractPhase(JANUARY, plan_phase(included=20)))
    billing = NEW
    for position, signed in enumerate((SIGNED, other, SIGNED), start=1):
        billing = planned(billing, signed, JANUARY, position)
    keys = [
        key_of("contracts/acme", each)
        for each in billing.allotted
        if each.allotment.cycle.start_time == JANUARY
    ]

    assert keys == [f"included/acme/20260101T000000.000000Z/{number}" for number in (1, 2, 3)]
    assert [each.number for each in billing.allotted if each.state is AllotmentState.WANTED] == [3, 3]


def test_an_amount_waits_until_it_is_known_what_was_used() -> None:
    billing = granted(planned(NEW, SIGNED, JANUARY, 1))
    changed = planned(billing, contract(ContractPhase(JANUARY, plan_phase(included=20))), JANUARY, 2)

    waiting: list[Allotted] = [each for each in changed.allotted if each.state is AllotmentState.WANTED]
    assert [each.amount_units for each in waiting] == [None, None]


def test_refusals_in_a_row_double_the_pause_up_to_an_hour() -> None:
    failure: Failure | None = None
    pauses = []
    for _ in range(9):
        failure = failed(failure, Failure("REASON", "why", JANUARY))
        pauses.append((retry_time(failure) - JANUARY) // timedelta(minutes=1))

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_cycle_is_open_until_it_ends_and_a_draft_until_it_is_billed() -> None:
    [cycle, _] = cycles_until(SIGNED, JANUARY, FEBRUARY)
    billed = msgspec.structs.replace(NEW, billed_until=FEBRUARY)

    assert state_of(SIGNED, cycle, NEW, FEBRUARY - MICROSECOND) is CycleState.OPEN
    assert state_of(SIGNED, cycle, NEW, FEBRUARY) is CycleState.DRAFT
    assert state_of(SIGNED, cycle, billed, FEBRUARY) is CycleState.ISSUED
    assert len(list(cycles_until(SIGNED, JANUARY, FEBRUARY - MICROSECOND))) == 1
