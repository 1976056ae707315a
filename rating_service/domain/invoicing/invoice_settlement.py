"""How an invoice's lines, taxes and earlier documents come together in what is due.

The total is the sum of the lines and the taxes and never below zero. Credit that the customer has from credit notes is
applied to what is due with its tax, oldest note first. Where more is given back than is due, the rest stands as
CREDIT_DUE until a credit note settles it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from rating_service.domain.agreements.agreement import TaxRate
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.invoice_document import Invoice, OpenCredit, TaxLine
from rating_service.domain.documents.invoice_lines import Adjusted, LineKey, LineKind
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.invoicing.invoice_taxes import Taxed, tax_lines


class DueLine(NamedTuple):
    """A line and what it comes to, rounded; `rates` are the taxes on it."""

    line: ExactLine
    nanos: int
    rates: tuple[TaxRate, ...] = ()
    adjusted: Adjusted | None = None
    source: str = ""
    advance: CycleBounds | None = None


class Settled(NamedTuple):
    """All lines of an invoice, its taxes and what it comes to."""

    lines: list[DueLine]
    taxes: tuple[TaxLine, ...]
    net_nanos: int
    tax_nanos: int
    total_nanos: int
    credit_due_nanos: int


def threshold_credits(thresholds: Iterable[Invoice], cycle: CycleBounds) -> list[DueLine]:
    """Return what gives back the invoices of a running cycle, net of the tax, which goes back with them."""
    lines = []
    for issued in thresholds:
        nanos = (issued.net or issued.total).nanos
        currency = issued.total.currency_code if nanos else ""
        line = ExactLine(
            LineKey(LineKind.THRESHOLD_CREDIT, ""),
            Fraction(-nanos),
            cycle.start_time,
            cycle.end_time,
            currency,
        )
        lines.append(DueLine(line, -nanos, issued.tax_rates, source=issued.name))
    return lines


def settle(
    lines: Sequence[DueLine], open_credits: Sequence[OpenCredit], cycle: CycleBounds, *, currency_code: str
) -> Settled:
    """Return what is due for lines, after credits of the same currency in their order."""
    taxes = tax_lines((Taxed(line.nanos, line.rates) for line in lines), currency_code=currency_code)
    net_nanos = sum(line.nanos for line in lines)
    tax_nanos = sum(tax.amount.nanos for tax in taxes)
    due_nanos = net_nanos + tax_nanos
    settling: list[DueLine] = []
    for credit in open_credits:
        applied_nanos = min(credit.left.nanos, due_nanos)
        if applied_nanos > 0 and credit.left.currency_code == currency_code:
            due_nanos -= applied_nanos
            settling.append(_settling(LineKind.CREDIT_APPLIED, -applied_nanos, cycle, credit))
    credit_due_nanos = max(-due_nanos, 0)
    if credit_due_nanos:
        settling.append(_settling(LineKind.CREDIT_DUE, credit_due_nanos, cycle))
    total_nanos = max(due_nanos, 0)
    return Settled([*lines, *settling], taxes, net_nanos, tax_nanos, total_nanos, credit_due_nanos)


def _settling(kind: LineKind, nanos: int, cycle: CycleBounds, credit: OpenCredit | None = None) -> DueLine:
    line = ExactLine(LineKey(kind, ""), Fraction(nanos), cycle.start_time, cycle.end_time)
    return DueLine(line, nanos, source=credit.credit_note if credit else "")
