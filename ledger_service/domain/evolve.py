"""Evolve: the only way in which a wallet's state changes.

It records what an event says and holds no rule: a rule that is tightened tomorrow must still load
yesterday's events.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from ledger_service.domain import lots as lots_of
from ledger_service.domain.burn_down import insert_lot
from ledger_service.domain.events import (
    Charge,
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    CreditsHeld,
    CreditsRolledOver,
    DebitReversed,
    DebtRepaid,
    Draw,
    Event,
    Fact,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
    WalletOpened,
    WalletPolicyChanged,
)
from ledger_service.domain.exact import EXACT, exact
from ledger_service.domain.recurrence import may_come, series_of
from ledger_service.domain.wallet import Debt, Hold, Policy, Wallet, take_front


def evolve(wallet: Wallet | None, fact: Fact[Event], version: int) -> Wallet:
    """Return the state after an event of the wallet's stream; `version` is the event's own."""
    event = fact.event
    if isinstance(event, CreditsDebited):
        assert wallet is not None, "a wallet's stream begins with WalletOpened"
        return _debited(wallet, event, fact.effective_time, version)
    if isinstance(event, WalletOpened):
        return _opened(event, fact.effective_time, version)
    assert wallet is not None, "a wallet's stream begins with WalletOpened"
    return _due(msgspec.structs.replace(wallet, version=version, **_changes(wallet, fact, version)))


def _changes(wallet: Wallet, fact: Fact[Event], version: int) -> dict[str, Any]:  # noqa: C901, PLR0912
    """Return the fields that an event changes, beside the version and what is due next."""
    match fact.event:
        case CreditsGranted() as granted:
            return _granted(wallet, granted, fact.effective_time, version)
        case CreditsExpired() as expired:
            return _expired(wallet, expired)
        case WalletPolicyChanged() as changed:
            return {"policies": _with_policy(wallet.policies, changed, fact.effective_time)}
        case CreditsHeld(slices=slices, expire_time=expire_time, feature=feature):
            holds = (*wallet.holds, Hold(version, slices, expire_time, feature))
            return {"lots": lots_of.hold(wallet.lots, slices), "holds": holds}
        case HoldCaptured() as captured:
            return _captured(wallet, captured, fact.effective_time, version)
        case HoldReleased(hold_version=hold_version, returned=returned):
            holds = tuple(hold for hold in wallet.holds if hold.hold_version != hold_version)
            return {"lots": lots_of.release(wallet.lots, returned), "holds": holds}
        case DebitReversed() as reversal:
            return _reversed(wallet, reversal)
        case GrantRevoked() as revoked:
            return _revoked(wallet, revoked)
        case GrantRefunded() as refunded:
            return _refunded(wallet, refunded)
        case GrantExpiryExtended(grant_version=grant_version, expire_time=expire_time):
            return _extended(wallet, grant_version, expire_time)
        case CreditsRolledOver() as rolled:
            return _rolled_over(wallet, rolled, version)
        case DebtRepaid() as repaid:
            return _repaid(wallet, repaid)
        case event:
            raise AssertionError(f"{type(event).__name__} is not an event of a wallet")


def _opened(event: WalletOpened, open_time: datetime, version: int) -> Wallet:
    policy = Policy(open_time, event.shortfall_mode, event.overage_limit_units)
    return Wallet(
        event.customer,
        event.asset,
        open_time,
        (policy,),
        version=version,
        burn_down_order=event.burn_down_order,
    )


def _granted(wallet: Wallet, event: CreditsGranted, effective_time: datetime, version: int) -> dict[str, Any]:
    lot = lots_of.from_grant(version, event, effective_time)
    return {
        "lots": insert_lot(wallet.lots, lot, order=wallet.burn_down_order),
        "granted_units": wallet.granted_units + event.amount_units,
        "series": series_of(wallet.series, event, version),
    }


def _debited(wallet: Wallet, event: CreditsDebited, effective_time: datetime, version: int) -> Wallet:
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
    )
    # A lot that is emptied is no longer due; one that holds keep alive does not leave the wallet.
    return debited if len(lots) == len(wallet.lots) and not wallet.holds else _due(debited)


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


def _expired(wallet: Wallet, event: CreditsExpired) -> dict[str, Any]:
    lots = lots_of.draw(wallet.lots, (Draw(event.grant_version, event.amount_units),))
    lot = lots_of.find(lots, event.grant_version)
    if lot is not None:
        lots = lots_of.replace(lots, lot, lapsed_units=lot.lapsed_units + event.amount_units)
    return {"lots": lots, "expired_units": wallet.expired_units + event.amount_units}


def _captured(wallet: Wallet, event: HoldCaptured, effective_time: datetime, version: int) -> dict[str, Any]:
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


def _reversed(wallet: Wallet, event: DebitReversed) -> dict[str, Any]:
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


def _revoked(wallet: Wallet, event: GrantRevoked) -> dict[str, Any]:
    lots = wallet.lots
    if event.amount_units:
        lots = lots_of.draw(lots, (Draw(event.grant_version, event.amount_units),))
    revoked_units = wallet.revoked_units + event.amount_units
    if event.clawback:
        clawed_back = _added(wallet.clawed_back_units, event.grant_version, event.amount_units)
        return {"lots": lots, "revoked_units": revoked_units, "clawed_back_units": clawed_back}
    lot = lots_of.find(wallet.lots, event.grant_version)
    ended = (event.grant_version, lot.series_version if lot is not None else 0)
    return {
        "lots": lots,
        "revoked_units": revoked_units,
        "revoked_grants": wallet.revoked_grants | {event.grant_version},
        "series": tuple(each for each in wallet.series if each.series_version not in ended),
    }


def _refunded(wallet: Wallet, event: GrantRefunded) -> dict[str, Any]:
    purchase = lots_of.find(wallet.lots, event.grant_version)
    assert purchase is not None, "a refund names a lot that holds nothing"
    return {
        "purchased_units": wallet.purchased_units | {event.grant_version: purchase.granted_units},
        "lots": lots_of.draw(wallet.lots, (Draw(event.grant_version, event.amount_units),)),
        "revoked_units": wallet.revoked_units + event.amount_units,
        "refunded_units": _added(wallet.refunded_units, event.grant_version, event.amount_units),
    }


def _added(units: dict[int, int], version: int, more_units: int) -> dict[int, int]:
    return units | {version: units.get(version, 0) + more_units}


def _extended(wallet: Wallet, grant_version: int, expire_time: datetime | None) -> dict[str, Any]:
    lot = lots_of.find(wallet.lots, grant_version)
    assert lot is not None, "an extension names a lot that holds nothing"
    others = tuple(each for each in wallet.lots if each is not lot)
    longer = msgspec.structs.replace(lot, expire_time=expire_time)
    return {
        "lots": insert_lot(others, longer, order=wallet.burn_down_order),
        "extended_grants": wallet.extended_grants | {grant_version: expire_time},
    }


def _rolled_over(wallet: Wallet, event: CreditsRolledOver, version: int) -> dict[str, Any]:
    lots = lots_of.draw(wallet.lots, (Draw(event.grant_version, event.amount_units),))
    lot = lots_of.find(lots, event.grant_version)
    if lot is not None:
        lots = lots_of.replace(lots, lot, rolled_units=lot.rolled_units + event.amount_units)
    terms = msgspec.structs.replace(event.lot, recurrence=event.recurrence)
    carried = lots_of.from_terms(version, event.amount_units, terms)
    return {"lots": insert_lot(lots, carried, order=wallet.burn_down_order)}


def _repaid(wallet: Wallet, event: DebtRepaid) -> dict[str, Any]:
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


def _due(wallet: Wallet) -> Wallet:
    instants = [lot.expire_time for lot in wallet.lots if lot.expire_time is not None and lot.remaining_units]
    instants += [hold.expire_time for hold in wallet.holds]
    instants += [each.next_time for each in wallet.series if may_come(each, wallet.granted_units)]
    return msgspec.structs.replace(wallet, next_due_time=min(instants, default=None))


def _with_policy(
    policies: tuple[Policy, ...], event: WalletPolicyChanged, from_time: datetime
) -> tuple[Policy, ...]:
    policy = Policy(
        from_time, event.shortfall_mode, event.overage_limit_units, event.contract, event.contract_phase
    )
    # The first policy keeps its place even if the change is older than the wallet: it is the fallback.
    return (policies[0], *sorted((*policies[1:], policy), key=lambda each: each.from_time))
