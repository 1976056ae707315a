"""Finds, in the wallet view, transfers that have left and are not known to have arrived."""

from __future__ import annotations

from typing import Final

import psycopg
from psycopg.sql import SQL, Identifier
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.ports import StoreUnavailableError
from ledger_service.application.procedures.courier import OpenTransfer

_OPEN: Final = """
SELECT wallet, transfer_version FROM {schema}.wallet_view_transfers
WHERE (wallet, transfer_version) > (%(wallet)s, %(transfer_version)s)
ORDER BY wallet, transfer_version LIMIT %(limit)s"""


class PostgresOpenTransfers:
    """Implements application.courier.OpenTransfers."""

    def __init__(self, pool: AsyncConnectionPool, *, schema: str) -> None:
        """Read from the views of a schema."""
        self._pool = pool
        self._statement = SQL(_OPEN).format(schema=Identifier(schema))

    async def open_transfers(self, *, after: OpenTransfer, limit: int) -> list[OpenTransfer]:
        """Return transfers after one, in order of source and version. Raises StoreUnavailableError."""
        parameters = {"wallet": after.source, "transfer_version": after.transfer_version, "limit": limit}
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(self._statement, parameters)
                return [
                    OpenTransfer(str(wallet), int(version)) for wallet, version in await cursor.fetchall()
                ]
        except psycopg.Error as error:
            raise StoreUnavailableError("the database did not answer a read") from error
