"""Re-rating: showing what a phase that is proposed for the past changes, accepting it, rejecting it.

Showing reads only. Accepting computes the figures anew; a token stands for figures that were shown, and if they
have changed since, nothing is accepted. Then the ledger records the acceptance, from which on usage is priced by the
phase, and what was recorded before is put right, cycle by cycle: an adjustment is one commit of the ledger, under a
key made of phase, contract, cycle and its number among them. So a call that broke off goes on where it ended, whoever
sends it again, and two that run side by side post nothing twice: of two that found different figures the ledger takes
one, and the other looks again.

Usage that was priced just before the acceptance and recorded just after it is put right by the sweep that follows, or
by accepting once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Final

import msgspec

from rating_service.application.ports import Clock, History, Ledger
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.reratings.rerating_case import (
    Case,
    Rerating,
    Sums,
    adjustment_orders,
    rerate,
    touched_cycles,
)
from rating_service.application.reratings.rerating_ports import (
    Adjusted,
    CycleReader,
    ReratingFacts,
    ReratingLedger,
)
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.card_life import with_proposal
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.index import find
from rating_service.domain.corrections.rerating import CardPrices, CycleRerating
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder

ROUNDS_MAX: Final = 32
"""How often a cycle is looked at again while others record in it; what is stale even then waits for the next time."""


class Shown(msgspec.Struct, frozen=True):
    """Progress of showing: a cycle that differs, if one was just found; the last one sums up."""

    checked_cycles: int
    total_cycles: int
    cycle: CycleRerating | None = None
    rerating: Rerating | None = None


class PostedAdjustment(msgspec.Struct, frozen=True):
    """An adjustment that was posted."""

    order: AdjustmentOrder
    adjusted: Adjusted


class Accepting(msgspec.Struct, frozen=True):
    """Progress of accepting; the last one says up to which position everything is put right."""

    adjusted_cycles: int
    total_cycles: int
    posted: PostedAdjustment | None = None
    position: int = 0


class Reratings:
    """Shows, accepts and rejects."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        decisions: ReratingLedger,
        history: History,
        facts: ReratingFacts,
        clock: Clock,
    ) -> None:
        """Compute from what was followed, decide in the ledger."""
        self._ledger = ledger
        self._decisions = decisions
        self._history = history
        self._facts = facts
        self._clock = clock

    async def show(self, name: str) -> AsyncIterator[Shown]:
        """Yield the cycles that a phase changes, and last their sum. Refuses RERATING_NOT_FOUND."""
        watermark = await self._caught_up()
        async for shown in self._shown(await self._case(name), watermark):
            yield shown

    async def accept(self, name: str, *, token: str) -> AsyncIterator[Accepting]:
        """Accept a phase and post what it changes, yielding the progress; again, it goes on or has nothing to do.

        Refuses RERATING_NOT_FOUND, RERATING_CHANGED, RERATING_INCOMPLETE, LedgerRefused.
        """
        watermark = await self._caught_up()
        case = await self._case(name)
        if not case.is_accepted:
            async for shown in self._shown(case, watermark):
                if shown.rerating is None:
                    yield Accepting(0, 0)
                    continue
                await self._accept(shown.rerating, token)
        async for progress in self.settle(name):
            yield progress

    async def settle(self, name: str) -> AsyncIterator[Accepting]:
        """Post what an accepted phase still changes. Refuses RERATING_NOT_FOUND, LedgerRefused."""
        case = await self._case(name)
        if case.is_accepted:
            async for progress in self._settled(case):
                yield progress

    async def reject(self, name: str) -> tuple[bool, int]:
        """Reject a phase; return whether that was done before, and its position. Refuses LedgerRefused."""
        decided = await self._decisions.reject(name, key=f"reject-{name}")
        await self._history.wait_for(decided.position)
        return decided.replayed, decided.position

    async def _accept(self, found: Rerating, token: str) -> None:
        name = found.phase.name
        if token and token != found.token:
            raise RequestRefused(
                RequestReason.RERATING_CHANGED,
                f"{name} changes other figures than those shown; look at them again",
                field="token",
                token=found.token,
            )
        if found.unrateable_count:
            raise RequestRefused(
                RequestReason.RERATING_INCOMPLETE,
                f"{name} cannot price {found.unrateable_count} recorded usages",
                field="name",
                unrateable_count=str(found.unrateable_count),
            )
        decided = await self._decisions.accept(
            name,
            key=f"accept-{name}",
            watermark_position=found.watermark_position,
            rerating_hash=found.token,
        )
        await self._history.wait_for(decided.position)

    async def _shown(self, case: Case, watermark: int) -> AsyncIterator[Shown]:
        total = len(case.cycles)
        sums = Sums(case)
        prices = CardPrices(case.card)
        with ExitStack() as stack:
            reader = await asyncio.to_thread(stack.enter_context, self._facts.open())
            for checked, (contract, cycle) in enumerate(case.cycles, start=1):
                found = await asyncio.to_thread(rerate, reader, prices, case, contract, cycle, watermark)
                tells = found.differs or found.unrateable_count > 0
                if tells:
                    sums.add(found)
                yield Shown(checked, total, found if tells else None)
        yield Shown(total, total, None, sums.rerating(watermark))

    async def _settled(self, case: Case) -> AsyncIterator[Accepting]:
        """Post what is to be put right, cycle by cycle."""
        total, position = len(case.cycles), self._history.position
        prices = CardPrices(case.card)
        with ExitStack() as stack:
            reader = await asyncio.to_thread(stack.enter_context, self._facts.open())
            for done, (contract, cycle) in enumerate(case.cycles, start=1):
                async for posted in self._cycle_settled(reader, prices, case, contract, cycle):
                    position = max(position, posted.adjusted.position)
                    yield Accepting(done - 1, total, posted)
                yield Accepting(done, total)
        yield Accepting(total, total, None, max(position, 1))

    async def _cycle_settled(
        self,
        reader: CycleReader,
        prices: CardPrices,
        case: Case,
        contract: Contract,
        cycle: CycleBounds,
    ) -> AsyncIterator[PostedAdjustment]:
        for _ in range(ROUNDS_MAX):
            watermark = self._history.position
            orders = await asyncio.to_thread(
                adjustment_orders, reader, prices, case, contract, cycle, watermark
            )
            if not orders:
                return
            for order in orders:
                adjusted = await self._decisions.adjust(order)
                if adjusted is None:
                    # Somebody else was faster: what he recorded is followed first.
                    await self._caught_up()
                    break
                await self._history.wait_for(adjusted.position)
                yield PostedAdjustment(order, adjusted)

    async def _case(self, name: str) -> Case:
        card_name = name.partition("/phases/")[0]
        catalogue = self._history.catalogue
        card = find(catalogue.rate_cards, card_name)
        known = None if card is None else with_proposal(card)
        phase = (
            None
            if known is None
            else next((each for each in known.phases if each.name == name and each.retroactive), None)
        )
        if card is None or known is None or phase is None:
            raise RequestRefused(
                RequestReason.RERATING_NOT_FOUND,
                f"{name[:200]!r} is no phase that is proposed or accepted for the past",
                field="name",
            )
        now = await self._clock.now()
        to_time = min(
            (each.from_time for each in known.phases if each.from_time > phase.from_time), default=None
        )
        cycles = await asyncio.to_thread(touched_cycles, catalogue, known.name, phase.from_time, to_time, now)
        return Case(known, phase, to_time, phase in card.phases, cycles, now)

    async def _caught_up(self) -> int:
        """Return the log's head once everything up to it was followed."""
        head = await self._ledger.head_position()
        await self._history.wait_for(head)
        return head
