"""The scheduler: one clock for all cases, steps in the order of global time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import cast

from tests.acceptance.cases.services import Refused, Services
from tests.acceptance.cases.timeline import (
    START_DEFAULT,
    Playing,
    Rank,
    Script,
    Session,
    Step,
    first_instant,
    play,
)
from tests.acceptance.cases.verdicts import Outcome, Unsupported, Verdict

NEW_YEAR = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NO_SERVICES = cast(Services, None)


class Diary:
    """Writes down what is done, and when the clock says it is done."""

    def __init__(self) -> None:
        self.now: datetime | None = None
        self.advances: list[int] = []
        self.entries: list[tuple[str, int]] = []

    async def advance(self, instant: datetime) -> None:
        self.now = instant
        self.advances.append(hours(instant))

    def step(self, name: str, hour: int | None, rank: int = Rank.USE) -> Step:
        async def run(session: Session) -> None:
            assert self.now in (None, session.now)
            self.entries.append((name, hours(session.now)))

        return Step(None if hour is None else NEW_YEAR + hour * HOUR, rank, run)


def hours(instant: datetime) -> int:
    return round((instant - NEW_YEAR) / HOUR)


def script(name: str, *steps: Step) -> Script:
    return Script(Playing(name, name), steps)


def raising(error: Exception, hour: int = 0) -> Step:
    async def run(session: Session) -> None:
        raise error

    return Step(NEW_YEAR + hour * HOUR, Rank.USE, run)


async def played(diary: Diary, *scripts: Script) -> list[Outcome]:
    return await play(scripts, NO_SERVICES, advance=diary.advance)


async def test_steps_of_all_cases_are_played_in_the_order_of_global_time() -> None:
    diary = Diary()
    one = script("one", diary.step("one", 5), diary.step("one", 0))
    other = script("other", diary.step("other", 3), diary.step("other", 7))

    await played(diary, one, other)

    assert diary.entries == [("one", 0), ("other", 3), ("one", 5), ("other", 7)]


async def test_the_clock_moves_once_an_instant_and_only_forward() -> None:
    diary = Diary()
    one = script("one", diary.step("a", 2), diary.step("b", 2), diary.step("c", 1))
    other = script("other", diary.step("d", 2), diary.step("e", 4))

    await played(diary, one, other)

    assert diary.advances == [2, 4]


async def test_a_look_at_an_instant_sees_what_was_done_then_and_nothing_later() -> None:
    diary = Diary()
    look = diary.step("look", 3, Rank.LOOK)
    one = script("one", look, diary.step("later", 4), diary.step("same", 3), diary.step("before", 1))

    await played(diary, one)

    assert [name for name, _ in diary.entries] == ["before", "same", "look", "later"]


async def test_at_one_instant_ranks_come_first_and_then_the_order_of_the_script() -> None:
    diary = Diary()
    ranks = (Rank.USE, Rank.GRANT, Rank.RESET, Rank.VOID, Rank.USE, Rank.GRANT)
    one = script("one", *(diary.step(f"{place}", 1, rank) for place, rank in enumerate(ranks)))

    await played(diary, one)

    assert [name for name, _ in diary.entries] == ["3", "2", "1", "5", "0", "4"]


async def test_a_step_without_an_instant_is_played_at_the_first_of_all() -> None:
    diary = Diary()

    await played(diary, script("one", diary.step("timeless", None)), script("two", diary.step("two", -9)))

    assert diary.entries == [("timeless", -9), ("two", -9)]


def test_the_clock_begins_at_the_first_named_instant() -> None:
    diary = Diary()

    assert first_instant([script("one", diary.step("a", None))]) == START_DEFAULT
    assert first_instant([script("one", diary.step("a", 4), diary.step("b", 2))]) == NEW_YEAR + 2 * HOUR


async def test_a_case_that_cannot_go_on_is_played_no_further_and_stops_no_other() -> None:
    diary = Diary()
    one = script("one", raising(Unsupported("a thing")), diary.step("never", 1))
    other = script("other", diary.step("other", 1))

    outcomes = await played(diary, one, other)

    assert outcomes == [Outcome("one", Verdict.UNSUPPORTED, "a thing"), Outcome("other", Verdict.PASS)]
    assert diary.entries == [("other", 1)]


async def test_an_unexpected_refusal_fails_and_a_missing_method_is_unsupported() -> None:
    refused = script("one", raising(Refused("Grant", "AMOUNT_NOT_POSITIVE", "must be above 0")))
    missing = script("two", raising(Refused("Hold", "UNIMPLEMENTED", "", not_offered=True)))

    outcomes = await played(Diary(), refused, missing)

    assert [outcome.line() for outcome in outcomes] == [
        "FAIL one: expected Grant to be accepted got AMOUNT_NOT_POSITIVE: must be above 0",
        "UNSUPPORTED two: Hold",
    ]


async def test_a_fault_of_the_runner_fails_its_own_case_only() -> None:
    outcomes = await played(Diary(), script("one", raising(KeyError("x"))), script("two"))

    assert [outcome.verdict for outcome in outcomes] == [Verdict.FAIL, Verdict.PASS]


async def test_a_case_whose_figures_differ_fails_with_all_of_them() -> None:
    one = script("one")
    one.playing.expect("overage", "5", 4)
    one.playing.expect("used", "7", 7)
    one.playing.expect("total", "1", None)

    (outcome,) = await played(Diary(), one)

    assert outcome.line() == "FAIL one: expected overage 5 got 4; expected total 1 got nothing"
