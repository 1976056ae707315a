"""Credit held for answers while they are metered.

Every hold is asked for in the database before it is in the ledger, under a key of its own and with all that it is
asked for with, so that after a break it is found again. One that another takes the place of is noted as spare in the
same change, and is noted until the ledger has it no longer. So whenever this service breaks off, what is held too
much is given back by the next chunk or by the next sweep, whether the answer can be rated in the end or not.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, Decimal
from hashlib import sha256

from rating_service.application.metering.stream_ports import Holds, StreamStore
from rating_service.application.ports import LedgerRefused, Order
from rating_service.domain.usage_stream import (
    HEADROOM,
    OPEN,
    Holder,
    UsageStream,
    ask_hold,
    needs_hold,
    note_given_back,
    note_hold,
    note_refused_hold,
    set_hold_aside,
)


class StreamHolds:
    """Holds of streams, in the store and in the ledger. Every method raises what their ports raise."""

    def __init__(self, *, store: StreamStore, holds: Holds) -> None:
        """Note holds in a store, and place them in the ledger."""
        self._store = store
        self._holds = holds

    async def cover(self, stream: UsageStream, order: Order) -> tuple[UsageStream, bool]:
        """Hold what a stream costs so far, as far as credit goes; return it, and whether credit lacks."""
        stream = await self.place(stream)
        needed_units = max(0, _whole_units(order))
        if not needs_hold(stream, needed_units):
            return await self.give_back_spare(stream), False
        stream, lacking = await self._grow(stream, order, needed_units)
        return await self.give_back_spare(stream), lacking

    async def place(self, stream: UsageStream) -> UsageStream:
        """Return the stream with the hold that it asks for in the place of the one before, unless refused."""
        if stream.wanted_for is None:
            return stream
        number = stream.hold_number
        try:
            placed = await self._holds.place(
                stream.wanted_for,
                key=_hold_key(stream),
                amount_units=stream.wanted_units,
                ttl=stream.hold_ttl,
            )
        except LedgerRefused as refused:
            if refused.is_passing:
                raise
            return await change_stored(
                self._store, stream, lambda before: note_refused_hold(before, number=number)
            )
        return await change_stored(
            self._store,
            stream,
            lambda before: note_hold(before, number=number, hold=placed.name, expire_time=placed.expire_time),
        )

    async def give_back_spare(self, stream: UsageStream) -> UsageStream:
        """Return the stream without its spare holds, which go back to the wallet."""
        spare = stream.spare_holds
        if not spare:
            return stream
        for hold in spare:
            await self._holds.release(hold)
        return await change_stored(self._store, stream, lambda before: note_given_back(before, spare))

    async def _grow(self, stream: UsageStream, order: Order, needed_units: int) -> tuple[UsageStream, bool]:
        """Return the stream with a larger hold, and whether credit lacks for it.

        It is asked for beside the hold before; where credit does not suffice for both, in its place; and if
        that fails too, as much is held as before.
        """
        old, old_units = stream.hold, stream.held_units
        stream = await self._hold(stream, order, needed_units + needed_units // HEADROOM)
        if stream.state != OPEN or stream.hold != old:
            return stream, False
        stream = await change_stored(self._store, stream, lambda before: set_hold_aside(before, old))
        stream = await self.give_back_spare(stream)
        for amount_units in (needed_units, old_units):
            if amount_units and not stream.hold:
                stream = await self._hold(stream, order, amount_units)
        return stream, stream.state == OPEN and stream.held_units < needed_units

    async def _hold(self, stream: UsageStream, order: Order, amount_units: int) -> UsageStream:
        """Return the stream with a hold of this size, or as it is if the ledger refuses it."""
        holder = Holder(order.wallet, order.feature, order.api_key, order.user)
        asked = await change_stored(
            self._store, stream, lambda before: ask_hold(before, amount_units, holder)
        )
        return await self.place(asked)


async def change_stored(
    store: StreamStore, stream: UsageStream, change: Callable[[UsageStream], UsageStream]
) -> UsageStream:
    """Change a stream that is in the store, from how it is there, and return it."""

    def changed(before: UsageStream | None) -> UsageStream:
        assert before is not None, "streams are never removed"
        return change(before)

    return await store.change(stream.contract, stream.usage_id, changed)


def _whole_units(order: Order) -> int:
    return int(Decimal(order.charge.exact_units).to_integral_value(ROUND_CEILING))


def _hold_key(stream: UsageStream) -> str:
    """Return the key of the hold asked for. A usage id may be as long as a key, so it is hashed."""
    digest = sha256(f"{stream.contract}\n{stream.usage_id}".encode()).hexdigest()
    return f"usage-hold/{digest}/{stream.hold_number}"
