"""A wallet's state: what is left of its grants, its policies and its totals.

`evolve` is the only way in which the state changes. It records what an event says and holds no rule: a rule
that is tightened tomorrow must still load yesterday's events. Lots stand in burn-down order; a lot with
nothing left is dropped, so that the state stays as small as what the wallet holds, whatever its age.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ledger_service.domain.burn_down import Lot, insert_lot
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    Draw,
    Event,
    Fact,
    WalletOpened,
    WalletPolicyChanged,
)
from ledger_service.domain.exact import EXACT, exact
from ledger_service.domain.values import Asset, ShortfallMode

ZERO: Final = Decimal(0)


class Policy(msgspec.Struct, frozen=True):
    """What happens when credit runs out, from an instant on."""

    from_time: datetime
    shortfall_mode: ShortfallMode
    overage_limit_units: int
    contract: str = ""
    contract_phase: str = ""


class Wallet(msgspec.Struct, frozen=True):
    """One customer's credit in one asset."""

    customer: str
    asset: Asset
    open_time: datetime
    policies: tuple[Policy, ...]
    """By from_time ascending; the first one holds from the beginning of time."""
    lots: tuple[Lot, ...] = ()
    next_expire_time: datetime | None = None
    """Earliest expiry among the lots: before it there is nothing to settle."""
    granted_units: int = 0
    drawn_units: int = 0
    overage_units: int = 0
    expired_units: int = 0
    carried_fraction: Decimal = ZERO
    """Part of a unit, in [0, 1), that charges have used and no debit has taken yet."""


def evolve(wallet: Wallet | None, fact: Fact[Event], version: int) -> Wallet:
    """Return the state after an event of the wallet's stream; `version` is the event's own."""
    event = fact.event
    if isinstance(event, WalletOpened):
        return _opened(event, fact.effective_time)
    assert wallet is not None, "a wallet's stream begins with WalletOpened"
    match event:
        case CreditsDebited():
            return _debited(wallet, event)
        case CreditsGranted():
            return _granted(wallet, event, fact.effective_time, version)
        case CreditsExpired():
            lots = _without(wallet.lots, (Draw(event.grant_version, event.amount_units),))
            return msgspec.structs.replace(
                wallet,
                lots=lots,
                next_expire_time=_next_expire_time(lots),
                expired_units=wallet.expired_units + event.amount_units,
            )
        case WalletPolicyChanged():
            return msgspec.structs.replace(
                wallet, policies=_with_policy(wallet.policies, event, fact.effective_time)
            )
        case _:
            raise AssertionError(f"{type(event).__name__} is not an event of a wallet")


def policy_at(wallet: Wallet, instant: datetime) -> Policy:
    """Return the policy in force at an instant."""
    in_force = wallet.policies[0]
    for policy in wallet.policies:
        if policy.from_time <= instant:
            in_force = policy
    return in_force


def posted_units(wallet: Wallet) -> int:
    """Return what all lots hold, those that become effective later included."""
    return sum(lot.remaining_units for lot in wallet.lots)


def _opened(event: WalletOpened, open_time: datetime) -> Wallet:
    policy = Policy(open_time, event.shortfall_mode, event.overage_limit_units)
    return Wallet(event.customer, event.asset, open_time, (policy,))


def _granted(wallet: Wallet, event: CreditsGranted, effective_time: datetime, version: int) -> Wallet:
    lot = Lot(
        grant_version=version,
        remaining_units=event.amount_units,
        category=event.category,
        priority=event.priority,
        effective_time=effective_time,
        expire_time=event.expire_time,
        scope=event.scope,
    )
    lots = insert_lot(wallet.lots, lot)
    return msgspec.structs.replace(
        wallet,
        lots=lots,
        next_expire_time=_next_expire_time(lots),
        granted_units=wallet.granted_units + event.amount_units,
    )


def _debited(wallet: Wallet, event: CreditsDebited) -> Wallet:
    lots = _without(wallet.lots, event.draws)
    fraction = wallet.carried_fraction
    if event.charge is not None:
        charged = EXACT.add(fraction, exact(event.charge.exact_units))
        fraction = EXACT.subtract(charged, Decimal(event.amount_units))
    return Wallet(
        wallet.customer,
        wallet.asset,
        wallet.open_time,
        wallet.policies,
        lots,
        wallet.next_expire_time if len(lots) == len(wallet.lots) else _next_expire_time(lots),
        wallet.granted_units,
        wallet.drawn_units + event.amount_units - event.overage_units,
        wallet.overage_units + event.overage_units,
        wallet.expired_units,
        fraction,
    )


def _without(lots: tuple[Lot, ...], draws: tuple[Draw, ...]) -> tuple[Lot, ...]:
    taken = {draw.grant_version: draw.amount_units for draw in draws}
    left: list[Lot] = []
    for lot in lots:
        units = taken.pop(lot.grant_version, 0)
        if units == 0:
            left.append(lot)
        elif units < lot.remaining_units:
            left.append(msgspec.structs.replace(lot, remaining_units=lot.remaining_units - units))
        else:
            assert units == lot.remaining_units, "a draw exceeds its lot"
    assert not taken, "a draw names a lot that holds nothing"
    return tuple(left)


def _next_expire_time(lots: tuple[Lot, ...]) -> datetime | None:
    return min((lot.expire_time for lot in lots if lot.expire_time is not None), default=None)


def _with_policy(
    policies: tuple[Policy, ...], event: WalletPolicyChanged, from_time: datetime
) -> tuple[Policy, ...]:
    policy = Policy(
        from_time, event.shortfall_mode, event.overage_limit_units, event.contract, event.contract_phase
    )
    # The first policy keeps its place even if the change is older than the wallet: it is the fallback.
    return (policies[0], *sorted((*policies[1:], policy), key=lambda each: each.from_time))
