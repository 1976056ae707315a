"""Deferred revenue, as a fold: contract liability by lot, and what each day billed and recognised.

Folding has two steps. Collecting goes over the events and notes, for each lot, what began and what left it,
in order; neighbours of one kind and day are added up, which changes nothing because shares are cumulative.
Posting then turns the movements of lots into sums of days; it needs the lots as they were before the run, so
the store reads those in between. Collecting and posting a log in any pieces gives the same rows.

The arithmetic and its sources are in `recognition`; where the rows are kept is `deferred_revenue_store`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.values import GrantCategory
from ledger_service.projections.recognition import (
    DayKey,
    DaySums,
    Movement,
    PaidLot,
    post_movement,
)
from ledger_service.projections.wallet_events import (
    Debited,
    Expired,
    Granted,
    WalletEvent,
    utc_day,
)

NAME: Final = "deferred_revenue"
"""Name in notification_tracking; the prefix of the projection's tables."""


class LotKey(NamedTuple):
    """A lot: the wallet, and the version of the grant's event in its stream."""

    wallet: str
    grant_version: int


class Collected(msgspec.Struct):
    """What a run of events did to paid lots. Mutable: the accumulator of the fold, and the fold owns it."""

    issued: dict[LotKey, PaidLot] = {}
    movements: dict[LotKey, list[Movement]] = {}


class Posted(msgspec.Struct, frozen=True):
    """The touched lots after the run, and what to add to each day."""

    lots: dict[LotKey, PaidLot]
    days: dict[DayKey, DaySums]


def collect(collected: Collected, events: Iterable[WalletEvent]) -> None:
    """Add a run of events, in the order of the log, to what was collected."""
    for event in events:
        change = event.change
        if isinstance(change, Debited):
            for draw in change.draws:
                key = LotKey(event.wallet, draw.grant_version)
                _draw(collected, key, draw.amount_units, event.effective_time)
        elif isinstance(change, Expired):
            key = LotKey(event.wallet, change.grant_version)
            _expire(collected, key, change.amount_units, event.effective_time)
        elif isinstance(change, Granted):
            lot = _paid_lot(change, event.effective_time)
            if lot is not None:
                collected.issued[LotKey(event.wallet, event.version)] = lot


def keys_to_load(collected: Collected) -> list[LotKey]:
    """Return the lots that moved in the run but were issued before it."""
    return [key for key in collected.movements if key not in collected.issued]


def post(collected: Collected, before: Mapping[LotKey, PaidLot]) -> Posted:
    """Turn movements into postings. `before` holds the lots of `keys_to_load`; a missing one was not paid."""
    posted = Posted(lots=dict(collected.issued), days={})
    for lot in collected.issued.values():
        key = DayKey(lot.currency_code, lot.effective_day)
        _add_to_day(posted.days, key, DaySums(billings_nanos=lot.consideration_nanos))
    for lot_key, movements in collected.movements.items():
        start = collected.issued.get(lot_key) or before.get(lot_key)
        if start is not None:
            posted.lots[lot_key] = _post_lot(start, movements, posted.days)
    return posted


def _post_lot(lot: PaidLot, movements: Iterable[Movement], days: dict[DayKey, DaySums]) -> PaidLot:
    for movement in movements:
        posting = post_movement(lot, movement)
        _add_to_day(days, posting.key, posting.sums)
        lot = posting.lot
    return lot


def _add_to_day(days: dict[DayKey, DaySums], key: DayKey, sums: DaySums) -> None:
    known = days.get(key)
    days[key] = sums if known is None else known + sums


def _paid_lot(granted: Granted, effective_time: datetime) -> PaidLot | None:
    if granted.category is not GrantCategory.PAID or granted.consideration is None:
        return None
    return PaidLot(
        currency_code=granted.consideration.currency_code,
        consideration_nanos=granted.consideration.nanos,
        amount_units=granted.amount_units,
        effective_day=utc_day(effective_time),
        expire_time=granted.expire_time,
    )


def _draw(collected: Collected, key: LotKey, amount_units: int, effective_time: datetime) -> None:
    day = utc_day(effective_time)
    movements = collected.movements.get(key)
    if movements is None:
        collected.movements[key] = [Movement(day, drawn_units=amount_units)]
    elif movements[-1].day == day and movements[-1].expired_units == 0:
        movements[-1].drawn_units += amount_units
    else:
        movements.append(Movement(day, drawn_units=amount_units))


def _expire(collected: Collected, key: LotKey, amount_units: int, effective_time: datetime) -> None:
    movement = Movement(utc_day(effective_time), expired_units=amount_units)
    collected.movements.setdefault(key, []).append(movement)
