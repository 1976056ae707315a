"""Adjustments as they were followed, in PostgreSQL, and as the ledger itself has them, over gRPC."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import grpc
import msgspec
from psycopg import sql

from credits.ledger.v1 import history_service_pb2, history_service_pb2_grpc
from rating_service.adapters.ledger.ledger_client import call_ledger
from rating_service.adapters.postgres.debit_rows import DEBIT_COLUMNS, debit_from_row
from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.domain.corrections.adjustment_check import RecordedAdjustment
from rating_service.domain.debits import DEBIT_TOPIC, DebitFact, decode_debit

READ_CONTRACTS: Final = sql.SQL(
    "SELECT DISTINCT contract FROM rating.debits WHERE adjusted_cycle_time IS NOT NULL"
    " AND (%(contract)s = '' OR contract = %(contract)s) ORDER BY contract"
)
READ_ADJUSTMENTS: Final = sql.SQL(
    "SELECT {columns} FROM rating.debits WHERE contract = %(contract)s AND adjusted_cycle_time IS NOT NULL"
    " ORDER BY position"
).format(columns=DEBIT_COLUMNS)


class _Recorded(msgspec.Struct):
    record_time: datetime


_records: Final = msgspec.json.Decoder(_Recorded)


class FollowedAdjustments:
    """AdjustmentIndex in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def adjusted(self, contract: str) -> list[str]:
        """Return the contracts that have adjustments, only this one unless it is empty, by name."""
        return [name for (name,) in await self._rows(READ_CONTRACTS, contract)]

    async def adjustments(self, contract: str) -> list[DebitFact]:
        """Return a contract's adjustments, in the order of the log."""
        return [debit_from_row(row) for row in await self._rows(READ_ADJUSTMENTS, contract)]

    async def _rows(self, query: sql.SQL | sql.Composed, contract: str) -> list[Any]:
        async with connection(self._pool) as lent:
            return await (await lent.execute(query, {"contract": contract})).fetchall()


class LedgerAdjustments:
    """AdjustmentLedger over a channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        """Call over a channel."""
        self._history = history_service_pb2_grpc.HistoryServiceStub(channel)

    async def recorded(self, followed: DebitFact) -> RecordedAdjustment | None:
        """Return what the ledger has where an adjustment was followed, None if that is none."""
        request = history_service_pb2.ReadEventsRequest(
            stream=followed.wallet, after=followed.version - 1, page_size=1
        )
        events = (await call_ledger(self._history.ReadEvents, request)).events
        if not events or events[0].version != followed.version or events[0].topic != DEBIT_TOPIC:
            return None
        event = events[0]
        debit = decode_debit(
            position=event.position, stream=event.stream, version=event.version, state=event.state
        )
        if debit.charge is None or debit.charge.adjustment is None:
            return None
        return RecordedAdjustment(debit, _records.decode(event.state).record_time)
