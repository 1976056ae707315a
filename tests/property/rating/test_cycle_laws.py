"""Laws of billing cycles."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import Cycle, CycleInterval
from rating_service.domain.agreements.cycles import cycle_at

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe")
MICROSECOND = timedelta(microseconds=1)

FIRST = datetime(1995, 1, 1, tzinfo=UTC)

quarter_hours = st.integers(0, 65 * 365 * 96).map(lambda count: FIRST + count * timedelta(minutes=15))
instants = st.builds(
    lambda whole, rest: whole + rest * MICROSECOND, quarter_hours, st.sampled_from([-1, 0, 0, 1])
)
cycles = st.builds(
    Cycle,
    interval=st.sampled_from(CycleInterval),
    anchor_time=instants,
    count=st.integers(1, 14),
    zone=st.sampled_from(ZONES),
)


@given(cycles, instants)
def test_every_instant_is_in_its_cycle(cycle: Cycle, instant: datetime) -> None:
    found = cycle_at(cycle, instant)

    assert found.start_time <= instant < found.end_time


@given(cycles, instants)
def test_cycles_tile_time(cycle: Cycle, instant: datetime) -> None:
    found = cycle_at(cycle, instant)

    assert cycle_at(cycle, found.end_time).start_time == found.end_time
    assert cycle_at(cycle, found.start_time - MICROSECOND).end_time == found.start_time


@given(cycles, instants, st.integers(0, 10**6))
def test_all_instants_of_a_cycle_give_the_same_cycle(
    cycle: Cycle, instant: datetime, millionths: int
) -> None:
    found = cycle_at(cycle, instant)
    last = (found.end_time - found.start_time) // MICROSECOND - 1
    inside = found.start_time + (last * millionths // 10**6) * MICROSECOND

    assert cycle_at(cycle, inside) == found


@given(cycles)
def test_the_anchor_begins_a_cycle(cycle: Cycle) -> None:
    assert cycle_at(cycle, cycle.anchor_time).start_time == cycle.anchor_time
