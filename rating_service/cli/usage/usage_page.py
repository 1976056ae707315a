"""A report as one page to look at: everything in one file, nothing fetched, every name escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from html import escape
from pathlib import Path
from typing import Any, Final

import grpc
from rich.text import Text

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import usage_report_service_pb2 as pb
from rating_service.cli.amounts import money, units
from rating_service.cli.connection import CALL_SECONDS_MAX
from rating_service.cli.instants import day
from rating_service.cli.usage.report_tables import UNSAID, category, forecast_lines

WIDTH, HEIGHT = 920, 220
MARGIN_TOP, MARGIN_BOTTOM = 12, 26
LABELS_MAX: Final = 10
GROUP_ROWS_MAX: Final = 12
"""Longest table of a group; the rest is in its last line."""
BREAKDOWNS: Final = {
    "Models": ("model", pb.USAGE_GROUP_MODEL),
    "Features": ("feature", pb.USAGE_GROUP_FEATURE),
    "API keys": ("api_key", pb.USAGE_GROUP_API_KEY),
}
STYLE: Final = """
:root{color-scheme:light dark;--ink:#1c2430;--soft:#667085;--line:#e4e7ec;--card:#fff;--page:#f6f7f9;--bar:#3866d6;
--over:#d9622b}
@media(prefers-color-scheme:dark){:root{--ink:#e8eaee;--soft:#98a2b3;--line:#2f3642;--card:#1b2029;--page:#12161c;
--bar:#7d9ff5;--over:#f08a5b}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1000px;margin:0 auto;padding:32px 20px}h1{font-size:22px;margin:0}h2{font-size:15px;margin:0 0 12px}
p{margin:0;color:var(--soft)}section{background:var(--card);border:1px solid var(--line);border-radius:10px;
padding:18px 20px;margin-top:16px}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(240px,1fr));gap:16px;
margin-top:16px}.tiles section,.pair section{margin:0}.tile{font-size:20px;font-weight:600;
font-variant-numeric:tabular-nums;white-space:nowrap}.tile small{font-size:12px;font-weight:500;color:var(--soft)}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(400px,100%),1fr));gap:16px;align-items:start;
margin-top:16px}
table{border-collapse:collapse;width:100%}td,th{padding:5px 8px 5px 0;text-align:left;border-top:1px solid var(--line);
overflow-wrap:anywhere}tr:first-child td,tr:first-child th{border-top:0}th{font-weight:500;color:var(--soft)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;padding-right:0;padding-left:12px}
.track{height:6px;border-radius:3px;background:var(--line);min-width:60px}.fill{height:6px;border-radius:3px;
background:var(--bar)}svg{width:100%;height:auto;display:block}text{fill:var(--soft);font-size:11px}
"""


def write_page(path: Path, stub: Any, request: pb.GetUsageRequest) -> None:
    """Ask for everything that the page shows and write it. Raises OSError."""
    daily = _grouped(stub, request, pb.USAGE_GROUP_DAY)
    breakdowns = {
        title: (field, _grouped(stub, request, group)) for title, (field, group) in BREAKDOWNS.items()
    }
    credit = stub.GetRemainingCredit(
        pb.GetRemainingCreditRequest(name=request.name), timeout=CALL_SECONDS_MAX
    )
    forecast, bills = None, pb.ListBillsResponse()
    if request.name.startswith("contracts/"):
        forecast = _forecast(stub, request.name)
        bills = stub.ListBills(pb.ListBillsRequest(contract=request.name), timeout=CALL_SECONDS_MAX)
    parts = [
        _head(request, daily),
        _tiles(daily, credit, forecast),
        _section("Units by day", chart(request, daily, credit.asset)),
        '<div class="pair">',
        *(_breakdown(title, field, answer, credit.asset) for title, (field, answer) in breakdowns.items()),
        _section("Credit left", _credit(credit)),
        "</div>",
        _section("Outlook", _outlook(forecast)) if forecast is not None else "",
        _section("Bills", _bills(bills)) if bills.bills else "",
    ]
    path.write_text(page(request.name, "".join(parts)), encoding="utf-8")


def page(title: str, body: str) -> str:
    """Return a whole document; `body` is markup."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Usage of {escape(title)}</title><style>{STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )


def chart(request: pb.GetUsageRequest, daily: pb.GetUsageResponse, asset: money_pb2.Asset) -> str:
    """Return a column a day as SVG, its overage on top in another colour."""
    days = list(_days(request.from_day, request.to_day))
    sums = {row.day: row.sums for row in daily.rows}
    most = max((each.amount_units for each in sums.values()), default=0)
    step = WIDTH / len(days)
    every = -(-len(days) // LABELS_MAX)
    shapes = []
    for place, each in enumerate(days):
        left, text = place * step, each.isoformat()
        found = sums.get(text, pb.UsageSums())
        covered = found.amount_units - found.overage_units
        base = HEIGHT - MARGIN_BOTTOM
        shapes.append(f"<g><title>{text}: {escape(units(found.amount_units, asset))}</title>")
        shapes.append(_column(left, step, base, covered, most, "var(--bar)"))
        shapes.append(
            _column(left, step, base - _height(covered, most), found.overage_units, most, "var(--over)")
        )
        shapes.append("</g>")
        if place % every == 0:
            shapes.append(f'<text x="{left:.1f}" y="{HEIGHT - 8}">{each:%d %b}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Units by day">'
        f'<line x1="0" x2="{WIDTH}" y1="{HEIGHT - MARGIN_BOTTOM}" y2="{HEIGHT - MARGIN_BOTTOM}" stroke="var(--line)"/>'
        f"{''.join(shapes)}</svg><p>Highest day: {escape(units(most, asset))}. Overage in orange.</p>"
    )


def _column(left: float, step: float, base: float, size: int, most: int, colour: str) -> str:
    height = _height(size, most)
    if height <= 0:
        return ""
    return (
        f'<rect x="{left + step * 0.1:.1f}" y="{base - height:.1f}" width="{step * 0.8:.1f}"'
        f' height="{height:.1f}" rx="2" fill="{colour}"/>'
    )


def _height(size: int, most: int) -> float:
    return max(size, 0) / most * (HEIGHT - MARGIN_TOP - MARGIN_BOTTOM) if most > 0 else 0


def _days(from_day: str, to_day: str) -> Iterator[date]:
    each, end = date.fromisoformat(from_day), date.fromisoformat(to_day)
    while each < end:
        yield each
        each += timedelta(days=1)


def _grouped(stub: Any, request: pb.GetUsageRequest, group: pb.UsageGroup.ValueType) -> pb.GetUsageResponse:
    """Return up to 1,000 groups; days of a report are never more."""
    asked = pb.GetUsageRequest()
    asked.CopyFrom(request)
    del asked.group_by[:]
    asked.group_by.append(group)
    answer: pb.GetUsageResponse = stub.GetUsage(asked, timeout=CALL_SECONDS_MAX)
    return answer


def _forecast(stub: Any, name: str) -> pb.GetForecastResponse | None:
    """Return the projection, None for a contract that is not in force."""
    try:
        answer: pb.GetForecastResponse = stub.GetForecast(
            pb.GetForecastRequest(name=name), timeout=CALL_SECONDS_MAX
        )
    except grpc.RpcError as failure:
        if failure.code() is not grpc.StatusCode.FAILED_PRECONDITION:  # type: ignore[attr-defined, unused-ignore]
            raise
        return None
    return answer


def _head(request: pb.GetUsageRequest, daily: pb.GetUsageResponse) -> str:
    return (
        f"<h1>{escape(request.name)}</h1><p>{escape(request.from_day)} to {escape(request.to_day)} (end not included),"
        f" counted up to position {daily.position:,}</p>"
    )


def _tiles(
    daily: pb.GetUsageResponse, credit: pb.GetRemainingCreditResponse, forecast: pb.GetForecastResponse | None
) -> str:
    tiles = {
        "Used": units(daily.total.amount_units, credit.asset),
        "Requests": f"{daily.total.requests:,}",
        "Available now": units(credit.available_units, credit.asset),
    }
    if forecast is not None and forecast.state == pb.FORECAST_STATE_PROJECTED:
        tiles["Projected for the cycle"] = units(forecast.projected_units, credit.asset)
        if forecast.exhaust_day:
            tiles["Credit used up on"] = forecast.exhaust_day
    if daily.total.overage_units:
        tiles["Overage"] = units(daily.total.overage_units, credit.asset)
    boxes = (f"<section><p>{escape(name)}</p>{_tile(value)}</section>" for name, value in tiles.items())
    return f'<div class="tiles">{"".join(boxes)}</div>'


def _tile(text: str) -> str:
    """Return an amount with what it counts in small."""
    number, _, code = text.partition(" ")
    return f'<div class="tile">{escape(number)} <small>{escape(code)}</small></div>'


def _outlook(forecast: pb.GetForecastResponse) -> str:
    return "".join(f"<p>{escape(Text.from_markup(line).plain)}</p>" for line in forecast_lines(forecast))


def _breakdown(title: str, field: str, answer: pb.GetUsageResponse, asset: money_pb2.Asset) -> str:
    rows = sorted(answer.rows, key=lambda row: -row.sums.amount_units)
    most = max((row.sums.amount_units for row in rows), default=0)
    lines = [
        _breakdown_line(str(getattr(row, field)) or UNSAID, row.sums.amount_units, most, asset)
        for row in rows[:GROUP_ROWS_MAX]
    ]
    if len(rows) > GROUP_ROWS_MAX:
        rest = sum(row.sums.amount_units for row in rows[GROUP_ROWS_MAX:])
        lines.append(_breakdown_line(f"{len(rows) - GROUP_ROWS_MAX:,} more", rest, 0, asset))
    return _section(title, f"<table>{''.join(lines)}</table>" if rows else "<p>No usage.</p>")


def _breakdown_line(name: str, size: int, most: int, asset: money_pb2.Asset) -> str:
    """Return a row with a bar in proportion to the longest, none if there is no such."""
    fill = f'<div class="fill" style="width:{max(size, 0) * 100 // most}%"></div>' if most > 0 else ""
    track = f'<div class="track">{fill}</div>' if most > 0 else ""
    return (
        f'<tr><td>{escape(name)}</td><td style="width:35%">{track}</td>'
        f'<td class="n">{escape(units(size, asset))}</td></tr>'
    )


def _credit(credit: pb.GetRemainingCreditResponse) -> str:
    rows = [
        (
            f"{category(part.category)}, "
            + (f"until {day(part.expire_time)}" if part.HasField("expire_time") else "without end"),
            units(part.available_units, credit.asset),
        )
        for part in credit.parts
    ]
    if credit.HasField("included"):
        of = units(credit.included.granted_units, credit.asset)
        rows.append((f"left of {of} included", units(credit.included.left_units, credit.asset)))
    return _table(rows) if rows else "<p>None.</p>"


def _bills(answer: pb.ListBillsResponse) -> str:
    return _table(
        [
            (
                f"{bill.invoice} · {day(bill.cycle_start_time)} to {day(bill.cycle_end_time)}",
                money(bill.total),
                money(bill.difference) if bill.HasField("difference") else "",
            )
            for bill in answer.bills
        ]
    )


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    lines = (
        f"<tr><td>{escape(first)}</td>{''.join(f'<td class=n>{escape(each)}</td>' for each in others)}</tr>"
        for first, *others in rows
    )
    return f"<table>{''.join(lines)}</table>"


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"
