"""Builders of paid lots in the books."""

from __future__ import annotations

from datetime import date

from ledger_service.domain.finance.lots import PaidLot

FIRST = date(2026, 3, 1)


def paid_lot(
    consideration_nanos: int = 100,
    amount_units: int = 3,
    *,
    estimate: tuple[int, int] = (0, 1),
    held_units: int = 0,
    exchange_rate: str = "",
) -> PaidLot:
    """Return a lot that became effective on the first day, sold without an estimate unless told."""
    return PaidLot(
        entity="default",
        product="",
        pool="",
        currency_code="USD",
        consideration_nanos=consideration_nanos,
        amount_units=amount_units,
        effective_day=FIRST,
        estimate_numerator=estimate[0],
        estimate_denominator=estimate[1],
        held_units=held_units,
        exchange_rate=exchange_rate,
    )
