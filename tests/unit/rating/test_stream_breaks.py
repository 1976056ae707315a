"""Metering that breaks off at any step or runs twice: what is held too much goes back, usage is debited once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Final, cast

import msgspec
import pytest

from rating_service.application.metering.intake import UsageIntake
from rating_service.application.metering.quarantine import Cause, Entry, NewEntry, QuarantineStore, Received
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.metering.stream_ports import Placed
from rating_service.application.metering.stream_usage import StreamMetering
from rating_service.application.ports import Ledger, LedgerRefused, LedgerUnavailableError, Order, Posted
from rating_service.domain.agreements.agreement import ContractPhase, RateCard
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import empty_index, put
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import TotalBefore, Usage
from rating_service.domain.usage_stream import OPEN, QUARANTINED, SETTLED, SETTLING, Holder, UsageStream
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
from tests.unit.rating.builders import CREDIT, JANUARY, card_phase, contract, plan_phase, rate

TTL: Final = timedelta(minutes=10)
ANSWER: Final = tuple({"output_tokens": tokens} for tokens in (100, 400, 410, 500))
UNRATEABLE: Final = (*ANSWER[:2], {"voice_seconds": 1})


class Wallet:
    """The ledger: one wallet with its holds and debits, each once under its key."""

    def __init__(self, credit_units: int) -> None:
        self.credit_units = credit_units
        self.holds: dict[str, int] = {}
        self.debits: dict[str, int] = {}
        self._names: dict[str, str] = {}

    @property
    def available_units(self) -> int:
        return self.credit_units - sum(self.debits.values()) - sum(self.holds.values())

    async def place(self, holder: Holder, *, key: str, amount_units: int, ttl: timedelta) -> Placed:
        if key not in self._names:
            if amount_units > self.available_units:
                raise LedgerRefused(None)
            self._names[key] = f"{holder.wallet}/holds/{len(self._names) + 1}"
            self.holds[self._names[key]] = amount_units
        return Placed(self._names[key], JANUARY + ttl)

    async def capture(self, hold: str, order: Order) -> Posted:
        amount_units = int(order.charge.exact_units)
        if order.usage not in self.debits:
            if hold not in self.holds or amount_units > self.holds[hold] + self.available_units:
                raise LedgerRefused(None)
            del self.holds[hold]
        return self._post(order.usage, amount_units)

    async def release(self, hold: str) -> None:
        self.holds.pop(hold, None)

    async def debit(self, order: Order, *, delivered: bool) -> Posted:
        assert delivered
        return self._post(order.usage, int(order.charge.exact_units))

    async def head_position(self) -> int:
        return 1

    def _post(self, usage_id: str, amount_units: int) -> Posted:
        replayed = usage_id in self.debits
        self.debits.setdefault(usage_id, amount_units)
        return Posted(self.debits[usage_id], replayed, 1)


class Streams:
    """The store of streams."""

    def __init__(self) -> None:
        self.stored: UsageStream | None = None

    async def change(
        self, contract: str, usage_id: str, change: Callable[[UsageStream | None], UsageStream]
    ) -> UsageStream:
        self.stored = change(self.stored)
        return self.stored

    async def due(self, now: datetime, *, limit: int) -> list[UsageStream]:
        stream = self.stored
        if stream is None:
            return []
        over = stream.state == OPEN and stream.settle_time <= now
        return [stream] if stream.state == SETTLING or over or stream.spare_holds else []


class Quarantine:
    """Keeps each usage once."""

    def __init__(self) -> None:
        self.kept: dict[str, Entry] = {}

    async def add(self, entries: Sequence[NewEntry]) -> list[Entry]:
        for each in entries:
            self.kept.setdefault(each.usage_id, _kept(each))
        return [self.kept[each.usage_id] for each in entries]


def _kept(entry: NewEntry) -> Entry:
    return Entry(
        **entry._asdict(),
        number=1,
        state="WAITING",
        retry_count=0,
        position=0,
        dismiss_actor="",
        dismiss_reason="",
    )


class Followed:
    """History and clock; an output token costs 2 units."""

    def __init__(self) -> None:
        phase = plan_phase()
        card = RateCard(phase.rate_card, CREDIT, (card_phase(rate("output_tokens", "0.000002")),))
        signed = contract(ContractPhase(JANUARY, phase))
        self.catalogue = Catalogue(
            rate_cards=put(empty_index(), card.name, card), contracts=put(empty_index(), signed.name, signed)
        )
        self.position = 1
        self.time = JANUARY

    async def wait_for(self, position: int) -> None:
        assert position <= self.position

    async def now(self) -> datetime:
        return self.time


class World:
    """One answer, its ledger and its store, which outlive the processes that meter it."""

    def __init__(self, *, credit_units: int) -> None:
        self.wallet = Wallet(credit_units)
        self.streams = Streams()
        self.quarantine = Quarantine()
        self.followed = Followed()

    def started(self, steps: Steps, *, wallet_only: bool = False) -> StreamMetering:
        """Return metering as a new process has it, with steps to everything or only to the wallet."""
        # Streams are debited one by one and not priced by running totals here; nobody else is asked for more.
        wallet = stepped(self.wallet, steps)
        quarantine = self.quarantine if wallet_only else stepped(self.quarantine, steps)
        streams = self.streams if wallet_only else stepped(self.streams, steps)
        ledger = cast("Ledger", wallet)
        rating = UsageRating(ledger=ledger, history=self.followed)
        intake = UsageIntake(
            rating=rating,
            store=cast("QuarantineStore", quarantine),
            ledger=ledger,
            history=self.followed,
            clock=self.followed,
            max_lateness=timedelta(days=35),
            cause_of=_cause,
        )
        return StreamMetering(
            rating=rating,
            intake=intake,
            store=streams,
            holds=wallet,
            clock=self.followed,
            read=_received,
            cause_of=_cause,
        )

    async def swept(self) -> None:
        """Let the answer's time pass, settle it as a new process does, and check that it holds nothing then."""
        self.followed.time += TTL
        metering = self.started(Breaks(0, after=True))
        await metering.sweep()
        await metering.sweep()

        assert self.wallet.holds == {}
        stream = self.streams.stored
        if stream is None:
            assert (self.wallet.debits, self.quarantine.kept) == ({}, {})
        elif stream.state == QUARANTINED:
            assert (self.wallet.debits, list(self.quarantine.kept)) == ({}, ["answer"])
        else:
            assert stream.state == SETTLED
            assert self.wallet.debits == {"answer": 2 * _delivered_tokens(stream)}
            assert self.quarantine.kept == {}


def _cause(refusal: Exception) -> Cause:
    return Cause("rating.credits", type(refusal).__name__, f"{refusal}", is_unrateable=True)


def _received(form: bytes) -> Received:
    usage = msgspec.json.decode(form, type=Usage)
    return Received(usage.id, usage.contract, usage.effective_time, usage, lambda: form)


def _usage(quantities: dict[str, int]) -> Received:
    usage = Usage(JANUARY, quantities, id="answer", contract=contract().name)
    return _received(msgspec.json.encode(usage))


def _delivered_tokens(stream: UsageStream) -> int:
    usage = _received(stream.received).usage
    assert not isinstance(usage, Refusal)
    return usage.quantities["output_tokens"]


async def send(metering: StreamMetering, totals: Sequence[dict[str, int]], *, from_sequence: int = 1) -> None:
    """Send an answer's chunks, all or those from one on."""
    for sequence, quantities in enumerate(totals, 1):
        if sequence >= from_sequence:
            await metering.take(_usage(quantities), sequence=sequence, final=sequence == len(totals), ttl=TTL)


@pytest.mark.parametrize("totals", [ANSWER, UNRATEABLE], ids=["rateable", "unrateable"])
@pytest.mark.parametrize("returns_with", [None, 1, 2, 3])
@pytest.mark.parametrize("credit_units", [10_000, 1_100, 900, 100])
async def test_an_answer_that_breaks_off_anywhere_holds_nothing_in_the_end(
    credit_units: int, returns_with: int | None, totals: Sequence[dict[str, int]]
) -> None:
    async def play(breaks: Breaks) -> None:
        world = World(credit_units=credit_units)
        try:
            await send(world.started(breaks), totals)
        except Killed:
            if returns_with:
                await send(world.started(Breaks(0, after=True)), totals, from_sequence=returns_with)
        await world.swept()

        if returns_with or not breaks.ended_at:
            assert world.streams.stored is not None
            assert world.streams.stored.state == (SETTLED if totals == ANSWER else QUARANTINED)

    await at_every_break(play)


@pytest.mark.parametrize("totals", [ANSWER, UNRATEABLE], ids=["rateable", "unrateable"])
@pytest.mark.parametrize("sends_again", [True, False])
@pytest.mark.parametrize("credit_units", [10_000, 1_100, 900, 100])
@pytest.mark.parametrize(
    "failure",
    [LedgerUnavailableError("away"), LedgerRefused(None, is_passing=True)],
    ids=["away", "busy"],
)
async def test_an_answer_is_never_quarantined_because_the_ledger_is_away_or_busy(
    failure: Exception, credit_units: int, sends_again: bool, totals: Sequence[dict[str, int]]
) -> None:
    async def play(failures: Failures) -> None:
        world = World(credit_units=credit_units)
        metering = world.started(failures, wallet_only=True)
        for sequence in range(1, len(totals) + 1):
            chunk = partial(
                metering.take,
                _usage(totals[sequence - 1]),
                sequence=sequence,
                final=sequence == len(totals),
                ttl=TTL,
            )
            try:
                await chunk()
            except type(failure):
                if sends_again:
                    await chunk()
        await world.swept()

        assert world.streams.stored is not None
        assert world.streams.stored.state == (SETTLED if totals == ANSWER else QUARANTINED)

    await at_every_failure(failure, play)


async def test_an_answer_before_which_others_were_always_counted_waits_for_the_next_sweep() -> None:
    world = World(credit_units=10_000)
    stale = LedgerRefused(None, [TotalBefore("output_tokens", 7, 1)])
    metering = world.started(Failures(1, stale, after=False), wallet_only=True)

    with pytest.raises(LedgerRefused):
        await metering.take(_usage(ANSWER[-1]), sequence=1, final=True, ttl=TTL)
    await world.swept()

    assert world.wallet.debits == {"answer": 1_000}


@pytest.mark.parametrize("credit_units", [10_000, 900])
@pytest.mark.parametrize("totals", [ANSWER[1:], UNRATEABLE[1:]], ids=["rateable", "unrateable"])
async def test_chunks_that_are_taken_at_once_hold_nothing_in_the_end(
    credit_units: int, totals: Sequence[dict[str, int]]
) -> None:
    async def play(turns: Turns) -> None:
        world = World(credit_units=credit_units)

        async def take(sequence: int, steps: Steps) -> None:
            final = sequence == len(totals)
            # Whoever comes after the last one is told that the answer is complete.
            with suppress(Refusal):
                await world.started(steps).take(
                    _usage(totals[sequence - 1]), sequence=sequence, final=final, ttl=TTL
                )

        await turns.run(*(partial(take, sequence) for sequence in range(1, len(totals) + 1)))
        await world.swept()

    await in_every_order(play, switches_max=1)


@pytest.mark.parametrize("credit_units", [10_000, 900])
@pytest.mark.parametrize("totals", [ANSWER[:2], UNRATEABLE[1:]], ids=["rateable", "unrateable"])
async def test_an_answer_whose_last_chunk_comes_beside_the_sweep_is_debited_once(
    credit_units: int, totals: Sequence[dict[str, int]]
) -> None:
    async def play(turns: Turns) -> None:
        world = World(credit_units=credit_units)
        await world.started(Breaks(0, after=True)).take(_usage(totals[0]), sequence=1, final=False, ttl=TTL)
        world.followed.time += TTL

        async def take(steps: Steps) -> None:
            with suppress(Refusal):
                await world.started(steps).take(_usage(totals[1]), sequence=2, final=True, ttl=TTL)

        async def sweep(steps: Steps) -> None:
            await world.started(steps).sweep()

        await turns.run(take, sweep, sweep)
        await world.swept()

    await in_every_order(play, switches_max=2)
