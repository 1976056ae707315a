"""Reads of the projections: paged, settled up to now, and not before the position that was asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from psycopg_pool import AsyncConnectionPool

from ledger_service.adapters.migrate import SCHEMA_DEFAULT
from ledger_service.application.ports import StoredEvent, StoreUnavailableError
from ledger_service.application.reading.view_ports import GrantView, Views, WalletView
from ledger_service.application.reporting.finance_ports import FinanceScope, FinanceViews, RollForward
from ledger_service.domain.commands import SettleWallet
from ledger_service.domain.events import Fact, WalletPolicyChanged
from ledger_service.domain.refusals.service import PageTokenMalformed, ProjectionBehind
from ledger_service.domain.topics import encode_fact
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.domain.wallet.state import policy_at
from ledger_service.projections.rebuild import compare
from ledger_service.projections.reports.journal_views import PostgresFinanceViews
from ledger_service.projections.views import PostgresViews
from tests.builders import MICROSECOND, NOW, Book, open_wallet
from tests.fakes.projection_log import Step, play, random_steps, stored
from tests.integration.projector_process import append, catch_up
from tests.property.ledger.domain.contract_lives import lives

EXPIRY = NOW + timedelta(hours=24)


@pytest_asyncio.fixture
async def views(database_url: str) -> AsyncIterator[Views]:
    """The views of a fresh database, which wait for a position only shortly."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=False
    )
    async with pool:
        yield PostgresViews(pool, schema=SCHEMA_DEFAULT, position_wait_seconds=0.2)


@pytest_asyncio.fixture
async def finance(database_url: str) -> AsyncIterator[FinanceViews]:
    """The journal's views of the same database."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=False
    )
    async with pool:
        yield PostgresFinanceViews(pool, schema=SCHEMA_DEFAULT, position_wait_seconds=0.2)


def project(url: str, ledger: Book) -> None:
    """Fill the log from a book and project it."""
    append(url, stored(ledger))
    catch_up(url)


async def grants_at(views: Views, now: datetime) -> list[GrantView]:
    """Return the grants of the first wallet."""
    return list((await views.list_grants("wallets/a", now=now, page_size=100)).grants)


async def march(finance: FinanceViews, now: datetime) -> RollForward:
    """Return the roll-forward of the month."""
    return await finance.roll_forward(
        from_day=date(2026, 3, 1), to_day=date(2026, 4, 1), scope=FinanceScope("USD"), now=now
    )


async def test_wallets_are_paged_in_the_order_of_their_names(database_url: str, views: Views) -> None:
    ledger = Book()
    names = [f"wallets/{index:02}" for index in range(10)]
    for name in reversed(names):
        ledger.run(open_wallet(wallet=name))
    project(database_url, ledger)
    found: list[WalletView] = []
    token, pages = "", 0
    while token or not pages:
        page = await views.list_wallets(now=NOW, page_size=5, page_token=token)
        found += page.wallets
        token, pages = page.next_page_token, pages + 1

    assert names == [wallet.name for wallet in found]
    assert pages == 2, "a last page that is just full has no next one"
    assert found[0].open_time == NOW


async def test_wallets_of_one_customer_are_listed_alone(database_url: str, views: Views) -> None:
    ledger = Book()
    for index in range(4):
        ledger.run(open_wallet(wallet=f"wallets/{index}", customer=f"customers/{index % 2}"))
    project(database_url, ledger)
    first = await views.list_wallets(now=NOW, page_size=1, customer="customers/1")
    second = await views.list_wallets(
        now=NOW, page_size=1, customer="customers/1", page_token=first.next_page_token
    )

    assert [each.name for each in first.wallets + second.wallets] == ["wallets/1", "wallets/3"]
    assert second.next_page_token == ""


async def test_a_page_token_of_another_list_is_refused(database_url: str, views: Views) -> None:
    project(database_url, play([Step("grant", wallet=f"wallets/{name}") for name in "aab"]))
    wallets = (await views.list_wallets(now=NOW, page_size=1)).next_page_token
    grants = (await views.list_grants("wallets/a", now=NOW, page_size=1)).next_page_token

    for token, wallet in ((wallets, "wallets/a"), (grants, "wallets/b"), ("nonsense", "wallets/a")):
        with pytest.raises(PageTokenMalformed):
            await views.list_grants(wallet, now=NOW, page_size=1, page_token=token)
    with pytest.raises(PageTokenMalformed):
        await views.list_wallets(now=NOW, page_size=1, customer="customers/x", page_token=wallets)


async def test_a_grant_is_listed_as_it_was_issued(database_url: str, views: Views) -> None:
    steps = [Step("grant", units=10, lasts_hours=24, consideration_nanos=7), Step("debit", units=4)]
    project(database_url, play(steps))
    page = await views.list_grants("wallets/a", now=NOW, page_size=1)
    (grant,) = page.grants

    assert (grant.amount_units, grant.drawn_units, grant.remaining_units) == (10, 4, 6)
    assert (grant.effective_time, grant.expire_time) == (NOW, EXPIRY)
    assert (grant.grant_version, grant.category) == (2, GrantCategory.PAID)
    assert grant.consideration is not None
    assert grant.consideration.nanos == 7
    assert grant.reference == 'an "order" \\ with {odd}, text'
    assert (page.next_page_token, page.position) == ("", 3)


@pytest.mark.parametrize(
    ("now", "remaining_units", "expired_units"),
    [(EXPIRY - MICROSECOND, 6, 0), (EXPIRY, 0, 6), (EXPIRY + MICROSECOND, 0, 6)],
)
async def test_an_expired_lot_reads_as_expired_before_that_is_recorded(
    database_url: str, views: Views, now: datetime, remaining_units: int, expired_units: int
) -> None:
    project(database_url, play([Step("grant", units=10, lasts_hours=24), Step("debit", units=4)]))
    (grant,) = await grants_at(views, now)

    assert (grant.remaining_units, grant.expired_units) == (remaining_units, expired_units)


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_read_is_the_same_before_and_after_expiries_are_recorded(
    database_url: str, views: Views, finance: FinanceViews, seed: int
) -> None:
    lasting = Step("grant", units=10**6, lasts_hours=24, consideration_nanos=10**6 + 1)
    ledger = play([*random_steps(seed, 60), lasting])
    now = max(each.fact.record_time for each in ledger.log) + timedelta(days=30)
    project(database_url, ledger)
    before = [
        await grants_at(views, now),
        (await march(finance, now)).total,
        (await march(finance, now)).days,
    ]
    seen = len(ledger.log)
    for wallet in list(ledger.states):
        ledger.run(SettleWallet(wallet), now)
    append(database_url, stored(ledger)[seen:])
    catch_up(database_url)
    after = [await grants_at(views, now), (await march(finance, now)).total, (await march(finance, now)).days]

    assert len(ledger.log) > seen, "something expired"
    assert before == after


async def test_a_policy_holds_from_its_effective_time(database_url: str, views: Views) -> None:
    ledger = play([Step("settle")])
    change = WalletPolicyChanged("contracts/acme", "standard", ShortfallMode.HARD, 5)
    fact = Fact(change, NOW, NOW + timedelta(days=1), "")
    append(
        database_url,
        [
            *stored(ledger),
            StoredEvent(2, "wallets/a", 2, "wallet.WalletPolicyChanged.v1", encode_fact(fact)),
        ],
    )
    catch_up(database_url)
    (early,) = (await views.list_wallets(now=NOW + timedelta(days=1) - MICROSECOND, page_size=1)).wallets
    (late,) = (await views.list_wallets(now=NOW + timedelta(days=1), page_size=1)).wallets

    assert (early.shortfall_mode, early.contract) == (ShortfallMode.SOFT, "")
    assert (late.shortfall_mode, late.contract) == (ShortfallMode.HARD, "contracts/acme")
    assert late.overage_limit_units == 5


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("pieces", [1, 7])
async def test_the_wallets_policy_is_what_its_contracts_say_at_every_instant(
    database_url: str, views: Views, seed: int, pieces: int
) -> None:
    *_, (ledger, _, _) = lives(seed)
    log = stored(ledger)
    for begin in range(0, len(log), -(-len(log) // pieces)):
        append(database_url, log[begin : begin + -(-len(log) // pieces)])
        catch_up(database_url)
    wallet = ledger.wallet()
    instants = {each.from_time for each in wallet.policies}

    for instant in [each + shift * MICROSECOND for each in instants for shift in (-1, 0, 1)]:
        (seen,) = (await views.list_wallets(now=instant, page_size=1)).wallets
        policy = policy_at(wallet, instant)
        assert (seen.contract, seen.contract_phase) == (policy.contract, policy.contract_phase)
        assert seen.shortfall_mode is policy.shortfall_mode
        assert seen.overage_limit_units == policy.overage_limit_units
    assert all(not comparison.differences for comparison in compare(database_url, schema=SCHEMA_DEFAULT))


async def test_the_roll_forward_counts_each_day_once(database_url: str, finance: FinanceViews) -> None:
    steps = [
        Step("grant", units=3, lasts_hours=72, consideration_nanos=100),
        Step("debit", units=1, hours_later=24),
        Step("settle", hours_later=96),
    ]
    project(database_url, play(steps))
    whole = await march(finance, NOW + timedelta(days=30))
    rest = await finance.roll_forward(
        from_day=date(2026, 3, 2),
        to_day=date(2026, 3, 3),
        scope=FinanceScope("USD"),
        now=NOW + timedelta(days=30),
    )

    assert [(row.from_day.day, row.opening_nanos, row.closing_nanos) for row in whole.days] == [
        (1, 0, 100),
        (2, 100, 67),
        (4, 67, 0),
    ]
    assert whole.total.billings_nanos == 100
    assert (whole.total.recognised_usage_nanos, whole.total.recognised_breakage_nanos) == (33, 67)
    assert (rest.total.opening_nanos, rest.total.recognised_usage_nanos) == (100, 33)
    assert (await march(finance, NOW)).position == 4


@pytest.mark.parametrize(("first", "last"), [(date.min, date.max), (date(2026, 1, 1), date(2026, 1, 2))])
async def test_a_span_may_lie_anywhere(
    database_url: str, finance: FinanceViews, first: date, last: date
) -> None:
    project(database_url, play([Step("grant", units=3, consideration_nanos=100)]))
    roll = await finance.roll_forward(from_day=first, to_day=last, scope=FinanceScope("USD"), now=NOW)

    assert roll.total.closing_nanos == (100 if last > NOW.date() else 0)


async def test_a_read_waits_for_its_position_and_then_refuses(
    database_url: str, views: Views, finance: FinanceViews
) -> None:
    project(database_url, play([Step("grant")]))

    assert (await views.list_grants("wallets/a", now=NOW, page_size=1, min_position=2)).position == 2
    with pytest.raises(ProjectionBehind):
        await views.list_grants("wallets/a", now=NOW, page_size=1, min_position=3)
    with pytest.raises(ProjectionBehind):
        await views.list_wallets(now=NOW, page_size=1, min_position=3)
    with pytest.raises(ProjectionBehind):
        await finance.roll_forward(
            from_day=date(2026, 3, 1),
            to_day=date(2026, 3, 2),
            scope=FinanceScope("USD"),
            now=NOW,
            min_position=3,
        )


async def test_positions_and_head_are_told_for_every_projection(database_url: str, views: Views) -> None:
    ledger = play([Step("grant"), Step("debit")])
    assert [
        (each.name, each.position, each.head_position) for each in await views.projection_positions()
    ] == [
        ("journal", 0, 0),
        ("wallet_view", 0, 0),
    ]
    append(database_url, stored(ledger)[:2])
    catch_up(database_url)
    append(database_url, stored(ledger)[2:])

    assert [
        (each.name, each.position, each.head_position) for each in await views.projection_positions()
    ] == [
        ("journal", 2, 3),
        ("wallet_view", 2, 3),
    ]


async def test_a_database_that_is_gone_is_told_as_such(database_url: str) -> None:
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(database_url, min_size=1, open=False)
    async with pool:
        views = PostgresViews(pool, schema=SCHEMA_DEFAULT)
    with pytest.raises(StoreUnavailableError):
        await views.projection_positions()
