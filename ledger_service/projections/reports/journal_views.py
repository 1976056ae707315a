"""Reads of the journal: roll-forward, lots, periods, and the figures that a closed period is hashed over.

The pool's connections may have any search_path; statements name the shard's schema. What time alone has done is
added here, at the caller's `now`, as the lots would post it when it is recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from hashlib import sha256
from typing import Any

import msgspec
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.reading.page_tokens import JournalToken, RatesToken
from ledger_service.application.reporting.finance_ports import (
    FinanceScope,
    JournalDay,
    LotFigures,
    PeriodView,
    RateView,
    RollForward,
)
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import JournalLine, Movement, check_balanced
from ledger_service.projections.projection import JOURNAL
from ledger_service.projections.reports.journal_view_statements import JournalStatements
from ledger_service.projections.reports.roll_forward import DaySums, roll_forward_days, sums_of
from ledger_service.projections.view_reader import POSITION_WAIT_SECONDS, ViewReader

FOREVER = datetime.max.replace(tzinfo=UTC)


class PostgresFinanceViews(ViewReader):
    """The journal of one shard."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        *,
        schema: str,
        position_wait_seconds: float = POSITION_WAIT_SECONDS,
    ) -> None:
        """Read through the pool, which the caller opens and closes."""
        self._statements = JournalStatements(schema)
        super().__init__(pool, self._statements.position, position_wait_seconds=position_wait_seconds)

    async def roll_forward(
        self, *, from_day: date, to_day: date, scope: FinanceScope, now: datetime, min_position: int = 0
    ) -> RollForward:
        """Roll contract liability forward over the days [from_day, to_day). Raises UnbalancedError."""
        assert from_day < to_day, "a span has at least one day"
        position = await self._reach(JOURNAL.name, min_position)
        parameters = _scoped(scope) | {
            "from_day": from_day,
            "to_day": to_day,
            "to_time": _midnight(to_day),
            # What was known on a day says nothing of what time has done since without a record.
            "now": now if scope.known_before is None else datetime.min.replace(tzinfo=UTC),
        }
        rows = await self._rows(self._statements.roll_forward, parameters)
        by_day: dict[date | None, list[tuple[Account, Movement, int]]] = {}
        for day, account, movement, nanos in rows:
            by_day.setdefault(day, []).append((Account(account), Movement(movement), int(nanos)))
        check_balanced(
            JournalLine(account, scope.currency_code, nanos)
            for posted in by_day.values()
            for account, _, nanos in posted
        )
        before = sums_of(by_day.pop(None, []))
        days = {day: sums_of(posted) for day, posted in by_day.items() if day is not None}
        days = {day: sums for day, sums in days.items() if sums != DaySums()}
        return roll_forward_days(before, days, from_day=from_day, to_day=to_day, position=position)

    async def list_lots(
        self, wallet: str, *, after: int = 0, limit: int, min_position: int = 0
    ) -> tuple[tuple[LotFigures, ...], int]:
        """Return the lots with consideration of a wallet, in the order they were sold."""
        position = await self._reach(JOURNAL.name, min_position)
        parameters = {"wallet": wallet, "after": after, "limit": limit}
        rows = await self._rows(self._statements.list_lots, parameters)
        return tuple(LotFigures(*row) for row in rows), position

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
        position = await self._reach(JOURNAL.name, min_position)
        last = after or JournalToken(date.min, date.min, date.min, "", "", "", "", "")
        parameters = _scoped(scope) | {
            "from_day": from_day,
            "to_day": to_day,
            "moved_only": moved_only,
            "limit": limit,
            "posting_day": last.posting_day,
            "record_day": last.record_day,
            "effective_day": last.effective_day,
            "last_entity": last.entity,
            "account": last.account,
            "movement": last.movement,
            "product": last.product,
            "source": last.source,
        }
        rows = await self._rows(self._statements.list_days, parameters)
        return tuple(_journal_day(row) for row in rows), position

    async def list_periods(self, entity: str, *, min_position: int = 0) -> tuple[PeriodView, ...]:
        """Return the periods of an entity that take no entries any more, in order."""
        await self._reach(JOURNAL.name, min_position)
        rows = await self._rows(self._statements.list_periods, {"entity": entity})
        return tuple(PeriodView(*row) for row in rows)

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
        position = await self._reach(JOURNAL.name, min_position)
        last = after or RatesToken("", "", datetime.min.replace(tzinfo=UTC), 0)
        parameters = {
            "entity": entity,
            "currency_code": currency_code,
            "last": last.currency_code,
            "from_time": last.from_time,
            "position": last.position,
            "limit": limit,
        }
        rows = await self._rows(self._statements.list_rates, parameters)
        return tuple(RateView(*row) for row in rows), position

    async def due_wallets(
        self, *, before: date, entity: str, after: str = "", limit: int, min_position: int
    ) -> tuple[str, ...]:
        """Return wallets, in order, of which credit expired before a day (UTC) and no event has recorded it yet."""
        await self._reach(JOURNAL.name, min_position)
        parameters = {"before": _midnight(before), "entity": entity, "after": after, "limit": limit}
        return tuple(row[0] for row in await self._rows(self._statements.due_wallets, parameters))

    async def figures_hash(self, *, entity: str, from_day: date, to_day: date, min_position: int) -> str:
        """Return SHA-256 (hex) of a period's trial balance, one line an account and currency in order."""
        await self._reach(JOURNAL.name, min_position)
        parameters = {"entity": entity, "from_day": from_day, "to_day": to_day}
        rows = await self._rows(self._statements.period_figures, parameters)
        figures = [(currency, account, int(nanos)) for currency, account, nanos in rows]
        return sha256(msgspec.json.encode(figures)).hexdigest()


def _journal_day(row: Sequence[Any]) -> JournalDay:
    posting_day, record_day, effective_day, entity, account, movement, product, source, nanos = row
    return JournalDay(
        posting_day,
        record_day,
        effective_day,
        entity,
        Account(account),
        Movement(movement),
        product,
        source,
        int(nanos),
    )


def _scoped(scope: FinanceScope) -> dict[str, object]:
    return {
        "currency_code": scope.currency_code,
        "entity": scope.entity,
        "known_before": scope.known_before or date.max,
    }


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
