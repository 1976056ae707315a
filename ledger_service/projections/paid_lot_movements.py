"""Collecting: what wallet events did to paid lots, noted for each lot in order.

Neighbouring movements of one day are added up, which changes nothing because shares are cumulative. What is
collected is posted by `deferred_revenue`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from ledger_service.domain.events import Draw, LotTerms, TransferSlice
from ledger_service.domain.values import GrantCategory
from ledger_service.projections.deferred_revenue import AnyMovement, Collected, LotKey, Reservation, RollOver
from ledger_service.projections.movement_events import ChargedBack, Lowered, Received, Returned, Sent
from ledger_service.projections.payment_events import Activated
from ledger_service.projections.recognition import Movement, PaidLot, Refund, Transfer
from ledger_service.projections.wallet_events import (
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


def collect(collected: Collected, events: Iterable[WalletEvent]) -> None:
    """Add a run of events, in the order of the log, to what was collected."""
    for event in events:
        change = event.change
        if isinstance(change, Debited):
            day = utc_day(event.effective_time)
            for draw in change.draws:
                key = LotKey(event.wallet, draw.grant_version)
                if draw.grant_version in change.late_grants:
                    _draw_late(collected, key, utc_day(event.record_time), draw.amount_units)
                else:
                    _draw(collected, key, day, draw.amount_units)
        elif isinstance(change, Granted):
            lot = _paid_lot(change, event.effective_time)
            # What waits for a payment was not received yet: liability begins at the activation.
            if lot is not None and not change.pending:
                collected.issued[LotKey(event.wallet, event.version)] = lot
        else:
            _collect_rule(collected, event, change)


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


def _collect_rule(collected: Collected, event: WalletEvent, change: Change) -> None:  # noqa: C901, PLR0912
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
        case Sent(slices=slices):
            _transfer(collected, event.wallet, day, slices, sign=1)
        case Returned(slices=slices):
            _transfer(collected, event.wallet, day, slices, sign=-1)
        case Received():
            _land(collected, event, change)
        case ChargedBack() as back:
            taken = Refund(day, back.revoked_units, back.amount.nanos - back.receivable.nanos)
            _note(collected, LotKey(event.wallet, back.grant_version), taken)
        case Lowered(version, units, reduction):
            _note(collected, LotKey(event.wallet, version), Refund(day, units, reduction.nanos))
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


def _draw_late(collected: Collected, key: LotKey, day: date, units: int) -> None:
    # What had been recognised as breakage turns into usage on the day of the record: the days before may be closed.
    movement = Movement(day, drawn_units=units, expired_units=-units)
    collected.movements.setdefault(key, []).append(movement)


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


def _transfer(
    collected: Collected, wallet: str, day: date, slices: Iterable[TransferSlice], *, sign: int
) -> None:
    for each in slices:
        if each.consideration is not None:
            movement = Transfer(day, sign * each.amount_units, sign * each.consideration.nanos)
            _note(collected, LotKey(wallet, each.grant_version), movement)


def _land(collected: Collected, event: WalletEvent, received: Received) -> None:
    terms = received.lot
    lot = _paid_lot(
        Granted(
            received.amount_units,
            terms.category,
            expire_time=terms.expire_time,
            consideration=terms.consideration,
        ),
        terms.effective_time,
    )
    if lot is not None:
        collected.landed[LotKey(event.wallet, event.version)] = lot


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
