"""A wallet's state: folding records what events say and refuses what no log can hold."""

import msgspec
import pytest

from ledger_service.domain.events import CreditsDebited, Draw, Event, Fact, RateCardCreated
from ledger_service.domain.topics import GENESIS_HASH
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.state import posted_units
from tests.builders import CREDIT, after, book, debit, grant, open_wallet


def fact(event: Event) -> Fact[Event]:
    """Return an event as recorded now."""
    return Fact(event, after(), after(), GENESIS_HASH)


def test_a_lot_with_nothing_left_is_dropped() -> None:
    ledger = book(open_wallet(), grant(5), grant(5), debit(5))

    assert [each.grant_version for each in ledger.wallet().lots] == [3]


def test_posted_counts_credit_that_becomes_effective_later() -> None:
    ledger = book(open_wallet(), grant(5), grant(7, effective_time=after(days=9)))

    assert posted_units(ledger.wallet()) == 12


def test_a_rule_tightened_tomorrow_still_loads_a_debit_of_yesterday() -> None:
    hard = book(open_wallet(mode=ShortfallMode.HARD)).wallet()

    wallet = evolve(hard, fact(CreditsDebited(5, (), "default/0", overage_units=5)), 2)

    assert wallet.overage_units == 5


@pytest.mark.parametrize("draw", [Draw(2, 6), Draw(3, 1)])
def test_a_draw_that_no_lot_covers_cannot_be_folded(draw: Draw) -> None:
    wallet = book(open_wallet(), grant(5)).wallet()

    with pytest.raises(AssertionError):
        evolve(wallet, fact(CreditsDebited(draw.amount_units, (draw,), "default/1")), 3)


def test_an_event_of_another_stream_cannot_be_folded() -> None:
    with pytest.raises(AssertionError):
        evolve(book(open_wallet()).wallet(), fact(RateCardCreated(CREDIT)), 2)


def test_a_wallets_stream_begins_with_its_opening() -> None:
    with pytest.raises(AssertionError):
        evolve(None, fact(CreditsDebited(0, (), "default/1")), 1)


def test_folding_does_not_change_the_state_before() -> None:
    ledger = book(open_wallet(), grant(5))
    before = ledger.wallet()
    copy = msgspec.structs.replace(before)

    ledger.run(debit(3))

    assert before == copy
