"""The journal on a real PostgreSQL: the same rows however they came about, and reads that see what time has done."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from psycopg_pool import AsyncConnectionPool

from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from ledger_service.application.reading.page_tokens import JournalToken
from ledger_service.application.reporting.finance_ports import FinanceScope, JournalDay, RollForward
from ledger_service.domain.commands import (
    CreateBreakagePool,
    Debit,
    LockAccountingPeriod,
    PlaceHold,
    RevisePoolEstimate,
    SaleTerms,
    SettleWallet,
)
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.values import BreakageMethod, InvoiceKind
from ledger_service.projections.bookkeeping.exchange_store import EXCHANGE_TABLES
from ledger_service.projections.bookkeeping.journal_store import TABLES
from ledger_service.projections.catch_up import RunLimits
from ledger_service.projections.connections import connect
from ledger_service.projections.rebuild import compare, rebuild
from ledger_service.projections.reports.journal_views import PostgresFinanceViews
from tests.bills import record_credit_note, record_invoice
from tests.builders import NOW, WALLET, Book, refund, sign_contract
from tests.fakes.finance_log import PERIODS, POOL, play, priced, random_acts
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.sales import agreed_wallet, opened, sale

FIRST, LAST = date(2026, 3, 1), date(2026, 4, 1)
EUR = FinanceScope("EUR")
DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def views(database_url: str) -> AsyncIterator[PostgresFinanceViews]:
    """The journal's views of a fresh database."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=False
    )
    async with pool:
        yield PostgresFinanceViews(pool, schema=SCHEMA_DEFAULT, position_wait_seconds=0.2)


def project(url: str, ledger: Book, *, seen: int = 0) -> int:
    """Add what a book has recorded since, project it, and return how much there is now."""
    append(url, stored(ledger)[seen:])
    catch_up(url)
    return len(ledger.log)


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """Return everything in the journal's tables."""
    with connect(url, schema=SCHEMA_DEFAULT) as connection:
        return {
            table.name: connection.execute(
                f"SELECT * FROM {table.name} AS t ORDER BY t".encode()  # noqa: S608
            ).fetchall()
            for table in TABLES
        }


def history(seed: int) -> Book:
    """Return a random history with a contract that is billed in the end."""
    ledger = agreed_wallet(play(random_acts(seed, 120)))
    now = NOW + 200 * DAY
    ledger.run(sign_contract(start_time=NOW), now)
    ledger.run(Debit(WALLET, charge=priced(40_000_000), delivered=True), now)
    fee = BilledAmount("BASE_FEE", 10**9, NOW + 190 * DAY, NOW + 220 * DAY, "pro")
    bill = record_invoice(issue_time=now, tax_nanos=7)
    amounts = (
        fee,
        BilledAmount("OVERAGE", 800_000_000),
        BilledAmount("COMMITMENT", 10**9, NOW, NOW + 300 * DAY),
    )
    issued = msgspec.structs.replace(
        bill.issued,
        kind=InvoiceKind.FINAL,
        amounts=amounts,
        total_nanos=sum(each.nanos for each in amounts) + 7,
    )
    ledger.run(msgspec.structs.replace(bill, issued=issued), now)
    ledger.run(record_credit_note(5_000, issue_time=now), now)
    return ledger


@pytest.mark.parametrize("seed", range(3))
def test_rows_are_the_same_however_the_log_is_cut(database_url: str, seed: int) -> None:
    random = Random(seed)
    append(database_url, stored(history(seed)))
    catch_up(database_url, RunLimits(random.randint(1, 9), random.randint(1, 20), random.randint(1, 9)))
    in_pieces = rows(database_url)
    rebuild(database_url, schema=SCHEMA_DEFAULT)

    exchange = {table.name for table in EXCHANGE_TABLES}
    assert all(rows for name, rows in in_pieces.items() if name not in exchange), "every table has rows"
    assert in_pieces == rows(database_url)
    assert all(not each.differences for each in compare(database_url, schema=SCHEMA_DEFAULT))


def test_an_estimate_of_a_pool_in_units_counts_all_of_its_day_however_far_a_run_had_come(
    database_url: str,
) -> None:
    pool, ledger, seen = SaleTerms(pool=POOL), opened(), 0
    steps = (
        CreateBreakagePool(POOL, "EUR", BreakageMethod.PROPORTIONAL, expected_breakage="0.1"),
        sale(1_000, terms=pool),
        Debit(WALLET, 40),
        RevisePoolEstimate(POOL, expected_redeemed_units=100),
        sale(1_000, terms=pool),
        refund(4, 10),
    )
    for step in steps:
        ledger.run(step)
        seen = project(database_url, ledger, seen=seen)

    # 40 of 100 units, of 1,900 for the 190 units that are there in the end, less what is usage.
    [row] = rows(database_url)["journal_pools"]
    assert row[-3:] == (760 - 400, NOW.date(), 100)
    assert all(not each.differences for each in compare(database_url, schema=SCHEMA_DEFAULT))


def test_a_rebuild_takes_back_a_position_beyond_the_log(database_url: str) -> None:
    ledger = opened()
    ledger.run(sale(100))
    seen = project(database_url, ledger)
    with connect(database_url, schema=SCHEMA_DEFAULT) as connection:
        connection.execute("UPDATE notification_tracking SET notification_id = notification_id + 5")

    assert rebuild(database_url, schema=SCHEMA_DEFAULT)["journal"] == seen
    ledger.run(Debit(WALLET, 40))
    project(database_url, ledger, seen=seen)
    assert all(not each.differences for each in compare(database_url, schema=SCHEMA_DEFAULT))


async def march(views: PostgresFinanceViews, now: datetime, **scope: Any) -> RollForward:
    """Return the roll-forward of the month."""
    return await views.roll_forward(from_day=FIRST, to_day=LAST, scope=FinanceScope("EUR", **scope), now=now)


async def test_what_has_expired_is_read_as_it_will_be_recorded(
    database_url: str, views: PostgresFinanceViews
) -> None:
    ledger = opened()
    ledger.run(
        CreateBreakagePool(
            POOL, "EUR", BreakageMethod.PROPORTIONAL, expected_breakage="0.1", escheat_fraction="0.3"
        )
    )
    ledger.run(sale(101, terms=SaleTerms(pool=POOL), expire_time=NOW + DAY))
    ledger.run(sale(1_000, terms=SaleTerms(pool=POOL), expire_time=NOW + 20 * DAY))
    ledger.run(sale(1_000, terms=SaleTerms(expected_breakage="0.2"), expire_time=NOW + DAY))
    ledger.run(Debit(WALLET, 30))
    seen = project(database_url, ledger)
    now = NOW + 2 * DAY
    expected = await march(views, now)
    ledger.run(SettleWallet(WALLET), now)
    project(database_url, ledger, seen=seen)
    recorded = await march(views, now)

    assert msgspec.structs.replace(expected, position=0) == msgspec.structs.replace(recorded, position=0)
    assert recorded.total.closing_nanos == 1_000
    assert recorded.total.escheat_nanos == 21


async def test_what_was_known_on_a_day_leaves_out_what_was_recorded_later(
    database_url: str, views: PostgresFinanceViews
) -> None:
    ledger = opened()
    ledger.run(sale(100))
    ledger.run(Debit(WALLET, 40, NOW), NOW + 2 * DAY)
    project(database_url, ledger)
    first, later = [
        (await march(views, NOW + 3 * DAY, known_before=NOW.date() + days * DAY)).total for days in (2, 3)
    ]

    assert (first.recognised_usage_nanos, first.closing_nanos) == (0, 100)
    assert (later.recognised_usage_nanos, later.closing_nanos) == (40, 60)


async def test_an_entity_is_rolled_forward_alone(database_url: str, views: PostgresFinanceViews) -> None:
    ledger = opened()
    ledger.run(sale(100))
    ledger.run(sale(70, terms=SaleTerms(entity="acme-de")))
    project(database_url, ledger)

    assert (await march(views, NOW)).total.closing_nanos == 170
    assert (await march(views, NOW, entity="acme-de")).total.closing_nanos == 70


async def test_the_figures_of_a_closed_period_never_change(
    database_url: str, views: PostgresFinanceViews
) -> None:
    ledger = opened()
    ledger.run(sale(100))
    later, end = NOW + 40 * DAY, date(2026, 4, 1)
    ledger.run(LockAccountingPeriod(PERIODS, date(2026, 3, 1), end), later)
    seen = project(database_url, ledger)

    async def figures() -> str:
        return await views.figures_hash(entity="default", from_day=FIRST, to_day=LAST, min_position=0)

    before = await figures()
    ledger.run(Debit(WALLET, 40, NOW), later)
    project(database_url, ledger, seen=seen)
    late, position = await views.list_days(
        from_day=end, to_day=date(2026, 5, 1), scope=EUR, moved_only=True, after=None, limit=9
    )
    after_late = await figures()
    rebuild(database_url, schema=SCHEMA_DEFAULT)

    assert before == after_late == await figures()
    assert [(row.posting_day, row.effective_day, row.nanos) for row in late] == [
        (end, NOW.date(), 40),
        (end, NOW.date(), -40),
    ]
    assert position == len(ledger.log)
    (period,) = await views.list_periods("default")
    assert (period.from_day, period.to_day, period.close_time) == (date(2026, 3, 1), end, None)


async def test_days_are_paged_in_the_order_of_their_keys(
    database_url: str, views: PostgresFinanceViews
) -> None:
    ledger = opened()
    for day in range(5):
        ledger.run(sale(100), NOW + day * DAY)
    project(database_url, ledger)
    found: list[JournalDay] = []
    after: JournalToken | None = None
    while True:
        page, _ = await views.list_days(
            from_day=FIRST, to_day=LAST, scope=EUR, moved_only=False, after=after, limit=3
        )
        if not page:
            break
        found += page
        last = page[-1]
        after = JournalToken(
            last.posting_day,
            last.record_day,
            last.effective_day,
            last.entity,
            last.account.value,
            last.movement.value,
            last.product,
            last.source,
        )

    assert len(found) == len(set(found)) == 10
    assert sum(row.nanos for row in found) == 0


async def test_a_period_with_credit_whose_expiry_is_not_recorded_is_not_settled(
    database_url: str, views: PostgresFinanceViews
) -> None:
    ledger = opened()
    ledger.run(sale(100, expire_time=NOW + DAY))
    ledger.run(PlaceHold(WALLET, 40))
    seen = project(database_url, ledger)
    day = NOW.date()
    asked = [(day + DAY, "default"), (day + 2 * DAY, "default"), (day + 2 * DAY, "other")]
    due = [
        await views.due_wallets(before=each, entity=entity, limit=9, min_position=0) for each, entity in asked
    ]
    ledger.run(SettleWallet(WALLET), NOW + 2 * DAY)
    project(database_url, ledger, seen=seen)

    assert due == [(), (WALLET,), ()]
    assert await views.due_wallets(before=day + 2 * DAY, entity="default", limit=9, min_position=0) == ()
