"""What is told about an adjustment that is not what history makes of its cycle."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from typing import Any

import msgspec
import pytest

from rating_service.domain.agreements.agreement import ContractPhase
from rating_service.domain.corrections.adjustment_check import (
    FOLLOWING_MAX,
    RecordedAdjustment,
    batches,
    differences,
    knows_all_before,
    terms_differ,
)
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder
from rating_service.domain.usage import Adjustment, MeterMoved, TakenBack
from tests.unit.rating.builders import FEBRUARY, JANUARY, at, charge, contract, debit, plan_phase

MICROSECOND = timedelta(microseconds=1)
PUT_RIGHT = Adjustment(
    JANUARY, FEBRUARY, "10", "7.5", 1, "0", (TakenBack(3, 3),), (MeterMoved("m", 1, 1, 2, 2),), 40
)
CHARGE = msgspec.structs.replace(charge(overage="2"), exact_units="0.5", adjustment=PUT_RIGHT)
ORDER = AdjustmentOrder("wallets/acme", "key", CHARGE, None, Fraction(-5, 2))


def recorded(position: int = 50, **changes: Any) -> RecordedAdjustment:
    """Return the adjustment with other figures."""
    exact_units = changes.pop("exact_units", "0.5")
    adjustment = msgspec.structs.replace(PUT_RIGHT, **changes)
    said = msgspec.structs.replace(CHARGE, exact_units=exact_units, adjustment=adjustment)
    return RecordedAdjustment(debit(position, units=0, when=at("2026-02-03"), priced=said), at("2026-02-03"))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("exact_units", "1.5", "exact_units is 1.5, by history 0.5"),
        ("charged_units", "9", "charged_units is 9, by history 10"),
        ("rated_units", "8.5", "rated_units is 8.5, by history 7.5"),
        ("left_units", "-1", "left_units is -1, by history 0"),
        ("taken_back", (TakenBack(4, 3),), "taken_back is "),
        ("meters", (), "meters is [], by history "),
        (
            "cycle_end_time",
            FEBRUARY - MICROSECOND,
            "cycle_end_time is 2026-01-31T23:59:59.999999Z, by history ",
        ),
    ],
)
def test_each_figure_that_differs_is_told(name: str, value: Any, told: str) -> None:
    [difference] = differences(recorded(**{name: value}), ORDER)

    assert difference.startswith(told)
    assert list(differences(recorded(), ORDER)) == []


@pytest.mark.parametrize(("watermark", "is_wrong"), [(0, True), (1, False), (49, False), (50, True)])
def test_a_plan_is_made_of_history_before_it(watermark: int, *, is_wrong: bool) -> None:
    assert bool(knows_all_before([recorded(watermark_position=watermark)], [])) is is_wrong


@pytest.mark.parametrize(("position", "is_wrong"), [(40, False), (41, True), (49, True), (51, False)])
def test_a_plan_knows_every_adjustment_before_it(position: int, *, is_wrong: bool) -> None:
    assert bool(knows_all_before([recorded()], [recorded(position).debit])) is is_wrong


def test_parts_of_one_plan_are_checked_together() -> None:
    parts = [recorded(50), recorded(51, number=2), recorded(60, number=3, watermark_position=55)]

    assert batches(parts) == [parts[:2], parts[2:]]
    assert knows_all_before(parts[:2], [part.debit for part in parts]) == ""


@pytest.mark.parametrize(
    ("changed", "is_wrong"),
    [(FOLLOWING_MAX - MICROSECOND, False), (FOLLOWING_MAX, True)],
    ids=["within", "after"],
)
def test_the_terms_may_be_those_that_were_replaced_just_before(changed: timedelta, *, is_wrong: bool) -> None:
    since = at("2026-02-03") - changed
    agreed = contract(
        ContractPhase(JANUARY, plan_phase(overage="2"), since),
        ContractPhase(since, plan_phase("other", overage="3")),
    )

    assert bool(terms_differ(recorded(), [agreed])) is is_wrong
