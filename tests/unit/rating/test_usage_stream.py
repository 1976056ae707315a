"""A stream is settled at its time to the microsecond, and holds what it costs for as long as it may last."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage_stream import (
    OPEN,
    QUARANTINED,
    SETTLED,
    SETTLING,
    Holder,
    UsageStream,
    ask_hold,
    begin_settling,
    end_stream,
    fold_chunk,
    needs_hold,
    note_given_back,
    note_hold,
    note_refused_hold,
    set_hold_aside,
)
from tests.property.rating.test_stream_laws import TTL, chunk
from tests.unit.rating.builders import JANUARY

MICROSECOND = timedelta(microseconds=1)
HOLDER = Holder("wallets/acme", "", "", "")


def opened(**changes: object) -> UsageStream:
    return msgspec.structs.replace(fold_chunk(None, chunk(1), JANUARY), **changes)


def test_a_new_chunk_gives_a_stream_its_whole_time_again_and_an_old_one_does_not() -> None:
    stream = opened()
    later = JANUARY + timedelta(minutes=5)

    assert stream.settle_time == JANUARY + TTL
    assert fold_chunk(stream, chunk(1), later).settle_time == JANUARY + TTL
    assert fold_chunk(stream, chunk(2), later).settle_time == later + TTL


@pytest.mark.parametrize(("before", "state"), [(MICROSECOND, OPEN), (timedelta(0), SETTLING)])
def test_a_stream_closes_at_its_time_and_no_microsecond_before(before: timedelta, state: str) -> None:
    assert begin_settling(opened(), JANUARY + TTL - before).state == state


def test_a_final_chunk_wins_over_a_higher_sequence_that_came_before_it() -> None:
    stream = fold_chunk(fold_chunk(None, chunk(6), JANUARY), chunk(5, final=True), JANUARY)

    assert (stream.sequence, stream.state) == (5, SETTLING)


def test_the_same_totals_may_become_final() -> None:
    assert fold_chunk(opened(), chunk(1, final=True), JANUARY).state == SETTLING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"identity": "other"}, Reason.STREAM_CHUNK_CHANGED),
        ({"received": b"others"}, Reason.STREAM_CHUNK_CHANGED),
    ],
)
def test_a_chunk_that_says_something_else_is_refused(changes: dict[str, object], reason: Reason) -> None:
    with pytest.raises(Refusal) as caught:
        fold_chunk(opened(), msgspec.structs.replace(chunk(1), **changes), JANUARY)

    assert caught.value.reason is reason


def test_a_chunk_that_cannot_be_read_has_no_identity_to_differ_in() -> None:
    unread = msgspec.structs.replace(chunk(2), identity="")
    stream = fold_chunk(opened(), unread, JANUARY)

    assert (stream.sequence, stream.identity) == (2, "i")


@pytest.mark.parametrize(
    ("needed_units", "ends", "expected"),
    [
        (100, TTL, False),
        (101, TTL, True),
        (100, TTL - MICROSECOND, True),
        (0, TTL - MICROSECOND, False),
    ],
)
def test_a_hold_must_cover_the_price_until_the_stream_is_settled(
    needed_units: int, ends: timedelta, expected: bool
) -> None:
    stream = opened(hold="h", held_units=100, hold_expire_time=JANUARY + ends)

    assert needs_hold(stream, needed_units) is expected


def test_a_hold_lasts_twice_as_long_as_its_stream_up_to_a_day() -> None:
    assert opened().hold_ttl == 2 * TTL
    assert opened(ttl=timedelta(hours=12)).hold_ttl == timedelta(hours=24)


def test_a_hold_that_was_asked_for_is_asked_for_again_until_its_fate_is_known() -> None:
    asked = ask_hold(opened(), 50, HOLDER)
    again = ask_hold(asked, 70, HOLDER)
    noted = note_hold(again, number=1, hold="h-1", expire_time=JANUARY + 2 * TTL)
    refused = note_refused_hold(asked, number=1)

    assert (asked.hold_number, asked.wanted_units) == (1, 50)
    assert again == asked
    assert (noted.hold, noted.held_units, noted.wanted_units) == ("h-1", 50, 0)
    assert (refused.hold, refused.wanted_units, ask_hold(refused, 70, HOLDER).hold_number) == ("", 0, 2)
    assert note_refused_hold(asked, number=2) == asked


def test_a_hold_in_whose_place_another_came_is_spare_until_it_is_given_back() -> None:
    first = note_hold(ask_hold(opened(), 50, HOLDER), number=1, hold="h-1", expire_time=JANUARY)
    second = note_hold(ask_hold(first, 70, HOLDER), number=2, hold="h-2", expire_time=JANUARY)

    assert (first.spare_holds, second.spare_holds) == ((), ("h-1",))
    assert note_hold(first, number=1, hold="h-1", expire_time=JANUARY) == first
    assert note_given_back(second, ["h-1"]).spare_holds == ()
    assert note_given_back(second, ["h-3"]) == second


def test_a_hold_that_another_call_overtook_is_spare_once() -> None:
    noted = note_hold(ask_hold(opened(), 50, HOLDER), number=1, hold="h-1", expire_time=JANUARY)
    late = note_hold(noted, number=1, hold="h-0", expire_time=JANUARY)

    assert (late.hold, late.spare_holds) == ("h-1", ("h-0",))
    assert note_hold(late, number=1, hold="h-0", expire_time=JANUARY) == late


@pytest.mark.parametrize("state", [SETTLED, QUARANTINED])
def test_a_hold_for_a_stream_that_has_ended_is_spare(state: str) -> None:
    ended = end_stream(ask_hold(opened(), 50, HOLDER), state)

    assert note_hold(ended, number=1, hold="h-1", expire_time=JANUARY).spare_holds == ("h-1",)


def test_a_hold_is_set_aside_unless_the_stream_has_another_by_now() -> None:
    noted = note_hold(ask_hold(opened(), 50, HOLDER), number=1, hold="h-1", expire_time=JANUARY)
    aside = set_hold_aside(noted, "h-1")

    assert (aside.hold, aside.held_units, aside.spare_holds) == ("", 0, ("h-1",))
    assert set_hold_aside(noted, "h-0") == noted
    assert end_stream(noted, QUARANTINED).spare_holds == ("h-1",)
    assert end_stream(noted, SETTLED).spare_holds == ()


def test_a_stream_that_settles_asks_for_no_further_hold() -> None:
    closed = begin_settling(opened(), JANUARY + TTL)

    assert ask_hold(closed, 50, HOLDER) == closed
