"""What recognition cases expect, computed from the roll-forward of each lot: periods, lots and journal.

Cumulative usage and cumulative usage with breakage are rounded at each boundary, and a period's figure is the
difference, as the case files say. A journal is compared by day and account: the services tell what each day
billed and recognised, which is what the accounts named here are posted from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from tests.acceptance.cases.amounts import round_half_up
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.recognition_lots import Lot, LotHistory, Sums, add_up
from tests.acceptance.cases.verdicts import Mismatch, Unsupported, compare

EXACT_TOLERANCE: Final = Decimal("0.000001")
"""Unrounded figures are written with six decimals."""
NOT_KEPT: Final = ("refunds", "escheat", "overage_revenue", "unbilled_receivable", "refund_liability")
"""Figures of a row that the services do not keep: they are zero in whatever is played."""
ACCOUNTS: Final = ("Cash", "ContractLiability", "Revenue:Usage", "Revenue:Breakage")


class Period(NamedTuple):
    """[from_time, to_time)."""

    from_time: datetime
    to_time: datetime


class Books(NamedTuple):
    """All that was read: the history of each lot, and the units left in each at the end of each period."""

    lots: Mapping[str, Lot]
    histories: Mapping[str, LotHistory]
    units_left: Mapping[Period, Mapping[str, Decimal]]

    def until(self, instant: datetime) -> Sums:
        """Return the sums over all lots before an instant."""
        return add_up([history.until(instant) for history in self.histories.values()])


def period_figures(books: Books, period: Period, precision: Decimal) -> dict[str, Decimal]:
    """Return the roll-forward of a period, rounded cumulatively."""
    before, after = (books.until(instant) for instant in period)
    usage_before, usage_after = (round_half_up(sums.usage, precision) for sums in (before, after))
    gone_before, gone_after = (
        round_half_up(sums.usage + sums.breakage, precision) for sums in (before, after)
    )
    billed_before, billed_after = (round_half_up(sums.billings, precision) for sums in (before, after))
    return {
        "opening": billed_before - gone_before,
        "billings": billed_after - billed_before,
        "recognised_usage": usage_after - usage_before,
        "recognised_breakage": (gone_after - usage_after) - (gone_before - usage_before),
        "closing": billed_after - gone_after,
    }


class ExpectedRow:
    """One expected row of the roll-forward. Raises Unsupported for what the services do not keep."""

    def __init__(self, row: Fields) -> None:
        """Read the row."""
        self.period = Period(row.instant("from"), row.instant("to"))
        self._figures = {name: row.raw(name) for name in ROW_FIGURES if name in row}
        for name in NOT_KEPT:
            if row.decimal(name, Decimal(0)) != 0:
                raise Unsupported(f"{row.place}.{name} other than 0")
        lots = row.optional_fields("lots")
        self._lots = {lot_id: self._read_lot(lots.fields(lot_id)) for lot_id in lots.names()}
        row.finish()

    @staticmethod
    def _read_lot(lot: Fields) -> dict[str, object]:
        found = {name: lot.raw(name) for name in ("units_left", "contract_liability", "cost_basis")}
        lot.finish()
        return {name: value for name, value in found.items() if value is not None}

    def compare(self, books: Books, precision: Decimal) -> list[Mismatch]:
        """Return where the books differ from the row."""
        what = f"{self.period.from_time:%Y-%m-%d}"
        found = compare(
            what, self._figures, period_figures(books, self.period, precision), tolerance=precision
        )
        for lot_id, expected in self._lots.items():
            found += compare(
                f"{what} {lot_id}",
                expected,
                _lot_figures(books, lot_id, self.period),
                tolerance=EXACT_TOLERANCE,
            )
        return found


ROW_FIGURES: Final = ("opening", "billings", "recognised_usage", "recognised_breakage", "closing")


def _lot_figures(books: Books, lot_id: str, period: Period) -> dict[str, Decimal]:
    lot = books.lots.get(lot_id)
    if lot is None:
        return {}
    return {
        "units_left": books.units_left[period].get(lot_id, Decimal(0)),
        "contract_liability": books.histories[lot_id].until(period.to_time).liability,
        "cost_basis": (lot.consideration / lot.units).quantize(EXACT_TOLERANCE),
    }


Journal = dict[datetime, dict[str, Decimal]]
"""By day, what each account is credited, net of debits."""


def read_journal(entries: Sequence[Fields]) -> Journal:
    """Return the expected journal, by day. Raises Unsupported for an account that no service posts to."""
    journal: Journal = {}
    for entry in entries:
        day = journal.setdefault(entry.instant("date"), dict.fromkeys(ACCOUNTS, Decimal(0)))
        entry.ignore("event")
        for line in entry.objects("lines"):
            account = line.text("account")
            if account not in ACCOUNTS:
                raise Unsupported(f"{line.place}.account {account}")
            day[account] += line.decimal("credit", Decimal(0)) - line.decimal("debit", Decimal(0))
            line.finish()
        entry.finish()
    return journal


def compare_journal(expected: Journal, books: Books, until: datetime) -> list[Mismatch]:
    """Return where the postings of a day before an instant differ from the expected journal."""
    nothing = dict.fromkeys(ACCOUNTS, Decimal(0))
    days = {day for history in books.histories.values() for day in history.days if day < until}
    found: list[Mismatch] = []
    for day in sorted(days | expected.keys()):
        posted = [history.days[day] for history in books.histories.values() if day in history.days]
        what = f"journal of {day:%Y-%m-%d}"
        found += compare(
            what, expected.get(day, nothing), _postings(add_up(posted)), tolerance=EXACT_TOLERANCE
        )
    return found


def _postings(sums: Sums) -> dict[str, Decimal]:
    figures = (-sums.billings, sums.liability, sums.usage, sums.breakage)
    return dict(zip(ACCOUNTS, figures, strict=True))
