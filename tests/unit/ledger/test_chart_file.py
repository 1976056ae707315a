"""The chart of accounts in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger_service.adapters.chart_file import ChartFileError, read_chart
from ledger_service.domain.finance.accounts import DEFAULT_CHART, KINDS, NAMES_DEFAULT, Account


def test_every_account_has_a_kind_and_a_name() -> None:
    assert set(KINDS) == set(NAMES_DEFAULT) == set(Account)
    assert len(set(NAMES_DEFAULT.values())) == len(Account)


def test_a_chart_renames_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "chart.json"
    file.write_text('{"CASH": "1000 Cash"}', encoding="utf-8")
    chart = read_chart(str(file))

    assert (chart.name(Account.CASH), chart.name(Account.ROUNDING)) == ("1000 Cash", "Rounding")
    assert read_chart("") == DEFAULT_CHART


@pytest.mark.parametrize("text", ["{", '{"GOLD": "1000"}', '{"CASH": "Rounding"}', '{"CASH": 1}'])
def test_a_chart_that_cannot_be_meant_is_refused_with_its_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "chart.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ChartFileError, match=r"chart\.json"):
        read_chart(str(file))


def test_a_chart_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChartFileError):
        read_chart(str(tmp_path / "none.json"))
