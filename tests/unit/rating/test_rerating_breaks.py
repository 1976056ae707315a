"""Accepting a phase for the past, broken off at any step or beside others: every cycle is put right, and once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final, cast

import msgspec
import pytest

from rating_service.application.ports import Ledger, LedgerUnavailableError
from rating_service.application.reratings.rerating import Reratings
from rating_service.application.reratings.rerating_ports import (
    Adjusted,
    CycleFacts,
    CycleReader,
    CycleSpan,
    Decided,
    ReratingFacts,
)
from rating_service.application.reratings.rerating_sweep import FOLLOWING_SECONDS, ReratingSweep
from rating_service.domain.agreements.agreement import RateCard
from rating_service.domain.agreements.card_life import with_proposal
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import empty_index, put
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder
from rating_service.domain.debits import DebitFact
from tests.breaks import (
    Breaks,
    Failures,
    Killed,
    Steps,
    Turns,
    at_every_break,
    at_every_failure,
    in_every_order,
    stepped,
)
from tests.property.rating.test_rerating_laws import (
    CARD,
    CONTRACT,
    calls,
    charged,
    phase,
    posted,
    rerated,
    tokens,
)
from tests.unit.rating.builders import CREDIT, JANUARY

NOW: Final = JANUARY + timedelta(days=50)
OLD: Final = RateCard(CARD, CREDIT, (phase((tokens("0.000002"), calls("0.000003", "0.000001", 4)), 1, 0),))
USAGES: Final = ((1, 10, 3), (5, 7, 3), (12, 4, 1))
PROPOSALS: Final = {
    "cheaper": (tokens("0.0000015"), calls("0.000003", "0.000001", 4)),
    "dearer": (tokens("0.00000233"), calls("0.000003", "0.000002", 2)),
}


class Log:
    """The ledger: the card with its proposal, and what was debited and adjusted, each adjustment once."""

    def __init__(self, proposed: str) -> None:
        proposal = msgspec.structs.replace(phase(PROPOSALS[proposed], 2, 3), retroactive=True)
        self.card = msgspec.structs.replace(OLD, proposal=proposal)
        self.debits = charged(OLD, USAGES)
        self.adjustments: list[DebitFact] = []
        self.position = len(self.debits)
        self._orders: dict[str, tuple[AdjustmentOrder, Adjusted]] = {}

    async def head_position(self) -> int:
        return self.position

    async def accept(self, phase: str, *, key: str, watermark_position: int, rerating_hash: str) -> Decided:
        assert (phase, key) == (f"{CARD}/phases/2", f"accept-{CARD}/phases/2")
        replayed = self.card.proposal is None
        if not replayed:
            self.position += 1
        self.card = with_proposal(self.card)
        return Decided(replayed, self.position)

    async def reject(self, phase: str, *, key: str) -> Decided:
        raise AssertionError("nothing is rejected here")

    async def adjust(self, order: AdjustmentOrder) -> Adjusted | None:
        first = self._orders.get(order.key)
        if first is not None:
            return first[1]._replace(replayed=True) if first[0].charge == order.charge else None
        [fact] = posted([order], self.position)
        self.position = fact.position
        self.adjustments.append(fact)
        adjusted = Adjusted(f"wallets/acme/debits/{fact.version}", fact.amount_units, False, fact.position)
        self._orders[order.key] = order, adjusted
        return adjusted

    async def record(self, day: int) -> None:
        """Record a usage that was priced by what was in force before."""
        *_, last = charged(OLD, (*USAGES, (day, 5, 0)))
        self.position += 1
        self.debits.append(msgspec.structs.replace(last, position=self.position, version=self.position))


class Followed:
    """What a process has followed: the card and a position. Facts are read up to a watermark."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.position = 0
        self.catalogue = Catalogue()

    async def wait_for(self, position: int) -> None:
        if position > self.position:
            self.position = position
            card = self._log.card
            self.catalogue = Catalogue(
                rate_cards=put(empty_index(), card.name, card),
                contracts=put(empty_index(), CONTRACT.name, CONTRACT),
            )

    async def now(self) -> datetime:
        return NOW

    @contextmanager
    def open(self) -> Iterator[CycleReader]:
        yield self

    def read(self, span: CycleSpan) -> CycleFacts:
        debits = [
            each
            for each in self._log.debits
            if span.from_time <= each.effective_time < span.to_time
            and each.position <= span.watermark_position
        ]
        adjustments = [
            each
            for each in self._log.adjustments
            if each.position <= span.watermark_position and _cycle_of(each) == span.from_time
        ]
        taken: dict[int, int] = {}
        for each in adjustments:
            assert each.charge is not None
            assert each.charge.adjustment is not None
            for part in each.charge.adjustment.taken_back:
                taken[part.debit_version] = taken.get(part.debit_version, 0) + part.amount_units
        return CycleFacts(debits, adjustments, taken)


def _cycle_of(adjustment: DebitFact) -> datetime:
    assert adjustment.charge is not None
    assert adjustment.charge.adjustment is not None
    return adjustment.charge.adjustment.cycle_start_time


class Settled:
    """The database: phases that are settled for good."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    async def settled(self) -> set[str]:
        return set(self.names)

    async def add(self, phase: str) -> None:
        self.names.add(phase)


class World:
    """A card with a proposal, and all that outlives the processes that accept it."""

    def __init__(self, proposed: str) -> None:
        self.log = Log(proposed)
        self.settled = Settled()

    def started(self, steps: Steps) -> Reratings:
        """Return re-rating as a new process has it."""
        log = stepped(self.log, steps)
        followed = Followed(self.log)
        return Reratings(
            ledger=cast("Ledger", log),
            decisions=log,
            history=stepped(followed, steps),
            facts=cast("ReratingFacts", followed),
            clock=followed,
        )

    async def swept(self) -> None:
        """Let a new process sweep at its start and when no old price can come any more; check what is true then."""
        steps = Breaks(0, after=True)
        followed = Followed(self.log)
        await followed.wait_for(self.log.position)
        seconds = 0.0
        sweep = ReratingSweep(
            reratings=Reratings(
                ledger=cast("Ledger", self.log),
                decisions=self.log,
                history=followed,
                facts=cast("ReratingFacts", followed),
                clock=followed,
            ),
            history=followed,
            store=stepped(self.settled, steps),
            clock=lambda: seconds,
        )
        await sweep.look()
        seconds = FOLLOWING_SECONDS
        await sweep.look()

        if self.log.card.proposal is not None:
            assert self.log.adjustments == []
            return
        assert self.settled.names == {f"{CARD}/phases/2"}
        assert self.log.adjustments != []
        assert not rerated(self.log.card, self.log.debits, self.log.adjustments).differs


async def accept(reratings: Reratings) -> None:
    """Accept the proposal, whatever it changes."""
    await _end(reratings.accept(f"{CARD}/phases/2", token=""))


async def _end(progress: AsyncIterator[Any]) -> None:
    async for _ in progress:
        pass


@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("proposed", PROPOSALS)
async def test_an_acceptance_that_ends_at_any_step_is_finished(proposed: str, returns: bool) -> None:
    async def play(breaks: Breaks) -> None:
        world = World(proposed)
        with suppress(Killed):
            await accept(world.started(breaks))
        if returns:
            await accept(world.started(Breaks(0, after=True)))
        await world.swept()

        assert (world.log.card.proposal is None) or not returns

    await at_every_break(play)


async def test_an_acceptance_one_of_whose_calls_fails_is_finished_when_it_is_sent_again() -> None:
    async def play(failures: Failures) -> None:
        world = World("cheaper")
        reratings = world.started(failures)
        with suppress(LedgerUnavailableError):
            await accept(reratings)
        failures.heal()
        await accept(reratings)

        assert not rerated(world.log.card, world.log.debits, world.log.adjustments).differs
        await world.swept()

    await at_every_failure(LedgerUnavailableError("away"), play)


@pytest.mark.parametrize("proposed", PROPOSALS)
async def test_two_who_accept_at_once_beside_usage_at_the_old_price_put_each_cycle_right(
    proposed: str,
) -> None:
    async def play(turns: Turns) -> None:
        world = World(proposed)

        async def accepting(steps: Steps) -> None:
            await accept(world.started(steps))

        async def late(steps: Steps) -> None:
            await stepped(world.log, steps).record(14)

        await turns.run(accepting, accepting, late)
        await world.swept()

        assert world.log.card.proposal is None

    await in_every_order(play, switches_max=1)
