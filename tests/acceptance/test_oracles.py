"""The services agree with oracles that know the conventions of the case files alone, and a wrong figure is noticed."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from tests.acceptance.cases.verdicts import Verdict
from tests.acceptance.play_oracles import saved, written
from tests.acceptance.run_cases import play_cases
from tests.oracle.amounts import Object

BOOKS = written(["recognition", "wallet"], range(6))
PRICES = written(["rating"], range(12))


def spoilt(case: Object) -> Object:
    """Return a case that expects one figure to be a little other than it must be."""
    wrong = deepcopy(case)
    if "events" in case:
        wrong["expected"]["rollforward"][-1]["closing"] = "-1000000"
    elif "given" in case:
        wrong["expect"]["used"] = str(int(case["expect"]["used"]) + 1)
    else:
        wrong["expected"]["amount"] = str(case["expected"]["amount"]) + "1"
    return wrong


def test_cases_of_all_kinds_come_to_what_the_oracles_say(tmp_path: Path) -> None:
    right = [*BOOKS, *PRICES]
    wrong = [spoilt(case) for case in (BOOKS[0], BOOKS[-1], PRICES[0])]

    outcomes = play_cases(saved([*right, *wrong], tmp_path / "cases.json"))

    lines = [outcome.line() for outcome in outcomes]
    assert [line for line in lines[: len(right)] if not line.startswith("PASS")] == []
    assert [outcome.verdict for outcome in outcomes[len(right) :]] == [Verdict.FAIL] * 3


def test_the_same_seed_writes_the_same_case() -> None:
    kinds = ["recognition", "wallet", "rating"]

    assert written(kinds, [7]) == written(kinds, [7])
    assert written(kinds, [7]) != written(kinds, [8])
