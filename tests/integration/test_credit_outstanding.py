"""Credit outstanding on a real PostgreSQL: paid and promotional apart, as much as wallets hold, and its liability."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.ports import StoredEvent
from ledger_service.application.reading.agreed_contracts import midnight
from ledger_service.application.reporting.report_ports import CreditOutstanding, FoldedReport, FoldRequest
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.domain.commands import GrantCredits
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.values import GrantCategory
from ledger_service.domain.wallet.state import Wallet
from ledger_service.projections.finance_process import Asked, answers
from ledger_service.projections.reports.report_views import PostgresFinanceReports
from tests.builders import NOW, WALLET, Book
from tests.fakes import finance_log
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.integration.test_reconcile import checks
from tests.property.ledger import rule_histories
from tests.property.ledger.test_entry_laws import entries_of
from tests.sales import opened, sale

SCHEMA = "ledger"
DAY = timedelta(days=1)
FOREVER = date(2040, 1, 1)
LAST = datetime(2099, 1, 1, tzinfo=UTC)
"""By then everything has begun."""


def finance_history(seed: int) -> Book:
    """Return sales, bonuses, refunds and estimates."""
    return finance_log.play(finance_log.random_acts(seed, 40))


def rule_history(seed: int) -> Book:
    """Return holds, transfers, roll-overs and late usage."""
    return rule_histories.play_acts(rule_histories.random_acts(seed, 40))


def held_by_wallets(ledger: Book) -> dict[str, int]:
    """Return the units that wallets hold, reserved or not, by category."""
    found: dict[str, int] = {}
    for wallet in ledger.states.values():
        for lot in wallet.lots if isinstance(wallet, Wallet) else ():
            units = lot.remaining_units + lot.held_units
            found[lot.category.value] = found.get(lot.category.value, 0) + units
    return {category: units for category, units in found.items() if units}


def liability_of_lots(log: list[StoredEvent]) -> int:
    """Return what the lots carry, pools left out."""
    lots = {change.lot: change.after for booked in entries_of(log) for change in booked.lots}
    return sum(lot.deferred_nanos for lot in lots.values())


@pytest.mark.parametrize(
    ("play", "seed"), [(finance_history, 4), (finance_history, 6), (finance_history, 8), (rule_history, 2)]
)
async def test_credit_outstanding_is_what_wallets_hold(
    database_url: str, play: Callable[[int], Book], seed: int
) -> None:
    ledger = play(seed)
    log = stored(ledger)
    append(database_url, log)
    catch_up(database_url)
    rows, _ = await outstanding(database_url, LAST)
    units: dict[str, int] = {}
    for row in rows:
        units[row.category] = units.get(row.category, 0) + row.outstanding_units

    scope = ReportScope(FOREVER, FOREVER + DAY, NOW, known_before=FOREVER)
    *_, told = answers(Asked(database_url, SCHEMA, FoldRequest(FoldedReport.CREDIT, scope)))

    assert told.credit == rows, "by folding the log it is the same"
    assert units == held_by_wallets(ledger)
    assert units.keys() == {"PAID", "PROMOTIONAL"}, "the history leaves credit of both"
    assert sum(row.liability_nanos for row in rows) == liability_of_lots(log)
    assert not any(row.liability_nanos for row in rows if row.category != "PAID")
    assert not any(row.future_count or row.future_units for row in rows)


@pytest.mark.parametrize(
    ("lead", "paid", "given"),
    [
        (timedelta(microseconds=1), (1, 100, 1_000, 1, 200, 3_000), (0, 0, 0, 1, 50, 0)),
        (timedelta(0), (2, 300, 4_000, 0, 0, 0), (1, 50, 0, 0, 0, 0)),
    ],
)
async def test_credit_is_outstanding_from_the_microsecond_on_which_it_begins(
    database_url: str, lead: timedelta, paid: tuple[int, ...], given: tuple[int, ...]
) -> None:
    ledger, begins = opened(), midnight(NOW.date() + timedelta(days=10))
    ledger.run(sale(1_000, 100))
    ledger.run(sale(3_000, 200, effective_time=begins))
    ledger.run(GrantCredits(WALLET, 50, GrantCategory.PROMOTIONAL, effective_time=begins))
    append(database_url, stored(ledger))
    catch_up(database_url)
    rows, liability = await outstanding(database_url, begins - lead)

    assert [msgspec.structs.astuple(row)[3:] for row in rows] == [
        ("PAID", "EUR", *paid),
        ("PROMOTIONAL", "", *given),
    ]
    assert sum(row.liability_nanos for row in rows) == liability, "what begins later is posted when it begins"
    assert not any(check.differing for check in checks(database_url).values())


async def outstanding(url: str, now: datetime) -> tuple[tuple[CreditOutstanding, ...], int]:
    """Return credit outstanding at an instant, and the contract liability account by the end of its day."""
    async with AsyncConnectionPool(url, min_size=1, kwargs={"autocommit": True}) as pool:
        reports = PostgresFinanceReports(pool, schema=SCHEMA)
        rows, _ = await reports.credits_outstanding(now, entity="")
        scope = ReportScope(NOW.date(), now.date() + timedelta(days=1), now)
        accounts, _ = await reports.trial_balance(scope)
    return rows, -sum(row.closing_nanos for row in accounts if row.account is Account.CONTRACT_LIABILITY)
