"""The SQL of the event log and its reader, by schema. Each statement is sent prepared, with binary values."""

from __future__ import annotations

from typing import Final

from psycopg.sql import SQL, Identifier, Literal

from ledger_service.adapters.migrate import check_schema_name

# One connection per shard appends. Another instance that asks meanwhile gets False.
TRY_LOCK: Final = "SELECT pg_try_advisory_lock(hashtextextended('ledger:' || %s, 0))"
UNLOCK: Final = "SELECT pg_advisory_unlock_all()"

# The writer's session. Its few plans must not depend on how large the tables were when they were prepared,
# hence generic plans over indexes only. A stuck foreign transaction may not block the shard for ever. A dead
# client's lock must fall soon. Durability is raised where a database says off, and otherwise left alone.
CONFIGURE_WRITER: Final = """
SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('enable_seqscan', 'off', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false),
       set_config('jit', 'off', false),
       set_config('lock_timeout', '10s', false),
       set_config('tcp_keepalives_idle', '10', false),
       set_config('tcp_keepalives_interval', '5', false),
       set_config('tcp_keepalives_count', '3', false),
       CASE current_setting('synchronous_commit')
            WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END"""

# Append all rows at the positions that the writer chose, and wake followers when they become visible.
_APPEND: Final = """
WITH appended AS (
    INSERT INTO {schema}.stored_events
        (originator_id, originator_version, topic, state, notification_id, key_hash)
    SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bigint[], %b::uuid[])
){snapshots}
SELECT pg_notify({channel}, '')"""

# In the same statement: keep the newest snapshot of each stream. An older one never replaces a newer one.
_UPSERT_SNAPSHOTS: Final = """,
cached AS (
    INSERT INTO {schema}.snapshots AS s (originator_id, originator_version, format, state)
    SELECT * FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bytea[])
    ON CONFLICT (originator_id) DO UPDATE
    SET originator_version = excluded.originator_version, format = excluded.format, state = excluded.state
    WHERE excluded.originator_version > s.originator_version
)"""

_HEAD: Final = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM {schema}.stored_events ORDER BY notification_id DESC LIMIT 1"""

# Snapshots of the wanted format, then the events after them (all events where there is none). The snapshot
# comes as a row of its own (without position and topic), not beside each event, which would repeat it.
_LOAD: Final = """
WITH wanted AS (
    SELECT asked.stream, s.originator_version AS version, s.state
    FROM unnest(%b::text[]) AS asked (stream)
    LEFT JOIN {schema}.snapshots AS s ON s.originator_id = asked.stream AND s.format = %b
)
SELECT NULL::bigint, stream, version, NULL::text, state FROM wanted WHERE version IS NOT NULL
UNION ALL
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state
FROM wanted, LATERAL (
    SELECT * FROM {schema}.stored_events
    WHERE originator_id = wanted.stream AND originator_version > coalesce(wanted.version, 0)
) AS e
ORDER BY 2, 3"""

_FIND_KEYS: Final = """
SELECT uuid_send(key_hash), notification_id, originator_id, originator_version, topic, state
FROM {schema}.stored_events WHERE key_hash = ANY(%b::uuid[])"""

_READ_LOG: Final = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM {schema}.stored_events WHERE notification_id > %b {topics}
ORDER BY notification_id LIMIT %b"""

_READ_STREAM: Final = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM {schema}.stored_events WHERE originator_id = %b::text AND originator_version > %b {topics}
ORDER BY originator_version LIMIT %b"""

_READ_VERSIONS: Final = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM {schema}.stored_events WHERE originator_id = %b::text AND originator_version = ANY(%b::bigint[])
ORDER BY originator_version"""

# A stream is found by its first event, so that the page is one of streams whatever their length.
_READ_COLLECTION: Final = """
WITH found AS (
    SELECT originator_id FROM {schema}.stored_events
    WHERE originator_id > %b::text AND originator_id < %b::text AND originator_version = 1
    ORDER BY originator_id LIMIT %b
)
SELECT e.notification_id, e.originator_id, e.originator_version, e.topic, e.state
FROM found JOIN {schema}.stored_events AS e USING (originator_id)
ORDER BY e.originator_id, e.originator_version"""

_HEAD_POSITION: Final = "SELECT coalesce(max(notification_id), 0) FROM {schema}.stored_events"


def channel_of(schema: str) -> str:
    """Return the channel on which appends to a shard are notified."""
    return f"{schema}_stored_events"


class Statements:
    """The statements of one shard, rendered once."""

    def __init__(self, schema: str) -> None:
        check_schema_name(schema)
        name = Identifier(schema)
        channel = Literal(channel_of(schema))
        empty, topics = SQL(""), SQL("AND topic = ANY(%b::text[])")
        upsert = SQL(_UPSERT_SNAPSHOTS).format(schema=name)
        self.append: Final = SQL(_APPEND).format(schema=name, channel=channel, snapshots=empty).as_bytes()
        self.append_with_snapshots: Final = (
            SQL(_APPEND).format(schema=name, channel=channel, snapshots=upsert).as_bytes()
        )
        self.head: Final = SQL(_HEAD).format(schema=name).as_bytes()
        self.load: Final = SQL(_LOAD).format(schema=name).as_bytes()
        self.find_keys: Final = SQL(_FIND_KEYS).format(schema=name).as_bytes()
        self.head_position: Final = SQL(_HEAD_POSITION).format(schema=name).as_bytes()
        self.read_log: Final = SQL(_READ_LOG).format(schema=name, topics=empty).as_bytes()
        self.read_log_topics: Final = SQL(_READ_LOG).format(schema=name, topics=topics).as_bytes()
        self.read_collection: Final = SQL(_READ_COLLECTION).format(schema=name).as_bytes()
        self.read_stream: Final = SQL(_READ_STREAM).format(schema=name, topics=empty).as_bytes()
        self.read_versions: Final = SQL(_READ_VERSIONS).format(schema=name).as_bytes()
        self.read_stream_topics: Final = SQL(_READ_STREAM).format(schema=name, topics=topics).as_bytes()
