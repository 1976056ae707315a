"""Fees in advance: base fee and seats of a cycle, billed when it begins and not when it is over.

The law. A cycle whose first terms say ADVANCE is billed ahead: its fees, as they are agreed by then, stand on the
invoice of the cycle before it, or for a contract's first cycle on an invoice of their own (ADVANCE). Nothing else is
different: the cycle's own invoice bills its statement less what was billed ahead of it, line by line. So a change or an
end in mid-cycle gives back the unused part of what was paid, to the microsecond and never more, and over all invoices
each fee is billed once, whatever its timing.

How a cycle begins decides for all of it, so a trial without a timing of its own is not asked for what follows it.
Fees in another currency than the rest of the invoice wait for their own cycle's invoice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rating_service.domain.agreements.agreement import Contract, FeeTiming, TaxRate
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.stretches import stretches
from rating_service.domain.documents.invoice_document import Invoice
from rating_service.domain.documents.invoice_lines import InvoiceLine, LineKey
from rating_service.domain.invoicing.exact_lines import ExactLine, billed_line, line_difference, negated
from rating_service.domain.invoicing.invoice_fees import fee_lines


class BilledAhead(NamedTuple):
    """What was billed of a cycle in advance: by key, and rounded, in all; `rates` are the taxes on it."""

    lines: dict[LineKey, ExactLine]
    nanos: int
    rates: tuple[TaxRate, ...]


def bills_in_advance(contract: Contract, cycle: CycleBounds) -> bool:
    """Say whether a cycle's fees are billed when it begins: its first terms decide."""
    parts = stretches(contract, cycle)
    return bool(parts) and parts[0].terms.fee_timing is FeeTiming.ADVANCE


def fees_in_advance(contract: Contract, cycle: CycleBounds) -> list[ExactLine]:
    """Return the fees of a cycle that is billed ahead, as they are agreed; none of any other."""
    return fee_lines(stretches(contract, cycle), cycle) if bills_in_advance(contract, cycle) else []


def lines_ahead(issued: Iterable[Invoice], cycle: CycleBounds) -> list[InvoiceLine]:
    """Return the lines by which invoices have billed a cycle in advance."""
    return [
        line
        for invoice in issued
        for line in invoice.lines
        if line.advance is not None and line.advance.start_time == cycle.start_time
    ]


def billed_ahead(issued: Sequence[Invoice], cycle: CycleBounds) -> BilledAhead | None:
    """Return what was billed of a cycle in advance, None if nothing was."""
    lines = lines_ahead(issued, cycle)
    if not lines:
        return None
    rates = next(invoice.tax_rates for invoice in issued if lines_ahead([invoice], cycle))
    return BilledAhead(
        {
            line.key: billed_line(line, line.key, from_time=cycle.start_time, to_time=cycle.end_time)
            for line in lines
        },
        sum(line.amount.nanos for line in lines),
        rates,
    )


def less_billed_ahead(lines: Sequence[ExactLine], ahead: BilledAhead) -> list[ExactLine]:
    """Return what is left to bill of a cycle's lines; a line that was billed whole is left out."""
    known = {line.key for line in lines}
    left = [
        line_difference(line, ahead.lines[line.key]) if line.key in ahead.lines else line for line in lines
    ]
    left += [negated(line) for key, line in ahead.lines.items() if key not in known]
    return [line for line in left if line.says_something or line.key not in ahead.lines]


def in_one_currency(lines: list[ExactLine], others: Iterable[ExactLine]) -> list[ExactLine]:
    """Return fees in advance if they are in the one currency of the rest of an invoice, else none."""
    used = {line.currency_code for line in (*lines, *others)} - {""}
    return lines if len(used) <= 1 else []
