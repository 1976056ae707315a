"""Recurring grants and roll-over: what every boundary brings, ends and carries on."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ledger_service.domain.commands import GrantCredits, RecurrenceTerms
from ledger_service.domain.events import (
    CreditsExpired,
    CreditsGranted,
    CreditsRolledOver,
    Fact,
    HoldReleased,
    Recurrence,
    RollOver,
)
from ledger_service.domain.identity import check_same_call
from ledger_service.domain.refusals import (
    FieldMalformed,
    FieldNotAllowed,
    IdempotencyKeyReused,
    NumberOutOfRange,
    TimeMalformed,
)
from ledger_service.domain.topics import GENESIS_HASH
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.grant import DUE_STEPS_MAX, PERIOD_COUNT_MAX
from ledger_service.domain.wallet.recurrence import boundary
from ledger_service.domain.wallet.state import posted_units
from tests.builders import (
    MICROSECOND,
    NOW,
    Book,
    after,
    book,
    capture,
    debit,
    events_of,
    grant,
    hold,
    open_wallet,
    recurring,
    release,
    settle,
)

HOUR = timedelta(hours=1)
BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    """Return the instant behind ISO text in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def boundaries(start: str, period: str, zone: str, count: int) -> list[datetime]:
    """Return when each period of a series begins, as the log has it."""
    anchor = utc(start)
    ledger = book(
        open_wallet(),
        grant(1, effective_time=anchor, recurrence=recurring(period, zone=zone, count=count)),
        now=anchor,
    )
    ledger.run(settle(), utc("2400-01-01T00:00"))
    return [each.fact.effective_time for each in ledger.log if isinstance(each.fact.event, CreditsGranted)]


def hourly(
    units: int = 10, *, count: int = 0, percent: str = "", cap: int | None = None, times: int = 1
) -> Book:
    """Return a wallet with an hourly grant."""
    terms = recurring("PT1H", count=count, percent=percent, cap_units=cap, times=times)
    return book(open_wallet(), grant(units, recurrence=terms))


# Recurrence


@pytest.mark.parametrize(
    ("start", "period", "zone", "expected"),
    [
        pytest.param(
            "2026-03-01T12:00:00.000007",
            "PT1H",
            "UTC",
            ["2026-03-01T12:00:00.000007", "2026-03-01T13:00:00.000007", "2026-03-01T14:00:00.000007"],
            id="hours",
        ),
        pytest.param("2026-03-01", "P1D", "UTC", ["2026-03-01", "2026-03-02", "2026-03-03"], id="days"),
        pytest.param("2026-03-01", "P1W", "UTC", ["2026-03-01", "2026-03-08", "2026-03-15"], id="weeks"),
        pytest.param(
            "2026-01-31",
            "P1M",
            "UTC",
            ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"],
            id="the 31st comes back",
        ),
        pytest.param(
            "2024-02-29",
            "P1Y",
            "UTC",
            ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"],
            id="the leap day comes back",
        ),
        pytest.param(
            "2026-03-27T23:00",
            "P1D",
            BERLIN,
            ["2026-03-27T23:00", "2026-03-28T23:00", "2026-03-29T22:00", "2026-03-30T22:00"],
            id="local midnight stays local midnight over daylight saving",
        ),
        pytest.param(
            "2026-03-29T00:00",
            "PT1H",
            BERLIN,
            ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00"],
            id="hours are absolute over daylight saving",
        ),
        pytest.param(
            "2026-01-30T15:00",
            "P1M",
            "Asia/Tokyo",
            ["2026-01-30T15:00", "2026-02-27T15:00", "2026-03-30T15:00"],
            id="the month end of the zone",
        ),
    ],
)
def test_periods_begin_in_the_calendar_of_the_zone(
    start: str, period: str, zone: str, expected: list[str]
) -> None:
    assert boundaries(start, period, zone, len(expected)) == [utc(text) for text in expected]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_grant_comes_so_many_times_in_all(count: int) -> None:
    ledger = hourly(count=count)

    ledger.run(settle(), after(days=9))

    assert ledger.wallet().granted_units == 10 * count
    assert ledger.wallet().expired_units == 10 * count
    assert ledger.wallet().next_due_time is None


def test_a_grant_without_a_count_comes_for_ever() -> None:
    ledger = hourly()

    ledger.run(settle(), after(days=10))

    assert ledger.wallet().granted_units == 10 * 241
    assert ledger.wallet().next_due_time == after(days=10, hours=1)


def test_a_boundary_expires_the_old_lot_and_grants_the_new_one_at_one_instant() -> None:
    ledger = hourly()
    ledger.run(debit(4))

    assert ledger.run(settle(), NOW + HOUR - MICROSECOND) == []
    expired, granted = ledger.run(settle(), NOW + HOUR)

    assert expired.fact.event == CreditsExpired(2, 6)
    assert expired.fact.effective_time == granted.fact.effective_time == NOW + HOUR
    assert isinstance(granted.fact.event, CreditsGranted)
    assert (granted.fact.event.expire_time, granted.fact.event.series_version) == (NOW + 2 * HOUR, 2)


def test_a_used_up_grant_comes_again() -> None:
    ledger = hourly()
    ledger.run(debit(10))

    assert ledger.run(debit(10), NOW + HOUR)


def test_a_year_of_an_idle_wallet_in_one_settling_equals_settling_daily() -> None:
    every_six_hours = grant(10, recurrence=recurring("PT6H", percent="50", times=2))
    daily, idle = book(open_wallet(), every_six_hours), book(open_wallet(), every_six_hours)

    idle.run(settle(), after(days=365))
    for day in range(366):
        daily.run(settle(), after(days=day))

    assert daily.wallet() == idle.wallet()
    assert [(each.fact.event, each.fact.effective_time) for each in daily.log] == [
        (each.fact.event, each.fact.effective_time) for each in idle.log
    ]


def test_a_year_of_days_is_settled_in_one_go() -> None:
    ledger = book(open_wallet(), grant(1, recurrence=recurring("P1D", zone=BERLIN)))

    ledger.run(settle(), after(days=365, hours=1))

    assert ledger.wallet().granted_units == 366


def test_a_grant_backdated_by_periods_has_come_as_often_as_time_says() -> None:
    ledger = book(
        open_wallet(), grant(10, effective_time=NOW - 3 * HOUR, recurrence=recurring("PT1H", count=10))
    )

    ledger.run(debit(10))

    assert (ledger.wallet().granted_units, ledger.wallet().expired_units) == (40, 30)


def test_a_backdated_grant_may_have_so_many_periods_due_and_no_more() -> None:
    begin = NOW - DUE_STEPS_MAX * HOUR
    ledger = book(open_wallet(), grant(1, effective_time=begin, recurrence=recurring("PT1H")))

    ledger.run(settle())

    assert ledger.wallet().granted_units == DUE_STEPS_MAX + 1
    with pytest.raises(NumberOutOfRange) as refused:
        ledger.run(grant(1, effective_time=begin - HOUR, recurrence=recurring("PT1H")))
    assert refused.value.field == "grant.recurrence.period"


@pytest.mark.parametrize(("count", "times", "hours"), [(1, 10_000, 20_000), (100, 99, 20_000), (0, 98, 100)])
def test_what_comes_due_is_counted_with_its_roll_overs(count: int, times: int, hours: int) -> None:
    begin = NOW - hours * HOUR
    granted = grant(
        1, effective_time=begin, recurrence=recurring("PT1H", count=count, percent="1", times=times)
    )
    longer = recurring("PT1H", count=count, percent="1", times=times + 2)

    assert book(open_wallet(), granted).wallet().granted_units == 1
    with pytest.raises(NumberOutOfRange):
        book(open_wallet(), msgspec.structs.replace(granted, recurrence=longer))


def test_a_series_ends_before_all_grants_together_would_exceed_int64() -> None:
    half = UNITS_MAX // 2
    ledger = book(open_wallet(), grant(half, recurrence=recurring("P1D")), grant(1))

    ledger.run(settle(), after(days=1))
    assert ledger.wallet().granted_units == UNITS_MAX

    assert ledger.run(debit(1), after(days=1, hours=1)) != []
    assert ledger.wallet().next_due_time == after(days=2)
    ledger.run(settle(), after(days=9))
    assert ledger.wallet().granted_units == UNITS_MAX
    assert ledger.wallet().next_due_time is None
    assert ledger.run(settle(), after(days=99)) == []


def test_of_two_series_due_at_one_instant_only_what_fits_comes() -> None:
    third = UNITS_MAX // 3
    commands = [grant(third, recurrence=recurring("P1D")) for _ in range(2)]
    ledger = book(open_wallet(), *commands)

    ledger.run(settle(), after(days=1))

    assert ledger.wallet().granted_units == 3 * third


@pytest.mark.parametrize(
    ("command", "refusal", "field"),
    [
        (grant(1, recurrence=RecurrenceTerms("P1H")), FieldMalformed, "recurrence.period"),
        (grant(1, recurrence=RecurrenceTerms("PT0H")), FieldMalformed, "recurrence.period"),
        (grant(1, recurrence=RecurrenceTerms("P1M", "Mars")), FieldMalformed, "recurrence.zone"),
        (grant(1, recurrence=RecurrenceTerms("P1M", "UTC", -1)), NumberOutOfRange, "recurrence.period_count"),
        (
            grant(1, recurrence=RecurrenceTerms("P1M", "UTC", PERIOD_COUNT_MAX + 1)),
            NumberOutOfRange,
            "recurrence.period_count",
        ),
        (grant(1, expire_time=after(days=1), recurrence=recurring("P1M")), FieldNotAllowed, "expire_time"),
        (grant(1, paid_nanos=1, recurrence=recurring("P1M")), FieldNotAllowed, "consideration"),
        (
            grant(1, recurrence=recurring("P1M", percent="100.1")),
            NumberOutOfRange,
            "recurrence.roll_over.percent",
        ),
        (grant(1, recurrence=recurring("P1M", percent="-1")), FieldMalformed, "recurrence.roll_over.percent"),
        (
            grant(1, recurrence=recurring("P1M", percent="1", times=0)),
            NumberOutOfRange,
            "recurrence.roll_over.times",
        ),
        (
            grant(1, recurrence=recurring("P1M", percent="1", cap_units=0)),
            NumberOutOfRange,
            "recurrence.roll_over.cap_units",
        ),
    ],
)
def test_terms_beyond_their_boundary_are_refused_by_name(
    command: GrantCredits, refusal: type[Exception], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        book(open_wallet(), command)

    assert getattr(refused.value, "field", None) == f"grant.{field}"


def test_a_period_that_leaves_the_calendar_is_refused_when_the_grant_is_made() -> None:
    with pytest.raises(TimeMalformed):
        book(open_wallet(), grant(1, recurrence=recurring("P9999Y")))


def test_the_end_of_a_period_is_counted_from_the_anchor() -> None:
    terms = Recurrence("P1M", utc("2026-01-31"), roll_over=RollOver("1", 1))

    assert [boundary(terms, number) for number in (1, 2)] == [utc("2026-02-28"), utc("2026-03-31")]


# Roll-over


def rolled(ledger: Book) -> list[int]:
    """Return the units of every roll-over so far."""
    return [
        each.fact.event.amount_units for each in ledger.log if isinstance(each.fact.event, CreditsRolledOver)
    ]


@pytest.mark.parametrize(
    ("remaining", "percent", "cap", "carry"),
    [
        (10, "100", None, 10),
        (10, "50", None, 5),
        (9, "50", None, 4),
        (1, "99.9", None, 0),
        (10, "33.3", None, 3),
        (10, "100", 4, 4),
        (10, "50", 4, 4),
        (10, "50", 5, 5),
        (10, "50", 6, 5),
        (3, "100", 4, 3),
        (10, "0", None, 0),
        (0, "100", None, 0),
    ],
)
def test_the_carry_is_the_least_of_cap_floor_of_percent_and_rest(
    remaining: int, percent: str, cap: int | None, carry: int
) -> None:
    ledger = hourly(count=1, percent=percent, cap=cap)
    if remaining < 10:
        ledger.run(debit(10 - remaining))

    ledger.run(settle(), NOW + HOUR)

    assert sum(rolled(ledger)) == carry
    assert ledger.wallet().expired_units == remaining - carry
    assert posted_units(ledger.wallet()) == carry


def test_what_rolls_over_is_a_new_lot_of_the_same_terms_with_the_next_period_and_one_roll_over_fewer() -> (
    None
):
    ledger = hourly(percent="50", times=3)
    before = ledger.wallet().lots[0]

    expired, carried, _ = ledger.run(settle(), NOW + HOUR)

    assert expired.fact.event == CreditsExpired(2, 5)
    assert carried.fact.effective_time == NOW + HOUR
    event = carried.fact.event
    assert isinstance(event, CreditsRolledOver)
    assert (event.grant_version, event.amount_units) == (2, 5)
    assert (event.lot.category, event.lot.priority, event.lot.scope) == (
        before.category,
        before.priority,
        before.scope,
    )
    assert (event.lot.effective_time, event.lot.expire_time) == (NOW + HOUR, NOW + 2 * HOUR)
    assert event.recurrence.roll_over == RollOver("50", 2)
    assert event.recurrence.periods_left == 0


@pytest.mark.parametrize("times", [1, 2, 3])
def test_credit_rolls_over_so_many_times_and_then_expires(times: int) -> None:
    ledger = hourly(count=1, percent="100", times=times)

    ledger.run(settle(), after(days=1))

    assert rolled(ledger) == [10] * times
    expired = ledger.log[-1]
    assert isinstance(expired.fact.event, CreditsExpired)
    assert expired.fact.effective_time == NOW + (times + 1) * HOUR


def test_a_boundary_is_passed_once() -> None:
    ledger = hourly(count=1, percent="50")
    ledger.run(settle(), NOW + HOUR)

    assert ledger.run(settle(), NOW + HOUR) == []
    assert ledger.run(settle(), NOW + 2 * HOUR - MICROSECOND) == []


def test_a_roll_over_is_not_granted_again() -> None:
    ledger = hourly(percent="100")

    ledger.run(settle(), NOW + HOUR)

    assert ledger.wallet().granted_units == 20
    assert posted_units(ledger.wallet()) == 20


@pytest.mark.parametrize("held", range(11))
@pytest.mark.parametrize(("percent", "cap"), [("100", None), ("50", None), ("33", None), ("100", 4)])
def test_a_hold_around_a_boundary_gives_what_no_hold_would_have_given(
    held: int, percent: str, cap: int | None
) -> None:
    ledger, free = hourly(count=1, percent=percent, cap=cap), hourly(count=1, percent=percent, cap=cap)
    if held:
        version = ledger.place(hold(held, ttl=2 * HOUR))
    later = NOW + HOUR + timedelta(minutes=5)

    ledger.run(settle(), NOW + HOUR)
    if held:
        ledger.run(release(version), later)
    free.run(settle(), later)

    assert sum(rolled(ledger)) == sum(rolled(free))
    assert ledger.wallet().expired_units == free.wallet().expired_units
    assert sum(lot.remaining_units for lot in ledger.wallet().lots) == posted_units(free.wallet())


def test_what_a_hold_returns_after_two_boundaries_has_passed_both() -> None:
    ledger = hourly(count=1, percent="50", times=1)
    version = ledger.place(hold(10, ttl=5 * HOUR))

    ledger.run(release(version), NOW + 3 * HOUR)
    ledger.run(settle(), NOW + 3 * HOUR)

    assert rolled(ledger) == [5]
    assert posted_units(ledger.wallet()) == 0


def test_what_a_capture_takes_does_not_roll_over() -> None:
    ledger = hourly(count=1, percent="100")
    version = ledger.place(hold(6, ttl=2 * HOUR))

    ledger.run(capture(version, 4), NOW + HOUR)

    assert rolled(ledger) == [4, 2]
    assert ledger.wallet().drawn_units == 4


# One instant


def test_at_one_instant_timeouts_come_before_expiries_before_roll_overs_before_recurrence() -> None:
    ledger = book(
        open_wallet(),
        grant(10, recurrence=recurring("PT1H", percent="50")),
        grant(3, priority=1, expire_time=NOW + HOUR),
    )
    version = ledger.place(hold(12, ttl=HOUR))

    events = events_of(ledger.run(settle(), NOW + HOUR))

    assert [type(each) for each in events] == [
        HoldReleased,
        CreditsExpired,
        CreditsExpired,
        CreditsRolledOver,
        CreditsGranted,
    ]
    assert isinstance(events[0], HoldReleased)
    assert events[0].hold_version == version


def test_what_fell_due_at_an_instant_comes_before_a_debit_of_that_instant() -> None:
    ledger = hourly(percent="100")

    ledger.run(debit(20), NOW + HOUR)

    assert posted_units(ledger.wallet()) == 0


# An anchor of its own


def test_an_anchored_grant_covers_the_rest_of_the_period_that_holds_its_effective_time() -> None:
    anchor, start = utc("2026-01-31T00:00"), utc("2026-02-10T12:00")
    terms = RecurrenceTerms("P1M", period_count=2, roll_over=RollOver("100", 1), anchor_time=anchor)
    ledger = book(open_wallet(), grant(10, effective_time=start, recurrence=terms), now=anchor)
    ledger.run(settle(), utc("2026-06-30T00:00"))

    granted = [
        (each.fact.effective_time, each.fact.event.expire_time)
        for each in ledger.log
        if isinstance(each.fact.event, CreditsGranted)
    ]
    moved = [
        (each.fact.effective_time, each.fact.event.lot.expire_time)
        for each in ledger.log
        if isinstance(each.fact.event, CreditsRolledOver)
    ]
    assert granted == [
        (start, utc("2026-02-28T00:00")),
        (utc("2026-02-28T00:00"), utc("2026-03-31T00:00")),
    ]
    assert moved == [
        (utc("2026-02-28T00:00"), utc("2026-03-31T00:00")),
        (utc("2026-03-31T00:00"), utc("2026-04-30T00:00")),
    ]


def test_an_anchor_may_lie_after_the_grant() -> None:
    terms = RecurrenceTerms("P1M", period_count=1, anchor_time=utc("2026-05-31T00:00"))
    ledger = book(open_wallet(), grant(10, effective_time=utc("2026-02-01T00:00"), recurrence=terms))

    assert ledger.wallet().lots[0].expire_time == utc("2026-02-28T00:00")


def test_the_same_anchored_grant_again_gives_the_first_answer_and_another_anchor_is_refused() -> None:
    anchor = utc("2026-01-31T00:00")
    terms = RecurrenceTerms("P1M", period_count=1, anchor_time=anchor)
    asked = grant(10, effective_time=anchor, recurrence=terms)
    granted = events_of(book(open_wallet()).run(asked, anchor))[-1]
    recorded = Fact(granted, anchor + HOUR, anchor, GENESIS_HASH)
    other = msgspec.structs.replace(asked, recurrence=msgspec.structs.replace(terms, anchor_time=None))

    check_same_call(asked, recorded)
    with pytest.raises(IdempotencyKeyReused) as refused:
        check_same_call(other, recorded)
    assert refused.value.metadata["differing_field"] == "recurrence"
