"""A wallet's state: what is left of its grants, its holds and debts, its policies and its totals.

Lots stand in burn-down order; a lot with nothing left is dropped, so that the state stays as small as what
the wallet holds, whatever its age. The state changes by `evolve` alone (evolve.py).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

import msgspec

from ledger_service.domain.events import Draw, GrantRefunded, SpendCap, TransferSlice, WalletRules
from ledger_service.domain.values import DEFAULT_ENTITY, Asset, Money, ShortfallMode
from ledger_service.domain.wallet.burn_down import DEFAULT_ORDER, Lot
from ledger_service.domain.wallet.caps import Caps
from ledger_service.domain.wallet.cost_basis import Basis, Moved
from ledger_service.domain.wallet.payments import NO_PAYMENTS, Payments
from ledger_service.domain.wallet.phase_caps import PhasePolicy
from ledger_service.domain.wallet.recurrence import Series
from ledger_service.domain.wallet.reversed import Reversed
from ledger_service.domain.wallet.totals import Totals
from ledger_service.domain.wallet.usage import NO_USAGE, Usage

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
    ended_contract: str = ""
    """The contract that ends here, if it is an end and was recorded with the name."""
    spend_cap: SpendCap | None = None
    """That of the contract's phase."""
    alert_percents: tuple[int, ...] = ()
    """Those of the contract's phase; empty: the wallet's own rules say."""


class Binding(msgspec.Struct, frozen=True):
    """A contract decides the policy over [from_time, to_time); no `to_time` means without end."""

    contract: str
    from_time: datetime
    to_time: datetime | None = None


class Hold(msgspec.Struct, frozen=True):
    """What a hold still reserves, in burn-down order; named by its event's version."""

    hold_version: int
    slices: tuple[Draw, ...]
    expire_time: datetime
    feature: str
    api_key: str = ""
    user: str = ""


class Debt(msgspec.Struct, frozen=True):
    """What a debit still owes under ADVANCE."""

    debit_version: int
    amount_units: int
    feature: str
    effective_time: datetime


class Transit(msgspec.Struct, frozen=True):
    """A transfer that has left and is not known to have arrived; named by its event's version."""

    transfer_version: int
    destination: str
    slices: tuple[TransferSlice, ...]


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
    """What charges have used and no debit has taken yet: below 1, and below 0 where charges are to give back."""
    burn_down_order: str = DEFAULT_ORDER
    revoked_units: int = 0
    holds: tuple[Hold, ...] = ()
    debts: tuple[Debt, ...] = ()
    """Oldest first."""
    series: tuple[Series, ...] = ()
    reversed: Reversed = {}
    """Units by version of the debit that was reversed: what came back from overage and draws, debt left out."""
    revoked_grants: frozenset[int] = frozenset()
    extended_grants: dict[int, datetime | None] = {}
    refunded_units: dict[int, int] = {}
    """By version of the grant; kept when its lot is used up, for a reversal may bring it back."""
    clawed_back_units: dict[int, int] = {}
    """By version of the bonus grant, kept likewise."""
    purchased_units: dict[int, int] = {}
    """By version of the refunded grant: what it had issued, of which its bonuses are clawed back in proportion."""
    rules: WalletRules = WalletRules()
    lapsed_lots: tuple[Lot, ...] = ()
    """What lots lost by expiring, as their remaining units and in burn-down order, while late usage may draw it."""
    received_units: int = 0
    """What arrived from other wallets so far."""
    sent_units: int = 0
    """What left for other wallets, on its way or arrived; what came back is taken off."""
    transfers: tuple[Transit, ...] = ()
    """On their way, oldest first."""
    moved: dict[int, Moved] = {}
    """By version of the grant; kept when its lot is used up, for a transfer may come back."""
    receivables: dict[int, Money] = {}
    """By version of the grant that was charged back: what is owed for it still, perhaps nothing."""
    owed_tax: dict[int, int] = {}
    """By version of the grant that was charged back: the nanos of tax that are owed beside it."""
    gone_tax: dict[int, int] = {}
    """By version of the grant: the nanos of its tax that were given back, taken back or moved on; kept likewise."""
    owed_refunds: dict[int, GrantRefunded] = {}
    """By version of the refund, until it is settled."""
    caps: Caps | None = None
    """None without a spend cap and budgets, so that most debits pay one comparison for them."""
    usage: Usage = NO_USAGE
    close_time: datetime | None = None
    payments: Payments = NO_PAYMENTS
    totals: Totals = ()
    """Running totals of meters, of cycles whose usage may still come."""
    entity: str = DEFAULT_ENTITY
    """The legal entity that owns its business."""
    has_phase_alerts: bool = False
    """Whether a policy brings percentages of its own, so that most wallets need not look for the one in force."""


def policy_at(wallet: Wallet, instant: datetime) -> Policy:
    """Return the policy in force at an instant: that of a contract's phase, or else the wallet's own."""
    own, agreed = wallet.policies[0], None
    for policy in wallet.policies:
        if policy.from_time > instant:
            continue
        if policy.own:
            own = policy
        elif policy.contract:
            agreed = policy
        elif agreed is not None and is_end_of(policy, agreed.contract):
            agreed = None
    return own if agreed is None else agreed


def phase_policies(policies: tuple[Policy, ...]) -> list[PhasePolicy]:
    """Return what contracts agree, in order: their phases, and nothing where a contract ends and none begins."""
    found: list[PhasePolicy] = []
    running = ""
    for policy in policies:
        if policy.contract:
            running = policy.contract
            found.append(PhasePolicy(policy.from_time, policy.contract_phase, policy.spend_cap))
        elif running and is_end_of(policy, running):
            running = ""
            found.append(PhasePolicy(policy.from_time, "", None))
    return found


def is_end_of(policy: Policy, contract: str) -> bool:
    """Say whether a policy is the end of a contract; an end without a name ends whichever runs."""
    return not policy.own and not policy.contract and policy.ended_contract in ("", contract)


def bindings(wallet: Wallet) -> list[Binding]:
    """Return the spans over which contracts decide the policy, by from_time ascending."""
    found: list[Binding] = []
    running: Binding | None = None
    for policy in wallet.policies:
        if running is not None and policy.contract != running.contract:
            if not policy.contract and not is_end_of(policy, running.contract):
                continue
            if running.from_time < policy.from_time:
                found.append(msgspec.structs.replace(running, to_time=policy.from_time))
            running = None
        if running is None and policy.contract:
            running = Binding(policy.contract, policy.from_time)
    return found if running is None else [*found, running]


def own_policy(wallet: Wallet) -> Policy:
    """Return what the wallet itself was told last; contracts and their ends left out."""
    own = wallet.policies[0]
    for policy in wallet.policies[1:]:
        if policy.own and policy.from_time >= own.from_time:
            own = policy
    return own


def posted_units(wallet: Wallet) -> int:
    """Return what all lots hold, held units and lots that become effective later included."""
    units = 0
    for lot in wallet.lots:
        units += lot.remaining_units + lot.held_units
    return units


def issued_units(wallet: Wallet) -> int:
    """Return what came into the wallet so far; it only grows."""
    return wallet.granted_units + wallet.received_units


def in_transit_units(wallet: Wallet) -> int:
    """Return what left for other wallets and is not known to have arrived."""
    if not wallet.transfers:
        return 0
    return sum(each.amount_units for transit in wallet.transfers for each in transit.slices)


def basis_of(wallet: Wallet, grant_version: int, consideration: Money, granted_units: int) -> Basis:
    """Return the consideration of a grant and what has left it."""
    refunded_units = wallet.refunded_units.get(grant_version, 0)
    return Basis(consideration, granted_units, refunded_units, wallet.moved.get(grant_version, Moved()))


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


def is_revoked(wallet: Wallet, lot: Lot) -> bool:
    """Say whether what comes back to a lot is withdrawn at once."""
    return lot.grant_version in wallet.revoked_grants or wallet.close_time is not None


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
