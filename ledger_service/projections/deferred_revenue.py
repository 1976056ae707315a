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
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.events import Draw, LotTerms
from ledger_service.domain.values import GrantCategory
from ledger_service.projections.recognition import (
    DayKey,
    DaySums,
    Movement,
    PaidLot,
    Refund,
    post_movement,
    post_refund,
    roll_over,
)
from ledger_service.projections.wallet_events import (
    Activated,
    Captured,
    Change,
    Debited,
    Expired,
    Extended,
    Granted,
    Held,
    Refunded,
    Released,
    Repaid,
    Reversed,
    Revoked,
    RolledOver,
    WalletEvent,
    rolls_over,
    utc_day,
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


AnyMovement = Movement | Refund | Reservation | RollOver | Extended


class Collected(msgspec.Struct):
    """What a run of events did to paid lots. Mutable: the accumulator of the fold, and the fold owns it."""

    issued: dict[LotKey, PaidLot] = {}
    movements: dict[LotKey, list[AnyMovement]] = {}
    carried: set[LotKey] = set()
    """Lots that rolled over from others in the run."""
    ruled: set[LotKey] = set()
    """Lots to which more happened than draws and expiries."""


class Posted(msgspec.Struct, frozen=True):
    """The touched lots after the run, and what to add to each day."""

    lots: dict[LotKey, PaidLot]
    days: dict[DayKey, DaySums]


def collect(collected: Collected, events: Iterable[WalletEvent]) -> None:
    """Add a run of events, in the order of the log, to what was collected."""
    for event in events:
        change = event.change
        if isinstance(change, Debited):
            day = utc_day(event.effective_time)
            for draw in change.draws:
                _draw(collected, LotKey(event.wallet, draw.grant_version), day, draw.amount_units)
        elif isinstance(change, Granted):
            lot = _paid_lot(change, event.effective_time)
            # What waits for a payment was not received yet: liability begins at the activation.
            if lot is not None and not change.pending:
                collected.issued[LotKey(event.wallet, event.version)] = lot
        else:
            _collect_rule(collected, event, change)


def keys_to_load(collected: Collected) -> list[LotKey]:
    """Return the lots that moved in the run but began before it."""
    return [
        key for key in collected.movements if key not in collected.issued and key not in collected.carried
    ]


def post(collected: Collected, before: Mapping[LotKey, PaidLot]) -> Posted:
    """Turn movements into postings. `before` holds the lots of `keys_to_load`; a missing one was not paid."""
    posted = Posted(lots=dict(collected.issued), days={})
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


def _paid_lot(granted: Granted, effective_time: datetime) -> PaidLot | None:
    if granted.category is not GrantCategory.PAID or granted.consideration is None:
        return None
    return PaidLot(
        currency_code=granted.consideration.currency_code,
        consideration_nanos=granted.consideration.nanos,
        amount_units=granted.amount_units,
        effective_day=utc_day(effective_time),
        expire_time=granted.expire_time,
        rolls_over=rolls_over(granted.recurrence),
    )


def _collect_rule(collected: Collected, event: WalletEvent, change: Change) -> None:  # noqa: C901
    day = utc_day(event.effective_time)
    match change:
        case Expired(version, units) | Revoked(version, units):
            _break(collected, LotKey(event.wallet, version), day, units)
        case Repaid(version, units):
            _draw(collected, LotKey(event.wallet, version), day, units)
        case Held(slices=slices):
            _reserve(collected, event.wallet, slices, sign=1)
        case Released(returned=returned):
            _reserve(collected, event.wallet, returned, sign=-1)
        case Captured():
            _capture(collected, event, change)
        case Reversed(returned=returned):
            for each in returned:
                _draw(collected, LotKey(event.wallet, each.grant_version), day, -each.amount_units)
        case Refunded(version, units, refund):
            paid_back = Refund(day, units, refund.nanos)
            _note(collected, LotKey(event.wallet, version), paid_back)
        case Extended(version):
            _note(collected, LotKey(event.wallet, version), change)
        case RolledOver():
            _roll_over(collected, event, change)
        case Activated(version, terms):
            _activate(collected, LotKey(event.wallet, version), terms)
        case _:
            pass


def _activate(collected: Collected, key: LotKey, terms: LotTerms) -> None:
    granted = Granted(
        terms.granted_units,
        terms.category,
        expire_time=terms.expire_time,
        consideration=terms.consideration,
    )
    lot = _paid_lot(granted, terms.effective_time)
    if lot is not None:
        collected.issued[key] = lot


def _draw(collected: Collected, key: LotKey, day: date, units: int) -> None:
    movements = collected.movements.get(key)
    if movements is None:
        collected.movements[key] = [Movement(day, units)]
        return
    last = movements[-1]
    if type(last) is Movement and last.day == day:
        last.drawn_units += units
    else:
        movements.append(Movement(day, units))


def _break(collected: Collected, key: LotKey, day: date, units: int) -> None:
    collected.movements.setdefault(key, []).append(Movement(day, expired_units=units))


def _note(collected: Collected, key: LotKey, movement: AnyMovement) -> None:
    collected.movements.setdefault(key, []).append(movement)
    collected.ruled.add(key)


def _reserve(collected: Collected, wallet: str, slices: Iterable[Draw], *, sign: int) -> None:
    for each in slices:
        _note(collected, LotKey(wallet, each.grant_version), Reservation(sign * each.amount_units))


def _capture(collected: Collected, event: WalletEvent, captured: Captured) -> None:
    _reserve(collected, event.wallet, captured.held_draws, sign=-1)
    _reserve(collected, event.wallet, captured.returned, sign=-1)
    day = utc_day(event.effective_time)
    for draw in (*captured.held_draws, *captured.draws):
        _draw(collected, LotKey(event.wallet, draw.grant_version), day, draw.amount_units)


def _roll_over(collected: Collected, event: WalletEvent, rolled: RolledOver) -> None:
    terms = rolled.lot
    carried = _paid_lot(
        Granted(
            rolled.amount_units,
            terms.category,
            expire_time=terms.expire_time,
            consideration=terms.consideration,
            recurrence=rolled.recurrence,
        ),
        event.effective_time,
    )
    if carried is not None:
        into = LotKey(event.wallet, event.version)
        collected.carried.add(into)
        _note(collected, LotKey(event.wallet, rolled.grant_version), RollOver(into, carried))
