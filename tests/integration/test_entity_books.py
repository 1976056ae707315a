"""The books of entities on a real PostgreSQL: the same rows wherever runs are cut, and in agreement with the log."""

from __future__ import annotations

from ledger_service.application.report_ports import ReconcileProgress, ReconcileRequest
from ledger_service.domain.finance.journal import Movement
from ledger_service.projections.catch_up import RunLimits
from ledger_service.projections.finance_process import Asked, answers
from tests.fakes.entity_log import CURRENCIES, FOREIGN, bill_the_rest, play, random_acts
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.integration.test_journal import rows
from tests.postgres import PostgresServer

SCHEMA = "ledger"
SEED = 26
"""Of a history in which currencies are set when there is overage already, and rates differ in every way."""


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
