"""What may happen to a contract after it was signed: other terms, a longer trial, another plan, its end.

Each takes effect at an instant that is not past, and nothing earlier moves. Phases follow each other without a
gap, so what begins at an instant ends what was in force there.

A phase that was scheduled for an instant keeps it, and so does what follows it; phases that only follow a trial
begin where the trial ends. The end that was asked for holds whatever is scheduled before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import dropwhile, takewhile
from typing import Final

import msgspec

from ledger_service.domain.agreement.contract import (
    Contract,
    check_wallet_is_free,
    end_policy,
    phases_until,
    policies_of,
)
from ledger_service.domain.agreement.cycles import cycle_end
from ledger_service.domain.agreement.phase_cards import cards_of, check_card_counts
from ledger_service.domain.agreement.plan import Plan, check_phase, plan_version, schedule
from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import ChangePlan, EndContract, ExtendTrial, ScheduleContractPhase
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    ContractEnded,
    ContractPhase,
    ContractPhaseScheduled,
    PlanChanged,
    PlanPhase,
    TrialExtended,
)
from ledger_service.domain.refusals import (
    AssetMismatch,
    ContractChanged,
    ContractNotInForce,
    ExtensionNotLater,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    PhaseInPast,
    PhaseIsLast,
    PhaseNotFound,
    PhaseOverlaps,
)
from ledger_service.domain.values import ChangeTiming
from ledger_service.domain.wallet.state import Wallet

SCHEDULED_MAX: Final = 1_000
"""Instants for which phases of one contract may have been scheduled."""
PATHS: Final = tuple(name for name in PlanPhase.__struct_fields__ if name != "duration")
"""Terms that a scheduled phase may change; how long it lasts is said by instants."""


def schedule_phase(
    contract: Contract,
    cards: Mapping[str, RateCard | None],
    wallet: Wallet,
    command: ScheduleContractPhase,
    now: datetime,
) -> list[Draft]:
    """Return the scheduling of a phase; it lasts as long as the phase in force at its instant would have.

    With `replace_later` it lasts up to the contract's end, in place of all phases after it. `cards` holds the
    rate cards that the command names. Raises PhaseInPast, ContractNotInForce, RateCardNotFound, AssetMismatch,
    CardsAmbiguous and what the checks of its fields raise.
    """
    _check_paths(command.paths)
    from_time = _instant(command.from_time, now, field="from_time")
    _check_scheduled(contract)
    replaced = _phase_at(command.contract, contract, from_time, field="from_time")
    terms = _with_paths(replaced.terms, command)
    check_phase(terms, field="terms")
    for field, name in named_cards(command):
        field = f"terms.{field}"
        check_card_counts(cards[name], name, contract.signed.asset, field=field, asset_field=field)
    later = tuple(phase for phase in contract.phases if phase.from_time > from_time)
    to_time = replaced.to_time
    if command.replace_later:
        to_time, later = contract.phases[-1].to_time, ()
    phase = ContractPhase(from_time, terms, to_time)
    event = ContractPhaseScheduled(from_time, command.paths, (phase, *later), command.replace_later)
    replaces = command.replace_later
    policies = policies_of(
        command.contract,
        command.wallet,
        wallet,
        (phase,),
        contract.signed.cycle,
        replaces_later=replaces,
        ends=replaces,
    )
    return [Draft(command.contract, event, from_time, answers=True), *policies]


def named_cards(command: ScheduleContractPhase) -> list[tuple[str, str]]:
    """Return the rate cards that a command names, each with the path of its field."""
    return [(path, name) for path, name in cards_of(command.terms) if path.partition("[")[0] in command.paths]


def extend_trial(contract: Contract, wallet: Wallet, command: ExtendTrial, now: datetime) -> list[Draft]:
    """Return the extension; the phases that follow begin at the new end, their durations counted anew.

    Raises PhaseNotFound, PhaseIsLast, PhaseInPast, ExtensionNotLater, PhaseOverlaps, ContractExists,
    TimeMalformed.
    """
    trial = _trial(contract, command, now)
    old_end, new_end = trial.to_time, command.end_time
    assert old_end is not None, "a phase that another follows has an end"
    if new_end <= old_end:
        raise ExtensionNotLater(f"phase {trial.terms.key} ends at {old_end.isoformat()}", field="end_time")
    fixed_time = next((each for each in contract.scheduled_times if each >= old_end), contract.end_time)
    if fixed_time is not None and new_end >= fixed_time:
        raise PhaseOverlaps(
            f"what is agreed for {fixed_time.isoformat()} keeps its instant", field="end_time"
        )
    following = [phase for phase in contract.phases if phase.from_time >= old_end]
    moving = list(takewhile(lambda phase: fixed_time is None or phase.from_time < fixed_time, following))
    staying = tuple(dropwhile(lambda phase: phase in moving, following))
    moved = schedule(tuple(phase.terms for phase in moving), new_end, contract.signed.cycle.zone)
    if fixed_time is not None:
        moved = _filled(moved, fixed_time)
    extended = msgspec.structs.replace(trial, to_time=new_end)
    phases = (extended, *moved, *staying)
    event = TrialExtended(trial.terms.key, trial.from_time, new_end, old_end, phases)
    check_wallet_is_free(command.wallet, wallet, command.contract, phases, field="end_time")
    # The wallet is told of the trial from its begin, so that it holds one policy however often a trial is extended.
    cycle = contract.signed.cycle
    policies = policies_of(command.contract, command.wallet, wallet, phases, cycle, replaces_later=True)
    return [Draft(command.contract, event, old_end, answers=True), *policies]


def change_plan(
    contract: Contract, plan: Plan | None, wallet: Wallet, command: ChangePlan, now: datetime
) -> list[Draft]:
    """Return the change; the new plan's phases take the place of all that lay from its instant on.

    The plan's first phase is left out if another follows it, unless `take_trial` asks for it.
    Raises ContractChanged, PhaseInPast, ContractNotInForce, PlanNotFound, AssetMismatch, ContractExists,
    FieldNotAllowed, TimeMalformed.
    """
    _check_unchanged(contract, command)
    from_time = _change_time(contract, command, now)
    _check_scheduled(contract)
    replaced = _phase_at(command.contract, contract, from_time, field="from_time")
    offered = plan_version(plan, command.plan, command.plan_version)
    if offered.asset != contract.signed.asset:
        raise AssetMismatch(
            f"{command.contract} counts {contract.signed.asset.code}/{contract.signed.asset.scale}, "
            f"the plan {offered.asset.code}/{offered.asset.scale}",
            field="plan",
        )
    skips = len(offered.phases) > 1 and not command.take_trial
    phases = schedule(offered.phases[skips:], from_time, contract.signed.cycle.zone)
    if contract.end_time is not None:
        phases = _filled(phases, contract.end_time)
    check_wallet_is_free(command.wallet, wallet, command.contract, phases, field="plan")
    event = PlanChanged(
        from_time=from_time,
        plan=command.plan,
        plan_version=offered.plan_version,
        timing=command.timing,
        phases=phases,
        previous_plan=contract.plan,
        previous_plan_version=contract.plan_version,
        previous_terms=replaced.terms,
        take_trial=command.take_trial,
    )
    cycle = contract.signed.cycle
    policies = policies_of(command.contract, command.wallet, wallet, phases, cycle, replaces_later=True)
    return [Draft(command.contract, event, from_time, answers=True), *policies]


def end_contract(contract: Contract, wallet: Wallet, command: EndContract, now: datetime) -> list[Draft]:
    """Return the end; one at or before the contract's start means that it never begins.

    Raises PhaseInPast, ContractNotInForce.
    """
    end_time = _instant(command.end_time, now, field="end_time")
    last_end = contract.phases[-1].to_time if contract.phases else contract.end_time
    if last_end is not None and end_time >= last_end:
        raise ContractNotInForce(f"{command.contract} ends at {last_end.isoformat()}", field="end_time")
    begin = max(end_time, contract.signed.start_time)
    policy = end_policy(command.contract, command.wallet, wallet, begin, replaces_later=True)
    return [Draft(command.contract, ContractEnded(end_time), end_time, answers=True), policy]


def _check_paths(paths: tuple[str, ...]) -> None:
    if not paths:
        raise FieldRequired("update_mask is required", field="update_mask")
    unknown = next((path for path in paths if path not in PATHS), None)
    if unknown is not None:
        raise FieldMalformed(
            f"update_mask {unknown[:80]!r} is none of {', '.join(PATHS)}", field="update_mask"
        )


def _check_unchanged(contract: Contract, command: ChangePlan) -> None:
    if command.expected_change_version not in (0, contract.change_version):
        raise ContractChanged(
            f"{command.contract} is at change_version {contract.change_version}, "
            f"not {command.expected_change_version}",
            field="expected_change_version",
            change_version=str(contract.change_version),
        )


def _check_scheduled(contract: Contract) -> None:
    if len(contract.scheduled_times) >= SCHEDULED_MAX:
        raise FieldTooLong(f"a contract takes at most {SCHEDULED_MAX} scheduled phases", field="name")


def _instant(asked: datetime | None, now: datetime, *, field: str) -> datetime:
    if asked is not None and asked < now:
        raise PhaseInPast(f"{field} lies before the server's clock, {now.isoformat()}", field=field)
    return asked or now


def _change_time(contract: Contract, command: ChangePlan, now: datetime) -> datetime:
    if command.timing is ChangeTiming.AT_ONCE:
        return _instant(command.from_time, now, field="from_time")
    if command.from_time is not None:
        raise FieldNotAllowed("the end of the cycle is the instant", field="from_time")
    return cycle_end(contract.signed.cycle, max(now, contract.signed.start_time))


def _phase_at(name: str, contract: Contract, instant: datetime, *, field: str) -> ContractPhase:
    for phase in contract.phases:
        if phase.from_time <= instant and (phase.to_time is None or instant < phase.to_time):
            return phase
    raise ContractNotInForce(f"{name} is not in force at {instant.isoformat()}", field=field)


def _with_paths(terms: PlanPhase, command: ScheduleContractPhase) -> PlanPhase:
    changes = {path: getattr(command.terms, path) for path in command.paths}
    return msgspec.structs.replace(terms, duration="", **changes)


def _trial(contract: Contract, command: ExtendTrial, now: datetime) -> ContractPhase:
    phase = next((each for each in reversed(contract.phases) if each.terms.key == command.key), None)
    if phase is None:
        raise PhaseNotFound(f"{command.contract} has no phase {command.key[:80]!r}", field="key")
    if phase is contract.phases[-1]:
        raise PhaseIsLast(f"no phase follows {phase.terms.key}", field="key")
    assert phase.to_time is not None, "a phase that another follows has an end"
    if phase.to_time <= now:
        raise PhaseInPast(f"phase {phase.terms.key} ended at {phase.to_time.isoformat()}", field="key")
    return phase


def _filled(phases: tuple[ContractPhase, ...], end: datetime) -> tuple[ContractPhase, ...]:
    """Return phases up to an instant; if they end before it, the last one lasts until then."""
    kept = phases_until(phases, end)
    return (*kept[:-1], msgspec.structs.replace(kept[-1], to_time=end))
