"""Reports, exports and the reconciliation over a real channel and on the command line."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from credits.ledger.v1 import finance_export_pb2, finance_reports_pb2, money_pb2
from ledger_service.cli.main import app
from tests.integration.ledger.client import PROMOTIONAL, Client, refusal, timestamp
from tests.integration.ledger.test_agreement_refusals import Agreements
from tests.postgres import PostgresServer
from tests.servers import LedgerServer, execute, projector, serving

DAY: Final = timedelta(days=1)
SPAN: Final = ("--from", "2026-01-01", "--to", "2026-03-01")


class Terminal:
    """Runs commands against a ledger."""

    def __init__(self, server: LedgerServer, url: str) -> None:
        self.server = server
        self.url = url

    def run(self, *arguments: str, code: int = 0) -> str:
        """Return what a command of finance prints."""
        ended = CliRunner().invoke(app, ["finance", *arguments, "--address", self.server.address])
        assert ended.exit_code == code, ended.output
        return ended.stdout if not code else ended.output

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        """Return the CSV of a report."""
        return list(csv.DictReader(StringIO(self.run(*arguments, "--csv"))))

    def json(self, *arguments: str) -> dict[str, Any]:
        """Return the JSON of a report."""
        found: dict[str, Any] = json.loads(self.run(*arguments, "--json"))
        return found


async def _fill(address: str) -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    async with Client(address) as client:
        price = money_pb2.Money(currency_code="USD", nanos=90 * 10**9)
        wallet = await client.open_wallet()
        await client.grant(wallet, 9_000_000, consideration=price, expire_time=timestamp(begin + 400 * DAY))
        await client.grant(wallet, 1_000_000, category=PROMOTIONAL)
        await client.debit(wallet, 4_000_000, feature="chat")
        short = await client.open_wallet()
        await client.grant(short, 3_000_000, consideration=price, expire_time=timestamp(begin + 20 * DAY))
        await client.debit(short, 1_000_000, feature="images")
        agreements = Agreements(client)
        card = await agreements.card()
        await agreements.phase(card)
        fee = money_pb2.Money(currency_code="EUR", nanos=10 * 10**9)
        plan = await agreements.plan(card, base_fee=fee, duration="P1Y")
        await agreements.sign(plan, await client.open_wallet())
        await client.advance(begin + 20 * DAY)
        # A grant settles its wallet first.
        await client.grant(short, 1_000_000, category=PROMOTIONAL)
        position = (await client.debit(wallet, 1_000_000)).position
        request = finance_reports_pb2.GetTrialBalanceRequest(scope=scope(), min_position=position)
        await client.finance.GetTrialBalance(request)


@pytest.fixture(scope="module")
def terminal(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """A command line beside a sandbox: 180 USD sold, 5 of 9 and 1 of 3 credits used, 2 expired, a contract."""
    url = postgres_server.create_database()
    logs = tmp_path_factory.mktemp("finance")
    settings = {"database_url": url, "sandbox": "true", "sandbox_start_time": "2026-01-01T00:00:00Z"}
    with (
        projector(logs / "projector.log", database_url=url),
        serving(logs / "ledger.log", **settings) as server,
    ):
        asyncio.run(_fill(server.address))
        yield Terminal(server, url)
    postgres_server.drop_database(url)


def scope(**fields: Any) -> finance_reports_pb2.ReportScope:
    """Return the first two months."""
    usual = {
        "from_time": timestamp(datetime(2026, 1, 1, tzinfo=UTC)),
        "to_time": timestamp(datetime(2026, 3, 1, tzinfo=UTC)),
    }
    return finance_reports_pb2.ReportScope(**usual | fields)


def test_the_trial_balance_adds_up_to_zero_in_every_form(terminal: Terminal, tmp_path: Path) -> None:
    rows = terminal.rows("trial-balance", *SPAN)
    closing = {row["account"]: row["closing"] for row in rows}
    file = tmp_path / "balance.parquet"
    terminal.run("trial-balance", *SPAN, "--parquet", str(file))
    table = pyarrow.parquet.read_table(file)

    assert closing == {
        "Cash": "180.00",
        "ContractLiability": "-40.00",
        "Revenue:Usage": "-80.00",
        "Revenue:Breakage": "-60.00",
    }
    assert sum(table["closing"].to_pylist()) == 0
    assert table.num_rows == len(terminal.json("trial-balance", *SPAN)["rows"]) == 4
    assert "ContractLiability" in terminal.run("trial-balance", *SPAN)


def test_february_as_known_on_a_day_leaves_out_what_was_learnt_later(terminal: Terminal) -> None:
    known = terminal.rows("trial-balance", *SPAN, "--known", "2026-01-02")

    assert {row["account"]: row["closing"] for row in known}["ContractLiability"] == "-110.00"


def test_liability_is_divided_by_expiry_by_age_and_as_obligation(terminal: Terminal) -> None:
    on = ("--on", "2026-03-01")

    assert [(row["band"], row["amount"]) for row in terminal.rows("liability-schedule", *on)] == [
        ("6 to 12 months", "40.00")
    ]
    assert [row["band"] for row in terminal.rows("liability-schedule", *on, "--by", "age")] == [
        "31 to 60 days"
    ]
    obligation = terminal.rows("remaining-obligation", *on, "--currency", "USD")
    assert [(row["part"], row["band"]) for row in obligation] == [("credit", "0 to 12 months")]
    before = terminal.rows("liability-schedule", "--on", "2026-01-02")
    assert [(row["band"], row["lots"], row["amount"]) for row in before] == [
        ("0 to 1 months", "1", "60.00"),
        ("12 to 24 months", "1", "50.00"),
    ]


def test_revenue_is_told_by_product_and_out_of_the_opening(terminal: Terminal) -> None:
    by_product = {(row["account"], row["product"]): row["amount"] for row in terminal.rows("revenue", *SPAN)}
    by_model = terminal.rows("revenue", *SPAN, "--by-model")
    opening = terminal.rows("opening-revenue", "--from", "2026-01-10", "--to", "2026-03-01")

    assert by_product == {
        ("Revenue:Usage", "chat"): "40.00",
        ("Revenue:Usage", "images"): "30.00",
        ("Revenue:Usage", ""): "10.00",
        ("Revenue:Breakage", ""): "60.00",
    }
    assert {(row["account"], row["product"]): row["amount"] for row in by_model} == by_product
    assert [(row["opening"], row["from_opening"], row["recognised"]) for row in opening] == [
        ("110.00", "70.00", "70.00")
    ]


def test_breakage_of_ended_lots_is_suggested_with_its_basis(terminal: Terminal) -> None:
    found = terminal.json("breakage-analysis", "--on", "2026-03-01")
    (suggestion,) = found["suggestions"]

    assert [cohort["redeemed_units"] for cohort in found["cohorts"]] == [["6000000"]]
    assert (suggestion["expected_breakage"], suggestion["lot_count"]) == ("0.6666", "1")
    assert "for the decision on the policy" in terminal.run("breakage-analysis", "--on", "2026-03-01")


def test_credit_outstanding_stands_beside_its_liability(terminal: Terminal) -> None:
    rows = terminal.rows("outstanding")

    assert [(row["category"], row["credit"], row["liability"], row["not_yet_effective"]) for row in rows] == [
        ("PAID", "4.00", "40.00", "0.00"),
        ("PROMOTIONAL", "2.00", "0.00", "0.00"),
    ]


def test_credit_outstanding_of_a_day_is_what_was_left_then_and_was_known_then(terminal: Terminal) -> None:
    def rows(*options: str) -> list[tuple[str, str, str]]:
        found = terminal.rows("outstanding", *options)
        return [(row["category"], row["credit"], row["liability"]) for row in found]

    january = ("--on", "2026-01-15")
    assert rows(*january) == [("PAID", "7.00", "110.00"), ("PROMOTIONAL", "1.00", "0.00")]
    assert rows(*january, "--currency", "USD") == [("PAID", "7.00", "110.00")]
    assert rows("--on", "2026-03-01") == rows()
    assert rows("--on", "2026-01-03", "--known", "2026-01-02") == rows(*january)
    assert rows("--on", "2026-01-02", "--known", "2026-01-01") == [], "nothing had been recorded"
    assert "--on" in terminal.run("outstanding", "--known", "2026-01-02", code=2)


def test_the_journal_leads_from_an_account_to_its_events(terminal: Terminal, tmp_path: Path) -> None:
    rows = terminal.rows("journal", *SPAN, "--account", "REVENUE_BREAKAGE")
    short = terminal.run("journal", *SPAN, "--limit", "2")

    assert [(row["event"], row["account"], row["debit"], row["credit"]) for row in rows] == [
        ("CreditsExpired", "ContractLiability", "60.00", "0.00"),
        ("CreditsExpired", "Revenue:Breakage", "0.00", "60.00"),
    ]
    assert "more with --page-token" in short
    assert "CreditsGranted  wallets/" in short


def test_an_export_is_written_left_and_gone_on_with(terminal: Terminal, tmp_path: Path) -> None:
    out, other = tmp_path / "books.journal", tmp_path / "left.journal"
    terminal.run("export", "hledger", *SPAN, "--out", str(out))
    whole = out.read_bytes()
    request = finance_export_pb2.ExportRequest(format=finance_export_pb2.EXPORT_FORMAT_HLEDGER, scope=scope())
    first = asyncio.run(_first_part(terminal.server.address, request))
    note = {
        "request": request.SerializeToString(deterministic=True),
        "good_bytes": len(first.data),
        "token": first.next_page_token,
    }
    other.write_bytes(first.data + b"half a li")
    other.with_name("left.journal.part").write_bytes(msgspec.json.encode(note))
    terminal.run("export", "hledger", *SPAN, "--out", str(other), "--resume")

    assert other.read_bytes() == whole
    assert not list(tmp_path.glob("*.part"))
    assert terminal.run("export", "csv", *SPAN).startswith("posting_date,")
    terminal.run("export", "hledger", *SPAN, "--out", str(other), "--resume", code=2)


async def _first_part(
    address: str, request: finance_export_pb2.ExportRequest
) -> finance_export_pb2.ExportResponse:
    async with Client(address) as client:
        async for part in client.finance.Export(request):
            return part
    raise AssertionError("an export has a part")


def test_parquet_holds_the_journal_and_the_log(terminal: Terminal, tmp_path: Path) -> None:
    journal, events = tmp_path / "journal.parquet", tmp_path / "events.parquet"
    terminal.run("export", "parquet", *SPAN, "--out", str(journal))
    terminal.run("export", "parquet", *SPAN, "--out", str(events), "--of", "events")

    lines = pyarrow.parquet.read_table(journal)
    assert sum(lines["nanos"].to_pylist()) == 0
    assert set(lines["account"].to_pylist()) > {"Cash", "ContractLiability"}
    topics = pyarrow.parquet.read_table(events)["topic"].to_pylist()
    assert topics[0] == "wallet.WalletOpened.v1"
    assert topics.count("wallet.CreditsDebited.v1") == 3


def test_the_reconciliation_ends_well_and_badly(terminal: Terminal) -> None:
    assert "projection = rebuild" in terminal.run("reconcile")
    execute(terminal.url, "UPDATE journal_lots SET usage_nanos = usage_nanos + 5")
    try:
        found = terminal.run("reconcile", code=1)
        refused = asyncio.run(_unbalanced(terminal))
    finally:
        execute(terminal.url, "UPDATE journal_lots SET usage_nanos = usage_nanos - 5")

    assert "/grants/" in found
    assert (refused.reason, refused.code.name) == ("JOURNAL_UNBALANCED", "DATA_LOSS")


async def _unbalanced(terminal: Terminal) -> Any:
    execute(terminal.url, "UPDATE journal_days SET nanos = nanos + 1 WHERE account = 'CASH'")
    try:
        async with Client(terminal.server.address) as client:
            request = finance_reports_pb2.GetTrialBalanceRequest(scope=scope())
            return await refusal(client.finance.GetTrialBalance(request))
    finally:
        execute(terminal.url, "UPDATE journal_days SET nanos = nanos - 1 WHERE account = 'CASH'")


def _scope_of(asked: dict[str, str] | None) -> finance_reports_pb2.ReportScope:
    """Return a scope: the usual one with what is asked, or just what is asked if that is times or nothing."""
    if asked is None:
        return scope()
    fields: dict[str, Any] = {
        name: timestamp(datetime.fromisoformat(text).replace(tzinfo=UTC)) if name.endswith("_time") else text
        for name, text in asked.items()
    }
    whole = fields and not {"from_time", "to_time"} & fields.keys()
    return scope(**fields) if whole else finance_reports_pb2.ReportScope(**fields)


@pytest.mark.parametrize(
    ("method", "request_", "reason", "field"),
    [
        ("GetTrialBalance", {"scope": {}}, "FIELD_REQUIRED", "scope.to_time"),
        ("GetTrialBalance", {"scope": {"to_time": "2026-02-01"}}, "FIELD_REQUIRED", "scope.from_time"),
        (
            "GetTrialBalance",
            {"scope": {"from_time": "2026-02-01", "to_time": "2026-02-01"}},
            "TIMES_OUT_OF_ORDER",
            "scope.to_time",
        ),
        (
            "GetTrialBalance",
            {"scope": {"from_time": "2026-02-01T01:00", "to_time": "2026-02-02"}},
            "FIELD_MALFORMED",
            "scope.from_time",
        ),
        (
            "GetTrialBalance",
            {"scope": {"from_time": "2006-02-01", "to_time": "2026-02-02"}},
            "NUMBER_OUT_OF_RANGE",
            "scope.to_time",
        ),
        ("GetRevenue", {"scope": {"known_time": "2025-12-31"}}, "TIMES_OUT_OF_ORDER", "scope.known_time"),
        ("GetOpeningRevenue", {"scope": {"currency_code": "usd"}}, "FIELD_MALFORMED", "scope.currency_code"),
        (
            "GetTrialBalance",
            {"scope": {"currency_code": "JPY"}},
            "CURRENCY_NOT_IN_BOOKS",
            "scope.currency_code",
        ),
        ("GetTrialBalance", {"scope": {"entity": "de"}}, "ENTITY_NOT_IN_BOOKS", "scope.entity"),
        ("GetBreakageAnalysis", {"scope": {"entity": "/"}}, "FIELD_MALFORMED", "scope.entity"),
        ("ListCreditsOutstanding", {"entity": "/"}, "FIELD_MALFORMED", "entity"),
        ("ListCreditsOutstanding", {"entity": "a", "scope": scope()}, "FIELD_NOT_ALLOWED", "entity"),
        ("ListCreditsOutstanding", {"scope": scope(entity="de")}, "ENTITY_NOT_IN_BOOKS", "scope.entity"),
        ("GetLiabilitySchedule", {"scope": {}}, "VALUE_UNSPECIFIED", "basis"),
        ("ListContractPositions", {"scope": {}}, "FIELD_REQUIRED", "scope.to_time"),
        ("ListContractPositions", {"page_size": 1_001}, "NUMBER_OUT_OF_RANGE", "page_size"),
        ("ListContractPositions", {"page_token": "x"}, "PAGE_TOKEN_MALFORMED", "page_token"),
        ("ListContractPositions", {"scope": {"entity": "de"}}, "ENTITY_NOT_IN_BOOKS", "scope.entity"),
        ("SummarizeContractPositions", {"scope": {}}, "FIELD_REQUIRED", "scope.to_time"),
        ("SummarizeJournal", {"scope": {"to_time": "2026-02-01"}}, "FIELD_REQUIRED", "scope.from_time"),
        (
            "SummarizeJournal",
            {"scope": {"currency_code": "JPY"}},
            "CURRENCY_NOT_IN_BOOKS",
            "scope.currency_code",
        ),
        ("GetRemainingObligation", {"scope": {"entity": "de"}}, "ENTITY_NOT_IN_BOOKS", "scope.entity"),
        ("GetRemainingObligation", {"scope": {}}, "FIELD_REQUIRED", "scope.to_time"),
        ("ListJournal", {"scope": {"to_time": "2026-02-01"}}, "FIELD_REQUIRED", "scope.from_time"),
        ("ListJournal", {"page_token": "x"}, "PAGE_TOKEN_MALFORMED", "page_token"),
        ("ListJournal", {"account": "Cash"}, "FIELD_MALFORMED", "account"),
        ("ListJournal", {"wallet": "acme"}, "FIELD_MALFORMED", "wallet"),
        ("ListJournal", {"page_size": 1_001}, "NUMBER_OUT_OF_RANGE", "page_size"),
        ("Export", {}, "VALUE_UNSPECIFIED", "format"),
        ("Export", {"format": 1, "page_token": "x"}, "PAGE_TOKEN_MALFORMED", "page_token"),
        (
            "Export",
            {"format": 1, "scope": {"currency_code": "JPY"}},
            "CURRENCY_NOT_IN_BOOKS",
            "scope.currency_code",
        ),
    ],
)
async def test_bad_input_is_refused_by_name(
    terminal: Terminal, method: str, request_: dict[str, Any], reason: str, field: str
) -> None:
    fields = dict(request_)
    if method != "ListCreditsOutstanding":
        fields["scope"] = _scope_of(fields.pop("scope", None))
    module = finance_export_pb2 if method == "Export" else finance_reports_pb2
    message = getattr(module, f"{method}Request")(**fields)
    async with Client(terminal.server.address) as client:
        call = getattr(client.finance, method)(message)
        found = await refusal(call.read() if method == "Export" else call)

    assert (found.reason, found.field) == (reason, field)


def _revenue(**fields: Any) -> finance_reports_pb2.StreamReportRequest:
    return finance_reports_pb2.StreamReportRequest(
        revenue=finance_reports_pb2.GetRevenueRequest(scope=scope(), **fields)
    )


@pytest.mark.parametrize(
    ("request_", "reason", "field"),
    [
        (finance_reports_pb2.StreamReportRequest(), "FIELD_REQUIRED", "report"),
        (_revenue(), "FIELD_REQUIRED", "revenue.by_model"),
        (
            finance_reports_pb2.StreamReportRequest(
                liability_schedule=finance_reports_pb2.GetLiabilityScheduleRequest(scope=scope())
            ),
            "VALUE_UNSPECIFIED",
            "basis",
        ),
    ],
)
async def test_a_report_that_is_streamed_is_refused_by_name_too(
    terminal: Terminal, request_: finance_reports_pb2.StreamReportRequest, reason: str, field: str
) -> None:
    async with Client(terminal.server.address) as client:
        found = await refusal(client.finance.StreamReport(request_).read())

    assert (found.reason, found.field) == (reason, field)


async def test_a_streamed_report_is_the_same_and_says_how_far_it_is(terminal: Terminal) -> None:
    async with Client(terminal.server.address) as client:
        parts = [part async for part in client.finance.StreamReport(_revenue(by_model=True))]
        whole = await client.finance.GetRevenue(_revenue(by_model=True).revenue)

    assert parts[-1].revenue == whole
    assert [part.WhichOneof("report") for part in parts[:-1]] == [None] * (len(parts) - 1)
    last = parts[-1]
    assert (last.wallet_count, last.wallets_total) == (3, 3)
    assert 0 < last.event_count <= last.events_total == whole.position


def test_fees_that_nobody_has_billed_are_promised(terminal: Terminal) -> None:
    on = ("--on", "2026-03-01")
    rows = {row["part"]: row for row in terminal.rows("remaining-obligation", *on, "--currency", "EUR")}
    short = terminal.rows("remaining-obligation", *on, "--leave-out-short")
    total = terminal.json("remaining-obligation", *on)["totals"]

    assert {part: (row["band"], row["amount"], row["counts"]) for part, row in rows.items()} == {
        "fees, unbilled": ("0 to 12 months", "100.00", "yes")
    }
    assert {(row["part"], row["counts"], row["amount"]) for row in short} == {
        ("credit", "yes", "40.00"),
        ("fees, unbilled", "left out", "100.00"),
    }
    assert [each["obligation"]["nanos"] for each in total] == [str(100 * 10**9), str(40 * 10**9)]
    assert "remain = contract liability" in terminal.run("remaining-obligation", *on)


def test_positions_are_net_by_contract_and_tie_to_the_trial_balance(
    terminal: Terminal, tmp_path: Path
) -> None:
    on = ("--on", "2026-03-01")
    rows = terminal.rows("contract-positions", *on)
    (total,) = terminal.rows("contract-positions", *on, "--totals")
    file = tmp_path / "positions.parquet"
    terminal.run("contract-positions", *on, "--parquet", str(file))

    assert [(row["liability"], row["unbilled"], row["net_asset"], row["net_liability"]) for row in rows] == [
        ("40.00", "0.00", "0.00", "40.00")
    ]
    assert rows[0]["contract"] == rows[0]["wallet"]
    assert (total["liability"], total["net_liabilities"], total["liabilities"]) == ("40.00", "40.00", "1")
    assert pyarrow.parquet.read_table(file).num_rows == 1
    shown = terminal.run("contract-positions", *on)
    assert "Contracts on 2026-03-01" in shown
    assert "= net assets 0.00 USD - net liabilities 40.00 USD" in shown


def test_the_journal_is_summed_up_by_what_it_was_for(terminal: Terminal) -> None:
    rows = terminal.rows("journal-summary", *SPAN)
    chat = [row for row in rows if row["feature"] == "chat"]

    assert {(row["account"], row["debits"], row["credits"], row["entries"]) for row in chat} == {
        ("ContractLiability", "40.00", "0.00", "1"),
        ("Revenue:Usage", "0.00", "40.00", "1"),
    }
    behind = terminal.rows("journal", *SPAN, "--account", "REVENUE_USAGE", "--feature", "chat")
    assert {row["feature"] for row in behind} == {"chat"}
    assert len(behind) == 2
    assert terminal.rows("journal", *SPAN, "--model", "none-such") == []
