"""Reports as people see them: on a page and in a terminal."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import usage_report_service_pb2 as pb
from rating_service.cli.usage.report_commands import _spreadsheet_text
from rating_service.cli.usage.report_tables import bar, bill_table, forecast_lines, usage_table
from rating_service.cli.usage.usage_page import _breakdown as breakdown
from rating_service.cli.usage.usage_page import chart, page

CREDIT = money_pb2.Asset(code="CREDIT", scale=2)


def answer(*rows: tuple[str, int]) -> pb.GetUsageResponse:
    """Return usage by model and day, both under the same name."""
    found = pb.GetUsageResponse(asset=CREDIT, position=7, has_other=True)
    for name, units in rows:
        found.rows.add(day=name, model=name, sums=pb.UsageSums(amount_units=units, requests=1))
        found.total.amount_units += units
    return found


def test_names_cannot_become_markup() -> None:
    whole = page("contracts/<b>", breakdown("Models", "model", answer(("<script>x</script>", 5)), CREDIT))

    assert "<script" not in whole
    assert "&lt;script&gt;x" in whole
    assert "<b>" not in whole


def test_a_page_fetches_nothing() -> None:
    assert not re.search(r"\b(?:src|href)=|@import|url\(|https?:", page("contracts/a", ""))


def test_a_chart_has_a_column_for_each_day_with_usage() -> None:
    request = pb.GetUsageRequest(from_day="2026-03-01", to_day="2026-03-04")
    drawn = chart(request, answer(("2026-03-01", 100), ("2026-03-03", 50)), CREDIT)

    assert drawn.count("<rect") == 2
    assert drawn.count("<title>") == 3
    assert "2026-03-03: 0.5 CREDIT" in drawn


def test_groups_beyond_the_longest_table_are_one_line() -> None:
    drawn = breakdown("Models", "model", answer(*((f"m{n}", 100) for n in range(15))), CREDIT)

    assert drawn.count("<tr>") == 13
    assert "3 more" in drawn
    assert "3 CREDIT" in drawn


def test_a_table_shows_names_as_they_are_and_says_that_there_are_others() -> None:
    console = Console(width=120)
    with console.capture() as shown:
        console.print(usage_table(answer(("[red]x", 150), ("", 50)), ["model"]))

    assert "[red]x" in shown.get()
    assert "1.5" in shown.get()
    assert "(other)" in shown.get()


@pytest.mark.parametrize(
    ("size", "most", "text"),
    [
        (0, 0, ""),
        (0, 9, ""),
        (-4, 9, ""),
        (1, 10**9, "▏"),
        (12, 24, "█" * 6),
        (9, 9, "█" * 12),
        (1, 24, "▌"),
    ],
)
def test_a_bar_is_in_proportion_to_the_longest(size: int, most: int, text: str) -> None:
    assert bar(size, most) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_a_name_is_no_formula_in_a_spreadsheet(text: str) -> None:
    assert _spreadsheet_text(text) == f"'{text}"


def test_a_forecast_without_history_projects_nothing() -> None:
    state = pb.FORECAST_STATE_TOO_LITTLE_HISTORY
    lines = list(forecast_lines(pb.GetForecastResponse(asset=CREDIT, state=state, used_units=150)))

    assert "1.5 CREDIT" in lines[1]
    assert lines[-1].startswith("projected     nothing")


def test_a_bill_shows_what_changed_and_the_first_nothing() -> None:
    bills = pb.ListBillsResponse(next_page_token="more")
    for change in (None, -2 * 10**9):
        bill = bills.bills.add(
            invoice="invoices/a", total=money_pb2.Money(currency_code="USD", nanos=5 * 10**9)
        )
        if change:
            bill.difference.CopyFrom(money_pb2.Money(currency_code="USD", nanos=change))
    changes = list(bill_table(bills).columns[-1].cells)

    assert changes == ["", "-2.00 USD"]
