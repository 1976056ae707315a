"""`rating usage report|credit|forecast|bills|check`."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from credits.rating.v1 import usage_report_service_pb2 as pb
from credits.rating.v1 import usage_report_service_pb2_grpc
from rating_service.cli.connection import CALL_SECONDS_MAX, open_service, print_message, printed_json
from rating_service.cli.usage.report_tables import (
    FIELDS,
    bill_table,
    credit_lines,
    forecast_lines,
    row_values,
    usage_table,
)
from rating_service.cli.usage.usage_page import write_page

PAGE_ROWS: Final = 1_000
ROWS_MAX: Final = 20_000
"""Rows that a report is read up to; more groups than that nobody reads."""
CHECK_SECONDS_MAX: Final = 3_600.0
REPORT_DAYS: Final = 30

Name = Annotated[str, typer.Argument(help="contracts/{contract} or wallets/{wallet}")]
Contract = Annotated[str, typer.Argument(help="contracts/{contract}")]
Json = Annotated[bool, printed_json()]


def report(
    name: Name,
    from_day: Annotated[str, typer.Option("--from", help="First day. Default: 30 days ago.")] = "",
    to_day: Annotated[str, typer.Option("--to", help="First day not counted. Default: tomorrow.")] = "",
    by: Annotated[str, typer.Option(help=f"Groups, of {', '.join(FIELDS)}.")] = "day",
    only: Annotated[list[str], typer.Option(help="group=value; repeat for each.")] = [],  # noqa: B006, typer copies it
    local: Annotated[bool, typer.Option("--local", help="Days of the contract's zone, not UTC.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a page with charts to this file.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Sum usage over days, in groups."""
    today = datetime.now(UTC).date()
    request = pb.GetUsageRequest(
        name=name,
        from_day=from_day or (today - timedelta(days=REPORT_DAYS - 1)).isoformat(),
        to_day=to_day or (today + timedelta(days=1)).isoformat(),
        zone=pb.DAY_ZONE_CONTRACT if local else pb.DAY_ZONE_UTC,
        group_by=[_group(each) for each in by.split(",") if each],
        filters=_filters(only),
        page_size=PAGE_ROWS,
    )
    with open_service() as channel:
        stub = usage_report_service_pb2_grpc.UsageReportServiceStub(channel)
        if html is not None:
            write_page(html, stub, request)
            print(f"wrote {html}")
            return
        answer = read_all(stub, request)
    if as_json:
        print_message(answer)
    elif as_csv:
        _print_csv(answer, by.split(",") if by else [])
    else:
        Console(highlight=False).print(usage_table(answer, [each for each in by.split(",") if each]))


def credit(name: Name, as_json: Json = False) -> None:
    """Say what can still be spent, true now."""
    answer = _call("GetRemainingCredit", pb.GetRemainingCreditRequest(name=name))
    _print(answer, credit_lines, as_json=as_json)


def forecast(contract: Contract, as_json: Json = False) -> None:
    """Project the usage of the present cycle to its end."""
    answer = _call("GetForecast", pb.GetForecastRequest(name=contract, include_bill=True))
    _print(answer, forecast_lines, as_json=as_json)


def bills(
    contract: Contract,
    page_size: Annotated[int, typer.Option(help="Most bills to show, 1 to 1,000.")] = 100,
    page_token: Annotated[str, typer.Option(help="Token of the page before.")] = "",
    as_json: Json = False,
) -> None:
    """List issued invoices with what changed from one to the next."""
    request = pb.ListBillsRequest(contract=contract, page_size=page_size, page_token=page_token)
    _print(_call("ListBills", request), lambda answer: [bill_table(answer)], as_json=as_json)


def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Store what was folded anew if it differs.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fold all usage anew and compare it with the stored sums; exit code 1 if they differ."""
    with Console(stderr=True).status("folding all usage anew"):
        answer = _call("CheckUsage", pb.CheckUsageRequest(repair=repair), seconds_max=CHECK_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        print(
            f"{answer.row_count:,} sums up to position {answer.position:,}, {answer.difference_count:,} differences"
        )
        for each in answer.differences:
            print(f"  {each}")
    if answer.difference_count and not answer.repaired:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    """Add the commands to those of usage."""
    for command in (report, credit, forecast, bills, check):
        app.command()(command)


def read_all(stub: Any, request: pb.GetUsageRequest) -> pb.GetUsageResponse:
    """Return all pages as one answer, up to ROWS_MAX; then the token of the next one is left in it."""
    whole: pb.GetUsageResponse = stub.GetUsage(request, timeout=CALL_SECONDS_MAX)
    while whole.next_page_token and len(whole.rows) < ROWS_MAX:
        following = pb.GetUsageRequest()
        following.CopyFrom(request)
        following.page_token = whole.next_page_token
        page = stub.GetUsage(following, timeout=CALL_SECONDS_MAX)
        whole.rows.extend(page.rows)
        whole.next_page_token = page.next_page_token
    return whole


def _call(method: str, request: Any, *, seconds_max: float = CALL_SECONDS_MAX) -> Any:
    with open_service() as channel:
        stub = usage_report_service_pb2_grpc.UsageReportServiceStub(channel)
        return getattr(stub, method)(request, timeout=seconds_max)


def _print(answer: Any, lines: Any, *, as_json: bool) -> None:
    if as_json:
        print_message(answer)
        return
    console = Console(highlight=False)
    for line in lines(answer):
        console.print(line)


def _group(text: str) -> pb.UsageGroup.ValueType:
    if text not in FIELDS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(FIELDS)}")
    return pb.UsageGroup.Value(f"USAGE_GROUP_{FIELDS[text].upper()}")


def _filters(texts: list[str]) -> list[pb.UsageFilter]:
    found: dict[str, pb.UsageFilter] = {}
    for text in texts:
        group, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r} is not group=value", param_hint="--only")
        found.setdefault(group, pb.UsageFilter(group=_group(group))).values.append(value)
    return list(found.values())


def _print_csv(answer: pb.GetUsageResponse, groups: list[str]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    sums = ["requests", "quantity", "amount_units", "overage_units", "exact_units", "provider_costs"]
    writer.writerow([*groups, *sums])
    for row in answer.rows:
        costs = " ".join(f"{cost.amount} {cost.currency_code}" for cost in row.sums.provider_costs)
        numbers = [getattr(row.sums, each) for each in sums[:-1]]
        writer.writerow([*map(_spreadsheet_text, row_values(row, groups)), *numbers, costs])


def _spreadsheet_text(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: names come from callers."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
