"""The billing of contracts in PostgreSQL.

A change happens under the locks of its rows, which are taken in the order of contracts, as the follower takes them.
Who runs by the clock holds an advisory lock on a connection of its own, which the server gives up when that dies.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.application.invoicing.billing_ports import DueContract, Unbilled
from rating_service.application.ports import StoreUnavailableError
from rating_service.domain.invoicing.allotted import Allotted
from rating_service.domain.invoicing.billing import ContractBilling, Failure

LEADER_LOCK: Final = 0x62696C6C696E67
"""Advisory lock key: the letters of "billing"."""

COLUMNS: Final = sql.SQL(
    "contract, nullif(nullif(due_time, 'infinity'), '-infinity') AS due_time, due_time = '-infinity' AS is_due,"
    " change_position, billed_until, allotted_until, plan_position, allotted, failure"
)
READ: Final = sql.SQL("SELECT {columns} FROM rating.billing ").format(columns=COLUMNS)
LOCK: Final = READ + sql.SQL("WHERE contract = ANY(%(contracts)s) ORDER BY contract FOR UPDATE")
PAGE: Final = READ + sql.SQL(
    "WHERE contract > %(after)s AND (%(contract)s = '' OR contract = %(contract)s) ORDER BY contract LIMIT %(limit)s"
)
DUE: Final = sql.SQL(
    "SELECT contract, due_time::text FROM rating.billing WHERE due_time <= %(now)s"
    " AND (due_time, contract) > (%(due_time)s::timestamptz, %(contract)s)"
    " ORDER BY due_time, contract LIMIT %(limit)s"
)
BEFORE_ALL: Final = DueContract("", "-infinity")
DUE_COUNT: Final = sql.SQL("SELECT count(*) FROM rating.billing WHERE due_time <= %(now)s")
CHANGE: Final = sql.SQL(
    "UPDATE rating.billing SET due_time = coalesce(%(due_time)s::timestamptz, 'infinity'),"
    " billed_until = %(billed_until)s, allotted_until = %(allotted_until)s,"
    " plan_position = %(plan_position)s, allotted = %(allotted)s, failure = %(failure)s"
    " WHERE contract = %(contract)s"
)
UNBILLED: Final = sql.SQL(
    "SELECT contract, cycle_start_time, nanos::bigint, checks FROM rating.unbilled_overage"
    " WHERE contract = ANY(%(contracts)s) ORDER BY contract, cycle_start_time"
)
CORRECT_UNBILLED: Final = sql.SQL(
    "UPDATE rating.unbilled_overage SET nanos = nanos - %(nanos)s + %(left_nanos)s, checks = checks + 1"
    " WHERE contract = %(contract)s AND cycle_start_time = %(cycle_start_time)s AND checks = %(checks)s"
)
BEGINNING_OF_TIME: Final = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
"""How a contract reads that is due at once: PostgreSQL's '-infinity' is no instant."""

_allotted: Final = msgspec.json.Decoder(tuple[Allotted, ...])
_failure: Final = msgspec.json.Decoder(Failure)


class PostgresBillingStore:
    """BillingStore in PostgreSQL."""

    def __init__(self, pool: Pool, url: str) -> None:
        """Use connections of a pool, and one of its own to lead."""
        self._pool = pool
        self._url = url

    async def due(self, now: datetime, *, limit: int, after: DueContract | None = None) -> list[DueContract]:
        """Return contracts that are due by now, the longest due first, after one of them if it is given."""
        values = (after or BEFORE_ALL)._asdict() | {"now": now, "limit": limit}
        return [DueContract(*row) for row in await self._rows(DUE, values)]

    async def due_count(self, now: datetime) -> int:
        """Return how many contracts are due by now."""
        [(count,)] = await self._rows(DUE_COUNT, {"now": now})
        return int(count)

    async def change(
        self, contracts: Sequence[str], change: Callable[[ContractBilling], ContractBilling]
    ) -> list[ContractBilling]:
        """Change billings while nobody else can, all or none, durably, and return them; unknown ones are left out."""
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(LOCK, {"contracts": list(contracts)})
            before = [_billing(row) for row in await cursor.fetchall()]
            after = [change(billing) for billing in before]
            changed = [new for old, new in zip(before, after, strict=True) if new != old]
            if changed:
                await cursor.executemany(CHANGE, map(_values, changed))
        return after

    async def page(self, *, after: str, limit: int, contract: str = "") -> list[ContractBilling]:
        """Return billings by contract after one; only a contract's unless it is empty."""
        async with connection(self._pool) as lent, lent.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(PAGE, {"after": after, "limit": limit, "contract": contract})
            return [_billing(row) for row in await cursor.fetchall()]

    async def unbilled(self, contracts: Sequence[str]) -> list[Unbilled]:
        """Return what the overage of cycles is estimated to come to."""
        return [Unbilled(*row) for row in await self._rows(UNBILLED, {"contracts": list(contracts)})]

    async def correct_unbilled(self, seen: Unbilled, left_nanos: int) -> None:
        """Put an estimate right that was seen, keeping what came since; not if another service has done so."""
        async with connection(self._pool) as lent:
            await lent.execute(CORRECT_UNBILLED, seen._asdict() | {"left_nanos": left_nanos})

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[bool]:
        """Lend whether this is the one service, of those that ask at the same time, that runs by the clock."""
        try:
            async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as lent:
                asked = await lent.execute("SELECT pg_try_advisory_lock(%s)", (LEADER_LOCK,))
                row = await asked.fetchone()
                yield bool(row and row[0])
        except psycopg.OperationalError as cause:
            raise StoreUnavailableError(f"the database cannot be reached ({type(cause).__name__})") from cause

    async def _rows(self, query: sql.SQL | sql.Composed, values: dict[str, object]) -> list[Any]:
        async with connection(self._pool) as lent:
            rows: list[Any] = await (await lent.execute(query, values)).fetchall()
            return rows


def _billing(row: dict[str, Any]) -> ContractBilling:
    return ContractBilling(
        contract=row["contract"],
        due_time=BEGINNING_OF_TIME if row["is_due"] else row["due_time"],
        change_position=row["change_position"],
        billed_until=row["billed_until"],
        allotted_until=row["allotted_until"],
        plan_position=row["plan_position"],
        allotted=_allotted.decode(row["allotted"]),
        failure=None if row["failure"] is None else _failure.decode(row["failure"]),
    )


def _values(billing: ContractBilling) -> dict[str, Any]:
    failure = billing.failure
    return {
        "contract": billing.contract,
        "due_time": billing.due_time,
        "billed_until": billing.billed_until,
        "allotted_until": billing.allotted_until,
        "plan_position": billing.plan_position,
        "allotted": msgspec.json.encode(billing.allotted).decode(),
        "failure": None if failure is None else msgspec.json.encode(failure).decode(),
    }
