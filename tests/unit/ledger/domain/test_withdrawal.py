"""Withdrawing a phase of a rate card that has not begun."""

from datetime import timedelta

import pytest

from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.commands import WithdrawRateCardPhase
from ledger_service.domain.events import RateCardPhasePublished
from ledger_service.domain.refusals import PhaseInPast, PhaseNotFound, PhaseOverlaps, RateCardNotFound
from tests.builders import RATE_CARD, Book, after, book, create_rate_card, publish_phase


def with_phases(*days: int) -> Book:
    """Return a book with a card whose phases begin on these days."""
    return book(create_rate_card(), *(publish_phase(from_time=after(days=day)) for day in days))


def phases(ledger: Book) -> list[tuple[int, timedelta]]:
    """Return the card's phases: number, and when each begins, counted from now."""
    card = ledger.states[RATE_CARD]
    assert isinstance(card, RateCard)
    return [(phase.phase, phase.from_time - after()) for phase in card.phases]


@pytest.mark.parametrize(("microseconds", "is_fine"), [(-1, True), (0, False)])
def test_a_phase_is_withdrawn_until_it_begins(microseconds: int, is_fine: bool) -> None:
    ledger = with_phases(0, 5)
    now = after(days=5, microseconds=microseconds)

    if is_fine:
        ledger.run(WithdrawRateCardPhase(RATE_CARD, 2), now)
        assert phases(ledger) == [(1, timedelta())]
    else:
        with pytest.raises(PhaseInPast) as refused:
            ledger.run(WithdrawRateCardPhase(RATE_CARD, 2), now)
        assert refused.value.field == "name"


def test_a_phase_between_others_may_be_withdrawn() -> None:
    ledger = with_phases(0, 5, 9)

    ledger.run(WithdrawRateCardPhase(RATE_CARD, 2))

    assert phases(ledger) == [(1, timedelta()), (3, timedelta(days=9))]
    with pytest.raises(PhaseOverlaps):
        ledger.run(publish_phase(from_time=after(days=9)))


def test_the_number_of_a_withdrawn_phase_is_not_used_again() -> None:
    ledger = with_phases(0, 5)
    ledger.run(WithdrawRateCardPhase(RATE_CARD, 2))

    event = ledger.answer(publish_phase(from_time=after(days=3))).event

    assert isinstance(event, RateCardPhasePublished)
    assert event.phase == 3


@pytest.mark.parametrize("phase", [0, 2, 3])
def test_a_phase_that_is_not_there_cannot_be_withdrawn(phase: int) -> None:
    ledger = with_phases(0, 5)
    ledger.run(WithdrawRateCardPhase(RATE_CARD, 2))

    with pytest.raises(PhaseNotFound) as refused:
        ledger.run(WithdrawRateCardPhase(RATE_CARD, phase))
    assert refused.value.field == "name"


def test_a_card_that_does_not_exist_has_no_phase() -> None:
    with pytest.raises(RateCardNotFound):
        Book().run(WithdrawRateCardPhase(RATE_CARD, 1))
