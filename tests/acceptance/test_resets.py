"""Resets played against running services: what goes on, what is dropped, and how both are looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.acceptance.cases.case_files import read_cases
from tests.acceptance.cases.verdicts import Verdict
from tests.acceptance.run_cases import play_cases

BEGIN, MIDDLE, END = "2025-03-01T00:00:00Z", "2025-03-15T00:00:00Z", "2025-04-01T00:00:00Z"
AFTER, NEXT_END, LATER = "2025-04-10T00:00:00Z", "2025-05-01T00:00:00Z", "2025-05-02T00:00:00Z"
RESET = {"op": "reset", "at": END}

Object = dict[str, Any]


def grant(grant_id: str, amount: str, **fields: Any) -> Object:
    return {"op": "grant", "id": grant_id, "amount": amount, "effective_at": BEGIN, **fields}


def usage(amount: str, at: str = MIDDLE, **fields: Any) -> Object:
    return {"op": "usage", "amount": amount, "at": at, **fields}


def case(case_id: str, *ops: Object, **expect: Any) -> Object:
    policy = {"shortfall": "overage_charge_final"}
    return {"id": case_id, "policy": policy, "given": {"ops": list(ops)}, "expect": {"at": AFTER, **expect}}


KEPT = [
    case("nothing", grant("g", "31"), usage("8"), RESET, remaining={"g": "0"}, expired_total="23", used="8"),
    case(
        "a cap",
        grant("g", "31", rollover={"max": "7"}),
        usage("8"),
        RESET,
        remaining={"g": "7"},
        expired_total="16",
        breakage_by_expiry={END: "16"},
    ),
    case(
        "less than the cap",
        grant("g", "31", max_rollover="40"),
        usage("8"),
        RESET,
        remaining={"g": "23"},
        expired_total="0",
        total="23",
    ),
    case(
        "at least the min",
        grant("g", "31", rollover={"min": "11", "max": "20"}),
        usage("30"),
        RESET,
        remaining={"g": "11"},
        expired_total="0",
    ),
    case(
        "as the reset says",
        grant("g", "31"),
        grant("h", "31", rollover="3"),
        {**RESET, "rollover": {"max_amount": "5"}},
        remaining={"g": "5", "h": "3"},
        expired_total="54",
    ),
    case(
        "of one grant only",
        grant("g", "9"),
        grant("h", "9"),
        {**RESET, "grants": ["h"]},
        remaining={"g": "9", "h": "0"},
        expired_total="9",
    ),
    case(
        "nothing of what begins at that instant or later",
        grant("g", "9", effective_at=END),
        grant("h", "9", effective_at=AFTER),
        usage("1"),
        RESET,
        remaining={"g": "9", "h": "9"},
        overage="1",
    ),
]
TERMS = [
    case(
        "draws after it count for the grant, in the order of before",
        grant("late", "10", expires_at=NEXT_END, rollover="6"),
        grant("first", "10", priority=0, rollover="4"),
        grant("last", "10", priority=3, rollover="9"),
        RESET,
        usage("8", END, id="u"),
        remaining={"late": "0", "first": "2", "last": "9"},
        allocations={"u": [["late", "6"], ["first", "2"]]},
        breakage_by_expiry={END: "11", NEXT_END: "0"},
    ),
    case(
        "a scope stays",
        grant("g", "10", scope=["chat"], rollover="6"),
        RESET,
        usage("2", AFTER, id="open"),
        usage("2", AFTER, scope="chat"),
        remaining={"g": "4"},
        overage="2",
    ),
    case(
        "an expiry stays, and one at that instant comes first",
        grant("g", "10", expires_at=NEXT_END, rollover="6"),
        grant("h", "10", expires_at=END, rollover="6"),
        RESET,
        at=LATER,
        remaining={"g": "0", "h": "0"},
        expired_total="20",
        breakage_by_expiry={END: "14", NEXT_END: "6"},
    ),
    case(
        "before it things stand as if it did not come",
        grant("g", "10", expires_at=NEXT_END),
        RESET,
        at=MIDDLE,
        remaining={"g": "10"},
        breakage_by_expiry={NEXT_END: "10", END: "0"},
    ),
    case(
        "twice",
        grant("g", "20", rollover={"max": "8"}),
        usage("5"),
        RESET,
        usage("3", AFTER),
        {"op": "reset", "at": NEXT_END},
        at=LATER,
        remaining={"g": "5"},
        used="8",
        expired_total="7",
    ),
    case(
        "a void at that instant comes first",
        grant("g", "10", rollover="6"),
        {"op": "void_grant", "grant": "g", "at": END},
        RESET,
        remaining={"g": "0"},
        expired_total="0",
    ),
    case(
        "a void afterwards is of what went on",
        grant("g", "10", rollover="6"),
        grant("h", "10"),
        RESET,
        {"op": "void_grant", "grant": "g", "at": AFTER},
        {"op": "void_grant", "grant": "h", "at": AFTER},
        at=LATER,
        remaining={"g": "0", "h": "0"},
        expired_total="14",
    ),
    case(
        "a hold that times out at that instant comes back first",
        grant("g", "10", rollover="7"),
        {"op": "hold", "id": "l", "amount": "6", "at": "2025-03-31T23:00:00Z", "ttl_s": "3600"},
        RESET,
        results=["OK"],
        remaining={"g": "7"},
        held="0",
    ),
]
WRONG = [
    case("a unit too many", grant("g", "10", rollover="6"), RESET, remaining={"g": "7"}),
    case("a unit too few expired", grant("g", "10", rollover="6"), RESET, expired_total="3"),
    case("the other expiry", grant("g", "10"), RESET, breakage_by_expiry={END: "0"}),
]


def test_resets_are_played_and_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "resets.json"
    file.write_text(json.dumps({"cases": [*KEPT, *TERMS, *WRONG]}))

    outcomes = play_cases(read_cases(file, data_folder=None))

    assert [
        outcome.line() for outcome in outcomes[: -len(WRONG)] if outcome.verdict is not Verdict.PASS
    ] == []
    assert [outcome.verdict for outcome in outcomes[-len(WRONG) :]] == [Verdict.FAIL] * len(WRONG)
