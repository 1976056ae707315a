"""The floors below the service: plain psycopg that writes and reads rows like those of the log."""

from __future__ import annotations

import os
import time
from uuid import UUID

import psycopg
from psycopg.sql import SQL, Identifier

from tests.benchmarks.jobs import InsertRows, StreamRows, Throughput

_SAMPLE = """
SELECT originator_id, topic, state FROM {schema}.stored_events
WHERE key_hash IS NOT NULL ORDER BY notification_id DESC LIMIT %s"""

_NEXT = "SELECT coalesce(max(notification_id), 0), coalesce(max(originator_version), 0) FROM {schema}.stored_events"

_INSERT = """
INSERT INTO {schema}.stored_events
    (originator_id, originator_version, topic, state, notification_id, key_hash)
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[], %b::bigint[], %b::uuid[])"""

_STREAM = """
SELECT notification_id, originator_id, originator_version, topic, state
FROM {schema}.stored_events ORDER BY notification_id"""

Columns = tuple[list[str], list[int], list[str], list[bytes], list[int], list[UUID]]


def insert_rows(job: InsertRows) -> Throughput:
    """Insert real rows again into a table of the same definition, with new versions, positions and keys."""
    with psycopg.connect(job.url, autocommit=True) as connection:
        insert = SQL(_INSERT).format(schema=Identifier(job.into_schema))
        batches = _batches(connection, job)
        begun = time.perf_counter()
        for columns in batches:
            connection.execute(insert, columns, prepare=True)
        seconds = time.perf_counter() - begun
    return Throughput(items=job.batches * job.batch_size, seconds=seconds)


def _batches(connection: psycopg.Connection, job: InsertRows) -> list[Columns]:
    count = job.batches * job.batch_size
    sample = connection.execute(SQL(_SAMPLE).format(schema=Identifier(job.from_schema)), (count,)).fetchall()
    head = connection.execute(SQL(_NEXT).format(schema=Identifier(job.into_schema))).fetchone()
    assert sample, "the floor repeats rows of the value, which come first"
    assert head is not None
    position, version = head
    batches: list[Columns] = []
    for start in range(0, count, job.batch_size):
        chosen = [sample[index % len(sample)] for index in range(start, start + job.batch_size)]
        numbers = range(start + 1, start + 1 + job.batch_size)
        batches.append(
            (
                [row[0] for row in chosen],
                [version + number for number in numbers],
                [row[1] for row in chosen],
                [row[2] for row in chosen],
                [position + number for number in numbers],
                [UUID(bytes=os.urandom(16)) for _ in numbers],
            )
        )
    return batches


def stream_rows(job: StreamRows) -> Throughput:
    """Read all rows of the log in order of position."""
    items = 0
    with psycopg.connect(job.url, autocommit=True) as connection, connection.cursor(binary=True) as cursor:
        begun = time.perf_counter()
        for _ in cursor.stream(SQL(_STREAM).format(schema=Identifier(job.schema)), size=1_000):
            items += 1
        seconds = time.perf_counter() - begun
    return Throughput(items=items, seconds=seconds)
