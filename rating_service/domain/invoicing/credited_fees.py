"""Fees billed ahead of which credit notes have given something back: the same money comes back once.

The law, for each line by which a fee was billed ahead. What the customer gets back of it is what notes on the line give
back, and what later invoices return of it because it was not used.

- A note that comes before a return counts against it with all of its amount on the line, whatever it was given for: the
  return is less by that, and never below nothing. So both together are the larger of the two, not their sum.
- A note that comes after a return finds left what is neither returned nor credited.

So both together never exceed what was billed of the line. An invoice states a return whole, as its cycle's statement
says, and beside it what each note gave back before (CREDITED_BEFORE), the oldest note first. If a return becomes less
again, no more is counted than is returned, and the newest note is let go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import TaxRate
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.credit_note import CreditableLine, CreditNote
from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.documents.invoice_lines import Adjusted, InvoiceLine, LineKey, LineKind
from rating_service.domain.invoicing.adjustments import original_key
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.invoicing.invoice_fees import FEE_KINDS
from rating_service.domain.invoicing.invoice_settlement import DueLine


class Noted(NamedTuple):
    """Invoices that may have billed cycles ahead, the notes on them, and invoices that close cycles, in order."""

    ahead: Sequence[Invoice] = ()
    notes: Sequence[CreditNote] = ()
    closing: Sequence[Invoice] = ()


NOTHING_NOTED: Final = Noted()


class _Fee(NamedTuple):
    """A fee that a line has billed ahead: what applies from `start_time` on, its unused rest given back by `until`."""

    invoice: str
    line: InvoiceLine
    start_time: datetime
    until: datetime


class _Part(NamedTuple):
    """A line about a cycle's fees, under the key of the fee; `source` is the note that a CREDITED_BEFORE names."""

    key: LineKey
    nanos: int
    from_time: datetime
    source: str = ""


class _Return(NamedTuple):
    """What was returned of a fee, and which part of that its notes had given back before, by note."""

    nanos: int
    counted: dict[str, int]

    @property
    def net_nanos(self) -> int:
        """What the customer got by the return alone."""
        return self.nanos - sum(self.counted.values())


def credited_before(
    noted: Noted,
    cycle: CycleBounds,
    now: Sequence[DueLine],
    *,
    rates: tuple[TaxRate, ...],
    adjusted: Adjusted | None = None,
) -> list[DueLine]:
    """Return what notes gave back before of what lines return of a cycle's fees; `now` are its lines, rounded.

    `rates` are the taxes that go back with the return.
    """
    before = list(_parts(noted.closing, cycle))
    moving = [_Part(original_key(due.line.key), due.nanos, due.line.from_time) for due in now]
    found: list[DueLine] = []
    for fee in _fees(noted.ahead, cycle, [*before, *moving]):
        notes = _on_line(noted.notes, fee)
        then, after = _returned(fee, cycle, before), _returned(fee, cycle, [*before, *moving])
        unused_from = min(
            (each.from_time for each in moving if each.nanos < 0 and _is_about(each.key, fee, cycle)),
            default=fee.start_time,
        )
        for name, line, nanos in _counted(notes, then, after):
            found.append(_due(fee, line, name, nanos, unused_from)._replace(rates=rates, adjusted=adjusted))
    return found


def returned_by_line(invoice: Invoice, later: Sequence[Invoice]) -> dict[str, int]:
    """Return what later invoices have returned of an invoice's fees in advance beyond what notes gave back, by line.

    `later` close cycles and are in order.
    """
    cycles = dict.fromkeys(line.advance for line in invoice.lines if line.advance is not None)
    found: dict[str, int] = {}
    for cycle in cycles:
        parts = list(_parts(later, cycle))
        for fee in _fees([invoice], cycle, parts):
            found[fee.line.line_id] = _returned(fee, cycle, parts).net_nanos
    return {line_id: nanos for line_id, nanos in found.items() if nanos}


def _counted(
    notes: Sequence[tuple[str, CreditableLine]], then: _Return, after: _Return
) -> Iterator[tuple[str, CreditableLine, int]]:
    """Yield by how much more of each note counts, now that more is returned or less."""
    room = after.nanos - then.nanos
    if room > 0:
        for name, line in notes:
            nanos = min(room, line.nanos - then.counted.get(name, 0))
            room -= nanos
            if nanos:
                yield name, line, nanos
        return
    excess = max(sum(then.counted.values()) - after.nanos, 0)
    for name, line in reversed(notes):
        nanos = min(excess, then.counted.get(name, 0))
        excess -= nanos
        if nanos:
            yield name, line, -nanos


def _due(fee: _Fee, credited: CreditableLine, note: str, nanos: int, unused_from: datetime) -> DueLine:
    """Return a line for the days of which the note took something: all of the fee's, or those from an instant on."""
    key = fee.line.key
    start, end = credited.from_time or fee.start_time, credited.to_time or fee.until
    line = ExactLine(
        LineKey(
            LineKind.CREDITED_BEFORE, key.contract_phase, prorated_kind=_kind_of(key), from_time=key.from_time
        ),
        Fraction(nanos),
        start if start <= fee.start_time else max(start, unused_from),
        end,
        fee.line.amount.currency_code,
    )
    return DueLine(line, nanos, source=note)


def _fees(ahead: Iterable[Invoice], cycle: CycleBounds, parts: Sequence[_Part]) -> Iterator[_Fee]:
    """Yield the fees that were billed ahead of a cycle, and until when what follows each has begun."""
    billed = [(invoice.name, line) for invoice in ahead for line in invoice.lines if line.advance == cycle]
    keys = [*(line.key for _, line in billed), *(part.key for part in parts)]
    for name, line in billed:
        if line.amount.nanos <= 0:
            continue
        start = _start(line.key, cycle)
        later = (_start(key, cycle) for key in keys if _is_charge(key) and _is_same_fee(key, line.key))
        yield _Fee(name, line, start, min((each for each in later if each > start), default=cycle.end_time))


def _parts(closing: Iterable[Invoice], cycle: CycleBounds) -> Iterator[_Part]:
    """Yield the lines by which invoices have billed or returned fees of a cycle after they were billed ahead."""
    for invoice in closing:
        for line in invoice.lines:
            about = line.adjusted.cycle if line.adjusted else invoice.cycle
            if line.advance is None and about.start_time == cycle.start_time:
                key = original_key(line.key)
                if key.kind in FEE_KINDS or key.kind is LineKind.CREDITED_BEFORE:
                    yield _Part(key, line.amount.nanos, line.from_time or cycle.start_time, line.source)


def _returned(fee: _Fee, cycle: CycleBounds, parts: Iterable[_Part]) -> _Return:
    nanos = 0
    counted: dict[str, int] = {}
    for part in parts:
        if not _is_about(part.key, fee, cycle):
            continue
        if part.key.kind is LineKind.CREDITED_BEFORE:
            counted[part.source] = counted.get(part.source, 0) + part.nanos
        else:
            nanos -= part.nanos
    return _Return(max(nanos, 0), counted)


def _on_line(notes: Iterable[CreditNote], fee: _Fee) -> list[tuple[str, CreditableLine]]:
    return [
        (note.name, line)
        for note in notes
        if note.order.invoice == fee.invoice
        for line in note.lines
        if line.line_id == fee.line.line_id
    ]


def _is_about(key: LineKey, fee: _Fee, cycle: CycleBounds) -> bool:
    """Say whether a line charges a fee or gives it back: the unused rest begins where the fee ends."""
    if not _is_same_fee(key, fee.line.key):
        return False
    start = _start(key, cycle)
    if key.kind is LineKind.PRORATION_CREDIT:
        return fee.start_time < start <= fee.until
    return start == fee.start_time


def _is_same_fee(key: LineKey, other: LineKey) -> bool:
    return key.contract_phase == other.contract_phase and _kind_of(key) is _kind_of(other)


def _is_charge(key: LineKey) -> bool:
    return key.kind in FEE_KINDS and key.kind is not LineKind.PRORATION_CREDIT


def _kind_of(key: LineKey) -> LineKind:
    return key.prorated_kind or key.kind


def _start(key: LineKey, cycle: CycleBounds) -> datetime:
    return key.from_time or cycle.start_time
