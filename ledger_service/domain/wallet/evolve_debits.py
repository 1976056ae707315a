"""Evolve: what becomes of lots, holds and debts when credit is used, given back or repaid."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ledger_service.domain.events import (
    Charge,
    CreditsDebited,
    DebitReversed,
    DebtRepaid,
    Draw,
    Event,
    Fact,
    HoldCaptured,
    Return,
)
from ledger_service.domain.exact import EXACT, exact
from ledger_service.domain.wallet import late_usage
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.caps import Caps, Spender, given_back, spent
from ledger_service.domain.wallet.due import with_due_time
from ledger_service.domain.wallet.meter_moves import moved
from ledger_service.domain.wallet.reversed import reversed_units, with_reversed
from ledger_service.domain.wallet.state import Debt, Hold, Wallet, take_front
from ledger_service.domain.wallet.totals import Totals, counted
from ledger_service.domain.wallet.usage import Usage, with_debit, with_spent, without_returned


def debited(wallet: Wallet, event: CreditsDebited, fact: Fact[Event], version: int) -> Wallet:
    """Return the wallet after a debit. This is the path of every request: what did not change is left alone."""
    changes: dict[str, Any] = {}
    if event.late_grants:
        lots, changes["lapsed_lots"], changes["expired_units"] = late_usage.drawn(wallet, event)
    else:
        lots = lots_of.draw(wallet.lots, event.draws)
    if event.debt_units:
        changes["debts"] = _with_debt(wallet, version, event, fact.effective_time)
    if event.charge is not None:
        changes["carried_fraction"] = _fraction_after(wallet, event.charge, event.amount_units)
        changes["totals"] = _totals_after(wallet, event.charge, fact.record_time)
    if wallet.caps is not None:
        changes["caps"] = _counted(wallet.caps, event, fact.record_time)
    debited = msgspec.structs.replace(
        wallet,
        version=version,
        lots=lots,
        drawn_units=wallet.drawn_units + event.amount_units - event.overage_units - event.debt_units,
        overage_units=wallet.overage_units + event.overage_units,
        usage=_usage_after(wallet, lots, event.amount_units, fact),
        **changes,
    )
    # A lot that is emptied is no longer due; one that holds keep alive does not leave the wallet.
    return debited if len(lots) == len(wallet.lots) and not wallet.holds else with_due_time(debited)


def captured(wallet: Wallet, event: HoldCaptured, fact: Fact[Event], version: int) -> dict[str, Any]:
    """Return what a capture changes."""
    lots = lots_of.capture(wallet.lots, event.held_draws)
    lots = lots_of.draw(lots_of.release(lots, event.returned), event.draws)
    return {
        "lots": lots,
        "usage": _usage_after(wallet, lots, event.amount_units, fact),
        "holds": _after_capture(wallet.holds, event),
        "drawn_units": wallet.drawn_units + event.amount_units - event.overage_units - event.debt_units,
        "overage_units": wallet.overage_units + event.overage_units,
        "debts": _with_debt(wallet, version, event, fact.effective_time),
        "carried_fraction": _fraction_after(wallet, event.charge, event.amount_units),
        "totals": wallet.totals
        if event.charge is None
        else counted(wallet.totals, event.charge, fact.record_time),
        "caps": wallet.caps if wallet.caps is None else _counted(wallet.caps, event, fact.record_time),
    }


def reversed_debit(wallet: Wallet, event: DebitReversed, fact: Fact[Event]) -> dict[str, Any]:
    """Return what a reversal changes."""
    version = event.debit_version
    # Debt that was reversed is gone from the debts; what is counted here came back from overage and draws.
    returned_units = reversed_units(wallet.reversed, version) + event.amount_units - event.debt_units
    debts = tuple(
        msgspec.structs.replace(debt, amount_units=debt.amount_units - event.debt_units)
        if debt.debit_version == version
        else debt
        for debt in wallet.debts
    )
    return {
        "lots": _with_returned(wallet, event.returned, fact.effective_time),
        "usage": without_returned(wallet.usage, event.returned),
        "drawn_units": wallet.drawn_units - sum(each.amount_units for each in event.returned),
        "overage_units": wallet.overage_units - event.overage_units,
        "debts": tuple(debt for debt in debts if debt.amount_units),
        "reversed": with_reversed(wallet.reversed, version, returned_units),
        "caps": _given_back(wallet.caps, event, fact.record_time),
    }


def repaid(wallet: Wallet, event: DebtRepaid, effective_time: datetime) -> dict[str, Any]:
    """Return what a repayment changes."""
    repaid = {each.debit_version: each.amount_units for each in event.repayments}
    debts = tuple(
        msgspec.structs.replace(debt, amount_units=debt.amount_units - repaid.get(debt.debit_version, 0))
        for debt in wallet.debts
    )
    lots = lots_of.draw(wallet.lots, (Draw(event.grant_version, event.amount_units),))
    return {
        "lots": lots,
        "usage": wallet.usage
        if len(lots) == len(wallet.lots)
        else with_spent(wallet.usage, wallet.lots, lots, effective_time),
        "drawn_units": wallet.drawn_units + event.amount_units,
        "debts": tuple(debt for debt in debts if debt.amount_units),
    }


def _totals_after(wallet: Wallet, charge: Charge, record_time: datetime) -> Totals:
    if charge.adjustment is not None:
        return moved(wallet.totals, charge.contract, charge.adjustment)
    return counted(wallet.totals, charge, record_time)


def _counted(caps: Caps, event: CreditsDebited | HoldCaptured, record_time: datetime) -> Caps:
    return spent(caps, Spender(event.api_key, event.user, event.feature), event.amount_units, record_time)


def _given_back(caps: Caps | None, event: DebitReversed, record_time: datetime) -> Caps | None:
    if caps is None or event.debit_time is None:
        return caps
    return given_back(
        caps,
        Spender(event.api_key, event.user, event.feature),
        event.amount_units,
        debit_version=event.debit_version,
        debit_time=event.debit_time,
        record_time=record_time,
    )


def _usage_after(
    wallet: Wallet,
    lots: tuple[Lot, ...],
    amount_units: int,
    fact: Fact[Event],
) -> Usage:
    usage = wallet.usage
    if len(lots) != len(wallet.lots):
        usage = with_spent(usage, wallet.lots, lots, fact.effective_time)
    rise = wallet.rules.alerts.fast_rise
    return usage if rise is None else with_debit(usage, rise, amount_units, fact.record_time)


def _with_returned(wallet: Wallet, returned: tuple[Return, ...], effective_time: datetime) -> tuple[Lot, ...]:
    """Return the lots with what came back; a lot that had left the wallet is entitled to what it was before."""
    known = {lot.grant_version for lot in wallet.lots}
    lots = lots_of.put_back(wallet.lots, returned, order=wallet.burn_down_order)
    for each in returned:
        if each.grant_version not in known:
            lot = lots_of.find(lots, each.grant_version)
            assert lot is not None, "what was put back is there"
            lots = lots_of.replace(lots, lot, entitled_units=_entitled_units(wallet, each, effective_time))
    return lots


def _entitled_units(wallet: Wallet, returned: Return, effective_time: datetime) -> int:
    version, expire_time = returned.grant_version, returned.lot.expire_time
    if expire_time is not None and expire_time <= effective_time:
        return 0
    if version in wallet.revoked_grants or wallet.close_time is not None:
        return 0
    for used_up in wallet.usage.spent:
        if used_up.grant_version == version:
            return used_up.entitled_units
    withdrawn_units = wallet.refunded_units.get(version, 0) + wallet.clawed_back_units.get(version, 0)
    return returned.lot.granted_units - withdrawn_units


def _fraction_after(wallet: Wallet, charge: Charge | None, amount_units: int) -> Decimal:
    if charge is None:
        return wallet.carried_fraction
    charged = EXACT.add(wallet.carried_fraction, exact(charge.exact_units))
    return EXACT.subtract(charged, Decimal(amount_units))


def _with_debt(
    wallet: Wallet, version: int, event: CreditsDebited | HoldCaptured, effective_time: datetime
) -> tuple[Debt, ...]:
    if not event.debt_units:
        return wallet.debts
    return (*wallet.debts, Debt(version, event.debt_units, event.feature, effective_time))


def _after_capture(holds: tuple[Hold, ...], event: HoldCaptured) -> tuple[Hold, ...]:
    kept: list[Hold] = []
    for hold in holds:
        if hold.hold_version != event.hold_version:
            kept.append(hold)
            continue
        slices = take_front(hold.slices, sum(draw.amount_units for draw in event.held_draws))[1]
        if slices and not event.final:
            kept.append(msgspec.structs.replace(hold, slices=slices))
    return tuple(kept)
