"""The reconciliation on a real PostgreSQL: it agrees on a random history, and finds each row that something changed."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from ledger_service.application.reporting.report_ports import Check, ReconcileProgress, ReconcileRequest
from ledger_service.projections.finance_process import Asked, answers
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.integration.test_journal import history
from tests.postgres import PostgresServer

SCHEMA = "ledger"
LOTS = "lots = events"
LIABILITY = "liability by lot = account"
PRICE = "units x cost basis = liability"
ZERO = "trial balance = 0"
EVENTS = "journal = events"
ROLL_FORWARD = "roll-forward ties from month to month"
CLOSED = "closed periods unchanged"
INVOICES = "invoices = receivables"
BILLS = "invoices = entries"
UNBILLED = "unbilled by wallet = account"
REBUILD = "projection = rebuild"
READABLE = "events can be read"


@pytest.fixture(scope="module")
def books(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with the journal of a random history; what a test changes of it, it takes back."""
    url = postgres_server.create_database()
    append(url, stored(history(4)))
    catch_up(url)
    yield url
    postgres_server.drop_database(url)


def checks(url: str) -> dict[str, Check]:
    """Return the checks of a reconciliation by their names."""
    *_, last = answers(Asked(url, SCHEMA, ReconcileRequest()))
    assert isinstance(last, ReconcileProgress)
    assert last.done
    return {check.name: check for check in last.checks}


def found_after(url: str, change: str) -> dict[str, Check]:
    """Return the checks that differ after a change of the tables, and put the tables back."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA before")
        # As a superuser would, whom no trigger of the log stops.
        connection.execute("ALTER TABLE ledger.stored_events DISABLE TRIGGER ALL")
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT table_name FROM information_schema.tables"
                " WHERE table_schema = 'ledger' AND (table_name LIKE 'journal%'"
                " OR table_name IN ('stored_events', 'notification_tracking'))"
            )
        ]
        for table in tables:
            connection.execute(f"CREATE TABLE before.{table} AS TABLE ledger.{table}".encode())
        try:
            connection.execute("SET search_path TO ledger")
            assert connection.execute(change.encode()).rowcount == 1, "one row is changed"
            return {name: check for name, check in checks(url).items() if check.differing}
        finally:
            for table in tables:
                connection.execute(f"DELETE FROM ledger.{table}".encode())  # noqa: S608
                connection.execute(f"INSERT INTO ledger.{table} TABLE before.{table}".encode())
            connection.execute("DROP SCHEMA before CASCADE")


def test_a_reconciliation_says_how_many_events_it_has_read(
    books: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger_service.projections.reconciling.reconcile.PROGRESS_EVENTS", 20)
    monkeypatch.setattr("ledger_service.projections.reconciling.reconcile.PROGRESS_SECONDS", 0.001)
    found = list(answers(Asked(books, SCHEMA, ReconcileRequest())))
    counts = [each.event_count for each in found if isinstance(each, ReconcileProgress)]
    last = found[-1]
    assert isinstance(last, ReconcileProgress)

    assert len(counts) > 3
    assert counts == sorted(counts)
    assert counts[-1] == last.events_total == 2 * last.position


def test_nothing_differs_in_a_history_that_the_projector_wrote(books: str) -> None:
    found = checks(books)

    assert [check for check in found.values() if check.differing] == []
    assert all(found[name].compared for name in found.keys() - {CLOSED}), "nothing passes unseen"


@pytest.mark.parametrize(
    ("change", "names", "told"),
    [
        pytest.param(
            "UPDATE journal_lots SET usage_nanos = usage_nanos + 5, drawn_units = drawn_units WHERE (wallet,"
            " grant_version) = (SELECT wallet, min(grant_version) FROM journal_lots WHERE refunded_units = 0"
            " AND purchase_version = 0 AND escheated_nanos = 0 GROUP BY 1)",
            {LOTS, LIABILITY, PRICE, REBUILD},
            "/grants/",
            id="a lot",
        ),
        pytest.param(
            "DELETE FROM journal_lots WHERE (wallet, grant_version) = (SELECT wallet, min(grant_version)"
            " FROM journal_lots WHERE purchase_version = 0 GROUP BY 1)",
            {LOTS, REBUILD},
            "is not stored",
            id="a missing lot",
        ),
        pytest.param(
            "UPDATE journal_days SET nanos = nanos + 1 WHERE ctid = (SELECT min(ctid) FROM journal_days"
            " WHERE account = 'REVENUE_USAGE')",
            {ZERO, EVENTS, REBUILD},
            "REVENUE_USAGE",
            id="an amount",
        ),
        pytest.param(
            "UPDATE journal_days SET nanos = nanos - 3 WHERE ctid = (SELECT min(ctid) FROM journal_days"
            " WHERE account = 'CONTRACT_LIABILITY')",
            {ZERO, EVENTS, LIABILITY, ROLL_FORWARD, REBUILD},
            "CONTRACT_LIABILITY",
            id="a liability",
        ),
        pytest.param(
            "UPDATE journal_days SET nanos = nanos + 9 WHERE ctid = (SELECT min(ctid) FROM journal_days"
            " WHERE account = 'ACCOUNTS_RECEIVABLE' AND movement = 'INVOICE')",
            {ZERO, EVENTS, INVOICES, REBUILD},
            "ACCOUNTS_RECEIVABLE",
            id="a receivable",
        ),
        pytest.param(
            "UPDATE journal_days SET entity = 'other' WHERE ctid = (SELECT min(ctid) FROM journal_days"
            " WHERE account = 'ACCOUNTS_RECEIVABLE' AND movement = 'INVOICE')",
            {ZERO, EVENTS, INVOICES, REBUILD},
            "default EUR",
            id="whose a receivable is",
        ),
        pytest.param(
            "UPDATE journal_unbilled SET nanos = nanos + 1", {UNBILLED, REBUILD}, "", id="what is unbilled"
        ),
        pytest.param(
            "UPDATE journal_periods SET figures_hash = 'ab', close_time = now() WHERE from_day ="
            " (SELECT min(from_day) FROM journal_periods)",
            {CLOSED, REBUILD},
            "",
            id="a closed period",
        ),
        pytest.param(
            "UPDATE stored_events SET state = convert_to(replace(convert_from(state, 'UTF8'), '\"tax_nanos\":7,',"
            " '\"tax_nanos\":8,'), 'UTF8') WHERE topic = 'contract.InvoiceIssued.v1'",
            {BILLS, EVENTS, REBUILD},
            "contracts/acme",
            id="the tax of a bill",
        ),
        pytest.param(
            "UPDATE stored_events SET state = convert_to(regexp_replace(convert_from(state, 'UTF8'),"
            " '\"total_nanos\":', '\"total_nanos\":1'), 'UTF8') WHERE topic = 'contract.InvoiceIssued.v1'",
            {BILLS, INVOICES},
            "contracts/acme",
            id="the total of a bill",
        ),
        pytest.param(
            "UPDATE journal_contracts SET wallet = 'wallets/nobody'",
            {BILLS, EVENTS, REBUILD},
            "contracts/acme",
            id="whose a contract is",
        ),
        pytest.param(
            "UPDATE notification_tracking SET notification_id = notification_id + 1"
            " WHERE application_name = 'journal'",
            {REBUILD},
            "the log ends at position",
            id="a position beyond the log",
        ),
        pytest.param(
            "UPDATE stored_events SET topic = 'wallet.CreditsHeld.v1' WHERE notification_id ="
            " (SELECT min(notification_id) FROM stored_events WHERE topic = 'wallet.CreditsDebited.v1')",
            {READABLE},
            "at position",
            id="what an event is",
        ),
    ],
)
def test_a_row_that_something_changed_is_found(books: str, change: str, names: set[str], told: str) -> None:
    found = found_after(books, change)

    assert names <= found.keys()
    assert any(told in found[name].difference for name in names), found
    assert all(check.difference for check in found.values()), "the first difference is named"
