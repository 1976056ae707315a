"""Reads of the projections: lists of wallets and grants, the roll-forward, and how far each projection is.

The pool's connections may have any search_path; statements name the shard's schema. What time alone has done
is settled here, at the caller's `now`, in the same way as a wallet settles itself before it decides.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.reading.page_tokens import (
    GrantsToken,
    WalletsToken,
    decode_token,
    encode_token,
)
from ledger_service.application.reading.view_ports import (
    GrantPage,
    GrantView,
    ProjectionPosition,
    WalletPage,
    WalletView,
)
from ledger_service.domain.events import FinanceTerms, Recurrence
from ledger_service.domain.refusals.service import PageTokenMalformed
from ledger_service.domain.values import Asset, GrantCategory, Money, ShortfallMode
from ledger_service.projections.events.wallet_events import rolls_over
from ledger_service.projections.projection import PROJECTIONS, WALLET_VIEW
from ledger_service.projections.view_reader import POSITION_WAIT_SECONDS, ViewReader
from ledger_service.projections.view_statements import ViewStatements
from ledger_service.projections.wallets.wallet_tallies import LAPSED, PENDING

PAGE_SIZE_MAX: Final = 1_000
"""Largest page, as the protos say."""

_recurrences: Final = msgspec.json.Decoder(Recurrence)
_terms: Final = msgspec.json.Decoder(FinanceTerms)


class PostgresViews(ViewReader):
    """The views of one shard."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        *,
        schema: str,
        position_wait_seconds: float = POSITION_WAIT_SECONDS,
    ) -> None:
        """Read through the pool, which the caller opens and closes."""
        self._statements = ViewStatements(schema)
        super().__init__(pool, self._statements.position, position_wait_seconds=position_wait_seconds)

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

    async def projection_positions(self) -> tuple[ProjectionPosition, ...]:
        """Return how far each projection has come, by name; one that never ran is at 0."""
        names = sorted(projection.name for projection in PROJECTIONS)
        rows = await self._rows(self._statements.positions, {"names": names})
        return tuple(ProjectionPosition(*row) for row in rows)


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
        entity,
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
        entity=entity,
        close_time=None if close_time is None else close_time.astimezone(UTC),
    )


def _grant(row: Any, now: datetime) -> GrantView:
    """Return a grant, settled up to now as far as its expiry goes.

    Holds, and lots of which part rolls over, read as recorded: what becomes of those at the boundary takes
    the whole wallet to say.
    """
    (*identity, category, priority, scope, effective, expire, currency, nanos) = row[:10]
    reference, contract, purchase, recurrence_text, drawn, expired, held, revoked, rolled = row[10:19]
    transferred, transfer, receivable, compensates, state, top_up, finance_text = row[19:]
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
        finance=None if finance_text is None else _terms.decode(finance_text),
    )
