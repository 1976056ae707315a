"""Plans and contracts: what is offered and what was agreed.

A plan version never changes. Signing a contract turns the plan's phases into instants and hands the wallet the
policy of each phase from its instant, in the same commit. Where the last phase ends, so does the contract: from
there on the policy that the wallet was opened with applies again.
"""

from __future__ import annotations

import re
from datetime import datetime
from itertools import zip_longest
from typing import Final

import msgspec

from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.calendar import add_periods, check_period, check_zone
from ledger_service.domain.commands import PublishPlan, SignContract
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    ContractPhase,
    ContractSigned,
    Cycle,
    Event,
    Fact,
    PlanPhase,
    PlanPublished,
    WalletPolicyChanged,
)
from ledger_service.domain.names import (
    check_asset,
    check_money,
    check_name,
    check_range,
    check_text,
    check_unit_price,
)
from ledger_service.domain.refusals import (
    AssetMismatch,
    ContractExists,
    CustomerMismatch,
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    PlanNotFound,
    RateCardNotFound,
)
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.state import Wallet, own_policy

PHASES_MAX: Final = 16
CYCLE_COUNT_MAX: Final = 120
_PHASE_KEY: Final = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)


class Plan(msgspec.Struct, frozen=True):
    """All versions of a plan; the version is the index plus 1."""

    versions: tuple[PlanPublished, ...]


class Contract(msgspec.Struct, frozen=True):
    """A contract as signed."""

    signed: ContractSigned


def evolve_plan(plan: Plan | None, fact: Fact[Event], version: int) -> Plan:  # noqa: ARG001
    """Return the state after an event of the plan's stream."""
    match fact.event:
        case PlanPublished() as published:
            return Plan((*(plan.versions if plan else ()), published))
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of a plan")


def evolve_contract(contract: Contract | None, fact: Fact[Event], version: int) -> Contract:  # noqa: ARG001
    """Return the state after an event of the contract's stream."""
    match fact.event:
        case ContractSigned() as signed:
            return Contract(signed)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of a contract")


def publish_plan(
    plan: Plan | None, cards: dict[str, RateCard | None], command: PublishPlan, now: datetime
) -> list[Draft]:
    """Return the publication of the next version; `cards` holds the rate cards that the phases name.

    Raises RateCardNotFound, AssetMismatch and what the checks of its fields raise.
    """
    check_asset(command.asset, field="plan.asset")
    check_text(command.display_name, field="plan.display_name")
    _check_phases(command.phases)
    for index, phase in enumerate(command.phases):
        card = cards[phase.rate_card]
        if card is None:
            raise RateCardNotFound(
                f"{phase.rate_card} does not exist", field=f"plan.phases[{index}].rate_card"
            )
        if card.asset != command.asset:
            raise AssetMismatch(
                f"{phase.rate_card} prices in {card.asset.code}/{card.asset.scale}, "
                f"the plan counts {command.asset.code}/{command.asset.scale}",
                field="plan.asset",
            )
    number = len(plan.versions) + 1 if plan else 1
    event = PlanPublished(number, command.asset, command.phases, command.display_name)
    return [Draft(command.plan, event, now, answers=True)]


def sign_contract(
    contract: Contract | None, plan: Plan | None, wallet: Wallet, command: SignContract, now: datetime
) -> list[Draft]:
    """Return the signing and the wallet's policy of each phase, effective from the phase's instant.

    Raises ContractExists, PlanNotFound, CustomerMismatch, AssetMismatch and what the checks of its fields raise.
    """
    _check_cycle(command.cycle)
    if contract is not None:
        raise ContractExists(f"{command.contract} was signed before", field="contract_id")
    terms = _plan_version(plan, command)
    if wallet.customer != command.customer:
        raise CustomerMismatch(f"{command.wallet} belongs to {wallet.customer}", field="contract.customer")
    if wallet.asset != terms.asset:
        raise AssetMismatch(
            f"{command.wallet} counts {wallet.asset.code}/{wallet.asset.scale}, "
            f"the plan {terms.asset.code}/{terms.asset.scale}",
            field="contract.wallet",
        )
    bound = next((policy.contract for policy in wallet.policies if policy.contract), "")
    if bound:
        raise ContractExists(f"{command.wallet} is bound to {bound}", field="contract.wallet")
    phases = _schedule(terms.phases, command.start_time, command.cycle.zone)
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
    return [Draft(command.contract, signed, now, answers=True), *_policies(wallet, command, phases)]


def _policies(wallet: Wallet, command: SignContract, phases: tuple[ContractPhase, ...]) -> list[Draft]:
    changes = [
        Draft(
            command.wallet,
            WalletPolicyChanged(
                command.contract,
                phase.terms.key,
                phase.terms.shortfall_mode,
                phase.terms.overage_limit_units,
            ),
            phase.from_time,
        )
        for phase in phases
    ]
    end_time = phases[-1].to_time
    if end_time is not None:
        # Nothing is agreed any more: what the wallet itself was told applies again.
        opened = own_policy(wallet)
        own = WalletPolicyChanged("", "", opened.shortfall_mode, opened.overage_limit_units)
        changes.append(Draft(command.wallet, own, end_time))
    return changes


def _plan_version(plan: Plan | None, command: SignContract) -> PlanPublished:
    if plan is None:
        raise PlanNotFound(f"{command.plan} does not exist", field="contract.plan")
    number = command.plan_version or len(plan.versions)
    if not 1 <= number <= len(plan.versions):
        raise PlanNotFound(f"{command.plan} has no version {number}", field="contract.plan_version")
    return plan.versions[number - 1]


def _schedule(phases: tuple[PlanPhase, ...], start: datetime, zone: str) -> tuple[ContractPhase, ...]:
    ends = add_periods(start, [phase.duration for phase in phases if phase.duration], zone)
    # Only the last phase may lack an end.
    spans = zip_longest([start, *ends][: len(phases)], ends)
    return tuple(ContractPhase(begin, phase, end) for phase, (begin, end) in zip(phases, spans, strict=True))


def _check_phases(phases: tuple[PlanPhase, ...]) -> None:
    if not phases:
        raise FieldRequired("plan.phases is required", field="plan.phases")
    if len(phases) > PHASES_MAX:
        raise FieldTooLong(f"plan.phases exceeds {PHASES_MAX} phases", field="plan.phases")
    if len({phase.key for phase in phases}) < len(phases):
        raise FieldMalformed("plan.phases names a key twice", field="plan.phases")
    for index, phase in enumerate(phases):
        _check_phase(phase, field=f"plan.phases[{index}]")
        if not phase.duration and index < len(phases) - 1:
            raise FieldRequired(
                f"plan.phases[{index}].duration is required: only the last phase has no end",
                field=f"plan.phases[{index}].duration",
            )


def _check_phase(phase: PlanPhase, *, field: str) -> None:
    if _PHASE_KEY.fullmatch(phase.key) is None:
        raise FieldMalformed(
            f"{field}.key {phase.key[:80]!r} must be 1 to 64 of a-z, 0-9, _ and -", field=f"{field}.key"
        )
    check_name(phase.rate_card, collection="rateCards", field=f"{field}.rate_card")
    if phase.duration:
        check_period(phase.duration, field=f"{field}.duration")
    if phase.base_fee is not None:
        check_money(phase.base_fee, field=f"{field}.base_fee")
    check_range(phase.included_units, low=0, high=UNITS_MAX, field=f"{field}.included_units")
    check_range(phase.overage_limit_units, low=0, high=UNITS_MAX, field=f"{field}.overage_limit_units")
    if phase.overage_price is not None:
        check_unit_price(phase.overage_price, field=f"{field}.overage_price")


def _check_cycle(cycle: Cycle) -> None:
    check_range(cycle.count, low=1, high=CYCLE_COUNT_MAX, field="contract.cycle.count")
    check_zone(cycle.zone, field="contract.cycle.zone")
