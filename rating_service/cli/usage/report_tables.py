"""Reports as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from credits.ledger.v1 import wallet_pb2
from credits.rating.v1 import invoice_service_pb2
from credits.rating.v1 import usage_report_service_pb2 as pb
from rating_service.cli.amounts import figure, money, plain_units, units
from rating_service.cli.instants import day

FIELDS: Final = {
    "day": "day",
    "feature": "feature",
    "model": "model",
    "key": "api_key",
    "user": "user",
    "phase": "rate_card_phase",
    "dimension": "dimension",
}
"""Groups as they are typed, and the field of a row that holds them."""
BAR_CELLS: Final = 12
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"
UNSAID: Final = "–"


def usage_table(answer: pb.GetUsageResponse, groups: Sequence[str]) -> Table:
    """Return groups with a bar each, by units, or by quantity where dimensions are told apart."""
    told = "dimension" in groups
    caption = f"counted up to position {answer.position:,}" + (
        "; more names than are told apart: the rest is (other)" if answer.has_other else ""
    )
    table = Table(box=SIMPLE_HEAD, show_footer=True, caption=caption)
    for place, group in enumerate(groups):
        foot = "total" if place == 0 else ""
        table.add_column(group, foot, overflow="fold", no_wrap=group == "day")
    sums = [answer.total, *(row.sums for row in answer.rows)]
    for heading, numbers in _numbers(answer, sums, told=told):
        table.add_column(heading, numbers[0], justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    sizes = [row.sums.quantity if told else row.sums.amount_units for row in answer.rows]
    columns = [numbers[1:] for _, numbers in _numbers(answer, sums, told=told)]
    for row, size, *numbers in zip(answer.rows, sizes, *columns, strict=True):
        values = [escape(value) or UNSAID for value in row_values(row, groups)]
        table.add_row(*values, *numbers, bar(size, max(sizes)))
    return table


def _numbers(
    answer: pb.GetUsageResponse, sums: Sequence[pb.UsageSums], *, told: bool
) -> Iterator[tuple[str, list[str]]]:
    """Yield the headings of the numbers, each with the number of every sum; costs only where there are some."""
    asset = answer.asset
    yield "requests", [f"{each.requests:,}" for each in sums]
    if told:
        yield "quantity", [f"{each.quantity:,}" for each in sums]
        yield "exact units", [each.exact_units for each in sums]
    else:
        yield f"used\n{asset.code}", [plain_units(each.amount_units, asset) for each in sums]
        yield f"overage\n{asset.code}", [plain_units(each.overage_units, asset) for each in sums]
    if any(each.provider_costs for each in sums):
        yield "cost", [costs(each) for each in sums]


def row_values(row: pb.UsageRow, groups: Sequence[str]) -> list[str]:
    """Return what a row says of its groups."""
    return [str(getattr(row, FIELDS[group])) for group in groups]


def costs(sums: pb.UsageSums) -> str:
    """Return provider costs, one after the other."""
    return ", ".join(f"{cost.amount} {cost.currency_code}" for cost in sums.provider_costs)


def credit_lines(answer: pb.GetRemainingCreditResponse) -> Iterator[Table | str]:
    """Yield what can be spent, its parts, what the cycle includes, and caps."""
    asset = answer.asset
    yield f"[bold]{escape(answer.wallet)}[/bold]  {units(answer.available_units, asset)} available"
    yield (
        f"posted {units(answer.posted_units, asset)}, held {units(answer.held_units, asset)}, pending"
        f" {units(answer.pending_units, asset)}, overage {units(answer.overage_units, asset)}, debt"
        f" {units(answer.debt_units, asset)}"
    )
    table = Table(box=SIMPLE_HEAD)
    for heading in ("expires", "category"):
        table.add_column(heading, overflow="fold")
    table.add_column("available", justify="right", overflow="fold")
    table.add_column("", no_wrap=True)
    most = max((part.available_units for part in answer.parts), default=0)
    for part in answer.parts:
        expires = day(part.expire_time) if part.HasField("expire_time") else "never"
        table.add_row(
            expires,
            category(part.category),
            units(part.available_units, asset),
            bar(part.available_units, most),
        )
    yield table
    if answer.HasField("included"):
        included = answer.included
        yield (
            f"Included until {day(included.cycle_end_time)}: {units(included.used_units, asset)} used of"
            f" {units(included.granted_units, asset)}, {units(included.left_units, asset)} left"
        )
    for cap in answer.caps:
        who = cap.budget_id or "spend cap"
        yield f"{escape(who)}: {units(cap.used_units, asset)} of {units(cap.limit_units, asset)}"


def forecast_lines(answer: pb.GetForecastResponse) -> Iterator[str]:
    """Yield where the cycle is heading, how it is known and how far that was off before."""
    asset = answer.asset
    yield f"Cycle {answer.from_day} to {answer.to_day} (end not included), today {answer.today}"
    yield f"used so far   {units(answer.used_units, asset)}"
    if answer.state == pb.FORECAST_STATE_TOO_LITTLE_HISTORY:
        yield "projected     nothing: fewer than 7 whole days of history"
        yield from _bill_lines(answer)
        return
    reach = ""
    if answer.HasField("projected_low_units"):
        low, high = answer.projected_low_units, answer.projected_high_units
        reach = f", between {units(low, asset)} and {units(high, asset)}"
    yield f"projected     [bold]{units(answer.projected_units, asset)}[/bold]{reach}"
    price = f", {money(answer.projected_overage)}" if answer.HasField("projected_overage") else ""
    yield f"overage       {units(answer.projected_overage_units, asset)}{price}"
    runs_out = f", used up on {answer.exhaust_day}" if answer.exhaust_day else ""
    yield f"available     {units(answer.available_units, asset)}{runs_out}"
    percent = answer.error.mean_absolute_percent
    known = f"{percent} % over {answer.error.cycle_count} past cycles" if percent else "not known yet"
    yield f"[dim]mean error {known}. {answer.method}[/dim]"
    yield from _bill_lines(answer)


def _bill_lines(answer: pb.GetForecastResponse) -> Iterator[str]:
    """Yield the projected invoice, if there is one."""
    if not answer.HasField("projected_total"):
        return
    yield "Bill at the cycle's end"
    for line in answer.projected_lines:
        kind = invoice_service_pb2.LineKind.Name(line.kind).removeprefix("LINE_KIND_").lower()
        yield f"  {kind.replace('_', ' '):<22}{figure(line.amount):>14}"
    if answer.projected_tax.nanos:
        yield f"  {'tax':<22}{figure(answer.projected_tax):>14}"
    yield f"  [bold]{'total':<22}{figure(answer.projected_total):>14}[/bold] {answer.projected_total.currency_code}"
    yield f"[dim]{answer.bill_method}[/dim]"


def bill_table(answer: pb.ListBillsResponse) -> Table:
    """Return bills with what changed."""
    more = f"more: --page-token {answer.next_page_token}" if answer.next_page_token else None
    table = Table(box=SIMPLE_HEAD, caption=more)
    for heading in ("invoice", "kind", "cycle", "issued"):
        table.add_column(heading, overflow="fold")
    table.add_column("total", justify="right", overflow="fold")
    table.add_column("change", justify="right", overflow="fold")
    for bill in answer.bills:
        change = money(bill.difference) if bill.HasField("difference") else ""
        cycle = f"{day(bill.cycle_start_time)} to {day(bill.cycle_end_time)}"
        kind = invoice_service_pb2.InvoiceKind.Name(bill.kind).removeprefix("INVOICE_KIND_").lower()
        table.add_row(bill.invoice, kind, cycle, day(bill.issue_time), money(bill.total), change)
    return table


def category(number: wallet_pb2.GrantCategory.ValueType) -> str:
    """Return a category in small letters."""
    return wallet_pb2.GrantCategory.Name(number).removeprefix("GRANT_CATEGORY_").lower()


def bar(size: int, most: int) -> str:
    """Return a bar in proportion to the longest, cut down to eighths of a cell."""
    if size <= 0 or most <= 0:
        return ""
    eighths = max(1, size * BAR_CELLS * 8 // most)
    full, rest = divmod(eighths, 8)
    return EIGHTHS[8] * full + (EIGHTHS[rest] if rest else "")
