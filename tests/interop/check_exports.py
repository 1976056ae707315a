"""hledger and beancount agree with the ledger on a year of business: they accept its journal and have its balances."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.exporting import journal_beancount, journal_hledger
from ledger_service.application.exporting.export_ports import ExportFormat
from ledger_service.application.exporting.journal_texts import money_text
from ledger_service.application.ports import StoredEvent
from ledger_service.application.reporting.report_ports import TrialBalanceRow
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.domain.finance.accounts import DEFAULT_CHART, Account
from ledger_service.projections.reports.report_views import PostgresFinanceReports
from tests.integration.projector_process import append, catch_up
from tests.interop.years import LATER, PART, SCHEMA, WHOLE, entities_year, exported, finance_year, rules_year
from tests.postgres import PostgresServer

BEAN_CHECK = Path(sys.executable).with_name("bean-check")
Span = tuple[date, date]


@pytest.fixture(scope="session", params=[finance_year, rules_year, entities_year])
def year(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[str]:
    """A database that holds a year."""
    make: Callable[[], list[StoredEvent]] = request.param
    url = postgres_server.create_database()
    append(url, make())
    catch_up(url)
    yield url
    postgres_server.drop_database(url)


async def trial_balance(url: str, span: Span) -> list[TrialBalanceRow]:
    """Return the accounts that are not at zero at the end of a span."""
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        url, min_size=1, max_size=1, kwargs={"autocommit": True}, open=False
    )
    async with pool:
        rows, _ = await PostgresFinanceReports(pool, schema=SCHEMA).trial_balance(ReportScope(*span, LATER))
    return [row for row in rows if row.closing_nanos]


def bean_check(path: Path, journal: str) -> str:
    """Return what bean-check finds wrong with a journal; empty: nothing."""
    path.write_text(journal, encoding="utf-8")
    found = subprocess.run([BEAN_CHECK, "--no-cache", path], capture_output=True, text=True, check=False)
    return found.stderr + found.stdout


def hledger_balances(hledger: Path, path: Path, journal: str) -> dict[tuple[str, str], str]:
    """Return the balances of all money that hledger comes to."""
    path.write_text(journal, encoding="utf-8")
    command = [
        str(hledger),
        "-f",
        str(path),
        "bal",
        "-N",
        "--flat",
        "-O",
        "csv",
        "--layout=bare",
        "not:units",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return {
        (account, commodity): amount
        for account, commodity, amount in list(csv.reader(found.stdout.splitlines()))[1:]
    }


@pytest.mark.parametrize("span", [WHOLE, PART])
async def test_hledger_comes_to_the_trial_balance_to_the_last_digit(
    year: str, hledger: Path, tmp_path: Path, span: Span
) -> None:
    journal = exported(year, ExportFormat.HLEDGER, span)
    rows = await trial_balance(year, span)
    expected = {
        (
            journal_hledger.account_name(row.account, DEFAULT_CHART, entity=row.entity),
            row.currency_code,
        ): money_text(row.closing_nanos)
        for row in rows
    }

    assert len(expected) > 3
    assert hledger_balances(hledger, tmp_path / "year.journal", journal) == expected


def test_units_of_all_lots_balance_in_hledger(year: str, hledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "year.journal"
    path.write_text(exported(year, ExportFormat.HLEDGER, WHOLE), encoding="utf-8")
    command = [
        str(hledger),
        "-f",
        str(path),
        "bal",
        "-N",
        "--depth=1",
        "-O",
        "csv",
        "--layout=bare",
        "units",
        "--empty",
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True)

    assert [float(row[2]) for row in list(csv.reader(found.stdout.splitlines()))[1:]] == [0]


@pytest.mark.parametrize("span", [WHOLE, PART])
async def test_strict_booking_accepts_every_draw(year: str, tmp_path: Path, span: Span) -> None:
    journal = exported(year, ExportFormat.BEANCOUNT, span)
    # Of the liability, whose units stand at cost, the others tell: they are what it is not.
    expected = [
        f"{span[1]} balance {journal_beancount.account_name(row.account, DEFAULT_CHART, entity=row.entity)}"
        f"  {money_text(row.closing_nanos)} {row.currency_code}"
        for row in await trial_balance(year, span)
        if row.account is not Account.CONTRACT_LIABILITY
    ]

    assert journal.count("CREDIT {") > 20
    assert len(expected) > 2
    assert bean_check(tmp_path / "year.beancount", "\n".join([journal, *expected, ""])) == ""


def test_a_draw_too_much_is_found(year: str, tmp_path: Path) -> None:
    journal = exported(year, ExportFormat.BEANCOUNT, WHOLE)
    draw = re.search(r"ContractLiability  (0\.[0-9]+) CREDIT {", journal)
    assert draw is not None
    more = journal[: draw.start(1)] + "9" + journal[draw.start(1) + 1 :]

    assert "Not enough lots" in bean_check(tmp_path / "x.beancount", more)


def test_a_changed_amount_is_found(year: str, hledger: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.journal"
    path.write_text(
        exported(year, ExportFormat.HLEDGER, WHOLE).replace("  0.0", "  1.0", 1), encoding="utf-8"
    )
    found = subprocess.run(
        [str(hledger), "-f", str(path), "check"], capture_output=True, text=True, check=False
    )

    assert "could not balance" in found.stderr
