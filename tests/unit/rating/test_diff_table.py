"""A difference of prices is read model by model, at the width of a terminal."""

import re

import pytest

from rating_service.cli.cards.card_diff import Change, PhaseDiff
from rating_service.cli.cards.diff_table import print_diff

LONG = "anthropic.claude-3-7-sonnet-20240620-v1:0"


def change(dimension: str, applies_to: str = "", cost: str = "") -> Change:
    return Change(
        "changed", LONG, dimension, applies_to, "250 / 1,000,000", "150 / 1,000,000", "-40.00", cost, cost
    )


def test_a_model_is_named_once_above_its_rates_and_no_number_is_broken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    diff = PhaseDiff(
        (change("cache_write_tokens_5m"), change("input_tokens", "context: above 200,000")), (), (), ()
    )
    print_diff(diff, title="rateCards/llm")
    shown = capsys.readouterr().out

    assert re.search(r"cache_write_tokens_5m +250 / 1,000,000 +150 / 1,000,000 +-40\.00 %", shown)
    assert "context: above 200,000" in shown
    assert shown.count("sonnet") == 1
    assert "old cost" not in shown


def test_costs_have_columns_where_there_are_some(capsys: pytest.CaptureFixture[str]) -> None:
    print_diff(PhaseDiff((change("input_tokens", cost="1.25"),), (), (), ()), title="rateCards/llm")

    assert "old cost" in capsys.readouterr().out
