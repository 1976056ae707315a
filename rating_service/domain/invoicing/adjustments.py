"""Adjustments: what was learned about cycles that were invoiced before.

An adjusted cycle is stated anew by all facts up to the new watermark, and what was billed of it so far (its invoice
and every adjustment since) is taken off, line by line. So after an invoice each adjusted cycle is billed by exactly
its statement, and the amounts billed of it add up to the statement's sum, rounded once. A line that nothing was
learned about has no adjustment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

import msgspec

from rating_service.domain.agreements.agreement import TaxRate
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.documents.invoice_lines import Adjusted, InvoiceLine, LineKey, LineKind
from rating_service.domain.invoicing.cycle_statement import CYCLE_KINDS, Statement
from rating_service.domain.invoicing.exact_lines import ExactLine, billed_line, line_difference, negated
from rating_service.domain.invoicing.invoice_advance import lines_ahead
from rating_service.domain.rounding import minor_unit_nanos, round_growth, round_half_up


class BilledCycle(NamedTuple):
    """What was billed of a cycle: by key, and rounded, in all."""

    invoice: str
    cycle: CycleBounds
    currency_code: str
    lines: dict[LineKey, ExactLine]
    nanos: int
    tax_rates: tuple[TaxRate, ...]


def billed_cycle(
    closing: Sequence[Invoice], cycle: CycleBounds, ahead: Sequence[Invoice] = ()
) -> BilledCycle:
    """Return what invoices that close cycles have billed of one; its own must be among them.

    `ahead` are those that may have billed it in advance.
    """
    [own] = [each for each in closing if each.cycle.start_time == cycle.start_time]
    lines: dict[LineKey, ExactLine] = {}
    nanos = 0
    for line in (*lines_ahead(ahead, cycle), *_lines_about(own, closing)):
        key = original_key(line.key)
        billed = billed_line(line, key, from_time=cycle.start_time, to_time=cycle.end_time)
        before = lines.get(key)
        lines[key] = billed if before is None else line_difference(before, negated(billed))
        nanos += line.amount.nanos
    return BilledCycle(own.name, own.cycle, own.total.currency_code, lines, nanos, own.tax_rates)


def original_key(key: LineKey) -> LineKey:
    """Return the key of the line that an adjustment corrects; of any other line its own."""
    if key.adjusted_kind is None:
        return key
    return msgspec.structs.replace(key, kind=key.adjusted_kind, adjusted_kind=None)


def adjustment_key(key: LineKey) -> LineKey:
    """Return the key of the adjustment of a line."""
    return msgspec.structs.replace(key, kind=LineKind.ADJUSTMENT, adjusted_kind=key.kind)


def grown_lines(billed: BilledCycle, statement: Statement) -> list[ExactLine]:
    """Return by how much the lines of a cycle's statement have grown since they were billed, as adjustments."""
    now = {line.key: line for line in statement.lines}
    grown = [
        line_difference(line, billed.lines[key]) if key in billed.lines else line for key, line in now.items()
    ]
    grown += [negated(before) for key, before in billed.lines.items() if key not in now]
    return [
        msgspec.structs.replace(line, key=adjustment_key(line.key)) for line in grown if line.says_something
    ]


def rounded_growth(
    billed: BilledCycle, statement: Statement, grown: Sequence[ExactLine], *, currency_code: str
) -> tuple[int, ...]:
    """Return what grown lines come to, rounded so that all that was billed is the statement's sum, rounded once."""
    step = minor_unit_nanos(currency_code)
    exact = sum((line.exact for line in statement.lines), Fraction(0))
    total = round_half_up(exact, step=step) - billed.nanos
    return round_growth([line.exact for line in grown], total=total, step=step)


def corrects(billed: BilledCycle) -> Adjusted:
    """Return what an adjustment of a cycle names."""
    return Adjusted(billed.invoice, billed.cycle)


def _lines_about(own: Invoice, closing: Iterable[Invoice]) -> Iterable[InvoiceLine]:
    """Yield the lines that have billed the cycle of an invoice: its own, and later adjustments."""
    yield from (line for line in own.lines if line.key.kind in CYCLE_KINDS and line.advance is None)
    for later in closing:
        for line in later.lines:
            about = line.adjusted.cycle if line.adjusted and line.key.kind is LineKind.ADJUSTMENT else None
            if about is not None and about.start_time == own.cycle.start_time:
                yield line
