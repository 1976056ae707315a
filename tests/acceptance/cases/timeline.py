"""One timeline for all cases: the clock never goes back, so every case is played in the order of global time.

A case is a script of steps, each at an instant or, where the case names no time, at the first instant of all.
Steps are played by instant, within a case by rank (what comes first at one instant) and then in the order of
the script. Cases share nothing, so at one instant they are played side by side.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from tests.acceptance.cases.services import Refused, Services
from tests.acceptance.cases.verdicts import Mismatch, Outcome, Unsupported, Verdict, compare, outcome_of

START_DEFAULT: Final = datetime(2025, 1, 1, tzinfo=UTC)
"""Where the clock begins when no case names a time."""


class Rank:
    """What comes first at one instant within a case (the service itself puts expiries before all of it)."""

    VOID: Final = 0
    RESET: Final = 1
    GRANT: Final = 2
    USE: Final = 3
    LOOK: Final = 9


class Session(NamedTuple):
    """What a step may use: the services, and the instant at which the clock stands."""

    services: Services
    now: datetime


class Step(NamedTuple):
    """One thing to do. `at` of None means the first instant of all."""

    at: datetime | None
    rank: int
    run: Callable[[Session], Awaitable[None]]


class Playing:
    """One case while it is played: its keys, which name its own things in the services, and what differed."""

    def __init__(self, case_id: str, key: str) -> None:
        """Begin with nothing wrong. `key` is unique among all cases and fit for resource names."""
        self.case_id = case_id
        self.key = key
        self.mismatches: list[Mismatch] = []
        self._keys = 0

    def next_key(self) -> str:
        """Return an idempotency key that was not used yet."""
        self._keys += 1
        return f"{self.key}-{self._keys}"

    def expect(self, what: str, expected: object, got: object) -> None:
        """Note where a figure differs from what is expected."""
        self.mismatches += compare(what, expected, got)


class Script(NamedTuple):
    """A case and its steps."""

    playing: Playing
    steps: Sequence[Step]


Advance = Callable[[datetime], Awaitable[None]]
Tell = Callable[[int], None]


def first_instant(scripts: Iterable[Script]) -> datetime:
    """Return where the clock must begin."""
    named = [step.at for script in scripts for step in script.steps if step.at is not None]
    return min(named, default=START_DEFAULT)


async def play(
    scripts: Sequence[Script], services: Services, *, advance: Advance, on_steps: Tell = lambda _: None
) -> list[Outcome]:
    """Play all scripts and return their outcomes in the order of the scripts.

    The clock is moved only when the instant changes. A case that has failed to go on is not played any
    further; the others are not affected. `on_steps` is told how many steps each instant had.
    """
    start = first_instant(scripts)
    ended: dict[int, Outcome] = {}
    for instant, agenda in agenda_of(scripts, start):
        if instant > start:
            await advance(instant)
        playing = [(index, steps) for index, steps in agenda.items() if index not in ended]
        session = Session(services, instant)
        stopped = await asyncio.gather(*(_play_steps(scripts[i], steps, session) for i, steps in playing))
        ended |= {i: end for (i, _), end in zip(playing, stopped, strict=True) if end is not None}
        on_steps(sum(map(len, agenda.values())))
    return [ended.get(index) or _result(script) for index, script in enumerate(scripts)]


def agenda_of(scripts: Sequence[Script], start: datetime) -> list[tuple[datetime, dict[int, list[Step]]]]:
    """Return the instants in order, each with the steps of every script that has some, in their order."""
    agenda: dict[datetime, dict[int, list[Step]]] = {}
    for index, script in enumerate(scripts):
        for step in script.steps:
            agenda.setdefault(step.at or start, {}).setdefault(index, []).append(step)
    for by_script in agenda.values():
        for steps in by_script.values():
            steps.sort(key=lambda step: step.rank)
    return sorted(agenda.items(), key=lambda item: item[0])


async def _play_steps(script: Script, steps: Sequence[Step], session: Session) -> Outcome | None:
    """Play a case's steps of one instant; return its outcome if it cannot go on."""
    case_id = script.playing.case_id
    try:
        for step in steps:
            await step.run(session)
    except Unsupported as what:
        return Outcome(case_id, Verdict.UNSUPPORTED, str(what))
    except Refused as refusal:
        if refusal.not_offered:
            return Outcome(case_id, Verdict.UNSUPPORTED, refusal.method)
        return Outcome(case_id, Verdict.FAIL, f"expected {refusal.method} to be accepted got {refusal}")
    except Exception as fault:  # noqa: BLE001 # one case that breaks the runner must not hide all others
        return Outcome(case_id, Verdict.FAIL, f"expected an answer got {type(fault).__name__}: {fault}")
    return None


def _result(script: Script) -> Outcome:
    return outcome_of(script.playing.case_id, script.playing.mismatches)
