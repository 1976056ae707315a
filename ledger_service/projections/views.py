"""Reads of the projections: lists of wallets and grants, the roll-forward, and how far each projection is.

The pool's connections may have any search_path; statements name the shard's schema. What time alone has done
is settled here, at the caller's `now`, in the same way as a wallet settles itself before it decides.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any, Final

import msgspec
import psycopg
from psycopg.sql import Composed
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from ledger_service.application.page_tokens import GrantsToken, WalletsToken, decode_token, encode_token
from ledger_service.application.ports import StoreUnavailableError
from ledger_service.application.view_ports import (
    GrantPage,
    GrantView,
    ProjectionPosition,
    RollForward,
    WalletPage,
    WalletView,
)
from ledger_service.domain.events import Recurrence
from ledger_service.domain.refusals.service import PageTokenMalformed, ProjectionBehind
from ledger_service.domain.values import Asset, GrantCategory, Money, ShortfallMode
from ledger_service.projections.projection import DEFERRED_REVENUE, PROJECTIONS, WALLET_VIEW
from ledger_service.projections.recognition import DaySums
from ledger_service.projections.roll_forward import roll_forward_days
from ledger_service.projections.view_statements import ViewStatements
from ledger_service.projections.wallet_events import rolls_over
from ledger_service.projections.wallet_tallies import LAPSED, PENDING

POSITION_WAIT_SECONDS: Final = 2.0
"""Longest wait for a position: a projector that is alive is well under a second behind."""

POSITION_POLL_SECONDS: Final = 0.01
"""Time between two looks at the position meanwhile."""

PAGE_SIZE_MAX: Final = 1_000
"""Largest page, as the protos say."""

_recurrences: Final = msgspec.json.Decoder(Recurrence)


class PostgresViews:
    """The views of one shard."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        *,
        schema: str,
        position_wait_seconds: float = POSITION_WAIT_SECONDS,
    ) -> None:
        """Read through the pool, which the caller opens and closes."""
        self._pool = pool
        self._statements = ViewStatements(schema)
        self._position_wait_seconds = position_wait_seconds

    async def list_wallets(
        self,
        *,
        now: datetime,
        page_size: int,
        page_token: str = "",
        customer: str = "",
        min_position: int = 0,
    ) -> WalletPage:
        """Return wallets in the order of their names, of one customer or of all."""
        after = _wallets_after(page_token, customer)
        position = await self._reach(WALLET_VIEW.name, min_position)
        statement = self._statements.list_wallets_of_customer if customer else self._statements.list_wallets
        limit = _rows_to_read(page_size)
        rows = await self._rows(statement, {"now": now, "after": after, "customer": customer, "limit": limit})
        wallets = tuple(_wallet(row) for row in rows[:page_size])
        token = encode_token(WalletsToken(customer, wallets[-1].name)) if len(rows) == limit else ""
        return WalletPage(wallets, token, position)

    async def list_grants(
        self, wallet: str, *, now: datetime, page_size: int, page_token: str = "", min_position: int = 0
    ) -> GrantPage:
        """Return the grants of a wallet in the order they were issued, settled up to now."""
        after = _grants_after(page_token, wallet)
        position = await self._reach(WALLET_VIEW.name, min_position)
        limit = _rows_to_read(page_size)
        rows = await self._rows(
            self._statements.list_grants, {"wallet": wallet, "after": after, "limit": limit}
        )
        grants = tuple(_grant(row, now) for row in rows[:page_size])
        token = encode_token(GrantsToken(wallet, grants[-1].grant_version)) if len(rows) == limit else ""
        return GrantPage(grants, token, position)

    async def roll_forward(
        self, *, from_day: date, to_day: date, currency_code: str, now: datetime, min_position: int = 0
    ) -> RollForward:
        """Roll contract liability forward over the days [from_day, to_day)."""
        assert from_day < to_day, "a span has at least one day"
        position = await self._reach(DEFERRED_REVENUE.name, min_position)
        parameters = {
            "from_day": from_day,
            "to_day": to_day,
            "to_time": datetime.combine(to_day, time.min, UTC),
            "currency_code": currency_code,
            "now": now,
        }
        rows = await self._rows(self._statements.roll_forward, parameters)
        sums = {
            day: DaySums(int(billings), int(usage), int(breakage), int(refunds))
            for day, billings, usage, breakage, refunds in rows
        }
        before = sums.pop(None, DaySums())
        return roll_forward_days(before, sums, from_day=from_day, to_day=to_day, position=position)

    async def projection_positions(self) -> tuple[ProjectionPosition, ...]:
        """Return how far each projection has come, by name; one that never ran is at 0."""
        names = sorted(projection.name for projection in PROJECTIONS)
        rows = await self._rows(self._statements.positions, {"names": names})
        return tuple(ProjectionPosition(*row) for row in rows)

    async def _reach(self, name: str, min_position: int) -> int:
        """Return the projection's position once it is `min_position` or more. Raises ProjectionBehind."""
        deadline = asyncio.get_running_loop().time() + self._position_wait_seconds
        while (position := await self._position(name)) < min_position:
            if asyncio.get_running_loop().time() >= deadline:
                raise ProjectionBehind(
                    f"projection {name} is at position {position}, not yet at {min_position}",
                    field="min_position",
                    projection=name,
                    position=position,
                    min_position=min_position,
                )
            await asyncio.sleep(POSITION_POLL_SECONDS)
        return position

    async def _position(self, name: str) -> int:
        rows = await self._rows(self._statements.position, {"name": name})
        return rows[0][0] if rows else 0

    async def _rows(self, statement: Composed, parameters: Mapping[str, object]) -> list[Any]:
        try:
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                await cursor.execute(statement, parameters)
                rows: list[Any] = await cursor.fetchall()
                return rows
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, PoolClosed) as error:
            raise StoreUnavailableError(f"the projections cannot be read: {type(error).__name__}") from error


def _rows_to_read(page_size: int) -> int:
    """Return one more than the page holds: the extra row tells whether there is a next page."""
    assert 1 <= page_size <= PAGE_SIZE_MAX, "the caller checks the page size"
    return page_size + 1


def _wallets_after(page_token: str, customer: str) -> str:
    if not page_token:
        return ""
    token = decode_token(page_token, WalletsToken)
    if token.customer != customer:
        raise PageTokenMalformed("the page token is of another customer's list", field="page_token")
    return token.after_wallet


def _grants_after(page_token: str, wallet: str) -> int:
    if not page_token:
        return 0
    token = decode_token(page_token, GrantsToken)
    if token.wallet != wallet:
        raise PageTokenMalformed("the page token is of another wallet's list", field="page_token")
    return token.after_version


def _wallet(row: Any) -> WalletView:
    (
        name,
        customer,
        code,
        scale,
        mode,
        limit,
        contract,
        phase,
        open_time,
        version,
        *totals,
        order,
        close_time,
    ) = row
    granted, debited, overage, expired, debt, revoked = map(int, totals)
    return WalletView(
        name=name,
        customer=customer,
        asset=Asset(code, scale),
        shortfall_mode=ShortfallMode(mode),
        overage_limit_units=limit,
        contract=contract,
        contract_phase=phase,
        open_time=open_time.astimezone(UTC),
        version=version,
        granted_units=granted,
        debited_units=debited,
        overage_units=overage,
        expired_units=expired,
        debt_units=debt,
        revoked_units=revoked,
        burn_down_order=order,
        close_time=None if close_time is None else close_time.astimezone(UTC),
    )


def _grant(row: Any, now: datetime) -> GrantView:
    """Return a grant, settled up to now as far as its expiry goes.

    Holds, and lots of which part rolls over, read as recorded: what becomes of those at the boundary takes
    the whole wallet to say.
    """
    (*identity, category, priority, scope, effective, expire, currency, nanos) = row[:10]
    reference, contract, purchase, recurrence_text, drawn, expired, held, revoked, rolled = row[10:19]
    transferred, transfer, receivable, compensates, state, top_up = row[19:]
    wallet, version, amount = identity
    recurrence = None if recurrence_text is None else _recurrences.decode(recurrence_text)
    remaining = 0 if state else amount - drawn - expired - held - revoked - rolled - transferred
    if state == PENDING and expire is not None and expire <= now:
        state = LAPSED
    if expire is not None and expire <= now and not rolls_over(recurrence):
        expired, remaining = expired + remaining, 0
    return GrantView(
        wallet=wallet,
        grant_version=version,
        amount_units=amount,
        category=GrantCategory(category),
        priority=priority,
        scope=tuple(scope),
        effective_time=effective.astimezone(UTC),
        expire_time=None if expire is None else expire.astimezone(UTC),
        consideration=None if nanos is None else Money(currency, nanos),
        reference=reference,
        contract=contract,
        drawn_units=drawn,
        expired_units=expired,
        held_units=held,
        revoked_units=revoked,
        rolled_over_units=rolled,
        remaining_units=remaining,
        purchase_version=purchase,
        recurrence=recurrence,
        transferred_units=transferred,
        transfer=transfer,
        receivable=Money(currency, receivable) if receivable else None,
        compensates_version=compensates,
        payment_state=state,
        top_up_version=top_up,
    )
