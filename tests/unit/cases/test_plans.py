"""Planning is total: every case becomes a script or is unsupported with what, and none stops the others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.acceptance.cases.case_files import Case, CaseFileError, read_cases
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.plans import plan_all
from tests.acceptance.cases.recognition_events import EVENTS
from tests.acceptance.cases.timeline import Playing
from tests.acceptance.cases.verdicts import Verdict
from tests.acceptance.cases.wallet_burn_order import find_large_debit
from tests.acceptance.cases.wallet_cases import SHORTFALL_DEFAULT
from tests.acceptance.cases.wallet_grants import GrantFields, read_grant
from tests.acceptance.cases.wallet_ops import OPS
from tests.acceptance.cases.wallet_play import WalletPlay

AT = "2024-01-01T00:00:00Z"
GRANT = {"op": "grant", "id": "a", "amount": "5", "effective_at": AT}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([AT, "1", "grant"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def unsupported(raw: Mapping[str, object]) -> str:
    """Return what a case is unsupported for."""
    planned = plan_all([Case("one", raw, (raw,), Path("nowhere"))])
    assert planned.outcomes[0].verdict is Verdict.UNSUPPORTED
    return planned.outcomes[0].why


def wallet_case(*ops: object, expect: object = None, **fields: object) -> dict[str, object]:
    return {"given": {"ops": list(ops)}, "expect": expect or {"at": AT}, **fields}


def wallet_play() -> WalletPlay:
    return WalletPlay(Playing("one", "one"), wallet_id="one", scale=6, shortfall_mode=SHORTFALL_DEFAULT)


def rating_case(expected: Mapping[str, object] | None = None, **given_fields: object) -> dict[str, object]:
    return {"input": given_fields, "expected": expected or {}}


def event_case(**fields: object) -> dict[str, object]:
    lot = {"t": "2024-01-01", "type": "grant", "id": "l", "units": "1", "consideration": "1"}
    period = {"from": "2024-01-01", "to": "2024-02-01"}
    return {"events": [lot], "periods": [period], "expected": {}, **fields}


@pytest.mark.parametrize("name", ["teleport", "", "Grant"])
def test_an_op_outside_the_table_is_unsupported_by_name(name: str) -> None:
    assert name not in OPS
    assert unsupported(wallet_case(GRANT, {"op": name})) == f"op {name}"


def test_an_event_outside_the_table_is_unsupported_by_name() -> None:
    assert "teleport" not in EVENTS
    assert unsupported(event_case(events=[{"t": AT, "type": "teleport"}])) == "event teleport"


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (wallet_case({**GRANT, "colour": "red"}), "field ops[0].colour"),
        (wallet_case({**GRANT, "category": "gift"}), "ops[0].category 'gift'"),
        (wallet_case({**GRANT, "amount": "many"}), "ops[0].amount 'many' is not a decimal"),
        (wallet_case({**GRANT, "effective_at": "soon"}), "ops[0].effective_at 'soon' is not an instant"),
        (wallet_case(GRANT, expect={"at": AT, "mood": "1"}), "field expect.mood"),
        (wallet_case(GRANT, policy={"shortfall": "pray"}), "policy.shortfall pray"),
        (wallet_case(GRANT, policy={"moon": "full"}), "field policy.moon"),
        (wallet_case(GRANT, weather="fine"), "field weather"),
        (wallet_case(), "given.ops is empty"),
        (rating_case(model="lottery"), "price model lottery"),
        (rating_case(guess="1"), "input of guess"),
        (rating_case({"x": "1"}, model="unit", unit_amount="1", quantity="1"), "field expected.x"),
        (rating_case(file="no.csv", unit_prices={}), "file no.csv is not in the folder of data"),
        (rating_case(model="package", unit_size="2", unit_amount="1", quantity="1"), "model package"),
        (
            rating_case({"x": "1"}, model="package", package_size="2", quantity="1"),
            "input.package_amount is missing",
        ),
        (
            rating_case(
                {"incremental_amount": "1"}, model="graduated_percentage", tiers=[], cumulative_amount="5"
            ),
            "incremental_amount without the cumulative amount before it",
        ),
        (event_case(policy={"breakage_method": "magic"}), "policy.breakage_method magic"),
        (event_case(policy={"draw_order": ["dearest"]}), "policy.draw_order dearest"),
        (event_case(expected={"mood": "1"}), "field expected.mood"),
        ({}, "a case without given, input or events"),
    ],
)
def test_what_is_not_known_is_unsupported_and_named(raw: dict[str, object], what: str) -> None:
    assert unsupported(raw) == what


@given(raw=st.dictionaries(st.sampled_from(["given", "input", "events", "expect", "expected"]), JSON))
def test_no_case_breaks_the_planning(raw: dict[str, object]) -> None:
    good = wallet_case(GRANT)

    planned = plan_all([Case("bad", raw, (raw,), Path("nowhere")), Case("good", good, (), Path("nowhere"))])

    assert planned.scripts.keys() | planned.outcomes.keys() == {0, 1}
    assert 1 in planned.scripts


@given(changes=st.dictionaries(st.sampled_from([*GRANT, "expires_at", "seq", "scope", "priority"]), JSON))
def test_no_op_breaks_the_planning(changes: dict[str, object]) -> None:
    raw = wallet_case({**GRANT, **changes})

    planned = plan_all([Case("one", raw, (), Path("nowhere"))])

    assert len(planned.scripts) + len(planned.outcomes) == 1


def read_grants(*grants: dict[str, object]) -> list[GrantFields]:
    play = wallet_play()
    return [
        read_grant(Fields({**GRANT, **each}, place=f"ops[{place}]"), play, place)
        for place, each in enumerate(grants)
    ]


def grant_order(*grants: dict[str, object]) -> list[str]:
    """Return the ids of grants in the order in which they are created."""
    return [grant.grant_id for grant in sorted(read_grants(*grants), key=lambda grant: grant.order)]


def test_grants_of_one_instant_are_created_in_the_order_of_the_ops() -> None:
    assert grant_order({"id": "z"}, {"id": "a"}) == ["z", "a"]


def test_seq_orders_grants_of_one_instant() -> None:
    assert grant_order({"id": "a", "seq": 2}, {"id": "b", "seq": 1}) == ["b", "a"]


def test_created_at_comes_before_seq_and_ties_end_at_the_id() -> None:
    one, two = "2023-01-01T00:00:00Z", "2023-01-02T00:00:00Z"

    assert grant_order(
        {"id": "c", "created_at": two, "seq": 1},
        {"id": "b", "created_at": one},
        {"id": "a", "created_at": one},
    ) == ["a", "b", "c"]


def test_a_large_debit_is_made_when_all_grants_are_drawable() -> None:
    later = "2024-01-02T00:00:00Z"

    found = find_large_debit(
        read_grants({"expires_at": "2024-01-03T00:00:00Z"}, {"effective_at": later, "scope": ["f"]}), None
    )

    assert found == (datetime(2024, 1, 2, tzinfo=UTC), "f")


def test_there_is_no_large_debit_over_spans_that_do_not_meet() -> None:
    later = "2024-01-02T00:00:00Z"

    assert find_large_debit(read_grants({"expires_at": later}, {"effective_at": later}), None) is None
    assert find_large_debit(read_grants({"scope": ["f"]}, {"scope": ["g"]}), None) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"cases": [', "line 1, column 12: not JSON"),
        ("[]", 'expected an object with a list "cases"'),
        ('{"cases": [{"id": 1}]}', 'cases[0] is not an object with a text "id"'),
    ],
)
def test_a_malformed_file_is_refused_by_name_and_place(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "cases.json"
    file.write_text(text)

    with pytest.raises(CaseFileError) as refusal:
        read_cases(file, data_folder=None)

    assert str(refusal.value).startswith(f"{file}: {said}")


def test_data_is_beside_the_folder_of_the_file_unless_named(tmp_path: Path) -> None:
    (tmp_path / "cases").mkdir()
    file = tmp_path / "cases" / "some.json"
    file.write_text(json.dumps({"cases": [{"id": "one"}]}))

    assert read_cases(file, data_folder=None)[0].data_folder == tmp_path / "data"
    assert read_cases(file, data_folder=Path("other"))[0].data_folder == Path("other")
