"""How a credit note is computed. Pure.

Laws, which decisions, verification and tests share:
- A line is never credited beyond its amount, an invoice neither beyond its net amount nor beyond its total: each
  note counts the earlier ones, and of a fee in advance what later invoices have returned (`credited_fees`).
- Tax follows in proportion. What all notes together have credited of a tax is that tax × net credited ÷ net
  invoiced, rounded half up to the minor unit, and a note's tax is by how much that grew. So notes that credit the
  whole net amount credit the whole tax, and never more, however many they are.
- A note is computed from its invoice, what was returned of it, the earlier notes and its order alone, and holds the
  order: it can be computed again for ever.

A net amount is split over the lines in proportion to what is left of each, by largest remainder. Lines below zero
are credits themselves and are not credited again; they lower what is left of the invoice. Nor is what was credited
before (CREDITED_BEFORE). A part that is unused from an instant on is credited for the time from there. Credit that an
invoice has applied is no part of its total: it was given back by the note that it came from.

What an invoice owes its customer (CREDIT_DUE) becomes notes on the invoices that it adjusts. The owing invoice has
taken the tax back already, so such a note has one line and no tax; it counts against the total of the invoice that it
is on, and against no line of it. Where no invoice has anything left, a person may let the owing invoice itself stand
for it: such a note counts against what it owes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction

import msgspec

from rating_service.domain.agreements.agreement import Money
from rating_service.domain.documents.credit_note import (
    Creditable,
    CreditableLine,
    CreditableTax,
    CreditNote,
    LineCredit,
    NoteOrder,
)
from rating_service.domain.documents.invoice_lines import LineKind
from rating_service.domain.exact import exact_text
from rating_service.domain.invoicing.proration import share_of_time
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.rounding import NANOS_PER_MAJOR, minor_unit_nanos, round_half_up, split_by_weight


def compute_credit_note(
    invoice: Creditable,
    earlier: Sequence[CreditNote],
    order: NoteOrder,
    *,
    issue_time: datetime,
    watermark_position: int,
) -> CreditNote:
    """Return the next note of an invoice; `earlier` are all notes before it, in order.

    The order's lines are lines of the invoice. Refuses CURRENCY_MISMATCH, LINE_WITHOUT_SPAN,
    AMOUNT_NOT_POSITIVE, AMOUNT_NOT_PAYABLE, CREDIT_NOTE_ABOVE_INVOICE.
    """
    lines, taxes = _settling(invoice, order) if order.settles else _taken_back(invoice, earlier, order)
    net_nanos = sum(line.nanos for line in lines)
    tax_nanos = sum(tax.nanos for tax in taxes)
    left_nanos = owed_of(invoice, earlier) if order.settles == order.invoice else left_of(invoice, earlier)
    _check_room(invoice, net_nanos + tax_nanos, left_nanos=left_nanos)
    number, currency = len(earlier) + 1, invoice.currency_code
    return CreditNote(
        name=f"creditNotes/{invoice.invoice.removeprefix('invoices/')}-{number}",
        number=number,
        order=order,
        invoice_hash=invoice.invoice_hash,
        contract=invoice.contract,
        customer=invoice.customer,
        lines=lines,
        taxes=taxes,
        net=Money(currency, net_nanos),
        tax=Money(currency, tax_nanos),
        total=Money(currency, net_nanos + tax_nanos),
        issue_time=issue_time,
        watermark_position=watermark_position,
    )


def left_of(invoice: Creditable, earlier: Sequence[CreditNote]) -> int:
    """Return how much of an invoice's total no note has credited, in nanos."""
    return invoice.total_nanos - sum(note.total.nanos for note in earlier)


def owed_of(invoice: Creditable, earlier: Sequence[CreditNote]) -> int:
    """Return how much of what an invoice owes no note on itself has settled, in nanos."""
    return invoice.owed_nanos - sum(note.total.nanos for note in earlier)


def _settling(
    invoice: Creditable, order: NoteOrder
) -> tuple[tuple[CreditableLine, ...], tuple[CreditableTax, ...]]:
    assert order.total is not None, "a note that settles an invoice says how much of it"
    nanos = _nanos(invoice, order.total)
    _check_payable(invoice, nanos)
    description = f"Credit due by {order.settles}"
    return (CreditableLine("", LineKind.CREDIT_DUE.value, description, nanos),), ()


def _taken_back(
    invoice: Creditable, earlier: Sequence[CreditNote], order: NoteOrder
) -> tuple[tuple[CreditableLine, ...], tuple[CreditableTax, ...]]:
    """Return the lines credited, in the invoice's order, and their taxes."""
    earlier_on_lines = [note for note in earlier if not note.order.settles]
    left = _left_of_lines(invoice, earlier_on_lines)
    net_before = sum(note.net.nanos for note in earlier_on_lines)
    rest_nanos = invoice.net_nanos - net_before - sum(invoice.returned.values())
    if order.lines:
        amounts = {each.line_id: _amount(invoice, left, each) for each in order.lines}
    else:
        asked = (
            _whole_nanos(invoice, earlier_on_lines, rest_nanos, left_nanos=left_of(invoice, earlier))
            if order.net_amount is None
            else _nanos(invoice, order.net_amount)
        )
        amounts = _split(invoice, left, asked, rest_nanos=rest_nanos)
    unused = {each.line_id: each.unused_from_time for each in order.lines}
    lines = tuple(
        _credited(line, amounts[line.line_id], unused.get(line.line_id))
        for line in invoice.lines
        if amounts.get(line.line_id)
    )
    net_nanos = sum(line.nanos for line in lines)
    _check_room(invoice, net_nanos, left_nanos=rest_nanos)
    return lines, _taxes(invoice, earlier_on_lines, net_after=net_before + net_nanos)


def _left_of_lines(invoice: Creditable, earlier: Sequence[CreditNote]) -> dict[str, int]:
    """Return what is left to credit of each line that has an amount above zero."""
    left = {
        line.line_id: line.nanos - invoice.returned.get(line.line_id, 0)
        for line in invoice.lines
        if line.nanos > 0 and line.kind != LineKind.CREDITED_BEFORE.value
    }
    for note in earlier:
        for line in note.lines:
            left[line.line_id] -= line.nanos
    return {line_id: max(nanos, 0) for line_id, nanos in left.items()}


def _credited(line: CreditableLine, nanos: int, unused_from: datetime | None) -> CreditableLine:
    """Return the line of a note; what is unused from an instant on is of the time from there."""
    if unused_from is None or line.from_time is None:
        return msgspec.structs.replace(line, nanos=nanos)
    return msgspec.structs.replace(line, nanos=nanos, from_time=max(line.from_time, unused_from))


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
            f"line {line.line_id} of {invoice.invoice} has {_text(invoice, left_nanos)} left to credit,"
            f" not {_text(invoice, nanos)}",
            line_id=line.line_id,
            left_nanos=str(left_nanos),
        )
    return nanos


def _split(invoice: Creditable, left: dict[str, int], nanos: int, *, rest_nanos: int) -> dict[str, int]:
    """Return amounts by line that add up to a net amount, each at most what is left of its line."""
    _check_room(invoice, nanos, left_nanos=rest_nanos)
    _check_payable(invoice, nanos)
    shares = split_by_weight(nanos, list(left.values()), step=minor_unit_nanos(invoice.currency_code))
    return dict(zip(left, shares, strict=True))


def _whole_nanos(
    invoice: Creditable, earlier: Sequence[CreditNote], rest_nanos: int, *, left_nanos: int
) -> int:
    """Return the largest net amount that is left, its tax within what is left of the total.

    At least one nano, so that an invoice of which nothing is left is refused as such.
    """
    if rest_nanos <= 0 or left_nanos <= 0:
        return max(rest_nanos, left_nanos, 0) + 1
    step = minor_unit_nanos(invoice.currency_code)
    net_before = sum(note.net.nanos for note in earlier)
    gross_nanos = rest_nanos + _tax_of(invoice, earlier, net_after=net_before + rest_nanos)
    if gross_nanos <= left_nanos:
        return rest_nanos
    nanos = rest_nanos * left_nanos // gross_nanos // step * step
    while nanos > 0 and nanos + _tax_of(invoice, earlier, net_after=net_before + nanos) > left_nanos:
        nanos -= step
    return nanos


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
    share = share_of_time(unused_from, line.to_time, whole_from=line.from_time, whole_to=line.to_time)
    return round_half_up(line.nanos * share, step=step)


def _check_payable(invoice: Creditable, nanos: int, *, line_id: str = "") -> None:
    where = {"line_id": line_id} if line_id else {}
    if nanos <= 0:
        raise Refusal(Reason.AMOUNT_NOT_POSITIVE, f"{nanos} is nothing to credit", **where)
    if nanos % minor_unit_nanos(invoice.currency_code):
        raise Refusal(
            Reason.AMOUNT_NOT_PAYABLE,
            f"{exact_text(Fraction(nanos, NANOS_PER_MAJOR))} is no amount that can be paid in {invoice.currency_code}",
            **where,
        )


def _check_room(invoice: Creditable, nanos: int, *, left_nanos: int) -> None:
    if nanos > left_nanos:
        raise Refusal(
            Reason.CREDIT_NOTE_ABOVE_INVOICE,
            f"{invoice.invoice} has {_text(invoice, max(left_nanos, 0))} left to credit, not {_text(invoice, nanos)}",
            left_nanos=str(max(left_nanos, 0)),
        )


def _text(invoice: Creditable, nanos: int) -> str:
    """Return an amount in the invoice's currency, exact, for people."""
    return f"{exact_text(Fraction(nanos, NANOS_PER_MAJOR))} {invoice.currency_code}"


def _tax_of(invoice: Creditable, earlier: Sequence[CreditNote], *, net_after: int) -> int:
    return sum(tax.nanos for tax in _taxes(invoice, earlier, net_after=net_after))


def _taxes(
    invoice: Creditable, earlier: Sequence[CreditNote], *, net_after: int
) -> tuple[CreditableTax, ...]:
    """Return each tax of a note: what its share of the net credited grows by."""
    step = minor_unit_nanos(invoice.currency_code)
    taxes = []
    for place, tax in enumerate(invoice.taxes):
        share = round_half_up(Fraction(tax.nanos * net_after, invoice.net_nanos), step=step)
        credited_before = sum(note.taxes[place].nanos for note in earlier)
        taxes.append(msgspec.structs.replace(tax, nanos=share - credited_before))
    return tuple(taxes)
