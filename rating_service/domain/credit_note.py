"""Credit notes: what is taken back of an issued invoice. Pure.

Laws, which decisions, verification and tests share:
- A line is never credited beyond its amount, nor an invoice beyond its net amount: each note counts the earlier ones.
- Tax follows in proportion. What all notes together have credited of a tax is that tax × net credited ÷ net
  invoiced, rounded half up to the minor unit, and a note's tax is by how much that grew. So notes that credit the
  whole net amount credit the whole tax, and never more, however many they are.
- A note is computed from its invoice, the earlier notes and its order alone, and holds the order: it can be
  computed again for ever.

A net amount is split over the lines in proportion to what is left of each, by largest remainder. Lines below zero
are credits themselves and are not credited again; they lower what is left of the invoice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum
from fractions import Fraction
from typing import Final

import msgspec

from rating_service.domain.agreement import Money, Record
from rating_service.domain.ledger_records import CreditNoteRecord, RecordedAmount
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.rounding import minor_unit_nanos, round_half_up, split_by_weight


class Settlement(Enum):
    """What becomes of the credited amount."""

    REFUND = "REFUND"
    """It is paid back."""
    CREDIT = "CREDIT"
    """The customer keeps it, and later invoices of the contract apply it."""
    OFFSET = "OFFSET"
    """It lowers what is still to be paid of the invoice itself."""


class LineCredit(Record, frozen=True):
    """What to credit of a line: an amount, the part that pays for service from an instant on, or what is left."""

    line_id: str
    amount: Money | None = None
    unused_from_time: datetime | None = None


class NoteOrder(Record, frozen=True):
    """What was asked for: single lines, a net amount over all lines, or the whole rest of the invoice."""

    invoice: str
    settlement: Settlement
    reason: str
    lines: tuple[LineCredit, ...] = ()
    net_amount: Money | None = None
    whole: bool = False


class CreditableLine(Record, frozen=True):
    """A line of an invoice: its net amount, and the span of service that it pays for if it says so."""

    line_id: str
    kind: str
    description: str
    nanos: int
    from_time: datetime | None = None
    to_time: datetime | None = None


class CreditableTax(Record, frozen=True):
    """A tax of an invoice."""

    name: str
    percent: str
    jurisdiction: str
    nanos: int


class Creditable(Record, frozen=True):
    """What credit notes need to know of an issued invoice."""

    invoice: str
    invoice_hash: str
    contract: str
    customer: str
    currency_code: str
    lines: tuple[CreditableLine, ...]
    taxes: tuple[CreditableTax, ...] = ()

    @property
    def net_nanos(self) -> int:
        """Net amount of the invoice."""
        return sum(line.nanos for line in self.lines)


class CreditNote(Record, frozen=True):
    """What was taken back of an invoice. Its lines are the invoice's, with the amounts credited; all above zero."""

    name: str
    number: int
    order: NoteOrder
    invoice_hash: str
    contract: str
    customer: str
    lines: tuple[CreditableLine, ...]
    taxes: tuple[CreditableTax, ...]
    net: Money
    tax: Money
    total: Money
    issue_time: datetime
    watermark_position: int


_MICROSECOND: Final = timedelta(microseconds=1)
_encoder: Final = msgspec.json.Encoder(order="sorted")


def note_document(note: CreditNote) -> bytes:
    """Return the note as canonical JSON: keys sorted, no spaces, integers and text only."""
    return _encoder.encode(note)


def read_note(content: bytes) -> CreditNote:
    """Return the note behind a document. Raises msgspec.ValidationError."""
    return msgspec.json.decode(content, type=CreditNote)


def compute_credit_note(
    invoice: Creditable,
    earlier: Sequence[CreditNote],
    order: NoteOrder,
    *,
    issue_time: datetime,
    watermark_position: int,
) -> CreditNote:
    """Return the next note of an invoice; `earlier` are all notes before it.

    The order's lines are lines of the invoice. Refuses CURRENCY_MISMATCH, LINE_WITHOUT_SPAN,
    AMOUNT_NOT_POSITIVE, AMOUNT_NOT_PAYABLE, CREDIT_NOTE_ABOVE_INVOICE.
    """
    left = _left_of_lines(invoice, earlier)
    credited = _credited(invoice, left, order)
    net_before = sum(note.net.nanos for note in earlier)
    net_nanos = sum(line.nanos for line in credited)
    _check_room(invoice, net_nanos, left_nanos=invoice.net_nanos - net_before)
    taxes = _taxes(invoice, earlier, net_after=net_before + net_nanos)
    tax_nanos = sum(tax.nanos for tax in taxes)
    number = len(earlier) + 1
    currency = invoice.currency_code
    return CreditNote(
        name=f"creditNotes/{invoice.invoice.removeprefix('invoices/')}-{number}",
        number=number,
        order=order,
        invoice_hash=invoice.invoice_hash,
        contract=invoice.contract,
        customer=invoice.customer,
        lines=credited,
        taxes=taxes,
        net=Money(currency, net_nanos),
        tax=Money(currency, tax_nanos),
        total=Money(currency, net_nanos + tax_nanos),
        issue_time=issue_time,
        watermark_position=watermark_position,
    )


def _left_of_lines(invoice: Creditable, earlier: Sequence[CreditNote]) -> dict[str, int]:
    """Return what is left to credit of each line that has an amount above zero."""
    left = {line.line_id: line.nanos for line in invoice.lines if line.nanos > 0}
    for note in earlier:
        for line in note.lines:
            left[line.line_id] -= line.nanos
    return left


def _credited(invoice: Creditable, left: dict[str, int], order: NoteOrder) -> tuple[CreditableLine, ...]:
    """Return the lines to credit with their amounts, in the invoice's order."""
    if order.lines:
        amounts = {each.line_id: _amount(invoice, left, each) for each in order.lines}
    else:
        amounts = _split(invoice, left, order)
    return tuple(
        msgspec.structs.replace(line, nanos=amounts[line.line_id])
        for line in invoice.lines
        if amounts.get(line.line_id)
    )


def _amount(invoice: Creditable, left: dict[str, int], wanted: LineCredit) -> int:
    """Return the amount to credit of one line, at most what is left of it."""
    [line] = [line for line in invoice.lines if line.line_id == wanted.line_id]
    left_nanos = left.get(line.line_id, 0)
    if wanted.unused_from_time is not None:
        nanos = _unused_nanos(line, wanted.unused_from_time, step=minor_unit_nanos(invoice.currency_code))
    else:
        nanos = left_nanos if wanted.amount is None else _nanos(invoice, wanted.amount)
    _check_payable(invoice, nanos, line_id=line.line_id)
    if nanos > left_nanos:
        raise Refusal(
            Reason.CREDIT_NOTE_ABOVE_INVOICE,
            f"line {line.line_id} of {invoice.invoice} has {left_nanos} nanos left to credit, not {nanos}",
            line_id=line.line_id,
            left_nanos=str(left_nanos),
        )
    return nanos


def _split(invoice: Creditable, left: dict[str, int], order: NoteOrder) -> dict[str, int]:
    """Return amounts by line that add up to the net amount asked for, or to the rest of the invoice."""
    negative_nanos = sum(line.nanos for line in invoice.lines if line.nanos < 0)
    rest_nanos = sum(left.values()) + negative_nanos
    nanos = max(rest_nanos, 1) if order.net_amount is None else _nanos(invoice, order.net_amount)
    _check_room(invoice, nanos, left_nanos=rest_nanos)
    _check_payable(invoice, nanos)
    shares = split_by_weight(nanos, list(left.values()), step=minor_unit_nanos(invoice.currency_code))
    return dict(zip(left, shares, strict=True))


def _nanos(invoice: Creditable, amount: Money) -> int:
    """Return the nanos of an amount in the invoice's currency. Refuses CURRENCY_MISMATCH."""
    if amount.currency_code != invoice.currency_code:
        raise Refusal(
            Reason.CURRENCY_MISMATCH,
            f"{invoice.invoice} is in {invoice.currency_code}, not in {amount.currency_code[:10]!r}",
            currency_code=invoice.currency_code,
        )
    return amount.nanos


def _unused_nanos(line: CreditableLine, unused_from: datetime, *, step: int) -> int:
    """Return the part of a line that pays for [unused_from, end): exact ratio of time, rounded half up."""
    if line.from_time is None or line.to_time is None:
        raise Refusal(
            Reason.LINE_WITHOUT_SPAN,
            f"line {line.line_id} is not for a span of time, so no part of it is unused from an instant on",
            line_id=line.line_id,
        )
    unused = max(line.to_time - max(unused_from, line.from_time), timedelta(0))
    share = Fraction(unused // _MICROSECOND, (line.to_time - line.from_time) // _MICROSECOND)
    return round_half_up(line.nanos * share, step=step)


def _check_payable(invoice: Creditable, nanos: int, *, line_id: str = "") -> None:
    where = {"line_id": line_id} if line_id else {}
    if nanos <= 0:
        raise Refusal(Reason.AMOUNT_NOT_POSITIVE, f"{nanos} nanos are nothing to credit", **where)
    if nanos % minor_unit_nanos(invoice.currency_code):
        raise Refusal(
            Reason.AMOUNT_NOT_PAYABLE,
            f"{nanos} nanos are no whole number of {invoice.currency_code}'s smallest unit",
            **where,
        )


def _check_room(invoice: Creditable, net_nanos: int, *, left_nanos: int) -> None:
    if net_nanos > left_nanos:
        raise Refusal(
            Reason.CREDIT_NOTE_ABOVE_INVOICE,
            f"{invoice.invoice} has {max(left_nanos, 0)} nanos left to credit before tax, not {net_nanos}",
            left_nanos=str(max(left_nanos, 0)),
        )


def _taxes(
    invoice: Creditable, earlier: Sequence[CreditNote], *, net_after: int
) -> tuple[CreditableTax, ...]:
    """Return each tax of the note: what its share of the net credited has grown by."""
    step = minor_unit_nanos(invoice.currency_code)
    taxes = []
    for place, tax in enumerate(invoice.taxes):
        share = round_half_up(Fraction(tax.nanos * net_after, invoice.net_nanos), step=step)
        credited_before = sum(note.taxes[place].nanos for note in earlier)
        taxes.append(msgspec.structs.replace(tax, nanos=share - credited_before))
    return tuple(taxes)


def note_record(note: CreditNote, note_hash: str) -> CreditNoteRecord:
    """Return what the ledger is told of a note."""
    return CreditNoteRecord(
        credit_note=note.name,
        contract=note.contract,
        invoice=note.order.invoice,
        settlement=note.order.settlement.value,
        issue_time=note.issue_time,
        document_hash=note_hash,
        currency_code=note.total.currency_code,
        amounts=tuple(
            RecordedAmount(line.kind, line.nanos, line.from_time, line.to_time) for line in note.lines
        ),
        tax_nanos=note.tax.nanos,
        total_nanos=note.total.nanos,
        reason=note.order.reason,
    )
