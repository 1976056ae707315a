"""The journal: double entries, and the day and period that they are posted to.

A posting moves an amount from one account to another, so it balances by its form; an entry is what one event posted,
with the lines of each account added up. Amounts are integer nanos; a debit is above zero, a credit below.

Three days (UTC) are known of a posting. The effective day is that of the event's effective time, and the record day
that of its record time. The posting day is the effective day if its accounting period was open when the event was
recorded, by the order of the log, and otherwise the first day of the first open period; so a closed period never
changes. What was known at the beginning of a day is what has an earlier record day.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from enum import Enum
from typing import NamedTuple

import msgspec

from ledger_service.domain.finance.accounts import Account


class Movement(Enum):
    """Why an amount moved; the columns of the roll-forward."""

    SALE = "SALE"
    """Consideration of a paid grant."""
    TAX = "TAX"
    USAGE = "USAGE"
    BREAKAGE = "BREAKAGE"
    OVERAGE = "OVERAGE"
    REFUND = "REFUND"
    """Owed back, or taken back by the bank."""
    SETTLEMENT = "SETTLEMENT"
    """A refund was paid."""
    ESCHEAT = "ESCHEAT"
    INVOICE = "INVOICE"
    PLAN = "PLAN"
    """Recognised by time."""
    DRAW_DOWN = "DRAW_DOWN"
    """Overage that a prepaid commitment pays for."""
    PRODUCT = "PRODUCT"
    """Sold together with credit."""
    CREDIT_NOTE = "CREDIT_NOTE"
    EXCHANGE = "EXCHANGE"
    ROUNDING = "ROUNDING"


class Flow(NamedTuple):
    """From which account to which an amount moved, and why."""

    movement: Movement
    debit: Account
    credit: Account


class PostingKey(NamedTuple):
    """What the journal adds up by. `source` is the breakage pool that posted, empty for all else."""

    flow: Flow
    posting_day: date
    effective_day: date
    record_day: date
    currency_code: str
    entity: str
    product: str
    source: str = ""


class Posting(NamedTuple):
    """An amount and what it is added up by; below zero, it moved the other way."""

    key: PostingKey
    nanos: int


class JournalLine(msgspec.Struct, frozen=True):
    """What one account was debited (above zero) or credited (below) by an entry."""

    account: Account
    currency_code: str
    nanos: int
    product: str = ""


class JournalEntry(msgspec.Struct, frozen=True):
    """What one event posted on one day. `moved` says that the period of its effective day was closed before."""

    stream: str
    version: int
    position: int
    topic: str
    effective_time: datetime
    record_time: datetime
    posting_day: date
    effective_day: date
    entity: str
    lines: tuple[JournalLine, ...]

    @property
    def moved(self) -> bool:
        """Return whether it is posted later than it counts."""
        return self.posting_day != self.effective_day


class UnbalancedError(Exception):
    """Debits and credits differ: the journal was changed by something else than the ledger."""


def lines_of(postings: Iterable[Posting]) -> tuple[JournalLine, ...]:
    """Return the lines of postings, one an account, currency and product, without those that come to nothing."""
    sums: dict[tuple[Account, str, str], int] = {}
    for key, nanos in postings:
        for account, amount in ((key.flow.debit, nanos), (key.flow.credit, -nanos)):
            place = (account, key.currency_code, key.product)
            sums[place] = sums.get(place, 0) + amount
    lines = tuple(
        JournalLine(account, currency, nanos, product)
        for (account, currency, product), nanos in sums.items()
        if nanos
    )
    check_balanced(lines)
    return lines


def check_balanced(lines: Iterable[JournalLine]) -> None:
    """Check that debits equal credits in each currency. Raises UnbalancedError."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.currency_code] = sums.get(line.currency_code, 0) + line.nanos
    for currency, nanos in sums.items():
        if nanos:
            raise UnbalancedError(f"debits exceed credits by {nanos} nanos of {currency}")
