"""What a contract includes in a cycle: exact spans, and floors of exact ratios."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rating_service.domain.agreements.agreement import (
    Contract,
    ContractPhase,
    Cycle,
    CycleInterval,
    IncludedRollOver,
    PlanPhase,
)
from rating_service.domain.agreements.contract_life import end_of
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.invoicing.included import LEAD, Allotment, allotments_of, cycles_of, grant_time
from tests.unit.rating.builders import contract, plan_phase

MICROSECOND = timedelta(microseconds=1)


def at(text: str) -> datetime:
    """Return an instant of 2026 in UTC."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


JANUARY, FEBRUARY, MARCH = at("01-01"), at("02-01"), at("03-01")
MONTH = CycleBounds(JANUARY, FEBRUARY)
ALL = IncludedRollOver("100")


def included(units: int, key: str = "main", roll_over: IncludedRollOver | None = None) -> PlanPhase:
    """Return plan terms that include units in each cycle."""
    return msgspec.structs.replace(plan_phase(key, included=units), included_roll_over=roll_over)


def spans(signed: Contract, cycle: CycleBounds = MONTH) -> list[tuple[datetime, datetime, int]]:
    """Return what a cycle includes, in short."""
    return [(each.from_time, each.expire_time, each.entitled_units) for each in allotments_of(signed, cycle)]


def test_a_whole_cycle_includes_all_for_exactly_its_time() -> None:
    signed = contract(ContractPhase(JANUARY, included(1_000, roll_over=ALL)))

    assert allotments_of(signed, MONTH) == (Allotment(MONTH, JANUARY, FEBRUARY, 1_000, ALL),)


@pytest.mark.parametrize(
    ("start", "units"),
    [
        pytest.param(at("01-16T12:00"), 500, id="half"),
        pytest.param(at("01-16T12:00") + MICROSECOND, 499, id="a microsecond less than half"),
        pytest.param(at("01-16T12:00") - MICROSECOND, 500, id="a microsecond more than half"),
    ],
)
def test_a_contract_that_begins_within_a_cycle_includes_the_floor_of_its_part(
    start: datetime, units: int
) -> None:
    signed = contract(ContractPhase(start, included(1_000)), start=start)

    assert spans(signed) == [(start, FEBRUARY, units)]


def test_a_contract_that_ends_within_a_cycle_includes_its_part_until_then_and_rolls_nothing_over() -> None:
    signed = contract(ContractPhase(JANUARY, included(1_000, roll_over=ALL), at("01-16T12:00")))

    [last] = allotments_of(signed, MONTH)
    assert (last.expire_time, last.entitled_units, last.roll_over) == (at("01-16T12:00"), 500, None)


def test_a_contract_that_ends_with_a_cycle_includes_all_of_it_and_nothing_later() -> None:
    signed = contract(ContractPhase(JANUARY, included(1_000, roll_over=ALL), FEBRUARY))

    assert spans(signed) == [(JANUARY, FEBRUARY, 1_000)]
    assert spans(signed, CycleBounds(FEBRUARY, MARCH)) == []
    assert list(cycles_of(signed, JANUARY)) == [MONTH]


def test_each_phase_includes_its_part_from_where_it_begins_until_the_cycle_ends() -> None:
    trial = ContractPhase(JANUARY, included(100, "trial"), at("01-16T12:00"))
    evergreen = ContractPhase(at("01-16T12:00"), included(1_000, "evergreen"))

    assert spans(contract(trial, evergreen)) == [
        (JANUARY, FEBRUARY, 50),
        (at("01-16T12:00"), FEBRUARY, 500),
    ]


def test_phases_that_include_the_same_are_one_stretch() -> None:
    first = ContractPhase(JANUARY, included(1_001, "first"), at("01-16T12:00"))
    second = ContractPhase(at("01-16T12:00"), included(1_001, "second"))

    assert spans(contract(first, second)) == [(JANUARY, FEBRUARY, 1_001)]


def test_phases_that_roll_over_differently_are_two_stretches() -> None:
    first = ContractPhase(JANUARY, included(1_000, "first"), at("01-16T12:00"))
    second = ContractPhase(at("01-16T12:00"), included(1_000, "second", ALL))

    assert [each.roll_over for each in allotments_of(contract(first, second), MONTH)] == [None, ALL]


def test_a_phase_that_includes_nothing_or_less_than_a_unit_has_no_allotment() -> None:
    first = ContractPhase(JANUARY, included(0, "first"), FEBRUARY - MICROSECOND)
    second = ContractPhase(FEBRUARY - MICROSECOND, included(1_000, "second"))

    assert spans(contract(first, second)) == []


def test_a_contract_that_never_began_has_no_cycles() -> None:
    assert list(cycles_of(contract(start=at("01-10")), JANUARY)) == []


def test_an_anchor_on_the_31st_at_midnight_of_a_zone_is_kept_through_february_and_clock_changes() -> None:
    cycle = Cycle(CycleInterval.MONTH, datetime(2026, 1, 30, 23, tzinfo=UTC), zone="Europe/Berlin")
    start = cycle.anchor_time
    signed = contract(ContractPhase(start, included(1_000)), start=start, cycle=cycle)
    found = [each for each, _ in zip(cycles_of(signed, start), range(3), strict=False)]

    assert [each.end_time for each in found] == [at("02-27T23:00"), at("03-30T22:00"), at("04-29T22:00")]
    assert [spans(signed, each)[0][2] for each in found] == [1_000, 1_000, 1_000]


def test_credit_is_granted_where_the_cycle_before_begins_or_a_lead_ahead_if_that_is_earlier() -> None:
    monthly = contract(ContractPhase(JANUARY, included(1)))
    daily = contract(ContractPhase(JANUARY, included(1)), cycle=Cycle(CycleInterval.DAY, JANUARY))

    assert grant_time(monthly, CycleBounds(FEBRUARY, MARCH)) == JANUARY
    assert grant_time(daily, cycle_at(daily.cycle, FEBRUARY)) == FEBRUARY - LEAD


def test_what_ends_later_than_the_last_cycle_is_no_part_of_it() -> None:
    signed = contract(ContractPhase(JANUARY, included(1_000), at("02-14")))

    assert end_of(signed) == at("02-14")
    assert [each.start_time for each in cycles_of(signed, JANUARY)] == [JANUARY, FEBRUARY]
    assert spans(signed, CycleBounds(FEBRUARY, MARCH)) == [(FEBRUARY, at("02-14"), 464)]
