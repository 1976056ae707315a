"""Exports and lists of entries on a real PostgreSQL: they may be left and gone on with, and tell what was known."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from typing import Any

import msgspec
import pytest

from ledger_service.application.exporting.export_ports import ExportFormat, ExportPart, ExportRequest
from ledger_service.application.exporting.journal_rows import JournalRow
from ledger_service.application.reporting.report_ports import EntriesPage, EntriesRequest
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.domain.commands import Debit, SettleWallet
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.domain.refusals.service import PageTokenMalformed
from ledger_service.projections.connections import connect
from ledger_service.projections.finance_process import Asked, Job, answers
from ledger_service.projections.reports import entry_pages
from ledger_service.projections.reports import export as exports
from tests.builders import NOW, WALLET
from tests.fakes.finance_log import priced
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.integration.test_journal import history
from tests.postgres import PostgresServer
from tests.sales import opened, sale

SCHEMA = "ledger"
LATER = datetime(2028, 1, 1, tzinfo=UTC)
WHOLE = date(2026, 1, 1), date(2028, 1, 1)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def books(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with the journal of a random history, which no test changes."""
    url = postgres_server.create_database()
    append(url, stored(history(4)))
    catch_up(url)
    yield url
    postgres_server.drop_database(url)


def ask(url: str, job: Job) -> list[Any]:
    """Return the answers to a job."""
    return list(answers(Asked(url, SCHEMA, job)))


def request(language: ExportFormat = ExportFormat.JSON, **fields: Any) -> ExportRequest:
    """Return a request for the whole journal."""
    return ExportRequest(language, *WHOLE, LATER, **fields)


def text(parts: list[ExportPart]) -> str:
    """Return the file that parts make."""
    return b"".join(part.data for part in parts).decode()


def lines(url: str, **fields: Any) -> list[JournalRow]:
    """Return the rows of the journal."""
    found = text(ask(url, request(**fields)))
    return [msgspec.json.decode(line, type=JournalRow) for line in found.splitlines()]


@pytest.mark.parametrize("language", list(ExportFormat))
def test_an_export_that_was_left_goes_on_after_each_of_its_parts(
    books: str, monkeypatch: pytest.MonkeyPatch, language: ExportFormat
) -> None:
    monkeypatch.setattr(exports, "PART_BYTES", 2_000)
    parts = ask(books, request(language))
    whole = text(parts)

    assert len(parts) > 4
    assert [part.token != "" for part in parts] == [True] * (len(parts) - 1) + [False]
    for place in (0, len(parts) // 2, len(parts) - 2):
        rest = ask(books, request(language, token=parts[place].token))
        assert text(parts[: place + 1]) + text(rest) == whole


def test_an_export_that_goes_on_does_not_see_what_was_recorded_meanwhile(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "PART_BYTES", 300)
    ledger = opened()
    ledger.run(sale(1_000))
    for _ in range(5):
        ledger.run(Debit(WALLET, 10))
    append(database_url, stored(ledger))
    catch_up(database_url)
    parts = ask(database_url, request())
    seen = len(ledger.log)
    ledger.run(Debit(WALLET, 50))
    append(database_url, stored(ledger)[seen:])
    catch_up(database_url)
    rest = ask(database_url, request(token=parts[1].token))

    assert text(parts[:2]) + text(rest) == text(parts)
    assert len(lines(database_url)) == text(parts).count("\n") + 2


def test_csv_has_the_columns_of_the_rows_and_names_the_model_of_what_was_used(database_url: str) -> None:
    ledger = opened()
    ledger.run(sale(1_000))
    for name in ("large", "small"):
        charge = msgspec.structs.replace(priced(10), properties={"model": name})
        ledger.run(Debit(WALLET, charge=charge))
    append(database_url, stored(ledger))
    catch_up(database_url)
    rows = list(csv.DictReader(StringIO(text(ask(database_url, request(ExportFormat.CSV))))))

    assert [(each["position"], each["product"], each["model"]) for each in rows] == [
        (str(row.position), row.product, row.model) for row in lines(database_url)
    ]
    assert {each["model"] for each in rows} == {"", "large", "small"}


def test_a_token_is_good_only_for_what_it_was_given_for(books: str) -> None:
    token = ask(books, request())[0].token

    with pytest.raises(PageTokenMalformed):
        ask(books, request(ExportFormat.CSV, token=token))
    with pytest.raises(PageTokenMalformed):
        ask(books, request(token="x"))


def test_rows_are_those_of_an_entity_a_currency_and_a_day_of_knowledge(books: str) -> None:
    everything = lines(books)
    known = NOW.date() + 20 * DAY
    early = lines(books, known_before=known)

    assert lines(books, entity="nobody") == lines(books, currency_code="XXX") == []
    assert {row.nanos for row in lines(books, currency_code="EUR", entity="default")}
    assert 0 < len(early) < len(everything)
    assert early == [row for row in everything if row.record_time.date() < known]


def test_what_time_has_ended_is_in_the_journal_before_it_is_recorded(database_url: str) -> None:
    ledger = opened()
    ledger.run(sale(1_000, expire_time=NOW + DAY))
    append(database_url, stored(ledger))
    catch_up(database_url)
    expected = lines(database_url)
    seen = len(ledger.log)
    ledger.run(SettleWallet(WALLET), NOW + 2 * DAY)
    append(database_url, stored(ledger)[seen:])
    catch_up(database_url)
    recorded = lines(database_url)

    figures = [(row.account, row.posting_day, row.nanos) for row in expected]
    assert figures == [(row.account, row.posting_day, row.nanos) for row in recorded]
    assert [row.position for row in expected][-1] == 0, "no event says so yet"


def page(url: str, **fields: Any) -> EntriesPage:
    """Return a page of entries of the whole journal."""
    (found,) = ask(url, EntriesRequest(ReportScope(*WHOLE, LATER), fields.pop("page_size", 1_000), **fields))
    assert isinstance(found, EntriesPage)
    return found


@pytest.mark.parametrize("looked_at", [entry_pages.LOOKED_AT_MAX, 3])
def test_pages_of_entries_make_the_list(books: str, monkeypatch: pytest.MonkeyPatch, looked_at: int) -> None:
    whole = page(books).entries
    monkeypatch.setattr(entry_pages, "LOOKED_AT_MAX", looked_at)
    found: list[BookedEntry] = []
    token, pages = "", 0
    while token or not pages:
        part = page(books, page_size=7, token=token)
        found += part.entries
        token, pages = part.next_token, pages + 1

    assert tuple(found) == whole
    assert pages > len(whole) // 7


def test_a_days_sum_leads_to_the_events_behind_it(books: str) -> None:
    with connect(books, schema=SCHEMA) as connection:
        days = connection.execute(
            "SELECT posting_day, record_day, product, sum(nanos)::bigint FROM journal_days"
            " WHERE account = 'REVENUE_USAGE' GROUP BY 1, 2, 3 HAVING sum(nanos) <> 0"
        ).fetchall()
    for posting_day, record_day, product, nanos in days:
        asked = EntriesRequest(
            ReportScope(posting_day, posting_day + DAY, LATER),
            1_000,
            account=Account.REVENUE_USAGE,
            product=product,
            record_from_day=record_day,
            record_to_day=record_day + DAY,
        )
        (found,) = ask(books, asked)
        of_account = [
            line.nanos
            for booked in found.entries
            for line in booked.entry.lines
            if line.account is Account.REVENUE_USAGE and line.product == product
        ]
        assert sum(of_account) == nanos
    assert days


def test_entries_of_one_wallet_are_found_by_its_name(books: str) -> None:
    assert page(books, wallet="wallets/nobody").entries == ()
    assert {booked.entry.stream for booked in page(books, wallet=WALLET).entries} == {
        WALLET,
        "contracts/acme",
    }
