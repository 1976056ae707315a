"""Checks of accounts: what is stored by day against what events post, and accounts against the facts behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

from ledger_service.application.reporting.liability_parts import PartKind, part_moves
from ledger_service.application.reporting.report_ports import Check
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.finance.exchange import converted
from ledger_service.domain.finance.journal import Movement
from ledger_service.domain.values import NoteSettlement
from ledger_service.projections.bookkeeping.exchange import Exchange, RateKey
from ledger_service.projections.reports.roll_forward import DaySums, roll_forward_days, sums_of

UNBALANCED: Final = """
SELECT count(*) OVER (), currency_code, entity, record_day::text, sum(nanos)::text FROM {schema}.journal_days
GROUP BY currency_code, entity, record_day HAVING sum(nanos) <> 0 ORDER BY 2, 3, 4 LIMIT 1"""
GROUPS: Final = (
    "SELECT count(*) FROM (SELECT DISTINCT currency_code, entity, record_day FROM {schema}.journal_days) d"
)
MONTHS: Final = """
SELECT entity, currency_code, account, date_trunc('month', posting_day)::date::text, sum(nanos)::text
FROM {schema}.journal_days GROUP BY 1, 2, 3, 4"""
MOVEMENTS: Final = """
SELECT entity, currency_code, date_trunc('month', posting_day)::date, account, movement, sum(nanos)::text
FROM {schema}.journal_days GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3"""
CLOSED: Final = """
SELECT entity, from_day, to_day, figures_hash FROM {schema}.journal_periods WHERE figures_hash <> '' ORDER BY 1, 2"""
FIGURES: Final = """
SELECT currency_code, account, sum(nanos)::text FROM {schema}.journal_days
WHERE entity = %s AND posting_day >= %s AND posting_day < %s
GROUP BY 1, 2 HAVING sum(nanos) <> 0 ORDER BY 1, 2"""
BILLS: Final = """
SELECT originator_id, originator_version, coalesce(w.entity, ''), e.notification_id, state
FROM {schema}.stored_events AS e
JOIN {schema}.journal_contracts AS c ON c.contract = originator_id
LEFT JOIN {schema}.journal_wallets AS w USING (wallet)
WHERE topic IN ('contract.InvoiceIssued.v1', 'contract.CreditNoteIssued.v1') ORDER BY notification_id"""
RECEIVABLE: Final = """
SELECT entity, currency_code, sum(nanos)::text FROM {schema}.journal_days
WHERE account = 'ACCOUNTS_RECEIVABLE'
    AND movement IN ('INVOICE', 'TAX', 'CREDIT_NOTE', 'DRAW_DOWN', 'EXCHANGE', 'ROUNDING')
GROUP BY 1, 2"""
UNBILLED_ACCOUNT: Final = """
SELECT entity, currency_code, sum(nanos)::text FROM {schema}.journal_days
WHERE account = 'UNBILLED_RECEIVABLE' GROUP BY 1, 2"""
UNBILLED_WALLETS: Final = """
SELECT entity, currency_code, sum(nanos)::text FROM (
    SELECT wallet, currency_code, nanos FROM {schema}.journal_unbilled
    UNION ALL SELECT holder, book_currency_code, book_nanos FROM {schema}.journal_carried WHERE kind = 'UNBILLED'
) AS u JOIN {schema}.journal_wallets USING (wallet) GROUP BY 1, 2"""


class Scope(NamedTuple):
    """An entity's books in a currency."""

    entity: str
    currency_code: str


class _BillFacts(msgspec.Struct, frozen=True):
    currency_code: str
    invoice: str
    issue_time: datetime
    total_nanos: int = 0
    settlement: NoteSettlement | None = None


class _Bill(msgspec.Struct, frozen=True):
    event: _BillFacts


_bills: Final = msgspec.json.Decoder(_Bill)


class Derived:
    """What the entries of all events come to."""

    def __init__(self) -> None:
        self.months: dict[tuple[str, str, str, str], int] = {}
        """By entity, currency, account and month."""
        self.over_time: dict[Scope, int] = {}
        """Contract liability that no lot carries, pools left out."""
        self.receivables: dict[tuple[str, int, str], int] = {}
        """What each bill made a receivable, by contract, version and currency."""

    def take(self, booked: BookedEntry) -> None:
        """Count an entry."""
        entry = booked.entry
        month = entry.posting_day.replace(day=1).isoformat()
        for line in entry.lines:
            key = (entry.entity, line.currency_code, line.account.value, month)
            self.months[key] = self.months.get(key, 0) + line.nanos
            if line.account is Account.ACCOUNTS_RECEIVABLE and entry.stream.startswith("contracts/"):
                bill = (entry.stream, entry.version, line.currency_code)
                self.receivables[bill] = self.receivables.get(bill, 0) + line.nanos
        for move in part_moves(booked):
            if move.kind is PartKind.OVER_TIME:
                scope = Scope(move.entity, move.currency_code)
                self.over_time[scope] = self.over_time.get(scope, 0) + move.nanos


def check_accounts(
    connection: psycopg.Connection[Any], schema: str, derived: Derived, exchange: Exchange
) -> Iterator[Check]:
    """Yield the checks of accounts. Raises psycopg.Error."""

    def rows(statement: str, *parameters: object) -> list[Any]:
        query = SQL(statement).format(schema=Identifier(schema))  # type: ignore[arg-type,unused-ignore]
        return connection.execute(query, parameters).fetchall()

    yield _check_balanced(rows(UNBALANCED), rows(GROUPS)[0][0])
    stored = {tuple(key): int(nanos) for *key, nanos in rows(MONTHS)}
    yield compared("journal = events", stored, derived.months)
    yield _check_roll_forward(rows(MOVEMENTS), derived)
    yield _check_closed(
        {
            (entity, from_day.isoformat()): (recorded, hash_of(rows(FIGURES, entity, from_day, to_day)))
            for entity, from_day, to_day, recorded in rows(CLOSED)
        }
    )
    facts, billed = _receivables(rows(BILLS), derived, exchange)
    yield compared("invoices = entries", facts, derived.receivables, left="billed", right="posted")
    yield compared("invoices = receivables", by_scope(rows(RECEIVABLE)), billed, right="billed")
    account, wallets = by_scope(rows(UNBILLED_ACCOUNT)), by_scope(rows(UNBILLED_WALLETS))
    yield compared("unbilled by wallet = account", account, wallets, right="of the wallets")


def by_scope(rows: Iterable[tuple[str, str, str]]) -> dict[Scope, int]:
    """Return figures by entity and currency."""
    return {Scope(entity, currency): int(nanos) for entity, currency, nanos in rows}


def compared(
    name: str,
    left_figures: Mapping[Any, int],
    right_figures: Mapping[Any, int],
    *,
    left: str = "stored",
    right: str = "by the log",
) -> Check:
    """Return a check of figures, in nanos; a missing one is 0."""
    keys = sorted(left_figures.keys() | right_figures.keys())
    wrong = [key for key in keys if left_figures.get(key, 0) != right_figures.get(key, 0)]
    text = ""
    if wrong:
        figures = left_figures.get(wrong[0], 0), right_figures.get(wrong[0], 0)
        text = f"{' '.join(map(str, wrong[0]))}: {left} {figures[0]} nanos, {right} {figures[1]}"
    return Check(name, len(keys), len(wrong), text)


def hash_of(figures: list[Any]) -> str:
    """Return the hash of a period's figures, as its closing records it."""
    rows = [(currency, account, int(nanos)) for currency, account, nanos in figures]
    return sha256(msgspec.json.encode(rows)).hexdigest()


def _check_balanced(unbalanced: list[Any], compared_count: int) -> Check:
    text, differing = "", 0
    if unbalanced:
        differing, currency, entity, day, nanos = unbalanced[0]
        text = f"{entity} {currency} recorded on {day}: debits exceed credits by {nanos} nanos"
    return Check("trial balance = 0", compared_count, differing, text)


def _check_roll_forward(rows: list[Any], derived: Derived) -> Check:
    """Each month opens with what the one before closed with; closings are those that the events give."""
    months: dict[tuple[Scope, date], list[tuple[Account, Movement, int]]] = {}
    for entity, currency, month, account, movement, nanos in rows:
        posted = months.setdefault((Scope(entity, currency), month), [])
        posted.append((Account(account), Movement(movement), int(nanos)))
    closings: dict[tuple[str, str, str], int] = {}
    expected: dict[tuple[str, str, str], int] = {}
    before: dict[Scope, DaySums] = {}
    liability: dict[Scope, int] = {}
    for (scope, month), posted in sorted(months.items()):
        sums = sums_of(posted)
        opening = before.get(scope, DaySums())
        span = roll_forward_days(
            opening, {month: sums}, from_day=month, to_day=month + timedelta(days=1), position=0
        )
        before[scope] = opening + sums
        moved = derived.months.get((*scope, Account.CONTRACT_LIABILITY.value, month.isoformat()), 0)
        liability[scope] = liability.get(scope, 0) - moved
        key = (*scope, month.isoformat())
        closings[key], expected[key] = span.total.closing_nanos, liability[scope]
    return compared("roll-forward ties from month to month", closings, expected, left="closing")


def _check_closed(periods: Mapping[tuple[str, str], tuple[str, str]]) -> Check:
    wrong = [key for key, (recorded, present) in periods.items() if recorded != present]
    text = ""
    if wrong:
        recorded, present = periods[wrong[0]]
        text = f"{' from '.join(wrong[0])}: closed with {recorded}, now {present}"
    return Check("closed periods unchanged", len(periods), len(wrong), text)


def _receivables(
    rows: list[Any], derived: Derived, exchange: Exchange
) -> tuple[dict[tuple[str, int, str], int], dict[Scope, int]]:
    """Return what each bill makes a receivable, and what they add up to by entity.

    A bill in a foreign currency does so at the rate in force at the issue of its invoice, but for overage that was
    booked in its own currency.
    """
    facts: dict[tuple[str, int, str], int] = {}
    billed: dict[Scope, int] = {}
    rates: dict[tuple[str, str], str] = {}
    for contract, version, entity, position, state in rows:
        bill = _bills.decode(state).event
        own = exchange.foreign_to(entity, bill.currency_code, position)
        if bill.settlement is None and own:
            key = RateKey(entity, bill.currency_code)
            rates[contract, bill.invoice] = exchange.rate(key, bill.issue_time, position)
        for currency, nanos in _worth(
            bill, own, rates.get((contract, bill.invoice), ""), derived, contract, version
        ):
            if nanos:
                facts[contract, version, currency] = nanos
                scope = Scope(entity, currency)
                billed[scope] = billed.get(scope, 0) + nanos
    return facts, billed


def _worth(
    bill: _BillFacts, own: str, rate: str, derived: Derived, contract: str, version: int
) -> Iterator[tuple[str, int]]:
    nanos = bill.total_nanos
    if bill.settlement is not None:
        nanos = -nanos if bill.settlement is NoteSettlement.OFFSET else 0
    if not own or not rate:
        yield bill.currency_code, nanos
        return
    # What overage was in the bill's own currency is told by the wallet's fold alone.
    plain = derived.receivables.get((contract, version, bill.currency_code), 0)
    yield bill.currency_code, plain
    sign = -1 if bill.settlement is not None else 1
    yield own, sign * converted(sign * (nanos - plain), Fraction(rate))
