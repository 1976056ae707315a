"""Records of invoices and credit notes: requests read into commands, events written for the wire."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import billing_records_pb2
from ledger_service.domain.commands import RecordCreditNote, RecordInvoice
from ledger_service.domain.events import BilledAmount, CreditNoteIssued, InvoiceIssued
from ledger_service.domain.names import check_idempotency_key, check_name
from ledger_service.domain.refusals import FieldRequired, ValueUnspecified
from ledger_service.domain.values import InvoiceKind, NoteSettlement
from ledger_service.rpc.values import read_time, write_time

KIND: Final = {
    billing_records_pb2.INVOICE_KIND_CYCLE: InvoiceKind.CYCLE,
    billing_records_pb2.INVOICE_KIND_THRESHOLD: InvoiceKind.THRESHOLD,
    billing_records_pb2.INVOICE_KIND_FINAL: InvoiceKind.FINAL,
    billing_records_pb2.INVOICE_KIND_ADVANCE: InvoiceKind.ADVANCE,
}
SETTLEMENT: Final = {
    billing_records_pb2.NOTE_SETTLEMENT_REFUND: NoteSettlement.REFUND,
    billing_records_pb2.NOTE_SETTLEMENT_CREDIT: NoteSettlement.CREDIT,
    billing_records_pb2.NOTE_SETTLEMENT_OFFSET: NoteSettlement.OFFSET,
}
KIND_WIRE: Final = {value: key for key, value in KIND.items()}
SETTLEMENT_WIRE: Final = {value: key for key, value in SETTLEMENT.items()}

Documents = (
    billing_records_pb2.IssuedInvoice
    | billing_records_pb2.IssuedCreditNote
    | billing_records_pb2.BilledAmount
)


def read_record_invoice(request: billing_records_pb2.RecordInvoiceRequest) -> RecordInvoice:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="contracts", field="name")
    check_idempotency_key(request.idempotency_key)
    issued = request.issued
    kind = KIND.get(issued.kind)
    if kind is None:
        raise ValueUnspecified("issued.kind must be CYCLE, THRESHOLD, FINAL or ADVANCE", field="issued.kind")
    event = InvoiceIssued(
        invoice=issued.invoice,
        kind=kind,
        cycle_start_time=_required(issued, "cycle_start_time"),
        cycle_end_time=_required(issued, "cycle_end_time"),
        watermark_position=issued.watermark_position,
        document_hash=issued.document_hash,
        issue_time=_required(issued, "issue_time"),
        currency_code=issued.currency_code,
        amounts=_amounts(issued),
        tax_nanos=issued.tax_nanos,
        total_nanos=issued.total_nanos,
    )
    return RecordInvoice(request.name, event)


def read_record_credit_note(request: billing_records_pb2.RecordCreditNoteRequest) -> RecordCreditNote:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="contracts", field="name")
    check_idempotency_key(request.idempotency_key)
    issued = request.issued
    settlement = SETTLEMENT.get(issued.settlement)
    if settlement is None:
        raise ValueUnspecified(
            "issued.settlement must be REFUND, CREDIT or OFFSET", field="issued.settlement"
        )
    event = CreditNoteIssued(
        credit_note=issued.credit_note,
        invoice=issued.invoice,
        settlement=settlement,
        document_hash=issued.document_hash,
        issue_time=_required(issued, "issue_time"),
        currency_code=issued.currency_code,
        amounts=_amounts(issued),
        tax_nanos=issued.tax_nanos,
        total_nanos=issued.total_nanos,
        reason=issued.reason,
    )
    return RecordCreditNote(request.name, event)


def write_issued_invoice(event: InvoiceIssued) -> billing_records_pb2.IssuedInvoice:
    """Return what was recorded of an invoice."""
    return billing_records_pb2.IssuedInvoice(
        invoice=event.invoice,
        kind=KIND_WIRE[event.kind],
        cycle_start_time=write_time(event.cycle_start_time),
        cycle_end_time=write_time(event.cycle_end_time),
        watermark_position=event.watermark_position,
        document_hash=event.document_hash,
        issue_time=write_time(event.issue_time),
        currency_code=event.currency_code,
        amounts=map(_write_amount, event.amounts),
        tax_nanos=event.tax_nanos,
        total_nanos=event.total_nanos,
    )


def write_issued_credit_note(event: CreditNoteIssued) -> billing_records_pb2.IssuedCreditNote:
    """Return what was recorded of a credit note."""
    return billing_records_pb2.IssuedCreditNote(
        credit_note=event.credit_note,
        invoice=event.invoice,
        settlement=SETTLEMENT_WIRE[event.settlement],
        document_hash=event.document_hash,
        issue_time=write_time(event.issue_time),
        currency_code=event.currency_code,
        amounts=map(_write_amount, event.amounts),
        tax_nanos=event.tax_nanos,
        total_nanos=event.total_nanos,
        reason=event.reason,
    )


def _amounts(
    issued: billing_records_pb2.IssuedInvoice | billing_records_pb2.IssuedCreditNote,
) -> tuple[BilledAmount, ...]:
    return tuple(
        _read_amount(amount, within=f"issued.amounts[{index}].")
        for index, amount in enumerate(issued.amounts)
    )


def _read_amount(amount: billing_records_pb2.BilledAmount, *, within: str) -> BilledAmount:
    return BilledAmount(
        kind=amount.kind,
        nanos=amount.nanos,
        from_time=_optional(amount, "from_time", within=within),
        to_time=_optional(amount, "to_time", within=within),
        product=amount.product,
    )


def _write_amount(amount: BilledAmount) -> billing_records_pb2.BilledAmount:
    return billing_records_pb2.BilledAmount(
        kind=amount.kind,
        nanos=amount.nanos,
        from_time=write_time(amount.from_time) if amount.from_time else None,
        to_time=write_time(amount.to_time) if amount.to_time else None,
        product=amount.product,
    )


def _required(message: Documents, name: str) -> datetime:
    found = _optional(message, name, within="issued.")
    if found is None:
        raise FieldRequired(f"issued.{name} is required", field=f"issued.{name}")
    return found


def _optional(message: Documents, name: str, *, within: str) -> datetime | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    timestamp: Timestamp = getattr(message, name)
    return read_time(timestamp, field=f"{within}{name}")
