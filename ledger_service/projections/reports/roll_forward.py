"""The roll-forward of contract liability: opening + billings - recognised - refunds - escheat = closing.

Each day opens with what the day before closed with, and the span opens with everything posted before it, so
the rows of any span tie to those of its parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta

import msgspec

from ledger_service.application.reporting.finance_ports import RollForward, RollForwardRow
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import Movement


class DaySums(msgspec.Struct, frozen=True):
    """What was posted on one day in one currency, in nanos."""

    billings_nanos: int = 0
    usage_nanos: int = 0
    breakage_nanos: int = 0
    refunds_nanos: int = 0
    escheat_nanos: int = 0
    over_time_nanos: int = 0
    drawn_down_nanos: int = 0
    overage_nanos: int = 0
    unbilled_nanos: int = 0
    """What the unbilled receivable grew by."""
    refund_liability_nanos: int = 0
    """What the refund liability grew by."""

    def __add__(self, other: DaySums) -> DaySums:
        """Return the sum of both, figure by figure."""
        mine, others = msgspec.structs.astuple(self), msgspec.structs.astuple(other)
        return DaySums(*(one + another for one, another in zip(mine, others, strict=True)))

    @property
    def liability_nanos(self) -> int:
        """Return what was billed and is neither recognised nor paid back nor escheated."""
        recognised = self.usage_nanos + self.breakage_nanos + self.over_time_nanos
        return (
            self.billings_nanos - recognised - self.drawn_down_nanos - self.refunds_nanos - self.escheat_nanos
        )


_OF_LIABILITY = {
    Movement.USAGE: "usage_nanos",
    Movement.BREAKAGE: "breakage_nanos",
    Movement.REFUND: "refunds_nanos",
    Movement.CREDIT_NOTE: "refunds_nanos",
    Movement.ESCHEAT: "escheat_nanos",
    Movement.PLAN: "over_time_nanos",
    Movement.DRAW_DOWN: "drawn_down_nanos",
}
_OF_ACCOUNT = {
    Account.REVENUE_OVERAGE: ("overage_nanos", -1),
    Account.UNBILLED_RECEIVABLE: ("unbilled_nanos", 1),
    Account.REFUND_LIABILITY: ("refund_liability_nanos", -1),
}


def sums_of(rows: Iterable[tuple[Account, Movement, int]]) -> DaySums:
    """Return what rows of the journal come to, given by account and movement; a debit is above zero."""
    figures: dict[str, int] = {}
    for account, movement, nanos in rows:
        if account is Account.CONTRACT_LIABILITY:
            # Whatever is no way out is what came in.
            name = _OF_LIABILITY.get(movement, "billings_nanos")
            sign = -1 if name == "billings_nanos" else 1
        elif account in _OF_ACCOUNT:
            name, sign = _OF_ACCOUNT[account]
        else:
            continue
        figures[name] = figures.get(name, 0) + sign * nanos
    return DaySums(**figures)


def roll_forward_days(
    before: DaySums, days: Mapping[date, DaySums], *, from_day: date, to_day: date, position: int
) -> RollForward:
    """Return the roll-forward over [from_day, to_day).

    `before` sums everything posted on earlier days; `days` holds the days of the span on which something was.
    """
    rows: list[RollForwardRow] = []
    total = DaySums()
    for day in sorted(days):
        assert from_day <= day < to_day, "a day lies outside the span"
        rows.append(_row(before + total, days[day], day, day + timedelta(days=1)))
        total += days[day]
    return RollForward(_row(before, total, from_day, to_day), tuple(rows), position)


def _row(before: DaySums, sums: DaySums, from_day: date, to_day: date) -> RollForwardRow:
    opening = before.liability_nanos
    return RollForwardRow(
        from_day=from_day,
        to_day=to_day,
        opening_nanos=opening,
        billings_nanos=sums.billings_nanos,
        recognised_usage_nanos=sums.usage_nanos,
        recognised_breakage_nanos=sums.breakage_nanos,
        refunds_nanos=sums.refunds_nanos,
        closing_nanos=opening + sums.liability_nanos,
        escheat_nanos=sums.escheat_nanos,
        recognised_over_time_nanos=sums.over_time_nanos,
        commitments_drawn_nanos=sums.drawn_down_nanos,
        overage_revenue_nanos=sums.overage_nanos,
        unbilled_receivable_nanos=before.unbilled_nanos + sums.unbilled_nanos,
        refund_liability_nanos=before.refund_liability_nanos + sums.refund_liability_nanos,
    )
