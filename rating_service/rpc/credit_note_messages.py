"""Credit notes as messages, and orders for them out of messages."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import credit_due_pb2, credit_note_pb2
from rating_service.application.credit_note_ports import OpenNote
from rating_service.application.crediting.credit_due import Owing
from rating_service.application.crediting.credit_notes import ReadNote
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Money
from rating_service.domain.documents.credit_note import (
    CreditableLine,
    CreditableTax,
    LineCredit,
    NoteOrder,
    Settlement,
)
from rating_service.rpc.messages import money, read_instant, timestamp

_SETTLEMENTS: Final = {
    Settlement.REFUND: credit_note_pb2.SETTLEMENT_REFUND,
    Settlement.CREDIT: credit_note_pb2.SETTLEMENT_CREDIT,
    Settlement.OFFSET: credit_note_pb2.SETTLEMENT_OFFSET,
}
_READ_SETTLEMENTS: Final = {number: settlement for settlement, number in _SETTLEMENTS.items()}


def read_order(request: credit_note_pb2.IssueCreditNoteRequest) -> NoteOrder:
    """Return what is asked for. Refuses FIELD_REQUIRED, FIELD_MALFORMED, TIME_MALFORMED."""
    return NoteOrder(
        invoice=request.invoice,
        settlement=read_settlement(request.settlement),
        reason=request.reason,
        lines=tuple(map(_read_line, request.lines)),
        net_amount=_read_money(request.net_amount) if request.HasField("net_amount") else None,
        whole=request.whole,
    )


def note_message(read: ReadNote) -> credit_note_pb2.CreditNote:
    """Return a note as a message."""
    note = read.note
    currency = note.total.currency_code
    return credit_note_pb2.CreditNote(
        name=note.name,
        invoice=note.order.invoice,
        contract=note.contract,
        customer=note.customer,
        settlement=_SETTLEMENTS[note.order.settlement],
        reason=note.order.reason,
        lines=[_line(line, currency) for line in note.lines],
        taxes=[_tax(tax, currency) for tax in note.taxes],
        net=money(note.net),
        tax=money(note.tax),
        total=money(note.total),
        issue_time=timestamp(note.issue_time),
        watermark_position=note.watermark_position,
        recorded_position=read.position,
        hash=read.hash,
        document=read.document,
    )


def open_credit(note: OpenNote) -> credit_note_pb2.OpenCredit:
    """Return an open credit as a message."""
    code = note.currency_code
    return credit_note_pb2.OpenCredit(
        credit_note=note.credit_note,
        issue_time=timestamp(note.issue_time),
        total=money(Money(code, note.total_nanos)),
        open=money(Money(code, note.open_nanos)),
    )


def credit_due(owing: Owing) -> credit_due_pb2.CreditDue:
    """Return what an invoice owes as a message."""
    return credit_due_pb2.CreditDue(
        invoice=owing.invoice,
        contract=owing.contract,
        issue_time=timestamp(owing.issue_time),
        due=money(owing.due),
        settled=money(owing.settled),
        left=money(owing.left),
    )


def read_settlement(number: credit_note_pb2.Settlement.ValueType) -> Settlement:
    """Return a settlement. Refuses FIELD_REQUIRED, FIELD_MALFORMED."""
    settlement = _READ_SETTLEMENTS.get(number)
    if settlement is None:
        missing = number == credit_note_pb2.SETTLEMENT_UNSPECIFIED
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED if missing else RequestReason.FIELD_MALFORMED,
            "settlement is required" if missing else f"there is no settlement {number}",
            field="settlement",
        )
    return settlement


def _read_line(message: credit_note_pb2.LineCredit) -> LineCredit:
    part = message.WhichOneof("part")
    return LineCredit(
        line_id=message.line_id,
        amount=_read_money(message.amount) if part == "amount" else None,
        unused_from_time=read_instant(message.unused_from_time, field="lines.unused_from_time")
        if part == "unused_from_time"
        else None,
    )


def _read_money(message: money_pb2.Money) -> Money:
    return Money(message.currency_code, message.nanos)


def _line(line: CreditableLine, currency: str) -> credit_note_pb2.CreditNoteLine:
    return credit_note_pb2.CreditNoteLine(
        line_id=line.line_id,
        description=line.description,
        amount=money(Money(currency, line.nanos)),
        from_time=timestamp(line.from_time),
        to_time=timestamp(line.to_time),
    )


def _tax(tax: CreditableTax, currency: str) -> credit_note_pb2.CreditNoteTax:
    return credit_note_pb2.CreditNoteTax(
        name=tax.name,
        percent=tax.percent,
        jurisdiction=tax.jurisdiction,
        amount=money(Money(currency, tax.nanos)),
    )
