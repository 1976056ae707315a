"""What the reports of finance are asked for and give, and what each figure means.

Reports of sums are read from the journal. Those that need the events behind them fold the log anew, in a process beside
the request path; they take as long as there are events, and say how far they are.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import date, datetime
from enum import Enum
from typing import Protocol

import msgspec

from ledger_service.application.exporting.export_ports import ExportPart, ExportRequest
from ledger_service.application.reporting.breakage_analysis import Cohort, Suggestion
from ledger_service.application.reporting.contract_positions import ContractPosition, PositionTotal
from ledger_service.application.reporting.journal_summary import SummaryRow
from ledger_service.application.reporting.liability_parts import LiabilityRow
from ledger_service.application.reporting.opening_revenue import OpeningRevenueRow
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.application.reporting.revenue_split import RevenueRow
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry


class TrialBalanceRow(msgspec.Struct, frozen=True):
    """One account of an entity in one currency, in nanos; debits above zero. opening + debits - credits = closing.

    Debits and credits are those of the days' sums: what was debited and credited again for one reason on one day is in
    neither.
    """

    entity: str
    currency_code: str
    account: Account
    opening_nanos: int
    debit_nanos: int
    credit_nanos: int

    @property
    def closing_nanos(self) -> int:
        """Return the balance at the end."""
        return self.opening_nanos + self.debit_nanos - self.credit_nanos


class CreditOutstanding(msgspec.Struct, frozen=True):
    """Credit that customers have, by what it is, beside the liability that the books carry for it, as recorded.

    Credit granted for a time to come is told apart (`future_`): nobody has it yet, and its liability is posted on the
    day on which it begins. A report of a day leaves it out.
    """

    entity: str
    asset_code: str
    asset_scale: int
    category: str
    currency_code: str
    grant_count: int
    outstanding_units: int
    liability_nanos: int
    future_count: int = 0
    future_units: int = 0
    future_liability_nanos: int = 0


class FoldedReport(Enum):
    """Reports of events."""

    LIABILITY = "LIABILITY"
    OPENING_REVENUE = "OPENING_REVENUE"
    BREAKAGE = "BREAKAGE"
    REVENUE = "REVENUE"
    OBLIGATION = "OBLIGATION"
    POSITIONS = "POSITIONS"
    JOURNAL = "JOURNAL"
    CREDIT = "CREDIT"


class FoldRequest(msgspec.Struct, frozen=True, tag="fold"):
    """A report of events."""

    report: FoldedReport
    scope: ReportScope


class FoldProgress(msgspec.Struct, frozen=True):
    """How far a report is, with how many events of the log it has read; the figures come with the last one."""

    wallet_count: int
    wallets_total: int
    position: int
    event_count: int = 0
    done: bool = False
    liability: tuple[LiabilityRow, ...] = ()
    opening_revenue: tuple[OpeningRevenueRow, ...] = ()
    cohorts: tuple[Cohort, ...] = ()
    suggestions: tuple[Suggestion, ...] = ()
    revenue: tuple[RevenueRow, ...] = ()
    positions: tuple[PositionTotal, ...] = ()
    journal: tuple[SummaryRow, ...] = ()
    credit: tuple[CreditOutstanding, ...] = ()


class PositionsRequest(msgspec.Struct, frozen=True, tag="positions"):
    """A page of positions by contract."""

    scope: ReportScope
    page_size: int
    token: str = ""


class PositionsPage(msgspec.Struct, frozen=True):
    """Positions by wallet. A page may be short, or empty, and not the last."""

    positions: tuple[ContractPosition, ...]
    next_token: str
    position: int


class EntriesRequest(msgspec.Struct, frozen=True, tag="entries"):
    """A page of entries of events. Those that match are told whole; empty texts and absent days mean all.

    The days [record_from_day, record_to_day) of the record lead to the events of a day's sum without a search.
    """

    scope: ReportScope
    page_size: int
    wallet: str = ""
    account: Account | None = None
    product: str | None = None
    feature: str | None = None
    model: str | None = None
    record_from_day: date | None = None
    record_to_day: date | None = None
    token: str = ""


class EntriesPage(msgspec.Struct, frozen=True):
    """Entries by wallet, each in the order of the log. A page may be short, or empty, and not the last."""

    entries: tuple[BookedEntry, ...]
    next_token: str
    position: int


class ReconcileRequest(msgspec.Struct, frozen=True, tag="reconcile"):
    """Hold the journal against the log, and its parts against each other."""


class Check(msgspec.Struct, frozen=True):
    """What was compared, and whether it agreed. `difference` names the first that did not, with both figures."""

    name: str
    compared: int
    differing: int
    difference: str = ""


class ReconcileProgress(msgspec.Struct, frozen=True):
    """How far a reconciliation is; the checks come with the last one.

    The log is read twice: wallet by wallet, and for the rebuild that is compared last.
    """

    wallet_count: int
    wallets_total: int
    position: int
    event_count: int = 0
    events_total: int = 0
    done: bool = False
    checks: tuple[Check, ...] = ()


class FinanceReports(Protocol):
    """Reads of the journal of one shard, for people and other programs."""

    async def trial_balance(
        self, scope: ReportScope, *, min_position: int = 0
    ) -> tuple[tuple[TrialBalanceRow, ...], int]:
        """Return the balances of accounts, and the position that was seen. Raises JournalUnbalanced."""

    async def revenue(
        self, scope: ReportScope, *, min_position: int = 0
    ) -> tuple[tuple[RevenueRow, ...], int]:
        """Return revenue by account and product."""

    async def credits_outstanding(
        self, now: datetime, *, entity: str, min_position: int = 0
    ) -> tuple[tuple[CreditOutstanding, ...], int]:
        """Return the credit that customers have at an instant, and that which begins later, by asset and category."""

    async def check_known(self, *, entity: str, currency_code: str) -> None:
        """Raise EntityNotInBooks or CurrencyNotInBooks for what the journal has never heard of."""


class FinanceJobs(Protocol):
    """Long work beside the request path; it ends with whoever closes its answers.

    Methods raise QueueFull, and RuntimeError when the work ends early.
    """

    def export(self, request: ExportRequest) -> AsyncGenerator[ExportPart, None]:
        """Yield the parts of an export."""

    def fold(self, request: FoldRequest) -> AsyncGenerator[FoldProgress, None]:
        """Yield how far a report is, and its figures last."""

    async def entries(self, request: EntriesRequest) -> EntriesPage:
        """Return a page of entries. Raises PageTokenMalformed."""

    async def positions(self, request: PositionsRequest) -> PositionsPage:
        """Return a page of positions by contract. Raises PageTokenMalformed."""

    def reconcile(self, request: ReconcileRequest) -> AsyncGenerator[ReconcileProgress, None]:
        """Yield how far a reconciliation is, and its checks last."""
