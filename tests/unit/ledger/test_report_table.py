"""A report's table on a screen that is too narrow for it: nothing is cut, and what says nothing goes first."""

import io

import pytest
from rich.console import Console

from ledger_service.cli.report_output import Column, Kind, Report, money_columns, report_table

COLUMNS = (Column("Grant", "grant"), Column("Pool", "pool"), Column("Units", "units", Kind.COUNT))
REPORT = Report(
    "Lots",
    (*COLUMNS, *money_columns("Consideration", "Refunds")),
    [("2", "", 5_000_000, 100_000_000_000, 0), ("7", "", 12_345, 2_666_666_667, 0)],
)
FIGURES = ("5,000,000", "12,345", "100.00", "2.666666667")


def shown(width: int) -> tuple[str, bool]:
    """Return the text on a screen of a width, and whether all columns are there."""
    screen = Console(width=width, file=io.StringIO())
    table, is_whole = report_table(REPORT, screen)
    with screen.capture() as captured:
        screen.print(table)
    return captured.get(), is_whole


@pytest.mark.parametrize(("width", "is_whole"), [(60, True), (54, True), (53, False), (40, False)])
def test_columns_without_a_figure_are_left_out_where_there_is_no_room(width: int, is_whole: bool) -> None:
    text, whole = shown(width)

    assert whole is is_whole
    assert ("Pool" in text, "Refunds" in text) == (is_whole, is_whole)
    assert all(figure in text for figure in FIGURES)


def test_what_is_too_long_even_then_is_folded_and_not_cut() -> None:
    text, _ = shown(24)

    assert "…" not in text
    assert sum(text.count(digit) for digit in "123456789") >= len("5123451266666666727")


def test_a_report_without_rows_keeps_its_headings() -> None:
    table, is_whole = report_table(Report("Lots", COLUMNS, []), Console(width=8, file=io.StringIO()))

    assert ([column.header for column in table.columns], is_whole) == (["Grant", "Pool", "Units"], True)
