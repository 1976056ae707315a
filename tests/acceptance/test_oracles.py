"""The services agree with oracles that know the conventions of the case files alone, and with cases worked out by hand.

A wrong figure must be noticed.
"""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

from tests.acceptance.cases.case_files import read_cases
from tests.acceptance.cases.verdicts import Verdict
from tests.acceptance.play_oracles import saved, written
from tests.acceptance.run_cases import play_cases
from tests.oracle.amounts import Object

BOOKS = written(["recognition", "wallet"], range(4))
INVENTED = Path(__file__).with_name("invented_cases.json")
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


def test_cases_of_all_kinds_come_to_what_oracles_and_people_say(tmp_path: Path) -> None:
    right = [*BOOKS, *PRICES]
    wrong = [spoilt(case) for case in (BOOKS[0], BOOKS[-1], PRICES[0])]

    cases = [*saved([*right, *wrong], tmp_path / "cases.json"), *read_cases(INVENTED, data_folder=None)]

    outcomes = play_cases(cases)
    spoilt_ones, others = (
        outcomes[len(right) : len(right) + 3],
        outcomes[: len(right)] + outcomes[len(right) + 3 :],
    )

    assert [outcome.line() for outcome in others if outcome.verdict is not Verdict.PASS] == []
    assert [outcome.verdict for outcome in spoilt_ones] == [Verdict.FAIL] * 3


def test_the_same_seed_writes_the_same_case() -> None:
    kinds = ["recognition", "wallet", "rating"]

    assert written(kinds, [7]) == written(kinds, [7])
    assert written(kinds, [7]) != written(kinds, [8])
