"""What breaks processes off, and what lets them run side by side, finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.breaks import Breaks, Killed, Steps, Turns, at_every_break, in_every_order, stepped


class Counter:
    """A number that is read and written."""

    def __init__(self) -> None:
        self.value = 0

    async def read(self) -> int:
        return self.value

    async def write(self, value: int) -> None:
        self.value = value


async def add_one(counter: Counter) -> None:
    """Add one, as nobody should."""
    await counter.write(await counter.read() + 1)


async def test_a_process_ends_before_and_after_each_step_and_once_not_at_all() -> None:
    ends = []

    async def play(breaks: Breaks) -> None:
        counter = Counter()
        try:
            await add_one(stepped(counter, breaks))
        except Killed:
            with pytest.raises(Killed):
                await stepped(counter, breaks).write(9)
        ends.append((breaks.ended_at, counter.value))

    await at_every_break(play)

    assert ends == [
        ("before step 1, read", 0),
        ("after step 1, read", 0),
        ("before step 2, write", 0),
        ("after step 2, write", 1),
        ("", 1),
        ("", 1),
    ]


async def test_two_processes_run_in_every_order() -> None:
    orders: list[tuple[tuple[str, ...], int]] = []

    async def play(turns: Turns) -> None:
        counter = Counter()

        async def process(steps: Steps) -> None:
            await add_one(stepped(counter, steps))

        await turns.run(process, process)
        orders.append((tuple(turns.told), counter.value))

    await in_every_order(play, switches_max=9)

    assert len(set(orders)) == len(orders) == 6
    assert sorted(value for _, value in orders) == [1, 1, 1, 1, 2, 2]


async def test_what_goes_wrong_is_told_with_its_order() -> None:
    async def play(turns: Turns) -> None:
        counter = Counter()

        async def process(steps: Steps) -> None:
            await add_one(stepped(counter, steps))

        await turns.run(process, process)
        assert counter.value == 2

    with pytest.raises(AssertionError) as failure:
        await in_every_order(play)

    assert "in this order: 0: read" in failure.value.__notes__[0]
