"""A line before rounding: what debits, fees or terms come to, exact, and how two of them are subtracted.

What is billed as an adjustment is the line of all facts less the lines that were billed so far, member by member, so
lines form a group: adding what was subtracted gives the line back.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import msgspec

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.documents.invoice_lines import InvoiceLine, LineDetail, LineKey
from rating_service.domain.exact import exact_text, parse_exact


class ExactLine(Record, frozen=True):
    """A line with its exact amount in nanos; [from_time, to_time) is when the service was given.

    `currency_code` is empty where nothing has a price.
    """

    key: LineKey
    exact: Fraction
    from_time: datetime
    to_time: datetime
    currency_code: str = ""
    amount_units: int = 0
    debit_count: int = 0
    quantities: dict[str, int] = msgspec.field(default_factory=dict)
    details: tuple[LineDetail, ...] = ()

    @property
    def says_something(self) -> bool:
        """Whether any figure of the line is not zero."""
        return bool(self.exact or self.amount_units or self.debit_count or self.quantities or self.details)


def billed_line(line: InvoiceLine, key: LineKey, *, from_time: datetime, to_time: datetime) -> ExactLine:
    """Return what a line of an issued invoice has billed under a key; the span is for a line that has none."""
    return ExactLine(
        key,
        line.exact,
        line.from_time or from_time,
        line.to_time or to_time,
        line.amount.currency_code if line.exact else "",
        line.amount_units,
        line.debit_count,
        line.quantities,
        line.details,
    )


def line_difference(line: ExactLine, billed: ExactLine) -> ExactLine:
    """Return a line less what was billed of it."""
    return ExactLine(
        line.key,
        line.exact - billed.exact,
        line.from_time,
        line.to_time,
        line.currency_code or billed.currency_code,
        line.amount_units - billed.amount_units,
        line.debit_count - billed.debit_count,
        _quantities(line.quantities, billed.quantities),
        _details(line.details, billed.details),
    )


def negated(line: ExactLine) -> ExactLine:
    """Return what takes a line back whole."""
    nothing = ExactLine(line.key, Fraction(0), line.from_time, line.to_time)
    return line_difference(nothing, line)


def _quantities(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    names = sorted({*first, *second})
    found = {name: first.get(name, 0) - second.get(name, 0) for name in names}
    return {name: quantity for name, quantity in found.items() if quantity}


def _details(first: tuple[LineDetail, ...], second: tuple[LineDetail, ...]) -> tuple[LineDetail, ...]:
    left, right = {_price(each): each for each in first}, {_price(each): each for each in second}
    found = []
    for price in sorted({*left, *right}):
        here, there = left.get(price), right.get(price)
        known = here or there
        assert known is not None, "a price comes from one of the two"
        nothing = msgspec.structs.replace(known, quantity=0, exact_units="0", charge_count=0)
        found.append(_detail(here or nothing, there or nothing))
    return tuple(each for each in found if each.quantity or each.charge_count or each.exact_units != "0")


def _detail(first: LineDetail, second: LineDetail) -> LineDetail:
    exact = parse_exact(first.exact_units) - parse_exact(second.exact_units)
    return msgspec.structs.replace(
        first,
        quantity=first.quantity - second.quantity,
        exact_units=exact_text(exact),
        charge_count=first.charge_count - second.charge_count,
    )


def _price(detail: LineDetail) -> tuple[str, str, int, str, str]:
    return (detail.dimension, detail.unit_price, detail.unit_size, detail.multiplier, detail.model)
