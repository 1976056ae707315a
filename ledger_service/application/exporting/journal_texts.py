"""What the texts of an exported journal have in common: accounts, amounts, and the parts of a file.

Every amount is exact decimal text: money with 9 decimals, units with those of their asset. An account is its kind, its
entity and what the chart calls it, so that the books of several entities stay apart in one file.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Protocol

import msgspec

from ledger_service.domain.finance.accounts import Chart
from ledger_service.domain.finance.booked import BookedEntry

MONEY_SCALE: Final = 9


class TextSpan(msgspec.Struct, frozen=True):
    """The posting days [from_day, to_day) of a text. What was posted before is its opening."""

    from_day: date
    to_day: date

    def holds(self, day: date) -> bool:
        """Return whether a day lies in the span."""
        return self.from_day <= day < self.to_day

    @property
    def opening_day(self) -> date:
        """Return the day on which openings stand: the last one before the span."""
        return self.from_day - timedelta(days=1)


class JournalText(Protocol):
    """Writes a journal in the language of some program. One is made for each wallet, and is given all its entries."""

    def entry(self, booked: BookedEntry) -> str:
        """Return the text of an entry; empty if it tells nothing, is not of the span, or belongs to the opening."""

    def opening(self) -> str:
        """Return what the wallet was brought forward with. The text is over with it."""


class JournalHead(Protocol):
    """Writes what stands before the entries."""

    def __call__(self, chart: Chart, *, entities: tuple[str, ...], currencies: tuple[str, ...]) -> str:
        """Return the text; it names every account of the entities."""


def decimal_text(amount: int, scale: int) -> str:
    """Return amount x 10^-scale with just so many decimals."""
    if not scale:
        return str(amount)
    digits = str(abs(amount)).rjust(scale + 1, "0")
    return f"{'-' if amount < 0 else ''}{digits[:-scale]}.{digits[-scale:]}"


def money_text(nanos: int) -> str:
    """Return an amount of money."""
    return decimal_text(nanos, MONEY_SCALE)


def event_name(topic: str) -> str:
    """Return what an event is called in a topic such as wallet.CreditsDebited.v1."""
    return topic.split(".")[1]


def one_line(text: str) -> str:
    """Return a text without line breaks and without two blanks in a row, which end an account or a comment."""
    return " ".join(text.split())
