"""Reports that fold the log on a real PostgreSQL: they tie to the trial balance, and pages are of one moment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest
from psycopg_pool import AsyncConnectionPool

from ledger_service.application.reporting.contract_positions import ContractPosition
from ledger_service.application.reporting.liability_bands import obligation_totals, obligations
from ledger_service.application.reporting.report_ports import (
    EntriesPage,
    EntriesRequest,
    FoldedReport,
    FoldProgress,
    FoldRequest,
    PositionsPage,
    PositionsRequest,
)
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.domain.commands import Debit, OpenWallet
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.refusals.service import PageTokenMalformed
from ledger_service.domain.values import ShortfallMode
from ledger_service.projections.finance_process import Asked, answers
from ledger_service.projections.reports.report_views import PostgresFinanceReports
from tests.builders import CONTRACT, CREDIT, CUSTOMER, WALLET, Book, after, sign_contract
from tests.fakes.finance_log import priced
from tests.fakes.projection_log import stored
from tests.integration.projector_process import append, catch_up
from tests.postgres import PostgresServer
from tests.promises import EUR, PRICE, bill, signed_book, terms, use
from tests.sales import sale

SCHEMA = "ledger"
FREE = "wallets/free"
GERMAN = "wallets/german"
ON = date(2026, 6, 1)
SCOPE = ReportScope(date(2026, 1, 1), ON, datetime(2026, 7, 1, tzinfo=UTC))


def model(name: str, units: int, wallet: str = WALLET) -> Debit:
    """Return usage that names a model."""
    charge = msgspec.structs.replace(priced(units), overage_price=PRICE, properties={"model": name})
    return Debit(wallet, charge=charge, delivered=True, feature="chat")


def history() -> Book:
    """Return a contract with a fee and a commitment, credit, overage of two models, and one taken back."""
    book = signed_book(terms(duration="P2Y", fee=10, commitment=500))
    book.run(sale(60 * EUR, 60), after(days=1))
    use(book, 10, after(days=2))
    book.run(model("large", 70), after(days=3))
    taken_back = book.run(model("small", 30), after(days=4))[0]
    book.run(book.reversal(taken_back.version, 20), after(days=5))
    bill(book, BilledAmount("BASE_FEE", 62 * EUR, after(days=60), after(days=122)), now=after(days=61))
    book.run(OpenWallet(FREE, CUSTOMER, CREDIT, ShortfallMode.SOFT, 10**9), after(days=62))
    book.run(model("large", 5, FREE), after(days=63))
    german = OpenWallet(GERMAN, CUSTOMER, CREDIT, ShortfallMode.SOFT, entity="de")
    book.run(german, after(days=64))
    signed = sign_contract(contract="contracts/de", wallet=GERMAN, start_time=after(days=64))
    book.run(signed, after(days=64))
    return book


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database with the history, projected."""
    url = postgres_server.create_database()
    append(url, stored(history()))
    catch_up(url)
    yield url
    postgres_server.drop_database(url)


def folded(url: str, report: FoldedReport, scope: ReportScope = SCOPE) -> FoldProgress:
    """Return the figures of a report."""
    *_, last = answers(Asked(url, SCHEMA, FoldRequest(report, scope)))
    assert isinstance(last, FoldProgress)
    assert last.done
    return last


def pages(url: str, size: int) -> Iterator[PositionsPage]:
    """Yield the pages of positions."""
    request = PositionsRequest(SCOPE, size)
    while True:
        (page,) = answers(Asked(url, SCHEMA, request))
        assert isinstance(page, PositionsPage)
        yield page
        if not page.next_token:
            return
        request = msgspec.structs.replace(request, token=page.next_token)


async def balances(url: str) -> dict[Account, int]:
    """Return the closings of the trial balance."""
    async with AsyncConnectionPool(url, min_size=1, kwargs={"autocommit": True}) as pool:
        rows, _ = await PostgresFinanceReports(pool, schema=SCHEMA).trial_balance(SCOPE)
    return {row.account: row.closing_nanos for row in rows}


async def test_positions_and_obligations_tie_to_the_trial_balance(url: str) -> None:
    closings = await balances(url)
    (total,) = folded(url, FoldedReport.POSITIONS).positions
    bands = obligations(folded(url, FoldedReport.OBLIGATION).liability, ON, leave_out_short=False)
    remaining, german = sorted(obligation_totals(bands), key=lambda each: each.entity == "de")

    assert total.unbilled_nanos == closings[Account.UNBILLED_RECEIVABLE] == (30 + 5) * EUR
    assert total.liability_nanos == -closings[Account.CONTRACT_LIABILITY] > 0
    assert remaining.liability_nanos == total.liability_nanos
    assert (total.net_asset_nanos, total.asset_count, total.liability_count) == (5 * EUR, 1, 1)
    assert remaining.unbilled_nanos > 900 * EUR, "fees and a second year's commitment are promised"
    assert (german.entity, german.liability_nanos) == ("de", 0)
    assert german.unbilled_nanos > 1_000 * EUR, "promises are those of the wallet's entity"


def test_an_obligation_may_be_of_one_entity(url: str) -> None:
    rows = folded(url, FoldedReport.OBLIGATION, msgspec.structs.replace(SCOPE, entity="de")).liability

    assert {(row.entity, row.kind.value) for row in rows} == {("de", "COMMITMENT"), ("de", "FEES")}


@pytest.mark.parametrize("size", [1, 2, 10])
def test_pages_of_positions_hold_each_once(url: str, size: int) -> None:
    found: list[ContractPosition] = []
    for page in pages(url, size):
        assert len(page.positions) <= size
        found += page.positions

    assert [each.source for each in found] == [CONTRACT, FREE]
    assert found[1].net_nanos == 5 * EUR
    assert found[0].net_nanos < 0


def test_the_token_of_another_list_of_positions_is_refused(url: str) -> None:
    token = next(pages(url, 1)).next_token
    other = PositionsRequest(msgspec.structs.replace(SCOPE, to_day=date(2026, 6, 2)), 1, token)

    with pytest.raises(PageTokenMalformed):
        list(answers(Asked(url, SCHEMA, other)))


def test_a_reversal_names_the_model_of_its_debit(url: str) -> None:
    sums = folded(url, FoldedReport.JOURNAL).journal
    earned = {
        (row.account, row.feature, row.model): row.credit_nanos - row.debit_nanos
        for row in sums
        if row.account is Account.REVENUE_OVERAGE
    }

    assert {key: nanos // EUR for key, nanos in earned.items()} == {
        (Account.REVENUE_OVERAGE, "chat", "large"): 20 + 5,
        (Account.REVENUE_OVERAGE, "chat", "small"): 10,
    }
    by_model = {
        (row.account, row.product, row.model): row.nanos for row in folded(url, FoldedReport.REVENUE).revenue
    }
    assert earned.items() <= by_model.items()


def test_a_sum_leads_to_its_entries(url: str) -> None:
    row = next(
        row
        for row in folded(url, FoldedReport.JOURNAL).journal
        if row.account is Account.REVENUE_OVERAGE and row.model == "small"
    )
    request = EntriesRequest(SCOPE, 100, account=row.account, feature=row.feature, model=row.model)
    (page,) = answers(Asked(url, SCHEMA, request))
    assert isinstance(page, EntriesPage)

    assert [each.entry.topic.split(".")[1] for each in page.entries] == ["CreditsDebited", "DebitReversed"]
    assert len(page.entries) == row.entry_count


@pytest.mark.parametrize("report", FoldedReport)
def test_reports_say_how_many_events_they_have_read(url: str, report: FoldedReport, monkeypatch: Any) -> None:
    monkeypatch.setattr("ledger_service.projections.reports.folded_reports.PROGRESS_EVENTS", 2)
    found = list(answers(Asked(url, SCHEMA, FoldRequest(report, SCOPE))))
    counts = [each.event_count for each in found if isinstance(each, FoldProgress)]

    assert len(counts) > 3
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] <= found[-1].position
