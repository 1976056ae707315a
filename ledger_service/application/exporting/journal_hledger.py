"""The journal for hledger (https://hledger.org/1.25/hledger.html#journal-format).

Money stands in the accounts of the chart, and nothing else does, so that `hledger bal` gives the trial balance. Units
stand beside it in memorandum accounts, one a lot, and balance by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger_service.application.exporting.journal_texts import (
    MONEY_SCALE,
    TextSpan,
    decimal_text,
    event_name,
    money_text,
    one_line,
)
from ledger_service.domain.finance.accounts import KINDS, Account, AccountKind, Chart
from ledger_service.domain.finance.booked import BookedEntry, LotChange

ROOTS: Final[Mapping[AccountKind, str]] = {
    AccountKind.ASSET: "assets",
    AccountKind.LIABILITY: "liabilities",
    AccountKind.REVENUE: "revenues",
    AccountKind.EXPENSE: "expenses",
}
TYPES: Final[Mapping[AccountKind, str]] = {
    AccountKind.ASSET: "A",
    AccountKind.LIABILITY: "L",
    AccountKind.REVENUE: "R",
    AccountKind.EXPENSE: "X",
}
UNITS: Final = "units"


class _Place(NamedTuple):
    """Where amounts are brought forward; `scale` is that of the commodity."""

    account: str
    commodity: str
    scale: int


class HledgerText:
    """Writes entries for hledger."""

    def __init__(self, chart: Chart, span: TextSpan) -> None:
        """Call accounts as the chart does."""
        self._names = {account: account_name(account, chart, entity="{}") for account in Account}
        self._span = span
        self._opening: dict[_Place, int] = {}

    def entry(self, booked: BookedEntry) -> str:
        """Return the text of an entry."""
        entry = booked.entry
        if entry.posting_day < self._span.from_day:
            self._bring_forward(booked)
            return ""
        moved = [change for change in booked.lots if change.outstanding_units]
        if entry.posting_day >= self._span.to_day or not (entry.lines or moved):
            return ""
        lines = [
            f"{entry.posting_day} {event_name(entry.topic)} | {entry.stream}"
            f"  ; version:{entry.version}, position:{entry.position}, counts:{entry.effective_day},"
            f" recorded:{entry.record_time.date()}"
        ]
        for line in entry.lines:
            account = self._names[line.account].replace("{}", entry.entity)
            product = f"  ; product:{one_line(line.product)}" if line.product else ""
            lines.append(f"    {account}  {money_text(line.nanos)} {line.currency_code}{product}")
        for change in moved:
            lines += [_line(place, units) for place, units in _units(change)]
        return "\n".join(lines) + "\n\n"

    def opening(self) -> str:
        """Return what was brought forward."""
        lines = [_line(place, amount) for place, amount in self._opening.items() if amount]
        if not lines:
            return ""
        return "\n".join([f"{self._span.opening_day} Opening | brought forward", *lines]) + "\n\n"

    def _bring_forward(self, booked: BookedEntry) -> None:
        for line in booked.entry.lines:
            account = self._names[line.account].replace("{}", booked.entry.entity)
            self._add(_Place(account, line.currency_code, MONEY_SCALE), line.nanos)
        for change in booked.lots:
            for place, units in _units(change):
                self._add(place, units)

    def _add(self, place: _Place, amount: int) -> None:
        self._opening[place] = self._opening.get(place, 0) + amount


def head(chart: Chart, *, entities: tuple[str, ...], currencies: tuple[str, ...]) -> str:
    """Return what stands before the entries."""
    lines = ["decimal-mark ."]
    lines += [f"commodity {decimal_text(0, MONEY_SCALE)} {currency}" for currency in currencies]
    # A chart may give several accounts one name.
    kinds = {
        account_name(account, chart, entity=entity): TYPES[KINDS[account]]
        for account in Account
        for entity in entities
    }
    lines += [f"account {name}  ; type:{kind}" for name, kind in kinds.items()]
    return "\n".join(lines) + "\n\n"


def account_name(account: Account, chart: Chart, *, entity: str) -> str:
    """Return the name of an account of an entity."""
    return f"{ROOTS[KINDS[account]]}:{entity}:{one_line(chart.name(account)).replace(';', ',')}"


def _units(change: LotChange) -> tuple[tuple[_Place, int], tuple[_Place, int]]:
    # wallets/{wallet}/grants/{grant}: neither part has a colon or a blank in it.
    _, wallet, _, grant = change.lot.split("/")
    commodity, scale = f'"{change.asset.code}"', change.asset.scale
    units = change.outstanding_units
    return (
        (_Place(f"{UNITS}:outstanding:{wallet}:{grant}", commodity, scale), units),
        (_Place(f"{UNITS}:issued", commodity, scale), -units),
    )


def _line(place: _Place, amount: int) -> str:
    return f"    {place.account}  {decimal_text(amount, place.scale)} {place.commodity}"
