"""The projections' tables where holds, reversals, refunds, roll-overs and recurring grants are met."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from psycopg_pool import AsyncConnectionPool

from ledger_service.adapters.due_wallets import PostgresDueWallets
from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from ledger_service.application.reading.view_ports import GrantView
from ledger_service.application.reporting.finance_ports import FinanceScope
from ledger_service.domain.commands import (
    CaptureHold,
    Debit,
    ExtendGrant,
    GrantCredits,
    OpenWallet,
    PlaceHold,
    RecurrenceTerms,
    RefundGrant,
    RevokeGrant,
    SettleWallet,
)
from ledger_service.domain.events import RollOver
from ledger_service.domain.values import GrantCategory, Money, ShortfallMode
from ledger_service.projections.catch_up import RunLimits
from ledger_service.projections.rebuild import compare
from ledger_service.projections.reports.journal_views import PostgresFinanceViews
from ledger_service.projections.views import PostgresViews
from tests.builders import CREDIT, MICROSECOND, NOW, WALLET, Book
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.property.ledger.rule_histories import grace_of, play_acts, random_acts, stored_as_if_paid

HOUR = timedelta(hours=1)
LONG_AGO = NOW - timedelta(days=1)


@pytest_asyncio.fixture
async def pool(database_url: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    """Connections to a fresh database."""
    opened: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=False
    )
    async with opened:
        yield opened


def open_book(mode: ShortfallMode = ShortfallMode.SOFT) -> Book:
    """Return a book with one wallet."""
    ledger = Book()
    ledger.run(OpenWallet(WALLET, "customers/acme", CREDIT, mode, burn_down_order="fifo/1"))
    return ledger


def included(units: int, recurrence: RecurrenceTerms) -> GrantCredits:
    """Return a recurring grant."""
    return GrantCredits(WALLET, units, GrantCategory.INCLUDED, recurrence=recurrence)


def paid(units: int, *, hours: int | None = None) -> GrantCredits:
    """Return a paid grant of a nano a unit."""
    return GrantCredits(
        WALLET,
        units,
        GrantCategory.PAID,
        expire_time=None if hours is None else NOW + hours * HOUR,
        consideration=Money("USD", units),
    )


def project(url: str, ledger: Book) -> None:
    """Fill the log from a book and project it."""
    append(url, stored(ledger))
    catch_up(url)


async def grants(pool: AsyncConnectionPool[Any], now: datetime) -> dict[int, GrantView]:
    """Return the wallet's grants by version."""
    views = PostgresViews(pool, schema=SCHEMA_DEFAULT)
    return {
        each.grant_version: each for each in (await views.list_grants(WALLET, now=now, page_size=100)).grants
    }


async def due(pool: AsyncConnectionPool[Any], until: datetime) -> list[str]:
    """Return the wallets that are due."""
    wallets = PostgresDueWallets(pool, schema=SCHEMA_DEFAULT)
    return await wallets.due_wallets(since=LONG_AGO, until=until, after="", limit=10)


@pytest.mark.parametrize("seed", range(6))
def test_the_live_projections_equal_their_rebuild(database_url: str, seed: int) -> None:
    ledger = play_acts(random_acts(seed, 120), list(ShortfallMode)[seed % 3])
    append(database_url, stored_as_if_paid(ledger))
    catch_up(database_url, RunLimits(3, 7 + seed, 20))
    compared = compare(database_url, schema=SCHEMA_DEFAULT)

    assert len(ledger.log) > 50
    assert [each.differences for each in compared] == [(), ()]


async def test_a_grant_is_listed_with_all_that_became_of_it(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = open_book()
    ledger.run(paid(100, hours=24))
    ledger.run(PlaceHold(WALLET, 30))
    ledger.run(CaptureHold(WALLET, 3, 10, final=False))
    ledger.run(Debit(WALLET, 5))
    ledger.run(ledger.reversal(5, 2))
    ledger.run(RefundGrant(WALLET, 2, 7))
    ledger.run(ExtendGrant(WALLET, 2, NOW + 48 * HOUR))
    project(database_url, ledger)
    views = PostgresViews(pool, schema=SCHEMA_DEFAULT)
    grant = (await grants(pool, NOW))[2]
    (wallet,) = (await views.list_wallets(now=NOW, page_size=1)).wallets
    month = await PostgresFinanceViews(pool, schema=SCHEMA_DEFAULT).roll_forward(
        from_day=date(2026, 3, 1), to_day=date(2026, 4, 1), scope=FinanceScope("USD"), now=NOW
    )

    assert (grant.drawn_units, grant.held_units, grant.revoked_units) == (13, 20, 7)
    assert (grant.remaining_units, grant.expire_time) == (60, NOW + 48 * HOUR)
    assert (wallet.debited_units, wallet.revoked_units, wallet.burn_down_order) == (13, 7, "fifo/1")
    assert (month.total.recognised_usage_nanos, month.total.refunds_nanos) == (13, 7)
    assert month.total.closing_nanos == 80


async def test_what_is_held_is_not_read_as_expired_and_not_as_broken(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = open_book()
    ledger.run(paid(10, hours=1))
    ledger.run(PlaceHold(WALLET, 4, ttl=3 * HOUR))
    project(database_url, ledger)
    now = NOW + 2 * HOUR
    grant = (await grants(pool, now))[2]
    month = await PostgresFinanceViews(pool, schema=SCHEMA_DEFAULT).roll_forward(
        from_day=date(2026, 3, 1), to_day=date(2026, 4, 1), scope=FinanceScope("USD"), now=now
    )

    assert (grant.remaining_units, grant.expired_units, grant.held_units) == (0, 6, 4)
    assert (month.total.recognised_breakage_nanos, month.total.closing_nanos) == (6, 4)


async def test_what_rolled_over_is_a_grant_of_its_own(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = open_book()
    terms = RecurrenceTerms("PT4H", period_count=1, roll_over=RollOver("50", 1))
    ledger.run(included(10, terms))
    ledger.run(SettleWallet(WALLET), NOW + 4 * HOUR)
    project(database_url, ledger)
    found = await grants(pool, NOW + 4 * HOUR)
    source, carried = found[2], found[max(found)]
    views = PostgresViews(pool, schema=SCHEMA_DEFAULT)
    (wallet,) = (await views.list_wallets(now=NOW, page_size=1)).wallets

    assert (source.rolled_over_units, source.expired_units, source.remaining_units) == (5, 5, 0)
    assert (carried.amount_units, carried.remaining_units) == (5, 5)
    assert carried.expire_time == NOW + 8 * HOUR
    assert carried.recurrence is not None
    assert carried.recurrence.roll_over is not None
    assert carried.recurrence.roll_over.times_left == 0
    assert wallet.granted_units == 10


@pytest.mark.parametrize(
    ("until", "wallets"), [(NOW + HOUR - MICROSECOND, []), (NOW + HOUR, [WALLET]), (NOW + 2 * HOUR, [WALLET])]
)
async def test_a_wallet_is_due_when_a_hold_times_out(
    database_url: str, pool: AsyncConnectionPool[Any], until: datetime, wallets: list[str]
) -> None:
    ledger = open_book()
    ledger.run(paid(10))
    ledger.run(PlaceHold(WALLET, 4, ttl=HOUR))
    project(database_url, ledger)

    assert await due(pool, until) == wallets


async def test_a_hold_that_ended_makes_no_wallet_due(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = open_book()
    ledger.run(paid(10))
    held = ledger.run(PlaceHold(WALLET, 4, ttl=HOUR))
    project(database_url, ledger)
    seen = len(ledger.log)
    ledger.run(CaptureHold(WALLET, held[-1].version, 4, final=False))
    append(database_url, stored(ledger)[seen:])
    catch_up(database_url)

    assert await due(pool, NOW + 2 * HOUR) == []


async def test_a_wallet_is_due_when_a_grant_comes_again_until_it_is_revoked(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = open_book()
    ledger.run(included(10, RecurrenceTerms("PT4H")))
    ledger.run(Debit(WALLET, 10))
    project(database_url, ledger)
    before = [await due(pool, NOW + 4 * HOUR - MICROSECOND), await due(pool, NOW + 4 * HOUR)]
    seen = len(ledger.log)
    (again,) = ledger.run(SettleWallet(WALLET), NOW + 4 * HOUR)
    append(database_url, stored(ledger)[seen:])
    catch_up(database_url)
    seen = len(ledger.log)
    ledger.run(RevokeGrant(WALLET, again.version), NOW + 4 * HOUR)
    append(database_url, stored(ledger)[seen:])
    catch_up(database_url)

    assert before == [[], [WALLET]]
    assert await due(pool, NOW + 9 * HOUR) == []


async def test_late_usage_reads_as_drawn_and_no_longer_as_expired(
    database_url: str, pool: AsyncConnectionPool[Any]
) -> None:
    ledger = Book()
    opening = OpenWallet(WALLET, "customers/acme", CREDIT, ShortfallMode.SOFT, rules=grace_of(48))
    ledger.run(opening)
    ledger.run(paid(10, hours=1))
    ledger.run(SettleWallet(WALLET), NOW + HOUR)
    project(database_url, ledger)
    seen = len(ledger.log)
    now = NOW + 24 * HOUR
    ledger.run(Debit(WALLET, 4, NOW), now)
    append(database_url, stored(ledger)[seen:])
    catch_up(database_url)
    views = PostgresViews(pool, schema=SCHEMA_DEFAULT)
    grant = (await grants(pool, now))[2]
    (wallet,) = (await views.list_wallets(now=now, page_size=1)).wallets
    first, second = [
        await PostgresFinanceViews(pool, schema=SCHEMA_DEFAULT).roll_forward(
            from_day=date(2026, 3, day), to_day=date(2026, 3, day + 1), scope=FinanceScope("USD"), now=now
        )
        for day in (1, 2)
    ]

    assert (grant.drawn_units, grant.expired_units, grant.remaining_units) == (4, 6, 0)
    assert (wallet.debited_units, wallet.expired_units) == (4, 6)
    assert (first.total.recognised_breakage_nanos, first.total.closing_nanos) == (10, 0)
    assert (second.total.recognised_usage_nanos, second.total.recognised_breakage_nanos) == (4, -4)
    assert second.total.closing_nanos == 0
