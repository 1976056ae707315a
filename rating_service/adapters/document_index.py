"""Which documents there are, in PostgreSQL."""

from __future__ import annotations

from typing import Any, Final

from rating_service.adapters.postgres_pool import Pool, connection

CONTRACTS: Final = (
    "SELECT contract FROM rating.invoices UNION SELECT contract FROM rating.credit_notes ORDER BY contract"
)
COUNT: Final = (
    "SELECT (SELECT count(*) FROM rating.invoices WHERE %(contract)s = '' OR contract = %(contract)s)"
    " + (SELECT count(*) FROM rating.credit_notes WHERE %(contract)s = '' OR contract = %(contract)s)"
)


class PostgresDocumentIndex:
    """DocumentIndex in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def contracts(self) -> list[str]:
        """Return the contracts that have a document, by name."""
        async with connection(self._pool) as lent:
            rows: list[Any] = await (await lent.execute(CONTRACTS)).fetchall()
        return [contract for (contract,) in rows]

    async def count(self, contract: str) -> int:
        """Return how many documents there are, only a contract's unless it is empty."""
        async with connection(self._pool) as lent:
            rows: list[Any] = await (await lent.execute(COUNT, {"contract": contract})).fetchall()
        [[number]] = rows
        return int(number)
