"""The books of a recognition case as finance reads them: roll-forward by day, journal by day, lots at an instant.

Each case is paid in a currency that no other case has, so that what is kept by currency is the case's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from string import ascii_uppercase
from typing import Final, NamedTuple

from credits.ledger.v1 import finance_commands_pb2, finance_service_pb2
from tests.acceptance.cases.amounts import from_nanos
from tests.acceptance.cases.fields import timestamp
from tests.acceptance.cases.rating_cards import CURRENCY
from tests.acceptance.cases.recognition_accounts import Postings
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Session
from tests.acceptance.cases.verdicts import Unsupported

SPAN_MAX: Final = timedelta(days=3_660)
"""Longest span of one answer."""
PAGE_SIZE: Final = 1_000
COLUMNS: Final = (
    "billings",
    "recognised_usage",
    "recognised_breakage",
    "recognised_over_time",
    "refunds",
    "escheat",
    "overage_revenue",
)
"""Figures of a day that add up."""
BALANCES: Final = ("unbilled_receivable", "refund_liability")
"""Figures as they stand at the end of a day."""


class Currencies:
    """Hands out currency codes, each once."""

    def __init__(self) -> None:
        """Begin with AAA; the code in which rating cases are paid is left out."""
        codes = ("".join(letters) for letters in product(ascii_uppercase, repeat=3))
        self._codes: Iterator[str] = (code for code in codes if code != CURRENCY)

    def take(self) -> str:
        """Return a code that nobody has. Raises Unsupported when there are no more."""
        code = next(self._codes, None)
        if code is None:
            raise Unsupported("more cases than there are currency codes")
        return code


class LotState(NamedTuple):
    """What the books say of a lot at an instant."""

    left_units: int
    contract_liability: Decimal
    unused: Decimal = Decimal(0)
    """What of the consideration was neither used nor paid back nor given up."""


class Books(NamedTuple):
    """All that was read: figures by day, balances by day, and the journal."""

    days: Mapping[datetime, Mapping[str, Decimal]]
    balances: Mapping[datetime, Mapping[str, Decimal]]
    journal: Postings

    def until(self, instant: datetime, figure: str) -> Decimal:
        """Return a figure added up over all days before an instant."""
        return sum((day[figure] for at, day in self.days.items() if at < instant), Decimal(0))

    def balance(self, instant: datetime, figure: str) -> Decimal:
        """Return a balance as it stood before an instant."""
        before = [at for at in self.balances if at < instant]
        return self.balances[max(before)][figure] if before else Decimal(0)


async def read_books(session: Session, currency_code: str, start: datetime, horizon: datetime) -> Books:
    """Return the books of a currency from a midnight up to another."""
    position = await session.services.head_position()
    days: dict[datetime, Mapping[str, Decimal]] = {}
    balances: dict[datetime, Mapping[str, Decimal]] = {}
    journal: Postings = {}
    while start < horizon:
        end = min(start + SPAN_MAX, horizon)
        request = finance_service_pb2.GetRollForwardRequest(
            from_time=timestamp(start),
            to_time=timestamp(end),
            currency_code=currency_code,
            min_position=position,
        )
        answer = await call(session.services.finance.GetRollForward, request)
        for row in answer.days:
            at = row.from_time.ToDatetime(UTC)
            days[at] = {name: from_nanos(getattr(row, name).nanos) for name in COLUMNS}
            balances[at] = {name: from_nanos(getattr(row, name).nanos) for name in BALANCES}
        await _read_journal(session, currency_code, start, end, journal)
        start = end
    return Books(days, balances, journal)


async def read_lots(session: Session, wallet: str) -> dict[str, LotState]:
    """Return the lots with consideration of a wallet by their grants' names, all that is recorded seen."""
    request = finance_commands_pb2.ListPaidLotsRequest(
        name=wallet, page_size=PAGE_SIZE, min_position=await session.services.head_position()
    )
    answer = await call(session.services.finance.ListPaidLots, request)
    return {
        lot.grant: LotState(
            lot.left_units,
            from_nanos(lot.contract_liability.nanos),
            from_nanos(lot.contract_liability.nanos + lot.breakage.nanos),
        )
        for lot in answer.lots
    }


async def _read_journal(
    session: Session, currency_code: str, start: datetime, end: datetime, journal: Postings
) -> None:
    token = ""
    while True:
        request = finance_commands_pb2.ListJournalDaysRequest(
            from_time=timestamp(start),
            to_time=timestamp(end),
            currency_code=currency_code,
            page_size=PAGE_SIZE,
            page_token=token,
        )
        answer = await call(session.services.finance.ListJournalDays, request)
        for row in answer.rows:
            day = journal.setdefault(row.posting_time.ToDatetime(UTC), {})
            day[row.account] = day.get(row.account, Decimal(0)) + from_nanos(row.amount.nanos)
        token = answer.next_page_token
        if not token:
            return


def accounts_of(journals: Sequence[Mapping[str, Decimal]]) -> set[str]:
    """Return every account that is named."""
    return {account for journal in journals for account in journal}
