"""The `eventsourcing` library on our tables: recorder, subscription, tracking and mapper.

Used of the library (9.5.6): `select_events`, `select_notifications`, `max_notification_id`, the LISTEN/NOTIFY
subscription, and single-row tracking. The request path appends through event_log.py instead; appending here
is for projections, tools and tests. Traps of the library that are avoided:

- It locks the whole table on every insert, so that positions from its sequence become visible in order; with
  its database functions it does not, and a follower loses events. Here positions are explicit and the unique
  index keeps the order (docs/decisions/0001-positions.md), so neither is needed.
- It repeats an insert after a lost connection, which turns a commit whose answer was lost into an
  IntegrityError. Here nothing is repeated: OperationalError or InterfaceError means "look the key up".
- It creates tables, types and functions when constructed or asked; here migrations own the schema.
- It takes the URL apart and would drop what it does not know, such as sslmode; here the pool gets all of it.
- It names stored events by class path and rebuilds them by import; here topics are explicit, and bytes that
  no topic claims are an error.
- Its repository caches and its snapshots are not used at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from eventsourcing.persistence import (
    JSONTranscoder,
    Mapper,
    MapperDeserialisationError,
    ProgrammingError,
    StoredEvent,
)
from eventsourcing.postgres import (
    ConnectionPool,
    PostgresApplicationRecorder,
    PostgresDatastore,
    PostgresTrackingRecorder,
)
from psycopg import Connection, Cursor
from psycopg.rows import DictRow, dict_row
from psycopg.sql import SQL, Identifier, Literal

from ledger_service.adapters.event_log_statements import channel_of
from ledger_service.adapters.migrate import SCHEMA_DEFAULT, check_schema_name
from ledger_service.domain.events import Event, Fact
from ledger_service.domain.topics import TOPIC_OF, UnknownTopicError, decode_fact, encode_fact

CONNECTIONS_MAX: Final = 5
"""Connections of one datastore: a subscription holds one for good, the rest answer queries."""

# Appends after the newest position unless positions are given. Two writers that chose the same one meet at
# the unique index: the second waits for the first to commit, and then fails.
_INSERT: Final = """
INSERT INTO {schema}.{table}
    (originator_id, originator_version, topic, state, notification_id, key_hash)
SELECT stream, version, topic, state, coalesce(position, newest + ordinality), key_hash
FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bigint[], %b::uuid[])
     WITH ORDINALITY AS new (stream, version, topic, state, position, key_hash, ordinality),
     (SELECT coalesce(max(notification_id), 0) AS newest FROM {schema}.{table}) AS head
ORDER BY ordinality
RETURNING notification_id"""

_NOTIFY: Final = "SELECT pg_notify({channel}, '')"


class LedgerDatastore(PostgresDatastore):
    """The library's connection pool on a shard, from a URL."""

    def __init__(
        self, url: str, *, schema: str = SCHEMA_DEFAULT, connections_max: int = CONNECTIONS_MAX
    ) -> None:
        super().__init__(
            dbname="", host="", port="", user="", password="", schema=check_schema_name(schema),
            originator_id_type="text", single_row_tracking=True, enable_db_functions=False,
        )  # fmt: skip
        self.pool = ConnectionPool(
            url,
            connection_class=Connection[DictRow],
            kwargs={"row_factory": dict_row, "application_name": "ledger-recorder"},
            min_size=1,
            max_size=connections_max,
            open=False,
            configure=self.after_connect_func(),
            check=ConnectionPool.check_connection,
        )

    def register_type_adapters(self) -> None:
        """Do nothing: the composite types of the library's own insert are not made here."""


class LedgerRecorder(PostgresApplicationRecorder):
    """Appends to and reads a shard's log in the library's terms."""

    def __init__(self, datastore: LedgerDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.channel_name = channel_of(datastore.schema)
        names = {"schema": Identifier(datastore.schema), "table": Identifier(events_table_name)}
        self._insert: Final = SQL(_INSERT).format(**names)
        self._notify: Final = SQL(_NOTIFY).format(channel=Literal(self.channel_name))

    def create_table(self) -> None:
        """Do nothing: migrations own the schema."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Append events in one transaction and return their positions.

        `positions` and `key_hashes` (16 bytes or None each) go with the events one by one; without positions
        they follow the newest. Raises IntegrityError when a position, version or key is taken, and
        OperationalError or InterfaceError when the connection broke: then the outcome is unknown.
        """
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_events(cursor, stored_events, **kwargs)
            if not stored_events:
                return []
            self._insert_stored_events(cursor, stored_events, **kwargs)
            return [row["notification_id"] for row in cursor.fetchall()]

    def _insert_stored_events(
        self,
        curs: Cursor[DictRow],
        stored_events: Sequence[StoredEvent],
        *,
        positions: Sequence[int] | None = None,
        key_hashes: Sequence[bytes | None] | None = None,
        **_: Any,
    ) -> None:
        count = len(stored_events)
        chosen = [None] * count if positions is None else list(positions)
        hashes = [None] * count if key_hashes is None else list(key_hashes)
        if len(chosen) != count or len(hashes) != count:
            raise ProgrammingError("positions and key_hashes must match the events one by one")
        curs.execute(self._notify)
        columns = (
            [event.originator_id for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
            chosen,
            [key_hash and UUID(bytes=key_hash) for key_hash in hashes],
        )
        curs.execute(self._insert, columns)


class LedgerTrackingRecorder(PostgresTrackingRecorder):
    """Keeps the positions of projections, in the transaction of their effects."""

    def create_table(self) -> None:
        """Do nothing: migrations own the schema."""


class RecordedFact(msgspec.Struct, frozen=True):
    """A fact at its place in a stream: what the library calls a domain event."""

    originator_id: str
    originator_version: int
    fact: Fact[Event]


class LedgerMapper(Mapper[str]):
    """Maps recorded facts to stored events by explicit topics, and back."""

    def __init__(self) -> None:
        # The library wants a transcoder; ours is the codec of the topics.
        super().__init__(transcoder=JSONTranscoder())

    def to_stored_event(self, domain_event: RecordedFact) -> StoredEvent:  # type: ignore[override]
        """Return the stored form of a recorded fact."""
        return StoredEvent(
            originator_id=domain_event.originator_id,
            originator_version=domain_event.originator_version,
            topic=TOPIC_OF[type(domain_event.fact.event)],
            state=encode_fact(domain_event.fact),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> RecordedFact:
        """Return the recorded fact of a stored event. Raises MapperDeserialisationError."""
        try:
            fact = decode_fact(stored_event.topic, bytes(stored_event.state))
        except (UnknownTopicError, msgspec.ValidationError, msgspec.DecodeError) as error:
            raise MapperDeserialisationError(
                f"{stored_event.originator_id} version {stored_event.originator_version}: {error}"
            ) from error
        return RecordedFact(str(stored_event.originator_id), stored_event.originator_version, fact)
