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
    HoldCaptured,
)
from ledger_service.domain.exact import EXACT, exact
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet.due import with_due_time
from ledger_service.domain.wallet.state import Debt, Hold, Wallet, take_front


def debited(wallet: Wallet, event: CreditsDebited, effective_time: datetime, version: int) -> Wallet:
    """Return the wallet after a debit."""
    # Written out in the order of the fields: this is the path of every request.
    lots = lots_of.draw(wallet.lots, event.draws)
    debited = Wallet(
        wallet.customer,
        wallet.asset,
        wallet.open_time,
        wallet.policies,
        version,
        lots,
        wallet.next_due_time,
        wallet.granted_units,
        wallet.drawn_units + event.amount_units - event.overage_units - event.debt_units,
        wallet.overage_units + event.overage_units,
        wallet.expired_units,
        _fraction_after(wallet, event.charge, event.amount_units),
        wallet.burn_down_order,
        wallet.revoked_units,
        wallet.holds,
        _with_debt(wallet, version, event, effective_time),
        wallet.series,
        wallet.reversed_units,
        wallet.revoked_grants,
        wallet.extended_grants,
        wallet.refunded_units,
        wallet.clawed_back_units,
        wallet.purchased_units,
        wallet.rules,
        wallet.payments,
    )
    # A lot that is emptied is no longer due; one that holds keep alive does not leave the wallet.
    return debited if len(lots) == len(wallet.lots) and not wallet.holds else with_due_time(debited)


def captured(wallet: Wallet, event: HoldCaptured, effective_time: datetime, version: int) -> dict[str, Any]:
    """Return what a capture changes."""
    lots = lots_of.capture(wallet.lots, event.held_draws)
    lots = lots_of.release(lots, event.returned)
    return {
        "lots": lots_of.draw(lots, event.draws),
        "holds": _after_capture(wallet.holds, event),
        "drawn_units": wallet.drawn_units + event.amount_units - event.overage_units - event.debt_units,
        "overage_units": wallet.overage_units + event.overage_units,
        "debts": _with_debt(wallet, version, event, effective_time),
        "carried_fraction": _fraction_after(wallet, event.charge, event.amount_units),
    }


def reversed_debit(wallet: Wallet, event: DebitReversed) -> dict[str, Any]:
    """Return what a reversal changes."""
    before = wallet.reversed_units.get(event.debit_version, 0)
    debts = tuple(
        msgspec.structs.replace(debt, amount_units=debt.amount_units - event.debt_units)
        if debt.debit_version == event.debit_version
        else debt
        for debt in wallet.debts
    )
    return {
        "lots": lots_of.put_back(wallet.lots, event.returned, order=wallet.burn_down_order),
        "drawn_units": wallet.drawn_units - sum(each.amount_units for each in event.returned),
        "overage_units": wallet.overage_units - event.overage_units,
        "debts": tuple(debt for debt in debts if debt.amount_units),
        # Debt that was reversed is gone from the debts; what is counted here came back from overage and draws.
        "reversed_units": wallet.reversed_units
        | {event.debit_version: before + event.amount_units - event.debt_units},
    }


def repaid(wallet: Wallet, event: DebtRepaid) -> dict[str, Any]:
    """Return what a repayment changes."""
    repaid = {each.debit_version: each.amount_units for each in event.repayments}
    debts = tuple(
        msgspec.structs.replace(debt, amount_units=debt.amount_units - repaid.get(debt.debit_version, 0))
        for debt in wallet.debts
    )
    return {
        "lots": lots_of.draw(wallet.lots, (Draw(event.grant_version, event.amount_units),)),
        "drawn_units": wallet.drawn_units + event.amount_units,
        "debts": tuple(debt for debt in debts if debt.amount_units),
    }


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
