"""Identity of commands on rate cards, plans and contracts; see `identity`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from ledger_service.domain.commands import (
    AcceptRateCardPhase,
    ChangePlan,
    CreateRateCard,
    EndContract,
    ExtendTrial,
    PublishPlan,
    PublishRateCardPhase,
    RecordCreditNote,
    RecordInvoice,
    RejectRateCardPhase,
    ScheduleContractPhase,
    SignContract,
    WithdrawRateCardPhase,
)
from ledger_service.domain.events import (
    ContractEnded,
    ContractPhaseScheduled,
    ContractSigned,
    CreditNoteIssued,
    Event,
    InvoiceIssued,
    PlanChanged,
    PlanPhase,
    PlanPublished,
    RateCardCreated,
    RateCardPhaseAccepted,
    RateCardPhaseProposed,
    RateCardPhasePublished,
    RateCardPhaseRejected,
    RateCardPhaseWithdrawn,
    TrialExtended,
)
from ledger_service.domain.values import ChangeTiming

Identity = dict[str, Any]
"""Field by field, in the order in which differences are named; values are compared and encoded, never read."""

AgreementCommand = (
    CreateRateCard
    | PublishRateCardPhase
    | WithdrawRateCardPhase
    | AcceptRateCardPhase
    | RejectRateCardPhase
    | PublishPlan
    | SignContract
    | ScheduleContractPhase
    | ExtendTrial
    | ChangePlan
    | EndContract
    | RecordInvoice
    | RecordCreditNote
)


def identity_of_agreement(command: AgreementCommand) -> Identity:
    """Return what makes the command itself, beside its stream."""
    match command:
        case CreateRateCard() | WithdrawRateCardPhase() | RejectRateCardPhase():
            return fields(command, "rate_card")
        case AcceptRateCardPhase():
            # By which re-rating it is accepted is evidence: asked for again later, it is the same acceptance.
            return fields(command, "rate_card", "watermark_position", "rerating_hash")
        case PublishRateCardPhase():
            return fields(command, "rate_card", "retroactive")
        case PublishPlan():
            return fields(command, "plan")
        case SignContract():
            return fields(command, "contract")
        case ScheduleContractPhase():
            return _scheduled(command, command.terms, command.from_time)
        case ExtendTrial() | ChangePlan() | EndContract():
            return fields(command, "contract", "wallet", "expected_change_version")
        case RecordInvoice() | RecordCreditNote():
            return _issued(command.issued)


def recorded_agreement(event: Event, effective_time: datetime | None) -> Identity:
    """Return the same of the event that answered; `effective_time` is None if it is what "now" became."""
    match event:
        case RateCardCreated() | RateCardPhaseWithdrawn() | RateCardPhaseRejected():
            return fields(event)
        case RateCardPhaseAccepted():
            return fields(event, "watermark_position", "rerating_hash")
        case RateCardPhaseProposed(proposed=phase) | (RateCardPhasePublished() as phase):
            return fields(phase, "phase", "phase_hash")
        case PlanPublished():
            return fields(event, "plan_version")
        case _:
            return _recorded_contract(event, effective_time)


def _recorded_contract(event: Event, effective_time: datetime | None) -> Identity:
    match event:
        case ContractSigned():
            return fields(event, "asset", "phases")
        case ContractPhaseScheduled():
            return _scheduled(event, event.phases[0].terms, effective_time)
        case TrialExtended():
            return {"key": event.key, "end_time": event.end_time}
        case PlanChanged():
            at_once = event.timing is ChangeTiming.AT_ONCE
            changed = fields(event, "phases", "previous_plan", "previous_plan_version", "previous_terms")
            return changed | {"from_time": effective_time if at_once else None}
        case ContractEnded():
            return {"end_time": effective_time}
        case InvoiceIssued() | CreditNoteIssued():
            return _issued(event)
        case _:
            raise AssertionError(f"{type(event).__name__} answers no command")


def fields(struct: msgspec.Struct, *without: str) -> Identity:
    """Return the fields of a struct by name, some left out."""
    return {name: getattr(struct, name) for name in struct.__struct_fields__ if name not in without}


def _issued(document: InvoiceIssued | CreditNoteIssued) -> Identity:
    return {f"issued.{name}": value for name, value in fields(document).items()}


def _scheduled(
    change: ScheduleContractPhase | ContractPhaseScheduled, terms: PlanPhase, from_time: datetime | None
) -> Identity:
    """Return what a phase was asked to differ in, and no more: the rest of its terms it took over."""
    named = {f"terms.{path}": getattr(terms, path) for path in change.paths}
    asked = {"from_time": from_time, "update_mask": change.paths, "replace_later": change.replace_later}
    return asked | named
