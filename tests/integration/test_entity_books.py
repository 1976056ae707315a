"""The books of entities on a real PostgreSQL: the same rows wherever runs are cut, and in agreement with the log."""

from __future__ import annotations

from typing import Any

from psycopg_pool import AsyncConnectionPool

from ledger_service.application.reading.page_tokens import RatesToken
from ledger_service.application.reporting.finance_ports import RateView
from ledger_service.application.reporting.report_ports import ReconcileProgress, ReconcileRequest
from ledger_service.domain.finance.journal import Movement
from ledger_service.projections.catch_up import RunLimits
from ledger_service.projections.finance_process import Asked, answers
from ledger_service.projections.reports.journal_views import PostgresFinanceViews
from tests.fakes.entity_log import CURRENCIES, FOREIGN, Act, bill_the_rest, play, random_acts
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.integration.test_journal import rows
from tests.integration.test_reconcile import EVENTS, REBUILD, UNBILLED, found_after
from tests.postgres import PostgresServer

SCHEMA = "ledger"
SEED = 26
"""Of a history in which currencies are set when there is overage already, and rates differ in every way."""

RATES = ((5, "1.3"), (9, "1.2"), (2, "1.1"), (5, "1.4"))
"""Stated within the same hour, by the number of 20 hours that each begins at; one takes the place of another."""


def test_books_with_rates_are_the_same_wherever_runs_are_cut_and_agree_with_the_log(
    postgres_server: PostgresServer,
) -> None:
    world = play(random_acts(SEED, 110))
    bill_the_rest(world)
    found = []
    for limits in (RunLimits(), RunLimits(1, 1, 1)):
        url = postgres_server.create_database()
        append(url, stored(world.ledger))
        catch_up(url, limits)
        found.append(rows(url))
    *_, last = answers(Asked(url, SCHEMA, ReconcileRequest()))

    whole, cut = found
    assert whole == cut
    assert isinstance(last, ReconcileProgress)
    assert [check for check in last.checks if check.differing] == []
    booked = {(row[3], row[4]) for row in whole["journal_days"]}
    assert booked == {(entity, own) for entity, code in CURRENCIES.items() for own in (code, FOREIGN)}
    assert any(Movement.EXCHANGE.value in row for row in whole["journal_days"])
    assert all(whole[table] for table in ("journal_rates", "journal_carried", "journal_bill_rates"))
    carried = "UPDATE journal_carried SET book_nanos = book_nanos + 1 WHERE (holder, kind, currency_code) ="
    one = "(SELECT holder, kind, currency_code FROM journal_carried WHERE kind = 'UNBILLED' LIMIT 1)"
    assert found_after(url, f"{carried} {one}").keys() == {UNBILLED, REBUILD}
    rate = "UPDATE journal_rates SET rate = '7' WHERE position = (SELECT min(position) FROM journal_rates)"
    assert {EVENTS, REBUILD} <= found_after(url, rate).keys()


async def test_rates_are_listed_page_by_page_with_their_history(database_url: str) -> None:
    acts = [Act("set"), *(Act("rate", number=number, rate=rate, hours_later=0) for number, rate in RATES)]
    append(database_url, stored(play(acts).ledger))
    catch_up(database_url)
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        database_url, min_size=1, max_size=1, kwargs={"autocommit": True}, open=False
    )
    found: list[RateView] = []
    async with pool:
        views = PostgresFinanceViews(pool, schema=SCHEMA)
        after: RatesToken | None = None
        while page := (await views.list_rates("us", currency_code=FOREIGN, after=after, limit=2))[0]:
            found += page
            after = RatesToken("", FOREIGN, page[-1].from_time, page[-1].position)
        others = [
            (await views.list_rates(entity, currency_code=code, after=None, limit=9))[0]
            for entity, code in (("us", "CHF"), ("de", FOREIGN))
        ]

    assert [(each.rate, each.replaced) for each in found] == [
        ("1.1", False),
        ("1.3", True),
        ("1.4", False),
        ("1.2", False),
    ]
    assert [each.to_time for each in found] == [found[1].from_time, *[found[3].from_time] * 2, None]
    assert others == [(), ()]
