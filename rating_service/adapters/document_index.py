"""Which documents there are, in PostgreSQL."""

from __future__ import annotations

from typing import Any, Final, LiteralString

from rating_service.adapters.postgres_pool import Pool, connection

CONTRACTS: Final = (
    "SELECT contract FROM rating.invoices UNION SELECT contract FROM rating.credit_notes ORDER BY contract"
)
COUNT: Final = (
    "SELECT (SELECT count(*) FROM rating.invoices WHERE %(contract)s = '' OR contract = %(contract)s)"
    " + (SELECT count(*) FROM rating.credit_notes WHERE %(contract)s = '' OR contract = %(contract)s)"
)

OWING: Final = (
    "SELECT name FROM rating.invoices AS i WHERE position('\"CREDIT_DUE\"'::bytea IN document) > 0"
    " AND NOT name = ANY(%(without)s)"
    " AND NOT EXISTS (SELECT FROM rating.credit_notes WHERE settles <> '' AND settles = i.name)"
    " ORDER BY contract, sequence LIMIT %(limit)s"
)
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

    async def owing(self, *, without: list[str], limit: int) -> list[str]:
        """Return invoices that owe something which no note has settled, but those named, the oldest first."""
        return [name for (name,) in await self._rows(OWING, without=without, limit=limit)]

    async def earlier(self, invoice: str) -> list[str]:
        """Return the invoices of the same contract that were issued before one, the newest first."""
        return [name for (name,) in await self._rows(EARLIER, invoice=invoice)]

    async def _rows(self, query: LiteralString, **values: object) -> list[Any]:
        async with connection(self._pool) as lent:
            return await (await lent.execute(query, values)).fetchall()
