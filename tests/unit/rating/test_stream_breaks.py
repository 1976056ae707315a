"""Metering that breaks off at any step: what is held too much goes back, and what was delivered is debited once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar, cast

import msgspec
import pytest

from rating_service.application.intake import UsageIntake
from rating_service.application.ports import Ledger, LedgerRefused, Order, Posted
from rating_service.application.quarantine import Cause, Entry, NewEntry, QuarantineStore, Received
from rating_service.application.rate_usage import UsageRating
from rating_service.application.stream_ports import Placed
from rating_service.application.stream_usage import StreamMetering
from rating_service.domain.agreement import ContractPhase, RateCard
from rating_service.domain.catalogue import Catalogue
from rating_service.domain.index import empty_index, put
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Usage
from rating_service.domain.usage_stream import OPEN, SETTLED, SETTLING, UsageStream
from tests.unit.rating.builders import CREDIT, JANUARY, card_phase, contract, plan_phase, rate

T = TypeVar("T")
TTL: Final = timedelta(minutes=10)
STEPS_MAX: Final = 40
"""More than any of these answers takes, so that the last break never comes."""


class Killed(Exception):
    """The process ended here."""


class Breaks:
    """Ends the process before or after a step, once."""

    def __init__(self, step: int, *, after: bool) -> None:
        self.steps_left = step
        self._after = after

    def __call__(self, effect: Callable[[], T]) -> T:
        self.steps_left -= 1
        if self.steps_left == 0 and not self._after:
            raise Killed
        outcome = effect()
        if self.steps_left == 0:
            raise Killed
        return outcome


class Wallet:
    """The ledger: one wallet with its holds and debits, each once under its key."""

    def __init__(self, credit_units: int, breaks: Breaks) -> None:
        self.credit_units = credit_units
        self.holds: dict[str, int] = {}
        self.debits: dict[str, int] = {}
        self._names: dict[str, str] = {}
        self._breaks = breaks

    @property
    def available_units(self) -> int:
        return self.credit_units - sum(self.debits.values()) - sum(self.holds.values())

    async def place(self, order: Order, *, key: str, amount_units: int, ttl: timedelta) -> Placed:
        def place() -> Placed:
            if key not in self._names:
                if amount_units > self.available_units:
                    raise LedgerRefused(None)
                self._names[key] = f"{order.wallet}/holds/{len(self._names) + 1}"
                self.holds[self._names[key]] = amount_units
            return Placed(self._names[key], JANUARY + ttl)

        return self._breaks(place)

    async def capture(self, hold: str, order: Order) -> Posted:
        def capture() -> Posted:
            amount_units = int(order.charge.exact_units)
            if order.usage not in self.debits:
                if hold not in self.holds or amount_units > self.holds[hold] + self.available_units:
                    raise LedgerRefused(None)
                del self.holds[hold]
            return self._post(order.usage, amount_units)

        return self._breaks(capture)

    async def release(self, hold: str) -> None:
        self._breaks(lambda: self.holds.pop(hold, None))

    async def debit(self, order: Order, *, delivered: bool) -> Posted:
        assert delivered
        return self._breaks(lambda: self._post(order.usage, int(order.charge.exact_units)))

    async def head_position(self) -> int:
        return 1

    def _post(self, usage_id: str, amount_units: int) -> Posted:
        replayed = usage_id in self.debits
        self.debits.setdefault(usage_id, amount_units)
        return Posted(self.debits[usage_id], replayed, 1)


class Streams:
    """The store of streams, as durable as it must be."""

    def __init__(self, breaks: Breaks) -> None:
        self.stored: UsageStream | None = None
        self._breaks = breaks

    async def change(
        self, contract: str, usage_id: str, change: Callable[[UsageStream | None], UsageStream]
    ) -> UsageStream:
        def write() -> UsageStream:
            self.stored = change(self.stored)
            return self.stored

        return self._breaks(write)

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
    """One answer, its ledger and its store, which outlive the process that meters it."""

    def __init__(self, *, credit_units: int, step: int, after: bool) -> None:
        self.breaks = Breaks(step, after=after)
        self.wallet = Wallet(credit_units, self.breaks)
        self.streams = Streams(self.breaks)
        self.quarantine = Quarantine()
        self.followed = Followed()

    def started(self) -> StreamMetering:
        """Return metering as a new process has it."""
        # Streams are debited one by one and not priced by running totals here; nobody else is asked for more.
        ledger = cast("Ledger", self.wallet)
        rating = UsageRating(ledger=ledger, history=self.followed)
        intake = UsageIntake(
            rating=rating,
            store=cast("QuarantineStore", self.quarantine),
            ledger=ledger,
            history=self.followed,
            clock=self.followed,
            max_lateness=timedelta(days=35),
            cause_of=_cause,
        )
        return StreamMetering(
            rating=rating,
            intake=intake,
            store=self.streams,
            holds=self.wallet,
            clock=self.followed,
            read=_received,
            cause_of=_cause,
        )

    async def sweep(self) -> None:
        """Let the answer's time pass, and settle it as a new process does."""
        self.followed.time += TTL
        await self.started().sweep()


def _cause(refusal: Exception) -> Cause:
    return Cause("rating.credits", type(refusal).__name__, f"{refusal}", is_unrateable=True)


def _received(form: bytes) -> Received:
    usage = msgspec.json.decode(form, type=Usage)
    return Received(usage.id, usage.contract, usage.effective_time, usage, lambda: form)


def _usage(quantities: dict[str, int]) -> Received:
    usage = Usage(JANUARY, quantities, id="answer", contract=contract().name)
    return _received(msgspec.json.encode(usage))


async def _send(metering: StreamMetering, totals: Sequence[dict[str, int]]) -> None:
    for sequence, quantities in enumerate(totals, 1):
        await metering.take(_usage(quantities), sequence=sequence, final=sequence == len(totals), ttl=TTL)


async def _broken_off(
    totals: Sequence[dict[str, int]], *, credit_units: int, step: int, after: bool, returns: bool
) -> World:
    """Return the world when all is settled: by a caller that comes back, or by none."""
    world = World(credit_units=credit_units, step=step, after=after)
    try:
        await _send(world.started(), totals)
    except Killed:
        if returns:
            await _send(world.started(), totals)
    await world.sweep()
    return world


@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("credit_units", [10_000, 1_100, 900, 100])
@pytest.mark.parametrize("step", range(1, STEPS_MAX + 1))
async def test_an_answer_that_breaks_off_anywhere_holds_nothing_in_the_end(
    step: int, credit_units: int, after: bool, returns: bool
) -> None:
    totals = [{"output_tokens": tokens} for tokens in (100, 400, 410, 500)]
    world = await _broken_off(totals, credit_units=credit_units, step=step, after=after, returns=returns)

    assert world.wallet.holds == {}
    if returns:
        assert world.wallet.debits == {"answer": 1_000}
    elif world.streams.stored is not None:
        assert world.wallet.debits == {"answer": 2 * _delivered_tokens(world.streams.stored)}
        assert world.streams.stored.state == SETTLED


@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("step", range(1, STEPS_MAX + 1))
async def test_an_answer_that_ends_unrateable_holds_nothing_in_the_end(step: int, after: bool) -> None:
    totals = [{"output_tokens": 100}, {"output_tokens": 400}, {"voice_seconds": 1}]
    world = await _broken_off(totals, credit_units=10_000, step=step, after=after, returns=True)

    assert world.wallet.debits == {}
    assert list(world.quarantine.kept) == ["answer"]
    assert world.wallet.holds == {}


async def test_the_last_break_never_comes() -> None:
    totals = [{"output_tokens": tokens} for tokens in (100, 400, 410, 500)]
    world = await _broken_off(totals, credit_units=900, step=STEPS_MAX, after=False, returns=True)

    assert world.breaks.steps_left > 0


def _delivered_tokens(stream: UsageStream) -> int:
    usage = _received(stream.received).usage
    assert not isinstance(usage, Refusal)
    return usage.quantities["output_tokens"]
