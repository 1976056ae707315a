"""Contracts: what was agreed with a customer, as phases at their instants.

Signing turns a plan's phases into instants and hands the wallet the policy of each phase from its instant, in
the same commit. Where the last phase ends, so does the contract: from there on the wallet's own policy applies
again, and the wallet may take another contract. A wallet has one contract at a time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.domain.agreement.entitlement import spend_cap_of
from ledger_service.domain.agreement.invoiced import Invoiced, invoiced_with
from ledger_service.domain.agreement.plan import Plan, plan_version, schedule
from ledger_service.domain.calendar import check_zone
from ledger_service.domain.commands import SignContract
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    ContractEnded,
    ContractPhase,
    ContractPhaseScheduled,
    ContractSigned,
    CreditNoteIssued,
    Cycle,
    Event,
    Fact,
    InvoiceIssued,
    PlanChanged,
    TrialExtended,
    WalletPolicyChanged,
)
from ledger_service.domain.names import check_range
from ledger_service.domain.refusals import AssetMismatch, ContractExists, CustomerMismatch
from ledger_service.domain.wallet.state import Wallet, bindings, own_policy

CYCLE_COUNT_MAX: Final = 120


class Contract(msgspec.Struct, frozen=True):
    """A contract as it stands. Its phases follow each other without a gap; one that never began has none."""

    signed: ContractSigned
    plan: str
    plan_version: int
    phases: tuple[ContractPhase, ...]
    scheduled_times: tuple[datetime, ...] = ()
    """Instants that were asked for, at which a phase begins whatever happens to those before it."""
    end_time: datetime | None = None
    """The end that was asked for; without one the contract ends with its last phase, if that does."""
    invoices: dict[str, Invoiced] = {}
    """By name, the invoices that were recorded."""
    change_version: int = 1
    """Version of the last event that changed what is agreed; invoices change nothing of it."""


def evolve_contract(contract: Contract | None, fact: Fact[Event], version: int) -> Contract:
    """Return the state after an event of the contract's stream."""
    event = fact.event
    if isinstance(event, ContractSigned):
        return Contract(event, event.plan, event.plan_version, event.phases, change_version=version)
    assert contract is not None, "a contract's stream begins with ContractSigned"
    if isinstance(event, InvoiceIssued | CreditNoteIssued):
        return msgspec.structs.replace(contract, invoices=invoiced_with(contract.invoices, event))
    return msgspec.structs.replace(_changed(contract, event), change_version=version)


def _changed(contract: Contract, event: Event) -> Contract:
    """Return a contract after an event that changed what is agreed."""
    replace = msgspec.structs.replace
    match event:
        case ContractPhaseScheduled(from_time=from_time, replace_later=replaces):
            times = tuple(each for each in contract.scheduled_times if each < from_time or not replaces)
            times = tuple(sorted({*times, from_time}))
            phases = phases_with(contract.phases, from_time, event.phases)
            return replace(contract, phases=phases, scheduled_times=times)
        case TrialExtended(from_time=from_time, phases=later):
            return replace(contract, phases=phases_with(contract.phases, from_time, later))
        case PlanChanged(from_time=from_time, plan=plan, plan_version=number, phases=later):
            times = (*(each for each in contract.scheduled_times if each < from_time), from_time)
            phases = phases_with(contract.phases, from_time, later)
            return replace(contract, plan=plan, plan_version=number, phases=phases, scheduled_times=times)
        case ContractEnded(end_time=end_time):
            phases = phases_with(contract.phases, end_time, ())
            return replace(contract, phases=phases, end_time=end_time)
        case _:
            raise AssertionError(f"{type(event).__name__} is not an event of a contract")


def phases_with(
    phases: tuple[ContractPhase, ...], from_time: datetime, later: tuple[ContractPhase, ...]
) -> tuple[ContractPhase, ...]:
    """Return the phases with `later` in place of whatever lay from an instant on."""
    return (*phases_until(phases, from_time), *later)


def phases_until(phases: tuple[ContractPhase, ...], end: datetime | None) -> tuple[ContractPhase, ...]:
    """Return what lies before an instant; None: everything."""
    if end is None:
        return phases
    return tuple(
        phase
        if phase.to_time is not None and phase.to_time <= end
        else msgspec.structs.replace(phase, to_time=end)
        for phase in phases
        if phase.from_time < end
    )


def sign_contract(
    contract: Contract | None, plan: Plan | None, wallet: Wallet, command: SignContract, now: datetime
) -> list[Draft]:
    """Return the signing and the wallet's policy of each phase, effective from the phase's instant.

    Raises ContractExists, PlanNotFound, CustomerMismatch, AssetMismatch and what the checks of its fields raise.
    """
    _check_cycle(command.cycle)
    if contract is not None:
        raise ContractExists(f"{command.contract} was signed before", field="contract_id")
    terms = plan_version(plan, command.plan, command.plan_version, field="contract.")
    if wallet.customer != command.customer:
        raise CustomerMismatch(f"{command.wallet} belongs to {wallet.customer}", field="contract.customer")
    if wallet.asset != terms.asset:
        raise AssetMismatch(
            f"{command.wallet} counts {wallet.asset.code}/{wallet.asset.scale}, "
            f"the plan {terms.asset.code}/{terms.asset.scale}",
            field="contract.wallet",
        )
    phases = schedule(terms.phases, command.start_time, command.cycle.zone)
    check_wallet_is_free(command.wallet, wallet, command.contract, phases, field="contract.wallet")
    signed = ContractSigned(
        customer=command.customer,
        wallet=command.wallet,
        plan=command.plan,
        plan_version=terms.plan_version,
        asset=terms.asset,
        start_time=command.start_time,
        cycle=command.cycle,
        phases=phases,
    )
    policies = policies_of(command.contract, command.wallet, wallet, phases, command.cycle)
    return [Draft(command.contract, signed, now, answers=True), *policies]


def check_wallet_is_free(
    name: str, wallet: Wallet, contract: str, phases: tuple[ContractPhase, ...], *, field: str
) -> None:
    """Refuse phases at a time when another contract decides the wallet's policy. Raises ContractExists."""
    from_time, to_time = phases[0].from_time, phases[-1].to_time
    for other in bindings(wallet):
        begins_before = to_time is None or other.from_time < to_time
        ends_after = other.to_time is None or other.to_time > from_time
        if other.contract != contract and begins_before and ends_after:
            raise ContractExists(
                f"{name} is bound to {other.contract} from {other.from_time.isoformat()}", field=field
            )


def policies_of(
    contract: str,
    wallet_name: str,
    wallet: Wallet,
    phases: tuple[ContractPhase, ...],
    cycle: Cycle,
    *,
    replaces_later: bool = False,
    ends: bool = True,
) -> list[Draft]:
    """Return what the wallet is told of phases, and of the contract's end if the last one has one.

    With `replaces_later` the first of them takes the place of all that the wallet was told of the contract
    for its instant and later ones.
    """
    changes = [
        Draft(
            wallet_name,
            WalletPolicyChanged(
                contract,
                phase.terms.key,
                phase.terms.shortfall_mode,
                phase.terms.overage_limit_units,
                replaces_later=replaces_later and index == 0,
                spend_cap=spend_cap_of(phase.terms, cycle),
                alert_percents=phase.terms.alert_percents,
            ),
            phase.from_time,
        )
        for index, phase in enumerate(phases)
    ]
    end_time = phases[-1].to_time
    if end_time is not None and ends:
        changes.append(end_policy(contract, wallet_name, wallet, end_time))
    return changes


def end_policy(
    contract: str, wallet_name: str, wallet: Wallet, end_time: datetime, *, replaces_later: bool = False
) -> Draft:
    """Return what the wallet is told of a contract's end: what it was told itself applies again."""
    own = own_policy(wallet)
    event = WalletPolicyChanged(
        "",
        "",
        own.shortfall_mode,
        own.overage_limit_units,
        ended_contract=contract,
        replaces_later=replaces_later,
    )
    return Draft(wallet_name, event, end_time)


def _check_cycle(cycle: Cycle) -> None:
    check_range(cycle.count, low=1, high=CYCLE_COUNT_MAX, field="contract.cycle.count")
    check_zone(cycle.zone, field="contract.cycle.zone")
