"""Which documents there are, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, LiteralString

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.application.crediting.credit_due import Owing
from rating_service.domain.agreements.agreement import Money

CONTRACTS: Final = (
    "SELECT contract FROM rating.invoices UNION SELECT contract FROM rating.credit_notes ORDER BY contract"
)
COUNT: Final = (
    "SELECT (SELECT count(*) FROM rating.invoices WHERE %(contract)s = '' OR contract = %(contract)s)"
    " + (SELECT count(*) FROM rating.credit_notes WHERE %(contract)s = '' OR contract = %(contract)s)"
)

OWING: Final = """
    SELECT name, contract, issue_time, owed_nanos, settled_nanos,
        convert_from(document, 'UTF8')::jsonb -> 'credit_due' ->> 'currency_code'
    FROM rating.invoices AS i, LATERAL (
        SELECT coalesce(sum(total_nanos), 0)::bigint AS settled_nanos
        FROM rating.credit_notes WHERE settles <> '' AND settles = i.name
    ) AS settling
    WHERE owed_nanos > settled_nanos AND owed_nanos > 0 AND name > %(after)s
        AND (%(contract)s = '' OR contract = %(contract)s) AND NOT name = ANY(%(without)s)
    ORDER BY name LIMIT %(limit)s
"""
EARLIER: Final = (
    "SELECT e.name FROM rating.invoices AS i JOIN rating.invoices AS e"
    " ON e.contract = i.contract AND e.sequence < i.sequence"
    " WHERE i.name = %(invoice)s ORDER BY e.sequence DESC"
)


class PostgresDocumentIndex:
    """DocumentIndex and OwingInvoices in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def contracts(self) -> list[str]:
        """Return the contracts that have a document, by name."""
        return [contract for (contract,) in await self._rows(CONTRACTS)]

    async def count(self, contract: str) -> int:
        """Return how many documents there are, only a contract's unless it is empty."""
        [[number]] = await self._rows(COUNT, contract=contract)
        return int(number)

    async def owing(
        self, *, contract: str = "", after: str = "", without: Sequence[str] = (), limit: int
    ) -> list[Owing]:
        """Return what invoices owe that no note has settled, by name; but those named, and only a contract's."""
        rows = await self._rows(OWING, contract=contract, after=after, without=list(without), limit=limit)
        return [
            Owing(name, of, issue_time, Money(currency, owed), Money(currency, settled))
            for name, of, issue_time, owed, settled, currency in rows
        ]

    async def earlier(self, invoice: str) -> list[str]:
        """Return the invoices of the same contract that were issued before one, the newest first."""
        return [name for (name,) in await self._rows(EARLIER, invoice=invoice)]

    async def _rows(self, query: LiteralString, **values: object) -> list[Any]:
        async with connection(self._pool) as lent:
            return await (await lent.execute(query, values)).fetchall()
