"""Evolve: the only way in which a wallet's state changes.

It records what an event says and holds no rule: a rule that is tightened tomorrow must still load
yesterday's events.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ledger_service.domain.events import (
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    CreditsHeld,
    CreditsRolledOver,
    DebitReversed,
    DebtRepaid,
    Event,
    Fact,
    GrantActivated,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
    TopUpRequested,
    TopUpSettled,
    WalletOpened,
    WalletPolicyChanged,
    WalletUpdated,
)
from ledger_service.domain.events.wallets import changes_policy
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet import payments as payments_of
from ledger_service.domain.wallet.auto_top_up import decided
from ledger_service.domain.wallet.due import with_due_time
from ledger_service.domain.wallet.evolve_debits import captured, debited, repaid, reversed_debit
from ledger_service.domain.wallet.evolve_grants import (
    activated,
    expired,
    extended,
    granted,
    refunded,
    revoked,
    rolled_over,
)
from ledger_service.domain.wallet.state import Hold, Policy, Wallet


def evolve(wallet: Wallet | None, fact: Fact[Event], version: int) -> Wallet:
    """Return the state after an event of the wallet's stream; `version` is the event's own."""
    event = fact.event
    if isinstance(event, CreditsDebited):
        assert wallet is not None, "a wallet's stream begins with WalletOpened"
        after = debited(wallet, event, fact.effective_time, version)
        return after if wallet.rules.auto_top_up is None else with_due_time(decided(after, fact))
    if isinstance(event, WalletOpened):
        return decided(_opened(event, fact.effective_time, version), fact)
    assert wallet is not None, "a wallet's stream begins with WalletOpened"
    after = msgspec.structs.replace(wallet, version=version, **_changes(wallet, fact, version))
    return with_due_time(after if after.rules.auto_top_up is None else decided(after, fact))


def _changes(wallet: Wallet, fact: Fact[Event], version: int) -> dict[str, Any]:  # noqa: C901, PLR0912
    """Return the fields that an event changes, beside the version and what is due next."""
    match fact.event:
        case CreditsGranted() as event:
            return granted(wallet, event, fact.effective_time, version)
        case CreditsExpired() as event:
            return expired(wallet, event)
        case WalletPolicyChanged() as event:
            return {"policies": _with_policy(wallet.policies, event, fact.effective_time)}
        case WalletUpdated() as event:
            return _updated(wallet, event, fact.effective_time)
        case CreditsHeld(slices=slices, expire_time=expire_time, feature=feature):
            holds = (*wallet.holds, Hold(version, slices, expire_time, feature))
            return {"lots": lots_of.hold(wallet.lots, slices), "holds": holds}
        case HoldCaptured() as event:
            return captured(wallet, event, fact.effective_time, version)
        case HoldReleased(hold_version=hold_version, returned=returned):
            holds = tuple(hold for hold in wallet.holds if hold.hold_version != hold_version)
            return {"lots": lots_of.release(wallet.lots, returned), "holds": holds}
        case DebitReversed() as event:
            return reversed_debit(wallet, event)
        case GrantRevoked() as event:
            return revoked(wallet, event)
        case GrantRefunded() as event:
            return refunded(wallet, event)
        case GrantExpiryExtended(grant_version=grant_version, expire_time=expire_time):
            return extended(wallet, grant_version, expire_time)
        case CreditsRolledOver() as event:
            return rolled_over(wallet, event, version)
        case DebtRepaid() as event:
            return repaid(wallet, event)
        case GrantActivated() as event:
            return activated(wallet, event)
        case TopUpRequested() as event:
            return payments_of.requested(wallet.payments, event, fact.effective_time, version)
        case TopUpSettled() as event:
            return payments_of.settled(wallet.payments, event)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of a wallet")


def _opened(event: WalletOpened, open_time: datetime, version: int) -> Wallet:
    policy = Policy(open_time, event.shortfall_mode, event.overage_limit_units, own=True)
    return Wallet(
        event.customer,
        event.asset,
        open_time,
        (policy,),
        version=version,
        burn_down_order=event.burn_down_order,
        rules=event.rules,
    )


def _updated(wallet: Wallet, event: WalletUpdated, from_time: datetime) -> dict[str, Any]:
    if not changes_policy(event.paths):
        return {"rules": event.rules}
    policy = Policy(from_time, event.shortfall_mode, event.overage_limit_units, own=True)
    return {"rules": event.rules, "policies": _in_order(wallet.policies, policy)}


def _with_policy(
    policies: tuple[Policy, ...], event: WalletPolicyChanged, from_time: datetime
) -> tuple[Policy, ...]:
    policy = Policy(
        from_time, event.shortfall_mode, event.overage_limit_units, event.contract, event.contract_phase
    )
    return _in_order(policies, policy)


def _in_order(policies: tuple[Policy, ...], policy: Policy) -> tuple[Policy, ...]:
    # The first policy keeps its place even if the change is older than the wallet: it is the fallback.
    return (policies[0], *sorted((*policies[1:], policy), key=lambda each: each.from_time))
