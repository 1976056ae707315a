"""The roll-forward of contract liability: opening + billings - usage - breakage - refunds = closing.

Each day opens with what the day before closed with, and the span opens with everything posted before it, so
the rows of any span tie to those of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from ledger_service.application.view_ports import RollForward, RollForwardRow
from ledger_service.projections.recognition import DaySums


def roll_forward_days(
    before: DaySums, days: Mapping[date, DaySums], *, from_day: date, to_day: date, position: int
) -> RollForward:
    """Return the roll-forward over [from_day, to_day).

    `before` sums everything posted on earlier days; `days` holds the days of the span on which something was.
    """
    opening = liability_nanos(before)
    rows: list[RollForwardRow] = []
    total = DaySums()
    for day in sorted(days):
        assert from_day <= day < to_day, "a day lies outside the span"
        rows.append(_row(liability_nanos(before + total), days[day], day, day + timedelta(days=1)))
        total += days[day]
    return RollForward(_row(opening, total, from_day, to_day), tuple(rows), position)


def liability_nanos(sums: DaySums) -> int:
    """Return what was billed and is neither recognised nor refunded."""
    recognised = sums.recognised_usage_nanos + sums.recognised_breakage_nanos
    return sums.billings_nanos - recognised - sums.refunds_nanos


def _row(opening_nanos: int, sums: DaySums, from_day: date, to_day: date) -> RollForwardRow:
    return RollForwardRow(
        from_day=from_day,
        to_day=to_day,
        opening_nanos=opening_nanos,
        billings_nanos=sums.billings_nanos,
        recognised_usage_nanos=sums.recognised_usage_nanos,
        recognised_breakage_nanos=sums.recognised_breakage_nanos,
        refunds_nanos=sums.refunds_nanos,
        closing_nanos=opening_nanos + liability_nanos(sums),
    )
