"""Evolve: the only way in which a wallet's state changes.

It records what an event says and holds no rule: a rule that is tightened tomorrow must still load
yesterday's events.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ledger_service.domain.events import (
    AlertRules,
    CreditsDebited,
    CreditsExpired,
    CreditsGranted,
    CreditsHeld,
    CreditsRolledOver,
    CreditsTransferredIn,
    CreditsTransferredOut,
    DebitReversed,
    DebtRepaid,
    Event,
    Fact,
    GrantActivated,
    GrantChargedBack,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    HoldCaptured,
    HoldReleased,
    ReceivableLowered,
    ThresholdCrossed,
    TopUpRequested,
    TopUpSettled,
    TransferReturned,
    TransferSettled,
    WalletClosed,
    WalletOpened,
    WalletPolicyChanged,
    WalletUpdated,
)
from ledger_service.domain.events.wallets import changes_policy
from ledger_service.domain.wallet import evolve_transfers as transfers
from ledger_service.domain.wallet import late_usage
from ledger_service.domain.wallet import lots as lots_of
from ledger_service.domain.wallet import payments as payments_of
from ledger_service.domain.wallet import usage as usage_of
from ledger_service.domain.wallet.auto_top_up import decided
from ledger_service.domain.wallet.caps import with_agreed, with_rules
from ledger_service.domain.wallet.due import with_due_time
from ledger_service.domain.wallet.evolve_chargebacks import charged_back, receivable_lowered
from ledger_service.domain.wallet.evolve_debits import captured, debited, repaid, reversed_debit
from ledger_service.domain.wallet.evolve_finance import FinanceEvent, changes
from ledger_service.domain.wallet.evolve_grants import (
    activated,
    expired,
    extended,
    granted,
    refunded,
    revoked,
    rolled_over,
)
from ledger_service.domain.wallet.state import Hold, Policy, Wallet, phase_policies


def evolve(wallet: Wallet | None, fact: Fact[Event], version: int) -> Wallet:
    """Return the state after an event of the wallet's stream; `version` is the event's own."""
    event = fact.event
    if isinstance(event, CreditsDebited):
        assert wallet is not None, "a wallet's stream begins with WalletOpened"
        after = debited(wallet, event, fact, version)
        return after if wallet.rules.auto_top_up is None else with_due_time(decided(after, fact))
    if isinstance(event, WalletOpened):
        return decided(_opened(event, fact, version), fact)
    assert wallet is not None, "a wallet's stream begins with WalletOpened"
    told = changes(wallet, event) if isinstance(event, FinanceEvent) else _changes(wallet, fact, version)
    after = msgspec.structs.replace(wallet, version=version, **told)
    return with_due_time(after if after.rules.auto_top_up is None else decided(after, fact))


def _changes(wallet: Wallet, fact: Fact[Event], version: int) -> dict[str, Any]:  # noqa: C901, PLR0912
    """Return the fields that an event changes, beside the version and what is due next."""
    match fact.event:
        case CreditsGranted() as event:
            return granted(wallet, event, fact.effective_time, version, fact.record_time)
        case CreditsExpired() as event:
            return expired(wallet, event, fact.effective_time)
        case WalletPolicyChanged() as event:
            policies = _with_policy(wallet.policies, event, fact.effective_time)
            return {
                "policies": policies,
                "caps": with_agreed(wallet.caps, phase_policies(policies)),
                "has_phase_alerts": any(policy.alert_percents for policy in policies),
            }
        case WalletUpdated() as event:
            return _updated(wallet, event, fact, version)
        case CreditsHeld(slices=slices) as event:
            hold = Hold(version, slices, event.expire_time, event.feature, event.api_key, event.user)
            return {"lots": lots_of.hold(wallet.lots, slices), "holds": (*wallet.holds, hold)}
        case HoldCaptured() as event:
            return captured(wallet, event, fact, version)
        case HoldReleased(hold_version=hold_version, returned=returned):
            holds = tuple(hold for hold in wallet.holds if hold.hold_version != hold_version)
            return {"lots": lots_of.release(wallet.lots, returned), "holds": holds}
        case DebitReversed() as event:
            return reversed_debit(wallet, event, fact)
        case GrantRevoked() as event:
            return revoked(wallet, event)
        case GrantRefunded() as event:
            return refunded(wallet, event, version)
        case GrantExpiryExtended(grant_version=grant_version, expire_time=expire_time):
            return extended(wallet, grant_version, expire_time)
        case CreditsRolledOver() as event:
            return rolled_over(wallet, event, version)
        case DebtRepaid() as event:
            return repaid(wallet, event, fact.effective_time)
        case CreditsTransferredOut() as event:
            return transfers.sent(wallet, event, version)
        case CreditsTransferredIn() as event:
            return transfers.received(wallet, event, fact.effective_time, version)
        case TransferSettled(transfer_version=transfer_version):
            return transfers.settled(wallet, transfer_version)
        case TransferReturned() as event:
            return transfers.returned(wallet, event)
        case GrantChargedBack() as event:
            return charged_back(wallet, event)
        case ReceivableLowered() as event:
            return receivable_lowered(wallet, event)
        case ThresholdCrossed():
            return {"usage": msgspec.structs.replace(wallet.usage, alert_version=version)}
        case WalletClosed():
            return {"close_time": fact.effective_time}
        case GrantActivated() as event:
            return activated(wallet, event, fact.effective_time)
        case TopUpRequested() as event:
            return payments_of.requested(wallet.payments, event, fact.effective_time, version)
        case TopUpSettled() as event:
            return payments_of.settled(wallet.payments, event)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of a wallet")


def _opened(event: WalletOpened, fact: Fact[Event], version: int) -> Wallet:
    open_time = fact.effective_time
    policy = Policy(open_time, event.shortfall_mode, event.overage_limit_units, own=True)
    return Wallet(
        event.customer,
        event.asset,
        open_time,
        (policy,),
        version=version,
        burn_down_order=event.burn_down_order,
        entity=event.entity,
        rules=event.rules,
        caps=with_rules(None, event.rules, version, fact.record_time),
        usage=usage_of.with_rules(usage_of.NO_USAGE, AlertRules(), event.rules.alerts, open_time),
    )


def _updated(wallet: Wallet, event: WalletUpdated, fact: Fact[Event], version: int) -> dict[str, Any]:
    changes: dict[str, Any] = {
        "rules": event.rules,
        "lapsed_lots": late_usage.after_update(wallet, event.rules, fact.effective_time),
        "caps": with_rules(wallet.caps, event.rules, version, fact.record_time),
        "usage": usage_of.with_rules(
            wallet.usage, wallet.rules.alerts, event.rules.alerts, fact.effective_time
        ),
    }
    if changes_policy(event.paths):
        policy = Policy(fact.effective_time, event.shortfall_mode, event.overage_limit_units, own=True)
        changes["policies"] = _in_order(wallet.policies, policy)
    return changes


def _with_policy(
    policies: tuple[Policy, ...], event: WalletPolicyChanged, from_time: datetime
) -> tuple[Policy, ...]:
    policy = Policy(
        from_time,
        event.shortfall_mode,
        event.overage_limit_units,
        event.contract,
        event.contract_phase,
        ended_contract=event.ended_contract,
        spend_cap=event.spend_cap,
        alert_percents=event.alert_percents,
    )
    if event.replaces_later:
        contract = event.contract or event.ended_contract
        policies = tuple(each for each in policies if not _is_replaced(each, contract, from_time))
    return _in_order(policies, policy)


def _is_replaced(policy: Policy, contract: str, from_time: datetime) -> bool:
    # An end without a name was recorded when a wallet had one contract for ever.
    brought_by = policy.contract or policy.ended_contract
    return not policy.own and policy.from_time >= from_time and brought_by in ("", contract)


def _in_order(policies: tuple[Policy, ...], policy: Policy) -> tuple[Policy, ...]:
    # The first policy keeps its place even if the change is older than the wallet: it is the fallback.
    return (policies[0], *sorted((*policies[1:], policy), key=lambda each: each.from_time))
