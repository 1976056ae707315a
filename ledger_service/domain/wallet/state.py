"""A wallet's state: what is left of its grants, its holds and debts, its policies and its totals.

Lots stand in burn-down order; a lot with nothing left is dropped, so that the state stays as small as what
the wallet holds, whatever its age. The state changes by `evolve` alone (evolve.py).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ledger_service.domain.events import Draw, WalletRules
from ledger_service.domain.values import Asset, ShortfallMode
from ledger_service.domain.wallet.burn_down import DEFAULT_ORDER, Lot
from ledger_service.domain.wallet.payments import NO_PAYMENTS, Payments
from ledger_service.domain.wallet.recurrence import Series

ZERO: Final = Decimal(0)


class Policy(msgspec.Struct, frozen=True):
    """What happens when credit runs out, from an instant on."""

    from_time: datetime
    shortfall_mode: ShortfallMode
    overage_limit_units: int
    contract: str = ""
    contract_phase: str = ""
    own: bool = False
    """The wallet was opened with it or updated to it; no contract, nor its end, brought it."""


class Hold(msgspec.Struct, frozen=True):
    """What a hold still reserves, in burn-down order; named by its event's version."""

    hold_version: int
    slices: tuple[Draw, ...]
    expire_time: datetime
    feature: str


class Debt(msgspec.Struct, frozen=True):
    """What a debit still owes under ADVANCE."""

    debit_version: int
    amount_units: int
    feature: str
    effective_time: datetime


class Wallet(msgspec.Struct, frozen=True, gc=False):
    """One customer's credit in one asset."""

    customer: str
    asset: Asset
    open_time: datetime
    policies: tuple[Policy, ...]
    """By from_time ascending; the first one holds from the beginning of time."""
    version: int = 0
    lots: tuple[Lot, ...] = ()
    next_due_time: datetime | None = None
    """Earliest instant at which time alone does something: before it there is nothing to settle."""
    granted_units: int = 0
    drawn_units: int = 0
    overage_units: int = 0
    expired_units: int = 0
    carried_fraction: Decimal = ZERO
    """Part of a unit, in [0, 1), that charges have used and no debit has taken yet."""
    burn_down_order: str = DEFAULT_ORDER
    revoked_units: int = 0
    holds: tuple[Hold, ...] = ()
    debts: tuple[Debt, ...] = ()
    """Oldest first."""
    series: tuple[Series, ...] = ()
    reversed_units: dict[int, int] = {}
    """By version of the debit, for debits that were reversed: what came back from overage and draws, debt left out."""
    revoked_grants: frozenset[int] = frozenset()
    extended_grants: dict[int, datetime | None] = {}
    refunded_units: dict[int, int] = {}
    """By version of the grant; kept when its lot is used up, for a reversal may bring it back."""
    clawed_back_units: dict[int, int] = {}
    """By version of the bonus grant, kept likewise."""
    purchased_units: dict[int, int] = {}
    """By version of the refunded grant: what it had issued, of which its bonuses are clawed back in proportion."""
    rules: WalletRules = WalletRules()
    payments: Payments = NO_PAYMENTS


def policy_at(wallet: Wallet, instant: datetime) -> Policy:
    """Return the policy in force at an instant."""
    in_force = wallet.policies[0]
    for policy in wallet.policies:
        if policy.from_time <= instant:
            in_force = policy
    return in_force


def own_policy(wallet: Wallet) -> Policy:
    """Return what the wallet itself was told last; contracts and their ends left out."""
    own = wallet.policies[0]
    for policy in wallet.policies[1:]:
        if policy.own and policy.from_time >= own.from_time:
            own = policy
    return own


def posted_units(wallet: Wallet) -> int:
    """Return what all lots hold, held units and lots that become effective later included."""
    return sum(lot.remaining_units + lot.held_units for lot in wallet.lots)


def debt_units(wallet: Wallet) -> int:
    """Return what debits still owe."""
    return sum(debt.amount_units for debt in wallet.debts)


def clawback_units(wallet: Wallet, bonus: Lot) -> int:
    """Return what may be clawed back of a bonus now: its part of what was refunded, of what the lot has left."""
    refunded_units = wallet.refunded_units.get(bonus.purchase_version, 0)
    if not refunded_units:
        return 0
    due_units = bonus.granted_units * refunded_units // wallet.purchased_units[bonus.purchase_version]
    before = wallet.clawed_back_units.get(bonus.grant_version, 0)
    return max(min(due_units - before, bonus.remaining_units), 0)


def take_front(slices: tuple[Draw, ...], units: int) -> tuple[tuple[Draw, ...], tuple[Draw, ...]]:
    """Divide slices into the first so many units and the rest."""
    taken: list[Draw] = []
    rest: list[Draw] = []
    for each in slices:
        part = min(units, each.amount_units)
        units -= part
        if part:
            taken.append(Draw(each.grant_version, part))
        if part < each.amount_units:
            rest.append(Draw(each.grant_version, each.amount_units - part))
    return tuple(taken), tuple(rest)
