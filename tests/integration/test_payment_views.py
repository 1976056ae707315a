"""The projections' tables where grants wait for a payment and wallets top themselves up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from psycopg_pool import AsyncConnectionPool

from ledger_service.adapters.due_wallets import PostgresDueWallets
from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from ledger_service.application.reporting.finance_ports import FinanceScope
from ledger_service.domain.commands import ActivateGrant, AnyCommand, SettleTopUp, UpdateWallet
from ledger_service.domain.events import AutoTopUp, TopUpOutcome, WalletRules
from ledger_service.domain.values import Money
from ledger_service.projections.reports.journal_views import PostgresFinanceViews
from ledger_service.projections.views import PostgresViews
from tests.builders import MICROSECOND, NOW, WALLET, Book, after, book, debit, grant, open_wallet, revoke
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up

RULE = AutoTopUp(
    threshold_units=10, price=Money("EUR", 700), price_units=100, amount_units=50, back_off_seconds=3600
)
GIVE = UpdateWallet(WALLET, ("rules.auto_top_up",), rules=WalletRules(auto_top_up=RULE))


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    """Connections to a fresh database."""
    opened: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=False
    )
    async with opened:
        yield opened


def project(url: str, ledger: Book, seen: int = 0) -> int:
    """Add what a book has recorded since, project it, and return how much there is now."""
    append(url, stored(ledger)[seen:])
    catch_up(url)
    return len(ledger.log)


async def due(pool: AsyncConnectionPool[Any], until: datetime) -> list[str]:
    """Return the wallets that are due."""
    wallets = PostgresDueWallets(pool, schema=SCHEMA_DEFAULT)
    return await wallets.due_wallets(since=after(days=-1), until=until, after="", limit=10)


async def billed(pool: AsyncConnectionPool[Any]) -> dict[date, int]:
    """Return the nanos billed by day."""
    rows = await PostgresFinanceViews(pool, schema=SCHEMA_DEFAULT).roll_forward(
        from_day=date(2026, 3, 1), to_day=date(2026, 4, 1), scope=FinanceScope("EUR"), now=NOW
    )
    return {row.from_day: row.billings_nanos for row in rows.days}


@pytest.mark.parametrize("runs", [1, 2], ids=["in one run", "in a later run"])
async def test_a_grant_is_billed_on_the_day_of_its_activation(
    database_url: str, pool: AsyncConnectionPool[Any], runs: int
) -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=900, pending=True))
    seen = project(database_url, ledger) if runs == 2 else 0
    assert await billed(pool) == {}
    ledger.run(ActivateGrant(WALLET, 2), after(days=1))
    ledger.run(debit(4), after(days=1))
    project(database_url, ledger, seen)

    (listed,) = (
        await PostgresViews(pool, schema=SCHEMA_DEFAULT).list_grants(WALLET, now=after(days=1), page_size=9)
    ).grants

    assert await billed(pool) == {date(2026, 3, 2): 900}
    assert (listed.payment_state, listed.remaining_units) == ("", 6)
    assert listed.effective_time == after(days=1)


@pytest.mark.parametrize(
    ("command", "now", "state"),
    [
        (None, NOW, "PENDING"),
        (None, after(days=1) - MICROSECOND, "PENDING"),
        (None, after(days=1), "LAPSED"),
        (revoke(2), NOW, "WITHDRAWN"),
    ],
)
async def test_a_grant_that_was_not_paid_is_listed_as_what_it_is(
    database_url: str,
    pool: AsyncConnectionPool[Any],
    command: AnyCommand | None,
    now: datetime,
    state: str,
) -> None:
    ledger = book(open_wallet(), grant(10, paid_nanos=900, expire_time=after(days=1), pending=True))
    if command is not None:
        ledger.run(command)
    project(database_url, ledger)
    views = PostgresViews(pool, schema=SCHEMA_DEFAULT)

    (listed,) = (await views.list_grants(WALLET, now=now, page_size=9)).grants
    (wallet,) = (await views.list_wallets(now=now, page_size=1)).wallets

    assert (listed.payment_state, listed.remaining_units, listed.expired_units) == (state, 0, 0)
    assert (wallet.granted_units, wallet.revoked_units) == (0, 0)
    assert await due(pool, after(days=1)) == ([] if state == "WITHDRAWN" else [WALLET])
    assert await due(pool, after(days=1) - MICROSECOND) == []


async def test_a_wallet_is_due_when_a_wait_of_its_top_ups_ends(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = book(open_wallet(), grant(100), GIVE, debit(95))
    seen = project(database_url, ledger)
    ledger.run(SettleTopUp(WALLET, 5, TopUpOutcome.FAILED), after(hours=1))
    project(database_url, ledger, seen)

    assert await due(pool, after(hours=2) - MICROSECOND) == []
    assert await due(pool, after(hours=2)) == [WALLET]


async def test_a_wallet_is_due_when_a_day_of_its_top_ups_ends(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    project(database_url, book(open_wallet(), grant(100), GIVE, debit(95)))
    midnight = NOW.replace(hour=0) + timedelta(days=1)

    assert await due(pool, midnight - MICROSECOND) == []
    assert await due(pool, midnight) == [WALLET]


async def test_a_grant_names_the_top_up_that_paid_for_it(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = book(open_wallet(), GIVE, SettleTopUp(WALLET, 3, TopUpOutcome.SUCCEEDED))
    project(database_url, ledger)

    (listed,) = (
        await PostgresViews(pool, schema=SCHEMA_DEFAULT).list_grants(WALLET, now=NOW, page_size=9)
    ).grants

    assert (listed.grant_version, listed.top_up_version) == (5, 3)
    assert await billed(pool) == {date(2026, 3, 1): 350}
