"""A rate card's life in rating: a proposal prices nothing, and once accepted it is in force in its own time only."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from rating_service.domain.agreements.catalogue import (
    EMPTY,
    BrokenLogError,
    Catalogue,
    card_phase_at,
    evolve,
    rate_card,
)
from tests.unit.rating.builders import FEBRUARY, JANUARY, fact

CARD = "rateCards/llm"
MICROSECOND = timedelta(microseconds=1)
MIDDLE = JANUARY + timedelta(days=10)


def phase(number: int, start: datetime) -> dict[str, Any]:
    return {"phase": number, "from_time": start, "rates": [], "phase_hash": f"hash-{number}"}


def after(catalogue: Catalogue, name: str, event: dict[str, Any]) -> Catalogue:
    return evolve(catalogue, CARD, f"rate_card.RateCard{name}.v1", fact(event))


def proposed(start: datetime = MIDDLE) -> Catalogue:
    """Return a card with phases from January and February, and one proposed."""
    card = after(EMPTY, "Created", {"asset": {"code": "CREDIT", "scale": 6}})
    for number, begin in enumerate((JANUARY, FEBRUARY), start=1):
        card = after(card, "PhasePublished", phase(number, begin))
    return after(card, "PhaseProposed", {"proposed": phase(3, start)})


def in_force(catalogue: Catalogue, instant: datetime) -> tuple[str, bool]:
    found = card_phase_at(rate_card(catalogue, CARD), instant)
    return found.name.rpartition("/")[2], found.retroactive


@pytest.mark.parametrize("decision", [None, "PhaseRejected"])
def test_a_phase_that_is_proposed_or_rejected_prices_nothing(decision: str | None) -> None:
    catalogue = proposed()
    if decision:
        catalogue = after(catalogue, decision, {"phase": 3})

    assert in_force(catalogue, MIDDLE) == ("1", False)
    assert (rate_card(catalogue, CARD).proposal is None) == bool(decision)


def test_an_accepted_phase_is_in_force_from_its_instant_to_the_next_phase() -> None:
    catalogue = after(proposed(), "PhaseAccepted", {"phase": 3, "watermark_position": 9})

    instants = (MIDDLE - MICROSECOND, MIDDLE, FEBRUARY - MICROSECOND, FEBRUARY)
    assert [in_force(catalogue, instant) for instant in instants] == [
        ("1", False),
        ("3", True),
        ("3", True),
        ("2", False),
    ]


def test_of_two_phases_from_one_instant_the_one_accepted_later_is_in_force() -> None:
    catalogue = after(proposed(JANUARY), "PhaseAccepted", {"phase": 3})
    catalogue = after(catalogue, "PhaseProposed", {"proposed": phase(4, JANUARY)})

    assert in_force(catalogue, JANUARY) == ("3", True)
    assert in_force(after(catalogue, "PhaseAccepted", {"phase": 4}), JANUARY) == ("4", True)


def test_a_change_of_a_card_that_was_never_created_is_a_broken_log() -> None:
    with pytest.raises(BrokenLogError):
        after(EMPTY, "PhaseProposed", {"proposed": phase(1, JANUARY)})
