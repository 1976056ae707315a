"""Reads of the journal for reports: trial balance, revenue by product, and credit beside its liability.

The pool's connections may have any search_path; statements name the shard's schema. What time alone has ended is added
at the caller's `now`, as the roll-forward adds it.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any, Final

from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.reporting.report_ports import CreditOutstanding, TrialBalanceRow
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.application.reporting.revenue_split import RevenueRow
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.refusals import CurrencyNotInBooks, EntityNotInBooks, JournalUnbalanced
from ledger_service.projections.projection import JOURNAL, WALLET_VIEW
from ledger_service.projections.reports.journal_view_statements import DUE
from ledger_service.projections.view_reader import POSITION_WAIT_SECONDS, ViewReader
from ledger_service.projections.view_statements import POSITION

POSTED: Final = """{due}, posted AS (
    SELECT posting_day AS day, entity, currency_code, account, product, nanos FROM {schema}.journal_days
    WHERE posting_day < %(to_day)s AND record_day < %(known_before)s
        AND (%(entity)s = '' OR entity = %(entity)s)
        AND (%(currency_code)s = '' OR currency_code = %(currency_code)s)
    UNION ALL SELECT day, entity, currency_code, 'CONTRACT_LIABILITY', product, breakage FROM due_parts
    UNION ALL SELECT day, entity, currency_code, 'REVENUE_BREAKAGE', product, -breakage FROM due_parts
    UNION ALL SELECT day, entity, currency_code, 'CONTRACT_LIABILITY', '', change FROM due_pools
    UNION ALL SELECT day, entity, currency_code, 'REVENUE_BREAKAGE', '', -change FROM due_pools
    UNION ALL SELECT day, entity, currency_code, 'CONTRACT_LIABILITY', product, escheat FROM due_parts
    UNION ALL SELECT day, entity, currency_code, 'UNCLAIMED_PROPERTY_PAYABLE', product, -escheat FROM due_parts
)""".replace("{due}", DUE)
TRIAL_BALANCE: Final = """{posted}
SELECT entity, currency_code, account, coalesce(sum(nanos) FILTER (WHERE day < %(from_day)s), 0)::text,
    coalesce(sum(nanos) FILTER (WHERE day >= %(from_day)s AND nanos > 0), 0)::text,
    coalesce(-sum(nanos) FILTER (WHERE day >= %(from_day)s AND nanos < 0), 0)::text
FROM posted WHERE day < %(to_day)s GROUP BY 1, 2, 3 ORDER BY 2, 1, 3""".replace("{posted}", POSTED)
REVENUE: Final = """{posted}
SELECT entity, currency_code, account, product, (-sum(nanos))::text
FROM posted WHERE day >= %(from_day)s AND day < %(to_day)s AND account LIKE 'REVENUE_%%'
GROUP BY 1, 2, 3, 4 HAVING sum(nanos) <> 0 ORDER BY 1, 2, 3, 4""".replace("{posted}", POSTED)
# What a bonus is worth is in the lot of its purchase, and its units are its own. Credit that begins later stands apart.
OUTSTANDING: Final = """
SELECT coalesce(l.entity, w.entity), w.asset_code, w.asset_scale, g.category, coalesce(l.currency_code, ''),
    count(*) FILTER (WHERE g.begun), coalesce(sum(g.remaining) FILTER (WHERE g.begun), 0)::text,
    coalesce(sum(l.deferred) FILTER (WHERE g.begun), 0)::text,
    count(*) FILTER (WHERE NOT g.begun), coalesce(sum(g.remaining) FILTER (WHERE NOT g.begun), 0)::text,
    coalesce(sum(l.deferred) FILTER (WHERE NOT g.begun), 0)::text
FROM (
    SELECT *, effective_time <= %(now)s AS begun, amount_units - drawn_units - expired_units - revoked_units
        - rolled_over_units - transferred_units AS remaining
    FROM {schema}.wallet_view_grants WHERE payment_state = ''
) AS g
JOIN {schema}.wallet_view_wallets AS w ON w.wallet = g.wallet
LEFT JOIN (
    SELECT wallet, grant_version, entity, currency_code, CASE WHEN purchase_version = 0 THEN
        consideration_nanos - refunded_nanos - rolled_nanos - escheated_nanos - usage_nanos - breakage_nanos
        ELSE 0 END AS deferred
    FROM {schema}.journal_lots
) AS l ON l.wallet = g.wallet AND l.grant_version = g.grant_version
WHERE g.remaining > 0 AND (%(entity)s = '' OR coalesce(l.entity, w.entity) = %(entity)s)
GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5"""
HAS_ENTITY: Final = "SELECT 1 FROM {schema}.journal_days WHERE entity = %(entity)s LIMIT 1"
HAS_CURRENCY: Final = """
SELECT 1 FROM {schema}.journal_days WHERE currency_code = %(currency_code)s
    AND (%(entity)s = '' OR entity = %(entity)s) LIMIT 1"""


class PostgresFinanceReports(ViewReader):
    """The reports of one shard."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        *,
        schema: str,
        position_wait_seconds: float = POSITION_WAIT_SECONDS,
    ) -> None:
        """Read through the pool, which the caller opens and closes."""
        name = Identifier(schema)
        self._trial_balance: Final = SQL(TRIAL_BALANCE).format(schema=name)
        self._revenue: Final = SQL(REVENUE).format(schema=name)
        self._outstanding: Final = SQL(OUTSTANDING).format(schema=name)
        self._has_entity: Final = SQL(HAS_ENTITY).format(schema=name)
        self._has_currency: Final = SQL(HAS_CURRENCY).format(schema=name)
        super().__init__(pool, SQL(POSITION).format(schema=name), position_wait_seconds=position_wait_seconds)

    async def trial_balance(
        self, scope: ReportScope, *, min_position: int = 0
    ) -> tuple[tuple[TrialBalanceRow, ...], int]:
        """Return the balances of accounts, and the position that was seen. Raises JournalUnbalanced."""
        position = await self._reach(JOURNAL.name, min_position)
        found = await self._rows(self._trial_balance, _parameters(scope))
        rows = tuple(
            TrialBalanceRow(entity, currency, Account(account), *map(int, figures))
            for entity, currency, account, *figures in found
        )
        check_zero(rows)
        return rows, position

    async def revenue(
        self, scope: ReportScope, *, min_position: int = 0
    ) -> tuple[tuple[RevenueRow, ...], int]:
        """Return revenue by account and product."""
        position = await self._reach(JOURNAL.name, min_position)
        found = await self._rows(self._revenue, _parameters(scope))
        rows = tuple(
            RevenueRow(entity, currency, Account(account), product, "", int(nanos))
            for entity, currency, account, product, nanos in found
        )
        return rows, position

    async def credits_outstanding(
        self, now: datetime, *, entity: str, min_position: int = 0
    ) -> tuple[tuple[CreditOutstanding, ...], int]:
        """Return the credit that customers have at an instant, and that which begins later, by asset and category."""
        positions = [await self._reach(name, min_position) for name in (JOURNAL.name, WALLET_VIEW.name)]
        found = await self._rows(self._outstanding, {"entity": entity, "now": now})
        rows = tuple(
            CreditOutstanding(owner, code, scale, category, currency, *map(int, figures))
            for owner, code, scale, category, currency, *figures in found
        )
        return rows, min(positions)

    async def check_known(self, *, entity: str, currency_code: str) -> None:
        """Raise EntityNotInBooks or CurrencyNotInBooks for what the journal has never heard of."""
        asked = {"entity": entity, "currency_code": currency_code}
        if entity and not await self._rows(self._has_entity, asked):
            raise EntityNotInBooks(f"nothing was ever posted for entity {entity}", field="scope.entity")
        if currency_code and not await self._rows(self._has_currency, asked):
            raise CurrencyNotInBooks(
                f"nothing was ever posted in {currency_code}", field="scope.currency_code"
            )


def check_zero(rows: tuple[TrialBalanceRow, ...]) -> None:
    """Check that debits equal credits in each currency. Raises JournalUnbalanced."""
    sums: dict[str, int] = {}
    for row in rows:
        sums[row.currency_code] = sums.get(row.currency_code, 0) + row.closing_nanos
    for currency, nanos in sums.items():
        if nanos:
            raise JournalUnbalanced(
                f"debits exceed credits by {nanos} nanos of {currency}; reconcile finds where",
                field="scope.currency_code",
                currency_code=currency,
                nanos=nanos,
            )


def _parameters(scope: ReportScope) -> dict[str, object]:
    due = scope.known_before is None
    return {
        "from_day": scope.from_day,
        "to_day": scope.to_day,
        "to_time": datetime.combine(scope.to_day, time(), UTC),
        "now": scope.now if due else datetime.min.replace(tzinfo=UTC),
        "known_before": scope.known_before or date.max,
        "entity": scope.entity,
        "currency_code": scope.currency_code,
    }
