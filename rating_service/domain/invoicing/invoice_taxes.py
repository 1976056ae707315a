"""Taxes of an invoice, from rates that are data.

A tax is levied once on the sum of the lines that it applies to, and rounded once, half up, to the currency's minor
unit; it is kept apart from the net amounts. Lines that give back what another invoice billed carry the rates of that
invoice, so that a tax goes back at the rate at which it was levied.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from rating_service.domain.agreements.agreement import Money, TaxRate
from rating_service.domain.documents.invoice_document import TaxLine
from rating_service.domain.exact import parse_exact
from rating_service.domain.rounding import minor_unit_nanos, round_half_up


class Taxed(NamedTuple):
    """An amount and the rates that apply to it."""

    nanos: int
    rates: tuple[TaxRate, ...]


def tax_lines(amounts: Iterable[Taxed], *, currency_code: str) -> tuple[TaxLine, ...]:
    """Return one line for each rate, in the order in which they first apply."""
    nets: dict[TaxRate, int] = {}
    for amount in amounts:
        for rate in amount.rates:
            nets[rate] = nets.get(rate, 0) + amount.nanos
    step = minor_unit_nanos(currency_code)
    return tuple(
        TaxLine(
            rate,
            Money(currency_code, net),
            Money(currency_code, round_half_up(net * parse_exact(rate.percent) / Fraction(100), step=step)),
        )
        for rate, net in nets.items()
    )
