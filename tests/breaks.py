"""Processes that end at any step, and processes that run side by side in any order.

A step is a call to a port. `stepped` makes one of every call to it, so that none is forgotten: whether the port is a
fake or a real adapter. A process that ended does nothing any more, not even in what would have cleaned up behind it;
what it wrote stays, and the next process begins from that.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, Protocol, TypeVar, cast

P = TypeVar("P")
T = TypeVar("T")

STEPS_MAX: Final = 300
"""Steps of one process, and switches between processes, above which a scene has lost its way."""


class Killed(BaseException):
    """The process ended here. No exception that code may handle."""


class Steps(Protocol):
    """What a process goes through at each call to a port."""

    async def __call__(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        """Do a step."""


class Breaks:
    """The steps of a process that ends before or after one of them."""

    def __init__(self, step: int, *, after: bool) -> None:
        self._step = step
        self._after = after
        self._done = 0
        self.ended_at = ""
        """The step at which it ended; empty as long as it lives."""

    async def __call__(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        if self.ended_at:
            raise Killed
        self._done += 1
        assert self._done < STEPS_MAX, "a process has far fewer steps"
        is_last = self._done == self._step
        if is_last and not self._after:
            self.ended_at = f"before step {self._step}, {name}"
            raise Killed
        outcome = await effect()
        if is_last:
            self.ended_at = f"after step {self._step}, {name}"
            raise Killed
        return outcome


class Failures:
    """The steps of a process one of whose calls fails, before or after its effect; the process lives on."""

    def __init__(self, step: int, failure: Exception, *, after: bool) -> None:
        self._step = step
        self._failure = failure
        self._after = after
        self._done = 0
        self.failed_at = ""
        """The step that failed; empty before that."""

    async def __call__(self, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        self._done += 1
        if self._done != self._step:
            return await effect()
        self.failed_at = f"{'after' if self._after else 'before'} step {self._step}, {name}"
        if self._after:
            await effect()
        raise self._failure


class _Stepped:
    def __init__(self, port: object, steps: Steps) -> None:
        self._port = port
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def call(*values: Any, **named: Any) -> Any:
            return await self._steps(name, partial(found, *values, **named))

        return call


def stepped(port: P, steps: Steps) -> P:
    """Return a port each call to which is a step."""
    return cast("P", _Stepped(port, steps))


async def at_every_break(play: Callable[[Breaks], Awaitable[None]]) -> None:
    """Play a scene with a process that ends before and after each of its steps, and with one that does not end.

    The scene starts the process anew, and says what must be true in the end.
    """
    for step in count(1):
        for after in (False, True):
            breaks = Breaks(step, after=after)
            try:
                await play(breaks)
            except Exception as wrong:
                wrong.add_note(f"the process ended {breaks.ended_at or 'by itself'}")
                raise
        if not breaks.ended_at:
            assert step > 1, "no step was seen"
            return


async def at_every_failure(failure: Exception, play: Callable[[Failures], Awaitable[None]]) -> None:
    """Play a scene with a process each of whose steps fails in turn, before and after, and with one that goes well."""
    for step in count(1):
        for after in (False, True):
            failures = Failures(step, failure, after=after)
            try:
                await play(failures)
            except Exception as wrong:
                wrong.add_note(f"the call failed {failures.failed_at or 'never'}")
                raise
        if not failures.failed_at:
            assert step > 1, "no step was seen"
            return


class Turns:
    """Lets one of some processes run at a time, and another go on at a step, as a plan says.

    The plan names the choice at each step: 0 is whoever runs already.
    """

    def __init__(self, plan: Sequence[int], *, switches_max: int) -> None:
        self._plan = plan
        self._switches_left = switches_max
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._awaited = 0
        self.choices: list[tuple[int, int]] = []
        """What was chosen, and of how many."""
        self.told: list[str] = []
        """Which process did what."""

    async def run(self, *processes: Callable[[Steps], Awaitable[object]]) -> None:
        """Run processes to their end. Raises what one of them raises."""
        self._awaited = len(processes)
        async with asyncio.TaskGroup() as group:
            for number, process in enumerate(processes):
                group.create_task(self._process(number, process))

    async def _process(self, number: int, process: Callable[[Steps], Awaitable[object]]) -> None:
        await process(partial(self._step, number))
        self._awaited -= 1
        self._go_on(None)

    async def _step(self, number: int, name: str, effect: Callable[[], Awaitable[T]]) -> T:
        assert number not in self._waiting, "a process does one thing after the other"
        self._waiting[number] = asyncio.get_running_loop().create_future()
        turn = self._waiting[number]
        self._go_on(number if self.told else None)
        await turn
        self.told.append(f"{number}: {name}")
        return await effect()

    def _go_on(self, running: int | None) -> None:
        """Wake one of those that wait, once all do."""
        if not self._waiting or len(self._waiting) < self._awaited:
            return
        others = [number for number in sorted(self._waiting) if number != running]
        ready = others if running is None else [running, *others]
        if running is not None and not self._switches_left:
            ready = [running]
        place = len(self.choices)
        assert place < STEPS_MAX, "processes take far fewer turns"
        choice = self._plan[place] if place < len(self._plan) else 0
        self.choices.append((choice, len(ready)))
        self._switches_left -= running is not None and choice > 0
        self._waiting.pop(ready[choice]).set_result(None)


async def in_every_order(play: Callable[[Turns], Awaitable[None]], *, switches_max: int = 2) -> None:
    """Play a scene in every order of its processes' steps in which they take turns so often at most.

    The end of a process is no switch. Nearly all that can go wrong does so within two.
    """
    plan: list[int] = []
    for orders in count(1):
        turns = Turns(plan, switches_max=switches_max)
        try:
            await play(turns)
        except BaseException as failure:
            failure.add_note("in this order: " + ", ".join(turns.told))
            raise
        left = [place for place, (choice, of) in enumerate(turns.choices) if choice + 1 < of]
        if not left:
            assert orders > 1, "there was only one order"
            return
        plan = [choice for choice, _ in turns.choices[: left[-1]]] + [turns.choices[left[-1]][0] + 1]
