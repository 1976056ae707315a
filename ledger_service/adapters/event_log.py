"""The log of one shard on PostgreSQL: appended by one writer, read beside it.

Owns the writer's connection, the readers' pool, and the mapping of the database's errors to the port's. The
order of the log and the uniqueness of positions, versions and keys are the table's own
(docs/decisions/0001-positions.md); nothing here relies on the advisory lock, which keeps a standby waiting.

An append is one autocommit statement, so the server stores all of it or nothing, and a statement that comes
back with an error has stored nothing. Only a connection that breaks on the way leaves the outcome open.

The lock belongs to the session, so the URL must lead to PostgreSQL itself or to a pooler in session mode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, NoReturn, Self

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow, args_row
from psycopg_pool import AsyncConnectionPool

from ledger_service.adapters.event_log_statements import CONFIGURE_WRITER, TRY_LOCK, UNLOCK, Statements
from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from ledger_service.adapters.pg_arrays import (
    bigint_array,
    event_arrays,
    register_arrays,
    snapshot_arrays,
    text_array,
    uuid_array,
)
from ledger_service.application.ports import (
    AppendConflictError,
    LoadedStream,
    NewEvent,
    OutcomeUnknownError,
    Snapshot,
    StoredEvent,
    StoreUnavailableError,
)

READERS_MAX: Final = 4
"""Connections of one reader: more queries at once only contend for the same cores."""
READER_WAIT_SECONDS: Final = 5.0
"""Longest wait for one of them before the store counts as unavailable."""

_CONNECTION_DEFAULTS: Final = {
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""What the URL may override: a dead server is noticed in half a minute (libpq; seconds, the last in ms)."""

_CONFLICTS: Final = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.SerializationFailure,
    psycopg.errors.DeadlockDetected,
)
"""Another writer was first, or in the way; the server rolled the statement back."""

_UNAVAILABLE: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
)
"""The server is there but cannot write now: a lock time-out, a full disk, a standby after a failover."""


class PostgresEventLog:
    """Implements ports.EventLog on one connection, for one caller at a time."""

    def __init__(self, url: str, *, schema: str = SCHEMA_DEFAULT) -> None:
        self._conninfo: Final = _conninfo(url, application_name="ledger-writer")
        self._schema: Final = schema
        self._statements: Final = Statements(schema)
        self._connection: AsyncConnection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def acquire(self) -> bool:
        """Connect and become the writer of the shard. False while another instance is."""
        if self._connection is not None:
            return True
        try:
            connection = await AsyncConnection.connect(self._conninfo, autocommit=True)
        except psycopg.Error as error:
            raise StoreUnavailableError("the database cannot be reached") from error
        register_arrays(connection)
        try:
            locked = await (await connection.execute(TRY_LOCK, (self._schema,))).fetchone() == (True,)
            if locked:
                await connection.execute(CONFIGURE_WRITER)
                # Last, so that a cancelled or failed attempt leaves the log closed.
                self._connection = connection
        except psycopg.Error as error:
            raise StoreUnavailableError("the database did not give the shard") from error
        finally:
            if self._connection is None:
                await connection.close()
        return locked

    async def close(self) -> None:
        """Give the shard back and disconnect."""
        if self._connection is not None:
            # Asked for by name, because a closed session's lock falls only once its backend has noticed.
            with suppress(psycopg.Error):
                await self._connection.execute(UNLOCK)
        await self._disconnect()

    async def head(self) -> StoredEvent | None:
        """Return the newest event of the log."""
        rows = await self._fetch_all(self._statements.head)
        return StoredEvent(*rows[0]) if rows else None

    async def load(self, streams: Sequence[str], *, snapshot_format: int) -> dict[str, LoadedStream]:
        """Load streams in one query; a stream without events has an empty entry."""
        rows = await self._fetch_all(self._statements.load, (text_array(streams), snapshot_format))
        snapshots: dict[str, Snapshot] = {}
        events: dict[str, list[StoredEvent]] = {stream: [] for stream in streams}
        for position, stream, version, topic, state in rows:
            if position is None:
                snapshots[stream] = Snapshot(stream, version, snapshot_format, state)
            else:
                events[stream].append(StoredEvent(position, stream, version, topic, state))
        return {stream: LoadedStream(snapshots.get(stream), tuple(found)) for stream, found in events.items()}

    async def find_keys(self, key_hashes: Sequence[bytes]) -> dict[bytes, StoredEvent]:
        """Return the events that were stored under these idempotency keys."""
        rows = await self._fetch_all(self._statements.find_keys, (uuid_array(key_hashes),))
        return {key_hash: StoredEvent(*event) for key_hash, *event in rows}

    async def append(self, events: Sequence[NewEvent], snapshots: Sequence[Snapshot] = ()) -> None:
        """Append all events and upsert the snapshots, at most one a stream, in one durable statement.

        Cancelling it closes the log, since the outcome is then as open as after a broken connection.
        """
        connection = self._connected()
        statement, parameters = self._statements.append, event_arrays(events)
        if snapshots:
            statement = self._statements.append_with_snapshots
            parameters += snapshot_arrays(snapshots)
        try:
            await connection.execute(statement, parameters, prepare=True)
        except psycopg.Error as error:
            await self._raise_append_error(connection, error)
        except asyncio.CancelledError:
            await self._disconnect()
            raise

    async def _raise_append_error(self, connection: AsyncConnection, error: psycopg.Error) -> NoReturn:
        """Raise what the port promises; what is our own mistake comes through as it is."""
        if connection.closed or isinstance(error, psycopg.errors.StatementCompletionUnknown):
            # Even a FATAL from the server proves nothing: it may follow a commit whose answer was not sent.
            await self._disconnect()
            raise OutcomeUnknownError("the connection broke while appending") from error
        if isinstance(error, _CONFLICTS):
            raise AppendConflictError(error.diag.constraint_name or error.diag.message_primary) from error
        if isinstance(error, _UNAVAILABLE):
            raise StoreUnavailableError(error.diag.message_primary) from error
        raise error

    async def _fetch_all(self, statement: bytes, parameters: Sequence[object] = ()) -> list[TupleRow]:
        connection = self._connected()
        try:
            cursor: AsyncCursor[TupleRow] = connection.cursor(binary=True)
            await cursor.execute(statement, parameters, prepare=True)
            return await cursor.fetchall()
        except psycopg.Error as error:
            if connection.closed:
                await self._disconnect()
            raise _read_error(error) from error

    def _connected(self) -> AsyncConnection:
        if self._connection is None:
            raise StoreUnavailableError("the log is closed: this instance is not the writer of the shard")
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


class PostgresLogReader:
    """Implements ports.LogReader on a small pool of connections, in keyset pages."""

    def __init__(self, url: str, *, schema: str = SCHEMA_DEFAULT, connections_max: int = READERS_MAX) -> None:
        self._statements: Final = Statements(schema)
        self._pool: Final = AsyncConnectionPool(
            _conninfo(url, application_name="ledger-reader"),
            min_size=1,
            max_size=connections_max,
            timeout=READER_WAIT_SECONDS,
            kwargs={"autocommit": True},
            configure=_configure_reader,
            # After a restart of the server the pool holds dead connections, which no read may meet.
            check=AsyncConnectionPool.check_connection,
            open=False,
        )

    async def __aenter__(self) -> Self:
        await self._pool.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._pool.close()

    async def read_log(self, *, after: int, limit: int, topics: Sequence[str] = ()) -> list[StoredEvent]:
        """Return events after a position, in order."""
        if topics:
            return await self._fetch(self._statements.read_log_topics, (after, text_array(topics), limit))
        return await self._fetch(self._statements.read_log, (after, limit))

    async def read_stream(
        self, stream: str, *, after: int, limit: int, topics: Sequence[str] = ()
    ) -> list[StoredEvent]:
        """Return a stream's events after a version, in order."""
        if topics:
            filtered = (stream, after, text_array(topics), limit)
            return await self._fetch(self._statements.read_stream_topics, filtered)
        return await self._fetch(self._statements.read_stream, (stream, after, limit))

    async def read_versions(self, stream: str, versions: Sequence[int]) -> list[StoredEvent]:
        """Return the events that a stream has at versions, in order."""
        return await self._fetch(self._statements.read_versions, (stream, bigint_array(versions)))

    async def read_collection(self, collection: str, *, after: str, limit: int) -> list[StoredEvent]:
        """Return all events of so many streams of a collection after a name, in order of name and version."""
        # "0" is the character after "/", so all names of the collection lie below it.
        span = (after or f"{collection}/", f"{collection}0", limit)
        return await self._fetch(self._statements.read_collection, span)

    async def head_position(self) -> int:
        """Return the position of the newest event, 0 for an empty log."""
        try:
            async with self._pool.connection() as connection:
                row = await (await connection.execute(self._statements.head_position)).fetchone()
        except psycopg.Error as error:
            raise _read_error(error) from error
        assert row is not None
        position: int = row[0]
        return position

    async def _fetch(self, statement: bytes, parameters: Sequence[object]) -> list[StoredEvent]:
        try:
            async with (
                self._pool.connection() as connection,
                connection.cursor(binary=True, row_factory=args_row(StoredEvent)) as cursor,
            ):
                await cursor.execute(statement, parameters, prepare=True)
                return await cursor.fetchall()
        except psycopg.Error as error:
            raise _read_error(error) from error


async def _configure_reader(connection: AsyncConnection) -> None:
    register_arrays(connection)


def _read_error(error: psycopg.Error) -> Exception:
    """Return what a failed read raises. PoolTimeout and PoolClosed are OperationalErrors too."""
    if isinstance(error, _UNAVAILABLE):
        return StoreUnavailableError("the database did not answer a read")
    return error


def _conninfo(url: str, *, application_name: str) -> str:
    given = conninfo_to_dict(url)
    merged: dict[str, Any] = {**_CONNECTION_DEFAULTS, "application_name": application_name, **given}
    return psycopg.conninfo.make_conninfo("", **merged)
