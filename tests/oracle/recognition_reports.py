"""What a recognition case must expect: its events told to a book by date, looked at as the case files look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

from tests.oracle.amounts import Object, half_up, text
from tests.oracle.recognition import DEFAULT_ORDER, ZERO, Book

SUMS: Final = ("billings", "refunds", "escheat", "overage_revenue")
BALANCES: Final = ("unbilled_receivable", "refund_liability")


class Diary:
    """A book that is told events by date, and the journal that comes of it."""

    def __init__(self, policy: Mapping[str, Any]) -> None:
        """Begin with nothing."""
        order = policy.get("draw_order") or DEFAULT_ORDER
        self.book = Book(order, Fraction(policy.get("overage_price", 0)))
        self.journal: list[Object] = []
        self._seen = self.book.accounts()

    def pass_to(self, date: str) -> None:
        """Let lots expire up to a date, that date's own included, each on its own date."""
        due = sorted(lot.expires for lot in self.book.lots.values() if not lot.has_ended)
        for day in [each for each in due if each <= date]:
            ended = self.book.expire(day)
            if ended:
                self._post(day, f"expire-{ended[0]}")

    def tell(self, event: Mapping[str, Any]) -> None:
        """Take an event; what expires on its date goes first."""
        date = event.get("recorded_at", event["t"])
        self.pass_to(date)
        self.book.tell(event)
        self._post(date, event["id"])

    def _post(self, date: str, event_id: str) -> None:
        now = self.book.accounts()
        moved = {name: amount - self._seen[name] for name, amount in now.items()}
        self._seen = now
        lines: list[Object] = [
            {"account": name, "debit" if amount > 0 else "credit": text(abs(amount))}
            for name, amount in moved.items()
            if amount
        ]
        self.journal.append({"date": date, "event": event_id, "lines": lines})


def report(policy: Mapping[str, Any], events: Sequence[Object], periods: Sequence[Object]) -> Object:
    """Return the `expected` of a case."""
    precision = Fraction(policy.get("precision", "0.01"))
    diary, rows = Diary(policy), []
    told = sorted(events, key=lambda event: str(event.get("recorded_at", event["t"])))
    before = _rounded(diary.book, precision)
    for period in periods:
        while told and told[0].get("recorded_at", told[0]["t"]) < period["to"]:
            diary.tell(told.pop(0))
        diary.pass_to(_day_before(period["to"]))
        after = _rounded(diary.book, precision)
        rows.append(_row(period, before, after, diary.book))
        before = after
    draws = {
        debit_id: [{"lot": lot_id, "units": text(units)} for _, units, lot_id in debit.draws]
        for debit_id, debit in diary.book.debits.items()
    }
    return {"rollforward": rows, "allocations": draws, "journal": diary.journal}


def _day_before(date: str) -> str:
    """Return a text that sorts after every earlier date and before this one."""
    year, month, day = date.split("-")
    return f"{year}-{month}-{int(day) - 1:02}"


def _rounded(book: Book, precision: Fraction) -> dict[str, Fraction]:
    return {name: half_up(amount, precision) for name, amount in book.figures().items()}


def _row(period: Object, before: Mapping[str, Fraction], after: Mapping[str, Fraction], book: Book) -> Object:
    usage = after["usage"] - before["usage"]
    row: Object = {
        **period,
        "opening": text(_closing(before)),
        "recognised_usage": text(usage),
        "recognised_breakage": text(after["earned"] - before["earned"] - usage),
        "closing": text(_closing(after)),
    }
    row |= {name: text(after[name] - before[name]) for name in SUMS}
    row |= {name: text(after[name]) for name in BALANCES}
    row["lots"] = {
        lot.lot_id: {
            "units_left": text(lot.left),
            "contract_liability": text(lot.liability),
            "cost_basis": text(lot.unit_cost),
        }
        for lot in book.lots.values()
    }
    for lot in book.lots.values():
        empty = {"units_left": "0", "contract_liability": "0", "cost_basis": text(lot.unit_cost)}
        row["lots"] |= dict.fromkeys(lot.former_ids, empty)
    return row


def _closing(figures: Mapping[str, Fraction]) -> Fraction:
    gone = sum((figures[name] for name in ("earned", "refunds", "escheat")), ZERO)
    return figures["billings"] - gone
