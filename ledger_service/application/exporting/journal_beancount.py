"""The journal for beancount, with lots that its STRICT booking accepts.

A grant is a lot of the contract liability: credit at the cost of one whole asset, with the day of the grant and its
name as the label. A draw takes credit out of the lot, and the account is worth what the trial balance says, at cost:
what the units at their cost leave out (fractions below the cost's precision, breakage recognised ahead of expiry)
stands beside them in money. When a bonus comes to share a lot's price, the lot is taken out and put back at its new
cost.

The journal counts usage on its own day, however late it was recorded, and on that day credit may not have been back
that the usage took. So the units of a lot never move before the day on which they last moved; where that is later than
the money's, they have an entry of their own, which turns money of the account into credit or back.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Final, NamedTuple

import msgspec

from ledger_service.application.exporting.journal_texts import (
    MONEY_SCALE,
    TextSpan,
    decimal_text,
    event_name,
)
from ledger_service.domain.finance.accounts import KINDS, Account, AccountKind, Chart
from ledger_service.domain.finance.booked import BookedEntry, LotChange
from ledger_service.domain.finance.journal import JournalEntry
from ledger_service.domain.finance.lots import PaidLot

ROOTS: Final[Mapping[AccountKind, str]] = {
    AccountKind.ASSET: "Assets",
    AccountKind.LIABILITY: "Liabilities",
    AccountKind.REVENUE: "Income",
    AccountKind.EXPENSE: "Expenses",
}
COST_DIGITS: Final = 15
"""Significant digits of a cost; with those of int64 units a product stays within the 28 of beancount's decimals."""
OPEN_DAY: Final = date(1970, 1, 1)
_PLAIN: Final = re.compile(r"[A-Z][A-Z0-9_]*[A-Z0-9]", re.ASCII)


class _Cost(msgspec.Struct, frozen=True):
    """Of one whole asset: digits x 10^-scale, in a currency."""

    digits: int
    scale: int
    currency_code: str


class _Money(NamedTuple):
    """Where money stands."""

    account: str
    currency_code: str


class _Sum:
    """An exact sum of amounts of different scales."""

    def __init__(self) -> None:
        self.amount = 0
        self.scale = MONEY_SCALE

    def add(self, amount: int, scale: int) -> None:
        """Add amount x 10^-scale."""
        finest = max(scale, self.scale)
        self.amount = self.amount * 10 ** (finest - self.scale) + amount * 10 ** (finest - scale)
        self.scale = finest

    def take(self, other: _Sum, *, sign: int = 1) -> None:
        """Add another sum, or take it off."""
        self.add(sign * other.amount, other.scale)

    def text(self, sign: int = 1) -> str:
        """Return the sum, or what it is below zero."""
        return decimal_text(sign * self.amount, self.scale)


class _Lot(msgspec.Struct):
    """A lot as beancount sees it. Mutable: part of the state of a text."""

    cost: _Cost
    label: str
    day: date
    moved_day: date
    """On which its units moved last."""
    units: int = 0
    renewals: int = 0


class _Opened(NamedTuple):
    """How a lot stood before the span."""

    account: str
    lot: _Lot
    change: LotChange


class BeancountText:
    """Writes entries for beancount; it keeps the lots of one wallet."""

    def __init__(self, chart: Chart, span: TextSpan) -> None:
        """Call accounts as the chart does."""
        self._chart = chart
        self._names: dict[tuple[Account, str], str] = {}
        self._span = span
        self._lots: dict[str, _Lot] = {}
        self._opened: dict[str, _Opened] = {}
        self._brought: dict[_Money, _Sum] = {}

    def entry(self, booked: BookedEntry) -> str:
        """Return the text of an entry, and of the units that move later."""
        entry = booked.entry
        liability = self._name(Account.CONTRACT_LIABILITY, entry.entity)
        postings: list[str] = []
        later: list[str] = []
        money: dict[_Money, _Sum] = {}
        for line in entry.lines:
            account = self._name(line.account, entry.entity)
            money.setdefault(_Money(account, line.currency_code), _Sum()).add(line.nanos, MONEY_SCALE)
        for change in booked.lots:
            lot, moved, value = self._move(liability, change, entry.posting_day)
            beside = _Money(liability, lot.cost.currency_code)
            if lot.moved_day < self._span.from_day:
                self._opened[change.lot] = _Opened(liability, msgspec.structs.replace(lot), change)
            if lot.moved_day == entry.posting_day:
                postings += moved
                money.setdefault(beside, _Sum()).take(value, sign=-1)
            elif moved and self._span.holds(lot.moved_day):
                turned = f"  {liability}  {value.text(-1)} {beside.currency_code}"
                later += [*_title(entry, lot.moved_day), *moved, turned, ""]
        if entry.posting_day < self._span.from_day:
            self._bring_forward(money)
        elif entry.posting_day < self._span.to_day:
            postings += _money_lines(money)
            if postings:
                later = [*_title(entry, entry.posting_day), *postings, "", *later]
        return "\n".join([*later, ""])

    def opening(self) -> str:
        """Return what was brought forward: lots as they stood, and the money beside them."""
        postings: list[str] = []
        for account, lot, change in self._opened.values():
            if lot.units:
                value = _Sum()
                postings.append(_posting(account, lot, change, -lot.units, value))
        postings += _money_lines(self._brought)
        if not postings:
            return ""
        return "\n".join([f'{self._span.opening_day} * "Opening" "brought forward"', *postings, "", ""])

    def _name(self, account: Account, entity: str) -> str:
        name = self._names.get((account, entity))
        if name is None:
            name = account_name(account, self._chart, entity=entity)
            self._names[account, entity] = name
        return name

    def _bring_forward(self, money: Mapping[_Money, _Sum]) -> None:
        for place, amount in money.items():
            self._brought.setdefault(place, _Sum()).take(amount)

    def _move(self, account: str, change: LotChange, posting_day: date) -> tuple[_Lot, list[str], _Sum]:
        """Return a lot, how its units are posted, and what they are worth."""
        value = _Sum()
        postings: list[str] = []
        cost = _cost_of(change.after, change.asset.scale)
        lot = self._lots.get(change.lot)
        if lot is None:
            lot = _Lot(cost, change.lot, change.after.effective_day, posting_day)
            self._lots[change.lot] = lot
        moved = change.outstanding_units
        if lot.cost != cost:
            if lot.units:
                postings.append(_posting(account, lot, change, lot.units, value))
            moved += lot.units
            lot.cost, lot.units, lot.renewals = cost, 0, lot.renewals + 1
            lot.label = f"{change.lot}#{lot.renewals}"
        if moved:
            postings.append(_posting(account, lot, change, -moved, value))
            lot.units += moved
        if postings:
            lot.moved_day = max(lot.moved_day, posting_day)
        return lot, postings, value


def head(chart: Chart, *, entities: tuple[str, ...], currencies: tuple[str, ...]) -> str:
    """Return what stands before the entries."""
    lines = [f'option "operating_currency" "{currency}"' for currency in currencies]
    # A chart may give several accounts one name.
    names = {account_name(account, chart, entity=entity): None for account in Account for entity in entities}
    lines += [f'{OPEN_DAY} open {name} "STRICT"' for name in names]
    return "\n".join(lines) + "\n\n"


def account_name(account: Account, chart: Chart, *, entity: str) -> str:
    """Return the name of an account of an entity; each part begins with a capital letter or a digit."""
    parts = [_part(entity), *(_part(part) for part in chart.name(account).split(":"))]
    return ":".join([ROOTS[KINDS[account]], *parts])


def commodity(asset_code: str) -> str:
    """Return what credit is called: never as a currency is, and as beancount's grammar wants it."""
    return asset_code if _PLAIN.fullmatch(asset_code) and len(asset_code) != 3 else f"{asset_code}-C"


def _part(text: str) -> str:
    # Characters that beancount does not know stand as their code; so does the hyphen, which keeps names apart.
    plain = "".join(each if each.isalnum() and each.isascii() else f"-{ord(each):02X}" for each in text)
    return plain if plain[:1].isupper() or plain[:1].isdigit() else f"E-{plain}"


def _title(entry: JournalEntry, day: date) -> list[str]:
    return [
        f'{day} * "{event_name(entry.topic)}" "{entry.stream}"',
        f"  version: {entry.version}",
        f"  position: {entry.position}",
        f"  counts: {entry.effective_day}",
        f"  recorded: {entry.record_time.date()}",
    ]


def _money_lines(money: Mapping[_Money, _Sum]) -> list[str]:
    return [
        f"  {place.account}  {each.text()} {place.currency_code}"
        for place, each in money.items()
        if each.amount
    ]


def _posting(account: str, lot: _Lot, change: LotChange, units: int, value: _Sum) -> str:
    """Return how units are posted to the liability, and add what they are worth; below zero, the lot grows."""
    value.add(units * lot.cost.digits, change.asset.scale + lot.cost.scale)
    amount = f"{decimal_text(units, change.asset.scale)} {commodity(change.asset.code)}"
    cost = f"{decimal_text(lot.cost.digits, lot.cost.scale)} {lot.cost.currency_code}"
    return f'  {account}  {amount} {{{cost}, {lot.day}, "{lot.label}"}}'


def _cost_of(lot: PaidLot, asset_scale: int) -> _Cost:
    """Return what one whole asset of a lot costs, rounded down to COST_DIGITS."""
    # Nanos of 10^scale units; the digits that are wanted beyond them may be below zero.
    whole = lot.consideration_nanos * 10**asset_scale
    scale = max(COST_DIGITS - len(str(whole // lot.amount_units)), 0)
    return _Cost(whole * 10**scale // lot.amount_units, MONEY_SCALE + scale, lot.currency_code)
