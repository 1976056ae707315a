"""A contract after its signing, as rating folds it."""

import pytest

from rating_service.domain.agreements.agreement import ContractPhase
from rating_service.domain.agreements.agreement_events import (
    ContractEnded,
    ContractPhaseScheduled,
    PlanChanged,
)
from rating_service.domain.agreements.catalogue import EMPTY, BrokenLogError, evolve, find_contract_phase
from rating_service.domain.agreements.contract_life import CHANGE_TYPES, changed, end_of, plan_at
from tests.unit.rating.builders import FEBRUARY, JANUARY, at, contract, fact, plan_phase

MARCH = at("2026-03-01T00:00")
APRIL = at("2026-04-01T00:00")


def test_a_change_keeps_what_lies_before_its_instant() -> None:
    before = contract(
        ContractPhase(JANUARY, plan_phase("trial"), FEBRUARY), ContractPhase(FEBRUARY, plan_phase("standard"))
    )

    after = changed(before, ContractPhaseScheduled(MARCH, (ContractPhase(MARCH, plan_phase("dear")),)))

    assert [(phase.terms.key, phase.from_time, phase.to_time) for phase in after.phases] == [
        ("trial", JANUARY, FEBRUARY),
        ("standard", FEBRUARY, MARCH),
        ("dear", MARCH, None),
    ]


def test_a_later_change_of_plan_takes_the_place_of_one_that_lies_ahead() -> None:
    signed = contract(ContractPhase(JANUARY, plan_phase()))
    later = PlanChanged(APRIL, "plans/max", 2, (ContractPhase(APRIL, plan_phase("big")),))
    sooner = PlanChanged(MARCH, "plans/mid", 1, (ContractPhase(MARCH, plan_phase("mid")),))

    found = changed(changed(signed, later), sooner)

    assert [plan_at(found, instant).plan for instant in (JANUARY, FEBRUARY, MARCH, APRIL)] == [
        "plans/starter",
        "plans/starter",
        "plans/mid",
        "plans/mid",
    ]


def test_a_contract_ends_where_it_was_ended_or_never_begins() -> None:
    signed = contract(ContractPhase(JANUARY, plan_phase()))

    assert end_of(signed) is None
    assert end_of(changed(signed, ContractEnded(MARCH))) == MARCH
    never = changed(signed, ContractEnded(JANUARY))
    assert (never.phases, end_of(never)) == ((), JANUARY)
    assert find_contract_phase(never, JANUARY) is None


@pytest.mark.parametrize("topic", [*CHANGE_TYPES, "rate_card.RateCardPhaseWithdrawn.v1"])
def test_a_change_of_what_never_began_is_a_broken_log(topic: str) -> None:
    state = fact(
        {"from_time": MARCH, "end_time": MARCH, "plan": "p", "plan_version": 1, "phases": [], "phase": 1}
    )

    with pytest.raises(BrokenLogError):
        evolve(EMPTY, "contracts/acme", topic, state)
