"""The floor of a call: a bare gRPC server that takes the ledger's messages and does nothing, or one insert.

    python -m tests.benchmarks.echo_server RESPONSE_HEX [URL FROM_SCHEMA INTO_SCHEMA]

It answers each Debit with the response given, on a free port that it prints. With a database it first inserts
one row like the newest of a log, in a transaction of its own. Server and event loop are those of the ledger.
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any
from uuid import UUID

import grpc
import psycopg
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from psycopg.sql import SQL, Identifier

from credits.ledger.v1 import wallet_service_pb2, wallet_service_pb2_grpc

_TEMPLATE = (
    "SELECT originator_id, topic, state FROM {schema}.stored_events ORDER BY notification_id DESC LIMIT 1"
)

_NEXT = "SELECT coalesce(max(notification_id), 0) + 1000000 FROM {schema}.stored_events"

_INSERT = """
INSERT INTO {schema}.stored_events
    (originator_id, originator_version, topic, state, notification_id, key_hash)
VALUES (%b::text, %b::bigint, %b::text, %b::bytea, %b::bigint, %b::uuid)"""


class Echo(wallet_service_pb2_grpc.WalletServiceServicer):
    """Answers without work."""

    def __init__(self, response: wallet_service_pb2.DebitResponse) -> None:
        """Answer with this."""
        self._response = response

    async def Debit(  # noqa: N802 (named by the protos)
        self,
        request: wallet_service_pb2.DebitRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> wallet_service_pb2.DebitResponse:
        """Answer at once."""
        return self._response


class InsertingEcho(Echo):
    """Answers after one durable insert."""

    def __init__(
        self, response: wallet_service_pb2.DebitResponse, connection: psycopg.AsyncConnection, schema: str
    ) -> None:
        """Insert into the log of a schema."""
        super().__init__(response)
        self._connection = connection
        self._insert = SQL(_INSERT).format(schema=Identifier(schema))
        self._row: tuple[str, str, bytes] = ("", "", b"")
        self._number = 0

    async def prepare(self, from_schema: str, into_schema: str) -> None:
        """Take the newest row of one log as the pattern, and find the free positions of the other."""
        template = SQL(_TEMPLATE).format(schema=Identifier(from_schema))
        row = await (await self._connection.cursor(binary=True).execute(template)).fetchone()
        head = await (
            await self._connection.execute(SQL(_NEXT).format(schema=Identifier(into_schema)))
        ).fetchone()
        assert row is not None, "the log holds a row to copy"
        assert head is not None
        self._row, self._number = row, head[0]

    async def Debit(  # noqa: N802 (named by the protos)
        self,
        request: wallet_service_pb2.DebitRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> wallet_service_pb2.DebitResponse:
        """Insert one row and answer when it is durable."""
        self._number += 1
        stream, topic, state = self._row
        key = UUID(bytes=os.urandom(16))
        parameters = (stream, self._number, topic, state, self._number, key)
        await self._connection.execute(self._insert, parameters, prepare=True)
        return self._response


async def serve(response_hex: str, url: str = "", from_schema: str = "", into_schema: str = "") -> None:
    """Serve until killed."""
    response = wallet_service_pb2.DebitResponse.FromString(bytes.fromhex(response_hex))
    echo = Echo(response)  # type: ignore[abstract]
    if url:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        inserting = InsertingEcho(response, connection, into_schema)  # type: ignore[abstract]
        echo = inserting
        await inserting.prepare(from_schema, into_schema)
    server = grpc.aio.server()
    wallet_service_pb2_grpc.add_WalletServiceServicer_to_server(echo, server)
    check = health.aio.HealthServicer()
    await check.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(check, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f'{{"event": "listening", "port": {port}}}', flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(*sys.argv[1:]))
