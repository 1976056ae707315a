"""Deferred revenue, as a fold: contract liability by lot, and what each day billed, recognised and refunded.

Folding has two steps. Collecting goes over the events and notes, for each lot, what began and what left it,
in order; neighbouring movements of one day are added up, which changes nothing because shares are cumulative.
Posting then turns the movements of lots into sums of days; it needs the lots as they were before the run, so
the store reads those in between. Collecting and posting a log in any pieces gives the same rows.

A lot that rolled over from another takes its consideration from it when the other is posted. The other comes
first: lots are posted in the order in which they first moved, and a lot cannot move before it is there.

The arithmetic and its sources are in `recognition`; where the rows are kept is `deferred_revenue_store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from ledger_service.projections.recognition import (
    DayKey,
    DaySums,
    Movement,
    PaidLot,
    Refund,
    Transfer,
    post_movement,
    post_refund,
    post_transfer,
    roll_over,
)
from ledger_service.projections.wallet_events import (
    Extended,
)

NAME: Final = "deferred_revenue"
"""Name in notification_tracking; the prefix of the projection's tables."""


class LotKey(NamedTuple):
    """A lot: the wallet, and the version of the grant's event in its stream."""

    wallet: str
    grant_version: int


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """Units that holds reserved, or gave back (below zero)."""

    amount_units: int


class RollOver(msgspec.Struct, frozen=True, gc=False):
    """Units that moved on into a lot, which begins with them."""

    into: LotKey
    lot: PaidLot


AnyMovement = Movement | Refund | Transfer | Reservation | RollOver | Extended


class Collected(msgspec.Struct):
    """What a run of events did to paid lots. Mutable: the accumulator of the fold, and the fold owns it."""

    issued: dict[LotKey, PaidLot] = {}
    movements: dict[LotKey, list[AnyMovement]] = {}
    carried: set[LotKey] = set()
    """Lots that rolled over from others in the run."""
    landed: dict[LotKey, PaidLot] = {}
    """Lots that arrived from other wallets: their consideration was billed there."""
    ruled: set[LotKey] = set()
    """Lots to which more happened than draws and expiries."""


class Posted(msgspec.Struct, frozen=True):
    """The touched lots after the run, and what to add to each day."""

    lots: dict[LotKey, PaidLot]
    days: dict[DayKey, DaySums]


def keys_to_load(collected: Collected) -> list[LotKey]:
    """Return the lots that moved in the run but began before it."""
    return [
        key
        for key in collected.movements
        if key not in collected.issued and key not in collected.carried and key not in collected.landed
    ]


def post(collected: Collected, before: Mapping[LotKey, PaidLot]) -> Posted:
    """Turn movements into postings. `before` holds the lots of `keys_to_load`; a missing one was not paid."""
    posted = Posted(lots=collected.issued | collected.landed, days={})
    for lot in collected.issued.values():
        key = DayKey(lot.currency_code, lot.effective_day)
        _add_to_day(posted.days, key, DaySums(billings_nanos=lot.consideration_nanos))
    for lot_key, movements in collected.movements.items():
        start = posted.lots.get(lot_key) or before.get(lot_key)
        if start is not None:
            posted.lots[lot_key] = _post_lot(start, movements, posted)
    return posted


def _post_lot(lot: PaidLot, movements: Iterable[AnyMovement], posted: Posted) -> PaidLot:
    for movement in movements:
        match movement:
            case Movement():
                posting = post_movement(lot, movement)
                _add_to_day(posted.days, posting.key, posting.sums)
                lot = posting.lot
            case Refund():
                posting = post_refund(lot, movement)
                _add_to_day(posted.days, posting.key, posting.sums)
                lot = posting.lot
            case Transfer():
                posting = post_transfer(lot, movement)
                _add_to_day(posted.days, posting.key, posting.sums)
                lot = posting.lot
            case Reservation(amount_units=units):
                lot = msgspec.structs.replace(lot, held_units=lot.held_units + units)
            case Extended(expire_time=expire_time):
                lot = msgspec.structs.replace(lot, expire_time=expire_time)
            case RollOver(into=into, lot=carried):
                rolled = roll_over(lot, carried.amount_units)
                nanos = rolled.rolled_nanos - lot.rolled_nanos
                posted.lots[into] = msgspec.structs.replace(carried, consideration_nanos=nanos)
                lot = rolled
    return lot


def _add_to_day(days: dict[DayKey, DaySums], key: DayKey, sums: DaySums) -> None:
    known = days.get(key)
    days[key] = sums if known is None else known + sums
