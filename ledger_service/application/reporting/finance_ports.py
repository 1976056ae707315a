"""What the application reads from the journal, and in which shape; see `view_ports` on positions and refusals."""

from __future__ import annotations

from datetime import date, datetime
from typing import Protocol

import msgspec

from ledger_service.application.reading.page_tokens import JournalToken, RatesToken
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import Movement


class FinanceScope(msgspec.Struct, frozen=True):
    """Which part of the journal. An empty entity means all of them.

    With `known_before` only what was recorded before that day (UTC) counts, and nothing that time did without a record.
    """

    currency_code: str
    entity: str = ""
    known_before: date | None = None


class RollForwardRow(msgspec.Struct, frozen=True):
    """Contract liability over the days [from_day, to_day), in nanos of one currency.

    opening + billings - recognised usage - recognised breakage - recognised over time - commitments drawn - refunds
    - escheat = closing.
    The last three tell of other accounts: what overage earned, and what is unbilled and owed back at the end.
    """

    from_day: date
    to_day: date
    opening_nanos: int
    billings_nanos: int
    recognised_usage_nanos: int
    recognised_breakage_nanos: int
    refunds_nanos: int
    closing_nanos: int
    escheat_nanos: int = 0
    recognised_over_time_nanos: int = 0
    commitments_drawn_nanos: int = 0
    overage_revenue_nanos: int = 0
    unbilled_receivable_nanos: int = 0
    refund_liability_nanos: int = 0


class RollForward(msgspec.Struct, frozen=True):
    """The whole span, and one row a day on which something happened."""

    total: RollForwardRow
    days: tuple[RollForwardRow, ...]
    position: int


class LotFigures(msgspec.Struct, frozen=True):
    """What the books say of one lot, as recorded."""

    wallet: str
    grant_version: int
    entity: str
    product: str
    pool: str
    currency_code: str
    consideration_nanos: int
    amount_units: int
    left_units: int
    drawn_units: int
    expired_units: int
    refunded_units: int
    usage_nanos: int
    breakage_nanos: int
    refunded_nanos: int
    escheated_nanos: int
    deferred_nanos: int
    expected_breakage: str
    expire_time: datetime | None
    moved_units: int = 0
    moved_nanos: int = 0
    """On to other lots, by a transfer or a roll-over."""


class JournalDay(msgspec.Struct, frozen=True):
    """What an account was debited (above zero) or credited on a day for one reason."""

    posting_day: date
    record_day: date
    effective_day: date
    entity: str
    account: Account
    movement: Movement
    product: str
    source: str
    nanos: int


class PeriodView(msgspec.Struct, frozen=True):
    """A period that takes no entries any more; it is closed once its figures are recorded."""

    entity: str
    from_day: date
    to_day: date
    locked_position: int
    close_time: datetime | None
    figures_hash: str


class RateView(msgspec.Struct, frozen=True):
    """An exchange rate, in force over [from_time, to_time) for what was recorded after it, unless it was replaced."""

    currency_code: str
    rate: str
    from_time: datetime
    to_time: datetime | None
    source: str
    record_time: datetime
    position: int
    replaced: bool


class FinanceViews(Protocol):
    """Reads of the journal of one shard."""

    async def roll_forward(
        self, *, from_day: date, to_day: date, scope: FinanceScope, now: datetime, min_position: int = 0
    ) -> RollForward:
        """Roll contract liability forward over the days (UTC) [from_day, to_day).

        Lots that expired by `now` without a recorded expiry count as broken at their expiry, but for what
        holds reserve and for lots of which part may move on.
        """

    async def list_lots(
        self, wallet: str, *, after: int = 0, limit: int, min_position: int = 0
    ) -> tuple[tuple[LotFigures, ...], int]:
        """Return the lots with consideration of a wallet, and the position that was seen."""

    async def list_days(
        self,
        *,
        from_day: date,
        to_day: date,
        scope: FinanceScope,
        moved_only: bool,
        after: JournalToken | None,
        limit: int,
        min_position: int = 0,
    ) -> tuple[tuple[JournalDay, ...], int]:
        """Return rows posted on [from_day, to_day) in the order of their keys, and the position that was seen."""

    async def list_periods(self, entity: str, *, min_position: int = 0) -> tuple[PeriodView, ...]:
        """Return the periods of an entity that take no entries any more, in order."""

    async def list_rates(
        self,
        entity: str,
        *,
        currency_code: str,
        after: RatesToken | None,
        limit: int,
        min_position: int = 0,
    ) -> tuple[tuple[RateView, ...], int]:
        """Return exchange rates by currency, instant and position, and the position that was seen."""

    async def due_wallets(
        self, *, before: date, entity: str, after: str = "", limit: int, min_position: int
    ) -> tuple[str, ...]:
        """Return wallets, in order, of which credit expired before a day (UTC) and no event has recorded it yet."""

    async def figures_hash(self, *, entity: str, from_day: date, to_day: date, min_position: int) -> str:
        """Return the hash of a period's figures: SHA-256 (hex) of its trial balance."""
