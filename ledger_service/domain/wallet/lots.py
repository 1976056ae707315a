"""Changing a wallet's lots. Each function returns new lots in the same order, and drops those left empty."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from ledger_service.domain.events import CreditsGranted, Draw, LotTerms, Return
from ledger_service.domain.wallet.burn_down import Lot, insert_lot

Lots = tuple[Lot, ...]
Change = Callable[[Lot, int], Lot]


def draw(lots: Lots, draws: Iterable[Draw]) -> Lots:
    """Take units out of lots."""
    taken = {each.grant_version: each.amount_units for each in draws}
    left: list[Lot] = []
    for lot in lots:
        units = taken.pop(lot.grant_version, 0)
        if units == 0:
            left.append(lot)
            continue
        assert units <= lot.remaining_units, "a draw exceeds its lot"
        if units < lot.remaining_units or lot.held_units:
            left.append(msgspec.structs.replace(lot, remaining_units=lot.remaining_units - units))
    assert not taken, "a draw names a lot that holds nothing"
    return tuple(left)


def hold(lots: Lots, slices: Iterable[Draw]) -> Lots:
    """Reserve units of lots."""
    return _change(lots, slices, _hold)


def capture(lots: Lots, slices: Iterable[Draw]) -> Lots:
    """Take reserved units out of lots."""
    return _change(lots, slices, _capture)


def release(lots: Lots, slices: Iterable[Draw]) -> Lots:
    """Give reserved units back to their lots."""
    return _change(lots, slices, _release)


def put_back(lots: Lots, returns: Iterable[Return], *, order: str) -> Lots:
    """Put units back into their lots, which may have left the wallet meanwhile."""
    for each in returns:
        lot = find(lots, each.grant_version)
        if lot is None:
            lots = insert_lot(lots, from_terms(each.grant_version, each.amount_units, each.lot), order=order)
        else:
            lots = replace(lots, lot, remaining_units=lot.remaining_units + each.amount_units)
    return lots


def withdraw(lots: Lots, grant_version: int, units: int) -> Lots:
    """Take units out of a lot for another reason than use: nobody is entitled to them any more."""
    if not units:
        return lots
    lots = draw(lots, (Draw(grant_version, units),))
    lot = find(lots, grant_version)
    if lot is None:
        return lots
    return replace(lots, lot, entitled_units=max(lot.entitled_units - units, 0))


def find(lots: Lots, grant_version: int) -> Lot | None:
    """Return the lot of a grant, if it holds anything."""
    return next((lot for lot in lots if lot.grant_version == grant_version), None)


def replace(lots: Lots, lot: Lot, **fields: object) -> Lots:
    """Change fields of one lot that do not move it in the order."""
    changed = msgspec.structs.replace(lot, **fields)
    return tuple(changed if each is lot else each for each in lots)


def from_grant(grant_version: int, granted: CreditsGranted, effective_time: datetime) -> Lot:
    """Return the lot that a grant begins with."""
    return Lot(
        grant_version=grant_version,
        remaining_units=granted.amount_units,
        category=granted.category,
        priority=granted.priority,
        effective_time=effective_time,
        expire_time=granted.expire_time,
        scope=granted.scope,
        granted_units=granted.amount_units,
        consideration=granted.consideration,
        purchase_version=granted.purchase_version,
        recurrence=granted.recurrence,
        series_version=granted.series_version or (grant_version if granted.recurrence else 0),
        entitled_units=granted.amount_units,
        finance=granted.finance,
    )


def from_terms(grant_version: int, units: int, terms: LotTerms) -> Lot:
    """Return a lot of known terms that holds so many units."""
    return Lot(
        grant_version=grant_version,
        remaining_units=units,
        category=terms.category,
        priority=terms.priority,
        effective_time=terms.effective_time,
        expire_time=terms.expire_time,
        scope=terms.scope,
        granted_units=terms.granted_units,
        consideration=terms.consideration,
        purchase_version=terms.purchase_version,
        recurrence=terms.recurrence,
        series_version=terms.series_version,
        entitled_units=units,
        finance=terms.finance,
    )


def terms_of(lot: Lot) -> LotTerms:
    """Return the terms of a lot."""
    return LotTerms(
        category=lot.category,
        priority=lot.priority,
        granted_units=lot.granted_units,
        effective_time=lot.effective_time,
        expire_time=lot.expire_time,
        scope=lot.scope,
        consideration=lot.consideration,
        purchase_version=lot.purchase_version,
        recurrence=lot.recurrence,
        series_version=lot.series_version,
        finance=lot.finance,
    )


def _change(lots: Lots, slices: Iterable[Draw], change: Change) -> Lots:
    # A hold may have two slices of one lot only after another hold's end; sums make the order immaterial.
    units: dict[int, int] = {}
    for each in slices:
        units[each.grant_version] = units.get(each.grant_version, 0) + each.amount_units
    changed = [
        change(lot, units.pop(lot.grant_version)) if lot.grant_version in units else lot for lot in lots
    ]
    assert not units, "a slice names a lot that holds nothing"
    return tuple(lot for lot in changed if lot.remaining_units or lot.held_units)


def _hold(lot: Lot, units: int) -> Lot:
    assert units <= lot.remaining_units, "a slice exceeds its lot"
    return msgspec.structs.replace(
        lot, remaining_units=lot.remaining_units - units, held_units=lot.held_units + units
    )


def _capture(lot: Lot, units: int) -> Lot:
    assert units <= lot.held_units, "a capture exceeds what the lot has reserved"
    return msgspec.structs.replace(lot, held_units=lot.held_units - units)


def _release(lot: Lot, units: int) -> Lot:
    assert units <= lot.held_units, "a release exceeds what the lot has reserved"
    return msgspec.structs.replace(
        lot, remaining_units=lot.remaining_units + units, held_units=lot.held_units - units
    )
