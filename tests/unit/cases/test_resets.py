"""Resets of wallet cases: how they are spelled, what they keep, and which of them ends a grant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.cases.case_files import Case
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.plans import plan_all
from tests.acceptance.cases.resets import Lookahead, Reset, read_reset
from tests.acceptance.cases.roll_overs import NOTHING, RollOver, read_roll_over
from tests.acceptance.cases.verdicts import Verdict
from tests.acceptance.cases.wallet_cases import amounts_in

AT = "2024-05-01T00:00:00Z"
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GRANT = {"op": "grant", "id": "a", "amount": "5", "effective_at": AT}
RESET = {"op": "reset", "at": AT}


def read(**op: object) -> RollOver | None:
    fields = Fields(op, place="op")
    found = read_roll_over(fields)
    fields.finish()
    return found


def why_unsupported(*ops: object) -> str:
    """Return what a case of these ops is unsupported for; empty if it would be played."""
    raw = {"given": {"ops": list(ops)}, "expect": {"at": AT}}
    planned = plan_all([Case("one", raw, (raw,), Path("nowhere"))])
    if not planned.outcomes:
        return ""
    assert planned.outcomes[0].verdict is Verdict.UNSUPPORTED
    return planned.outcomes[0].why


@pytest.mark.parametrize(
    ("op", "least", "highest"),
    [
        ({"rollover": {"max": "7"}}, "0", "7"),
        ({"rollover": {"max": "7", "min": "2"}}, "2", "7"),
        ({"roll_over": {"max_amount": "7", "min_amount": "2"}}, "2", "7"),
        ({"rollover": {"min": "2"}}, "2", None),
        ({"rollover": {"max": "7", "min": None}}, "0", "7"),
        ({"max_rollover": "7", "min_rollover": "2"}, "2", "7"),
        ({"max_rollover_amount": "7", "min_rollover_amount": "2"}, "2", "7"),
        ({"rollover": "7.5"}, "0", "7.5"),
        ({"roll_over": 7}, "0", "7"),
        ({"rollover": "0"}, "0", "0"),
    ],
)
def test_every_spelling_of_a_roll_over_is_read(
    op: dict[str, object], least: str, highest: str | None
) -> None:
    assert read(**op) == RollOver(Decimal(least), None if highest is None else Decimal(highest))


@pytest.mark.parametrize("op", [{}, {"rollover": None}, {"max_rollover": None}])
def test_an_op_may_say_nothing_of_a_roll_over(op: dict[str, object]) -> None:
    assert read(**op) is None


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"rollover": {"share": "1"}}, "field ops[0].rollover.share"),
        ({"rollover": {}}, "ops[0].rollover has neither max nor min"),
        ({"rollover": "half"}, "ops[0].rollover 'half' is not a decimal"),
        ({"rollover": True}, "ops[0].rollover 'True' is not a decimal"),
        ({"rollover": ["1"]}, "ops[0].rollover \"['1']\" is not a decimal"),
        ({"rollover": "-1"}, "ops[0]: a negative roll-over"),
        ({"rollover": {"min": "-1"}}, "ops[0].rollover: a negative roll-over"),
        ({"rollover": "1", "roll_over": "1"}, "ops[0] says twice what rolls over"),
        ({"rollover": "1", "max_rollover": "1"}, "ops[0] says twice what rolls over"),
        ({"max_rollover": "1", "max_rollover_amount": "1"}, "ops[0] has both"),
    ],
)
def test_another_spelling_is_unsupported_and_named(said: dict[str, object], what: str) -> None:
    assert why_unsupported({**GRANT, **said}, RESET).startswith(what)


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"grants": ["b"]}, "a reset of b, which is not granted"),
        ({"grant": "b"}, "a reset of b, which is not granted"),
        ({"grants": ["a"], "grant": "a"}, "ops[1] has both grants and grant"),
        ({"grants": [1]}, "ops[1].grants is not a list of ids"),
        ({"grants": "a"}, "ops[1].grants 'a' is not a list"),
        ({"at": None}, "ops[1].at is missing"),
        ({"overage": "keep"}, "field ops[1].overage"),
    ],
)
def test_a_reset_of_another_shape_is_unsupported_and_named(said: dict[str, object], what: str) -> None:
    assert why_unsupported(GRANT, {**RESET, **said}) == what


@pytest.mark.parametrize(
    "said", [{}, {"grants": ["a"]}, {"grant": "a"}, {"rollover": "1"}, {"reason": "month"}]
)
def test_a_reset_of_a_known_shape_is_played(said: dict[str, object]) -> None:
    assert why_unsupported(GRANT, {**RESET, **said}) == ""


@pytest.mark.parametrize(
    ("bounds", "remaining", "kept"),
    [
        (NOTHING, 5, 0),
        (RollOver(highest=Decimal(5)), 4, 4),
        (RollOver(highest=Decimal(5)), 5, 5),
        (RollOver(highest=Decimal(5)), 6, 5),
        (RollOver(least=Decimal(3)), 2, 3),
        (RollOver(least=Decimal(3)), 3, 3),
        (RollOver(least=Decimal(3)), 4, 4),
        (RollOver(least=Decimal(3), highest=Decimal(5)), 0, 3),
        (RollOver(least=Decimal(9), highest=Decimal(5)), 0, 5),
    ],
)
def test_a_reset_keeps_what_remains_within_the_bounds(bounds: RollOver, remaining: int, kept: int) -> None:
    assert bounds.kept(Decimal(remaining)) == kept


@pytest.mark.parametrize(
    ("after", "expires_at", "end"),
    [
        (NOON - SECOND, None, NOON),
        (NOON, None, NOON + 2 * SECOND),
        (NOON + 2 * SECOND, None, None),
        (NOON - SECOND, NOON, None),
        (NOON - SECOND, NOON + SECOND, NOON),
    ],
)
def test_a_grant_is_ended_by_the_first_reset_that_finds_it_alive(
    after: datetime, expires_at: datetime | None, end: datetime | None
) -> None:
    ahead = Lookahead([Reset(NOON + 2 * SECOND, None, None), Reset(NOON, frozenset({"a"}), None)])

    assert ahead.next_end("a", after=after, expires_at=expires_at) == end
    assert ahead.next_end("b", after=NOON - SECOND, expires_at=None) == NOON + 2 * SECOND


def test_a_void_at_the_instant_of_a_reset_comes_first() -> None:
    resets = [Reset(NOON, None, None)]

    assert Lookahead(resets, [("a", NOON)]).next_end("a", after=NOON - SECOND, expires_at=None) is None
    for at in (NOON - SECOND, NOON + SECOND):
        assert Lookahead(resets, [("a", at)]).next_end("a", after=NOON - SECOND, expires_at=None) == NOON


def test_a_reset_that_names_no_grant_concerns_all() -> None:
    assert read_reset(Fields(RESET, place="op")).concerns("any")
    assert not read_reset(Fields({**RESET, "grants": ["a"]}, place="op")).concerns("b")


def test_the_scale_of_a_case_holds_the_amounts_of_its_roll_overs() -> None:
    grant = {**GRANT, "rollover": {"max": "0.1234567"}}

    assert amounts_in([grant, {**RESET, "max_rollover": "2"}]) == [
        Decimal(5),
        Decimal("0.1234567"),
        Decimal(2),
    ]
