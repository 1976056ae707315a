"""The sweep settles what was accepted before it began at once, everything once more later, and then no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import msgspec

from rating_service.application.reratings.rerating_sweep import FOLLOWING_SECONDS, ReratingSweep
from rating_service.domain.agreements.agreement import RateCard
from rating_service.domain.agreements.catalogue import EMPTY, Catalogue
from rating_service.domain.agreements.index import put
from tests.unit.rating.builders import CREDIT, card_phase, rate


def accepted(*numbers: int) -> Catalogue:
    """Return a catalogue with one card, on which phases were accepted for the past."""
    phases = tuple(
        msgspec.structs.replace(card_phase(rate("tokens", "1"), number=number), retroactive=True)
        for number in numbers
    )
    card = RateCard("rateCards/llm", CREDIT, (card_phase(rate("tokens", "1")), *phases))
    return msgspec.structs.replace(EMPTY, rate_cards=put(EMPTY.rate_cards, card.name, card))


class Settled:
    """Names that are done, in memory."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    async def settled(self) -> set[str]:
        return set(self.names)

    async def add(self, phase: str) -> None:
        self.names.add(phase)


class World:
    """A sweep, its clock, and the phases that it has settled, by number."""

    def __init__(self, catalogue: Catalogue, store: Settled) -> None:
        self.seconds = 0.0
        self.settled: list[int] = []
        self.fails = False
        self.history: Any = SimpleNamespace(catalogue=catalogue, position=1)
        self.sweep = ReratingSweep(
            reratings=self,  # type: ignore[arg-type] # of re-rating it only settles
            history=self.history,
            store=store,
            clock=lambda: self.seconds,
        )

    async def settle(self, name: str) -> AsyncIterator[Any]:
        """Note what is settled."""
        if self.fails:
            raise TimeoutError
        self.settled.append(int(name.rpartition("/")[2]))
        yield SimpleNamespace(posted=None)


async def test_what_was_accepted_before_it_began_is_settled_at_once_and_once_more_later() -> None:
    store = Settled()
    world = World(accepted(2), store)

    await world.sweep.look()
    world.seconds = FOLLOWING_SECONDS - 1
    await world.sweep.look()
    assert (world.settled, store.names) == ([2], set())
    world.seconds = FOLLOWING_SECONDS
    await world.sweep.look()
    world.seconds *= 9
    await world.sweep.look()

    assert (world.settled, store.names) == ([2, 2], {"rateCards/llm/phases/2"})


async def test_what_is_accepted_while_it_runs_is_left_to_who_accepts_it_and_settled_later() -> None:
    world = World(EMPTY, Settled())
    await world.sweep.look()
    world.history.catalogue = accepted()
    await world.sweep.look()
    world.history.catalogue = accepted(2)

    await world.sweep.look()
    assert world.settled == []
    world.seconds = FOLLOWING_SECONDS
    await world.sweep.look()

    assert world.settled == [2]


async def test_what_is_done_is_not_settled_again_by_the_next_process() -> None:
    store = Settled()
    store.names.add("rateCards/llm/phases/2")
    world = World(accepted(2, 3), store)

    await world.sweep.look()

    assert world.settled == [3]


async def test_what_could_not_be_settled_is_settled_by_the_next_look() -> None:
    world = World(accepted(2), Settled())
    world.fails = True
    await world.sweep.look()
    world.fails = False

    await world.sweep.look()

    assert world.settled == [2]
