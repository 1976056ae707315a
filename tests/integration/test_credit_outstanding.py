"""Credit outstanding on a real PostgreSQL: paid and promotional apart, as much as wallets hold, and its liability."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.ports import StoredEvent
from ledger_service.application.report_ports import FoldedReport, FoldRequest
from ledger_service.application.report_scope import ReportScope
from ledger_service.domain.wallet.state import Wallet
from ledger_service.projections.finance_process import Asked, answers
from ledger_service.projections.report_views import PostgresFinanceReports
from tests.builders import NOW, Book
from tests.fakes import finance_log
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.property.ledger import rule_histories
from tests.property.ledger.test_entry_laws import entries_of

SCHEMA = "ledger"
DAY = timedelta(days=1)
FOREVER = date(2040, 1, 1)


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
    async with AsyncConnectionPool(database_url, min_size=1, kwargs={"autocommit": True}) as pool:
        rows, _ = await PostgresFinanceReports(pool, schema=SCHEMA).credits_outstanding(entity="")
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
