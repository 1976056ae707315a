"""What recognition cases expect, computed from the books: periods, lots and journal.

Cumulative usage and cumulative usage with breakage are rounded at each boundary, and a period's figure is the
difference, as the case files say. A journal is compared by day and account: entries of one day are added up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from tests.acceptance.cases.amounts import round_half_up
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.recognition_accounts import Postings, as_the_case_knows, own_name
from tests.acceptance.cases.recognition_books import Books, accounts_of
from tests.acceptance.cases.recognition_words import ENTRY, LINE, ROW, respelled
from tests.acceptance.cases.verdicts import Mismatch, compare

EXACT_TOLERANCE: Final = Decimal("0.000001")
"""Unrounded figures are written with six decimals."""
ROW_FIGURES: Final = (
    "opening",
    "billings",
    "recognised_usage",
    "recognised_breakage",
    "recognised_over_time",
    "refunds",
    "escheat",
    "closing",
    "overage_revenue",
    "unbilled_receivable",
    "refund_liability",
)
NOTES: Final = ("memo", "note", "comment", "description")
"""What is for people."""
REVENUE: Final = "Revenue:"
LOT_FIGURES: Final = ("units_left", "contract_liability", "cost_basis")


class Period(NamedTuple):
    """[from_time, to_time)."""

    from_time: datetime
    to_time: datetime


def period_figures(books: Books, period: Period, precision: Decimal) -> dict[str, Decimal]:
    """Return the roll-forward of a period, rounded cumulatively."""

    def rounded(instant: datetime, *names: str) -> Decimal:
        return round_half_up(sum((books.until(instant, name) for name in names), Decimal(0)), precision)

    def grown(*names: str) -> Decimal:
        return rounded(period.to_time, *names) - rounded(period.from_time, *names)

    usage = grown("recognised_usage")
    simple = ("billings", "recognised_over_time", "refunds", "escheat", "overage_revenue")
    balances = ("unbilled_receivable", "refund_liability")
    return {
        "opening": _liability(books, period.from_time, precision),
        "recognised_usage": usage,
        "recognised_breakage": grown("recognised_usage", "recognised_breakage") - usage,
        "closing": _liability(books, period.to_time, precision),
        **{name: grown(name) for name in simple},
        **{name: round_half_up(books.balance(period.to_time, name), precision) for name in balances},
    }


def period_revenue(books: Books, period: Period, precision: Decimal) -> Decimal:
    """Return all that was earned in a period, rounded cumulatively."""

    def earned(instant: datetime) -> Decimal:
        before = (day for at, day in books.journal.items() if at < instant)
        posted = (-amount for day in before for name, amount in day.items() if name.startswith(REVENUE))
        return round_half_up(sum(posted, Decimal(0)), precision)

    return earned(period.to_time) - earned(period.from_time)


def _liability(books: Books, instant: datetime, precision: Decimal) -> Decimal:
    recognised = sum(
        (books.until(instant, name) for name in ("recognised_usage", "recognised_breakage")), Decimal(0)
    )
    left = round_half_up(books.until(instant, "billings"), precision) - round_half_up(recognised, precision)
    for name in ("recognised_over_time", "refunds", "escheat"):
        left -= round_half_up(books.until(instant, name), precision)
    return left


class ExpectedRow:
    """One expected row of the roll-forward."""

    def __init__(self, raw: object, *, place: str) -> None:
        """Read the row. Raises Unsupported for a figure that finance does not tell."""
        row = Fields(respelled(raw, ROW), place=place)
        self.period = Period(row.instant("from"), row.instant("to"))
        self._figures = {name: row.raw(name) for name in ROW_FIGURES if name in row}
        lots = row.optional_fields("lots")
        self._lots = {lot_id: _read_lot(lots.fields(lot_id)) for lot_id in lots.names()}
        row.ignore("name", "id", *NOTES)
        row.finish()

    def compare(
        self, books: Books, lots: Mapping[str, Mapping[str, Decimal]], precision: Decimal
    ) -> list[Mismatch]:
        """Return where the books, and the lots at the end of the period, differ from the row."""
        what = f"{self.period.from_time:%Y-%m-%d}"
        got = period_figures(books, self.period, precision)
        if "recognised_over_time" not in self._figures:
            # By the identity of the case files nothing is recognised beside usage and breakage.
            got["recognised_usage"] += got["recognised_over_time"]
        found = compare(what, self._figures, got, tolerance=precision)
        for lot_id, expected in self._lots.items():
            figures = lots.get(lot_id, {})
            found += compare(f"{what} {lot_id}", expected, figures, tolerance=EXACT_TOLERANCE)
        return found


def _read_lot(lot: Fields) -> dict[str, object]:
    found = {name: lot.raw(name) for name in LOT_FIGURES}
    lot.finish()
    return {name: value for name, value in found.items() if value is not None}


def read_journal(entries: Sequence[object]) -> Postings:
    """Return the expected journal: by day, what each account is debited, net of credits. Raises Unsupported."""
    journal: Postings = {}
    for place, raw in enumerate(entries):
        entry = Fields(respelled(raw, ENTRY), place=f"expected.journal[{place}]")
        day = journal.setdefault(entry.instant("date"), {})
        entry.ignore("event", "id", *NOTES)
        for line in entry.values("lines"):
            account, amount = _read_line(Fields(respelled(line, LINE), place=f"{entry.place}.lines"))
            day[account] = day.get(account, Decimal(0)) + amount
        entry.finish()
    return journal


def _read_line(line: Fields) -> tuple[str, Decimal]:
    account = own_name(line.text("account"))
    amount = line.decimal("debit", Decimal(0)) - line.decimal("credit", Decimal(0))
    if "amount" in line:
        amount += line.decimal("amount")
    line.ignore("currency", "lot", *NOTES)
    line.finish()
    return account, amount


def compare_journal(expected: Postings, got: Postings, until: datetime) -> list[Mismatch]:
    """Return where the postings of a day before an instant differ from the expected journal."""
    found: list[Mismatch] = []
    got = as_the_case_knows(got, expected)
    for day in sorted({at for at in got if at < until} | expected.keys()):
        wanted, posted = expected.get(day, {}), got.get(day, {})
        accounts = sorted(accounts_of([wanted, posted]))
        found += compare(
            f"journal of {day:%Y-%m-%d}",
            {account: wanted.get(account, Decimal(0)) for account in accounts},
            {account: posted.get(account, Decimal(0)) for account in accounts},
            tolerance=EXACT_TOLERANCE,
        )
    return found
