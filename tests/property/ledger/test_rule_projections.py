"""Laws of the projections where holds, reversals, refunds, roll-overs and debts are met."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.events import CreditsDebited, Event
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.domain.finance.methods import share_nanos
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.state import Wallet, debt_units
from ledger_service.projections.events.wallet_events import read_wallet_events
from ledger_service.projections.wallets.wallet_tallies import PENDING, Tallies, WalletTally
from ledger_service.projections.wallets.wallet_view import fold_wallet_view
from tests.builders import WALLET, Book
from tests.fakes.projection_log import MemoryJournal, stored
from tests.property.ledger.rule_histories import (
    ACTS,
    MODES,
    Act,
    play_acts,
    random_acts,
    stored_as_if_paid,
)

CUTS = st.lists(st.integers(0, 100), max_size=8)


def cut(log: Sequence[StoredEvent], cuts: Sequence[int]) -> list[Sequence[StoredEvent]]:
    """Return the log in pieces that begin at the given places; some may be empty."""
    places = sorted({0, len(log), *(place for place in cuts if place < len(log))})
    return [log[begin:end] for begin, end in pairwise(places)]


def projected(ledger: Book) -> MemoryJournal:
    """Return deferred revenue after the whole log in one run."""
    store = MemoryJournal()
    store.apply([stored_as_if_paid(ledger)])
    return store


def viewed(pieces: Sequence[Sequence[StoredEvent]]) -> WalletTally:
    """Return the wallet's tally after pieces of a log."""
    tallies: Tallies = {}
    for piece in pieces:
        fold_wallet_view(tallies, read_wallet_events(piece))
    return tallies[WALLET]


def remaining(tally: WalletTally) -> dict[int, tuple[int, int]]:
    """Return what each grant has left and held, by version; without those that have neither."""
    left: dict[int, tuple[int, int]] = {}
    for version, lot in tally.lots.items():
        assert lot.issued is not None
        if lot.payment_state:
            continue
        gone = lot.drawn_units + lot.expired_units + lot.revoked_units + lot.rolled_over_units
        gone += lot.transferred_units
        rest = lot.issued.granted.amount_units - gone - lot.held_units
        if rest or lot.held_units:
            left[version] = (rest, lot.held_units)
    return left


def open_holds(tally: WalletTally) -> dict[int, int]:
    """Return what each open hold reserves, by version."""
    return {
        version: hold.placed.amount_units - hold.captured_units
        for version, hold in tally.holds.items()
        if hold.placed and not hold.ended and hold.placed.amount_units > hold.captured_units
    }


@given(ACTS, MODES, CUTS)
def test_deferred_revenue_is_the_same_however_the_log_is_cut(
    acts: list[Act], mode: ShortfallMode, cuts: list[int]
) -> None:
    ledger = play_acts(acts, mode)
    in_runs, in_pages = MemoryJournal(), MemoryJournal()
    pieces = cut(stored_as_if_paid(ledger), cuts)
    for piece in pieces:
        in_runs.apply([piece])
    in_pages.apply(pieces)
    whole = projected(ledger)

    assert (in_runs.lots, in_runs.sums) == (whole.lots, whole.sums)
    assert (in_pages.lots, in_pages.sums) == (whole.lots, whole.sums)


@given(ACTS, MODES, CUTS)
def test_the_wallet_view_holds_what_the_wallet_holds(
    acts: list[Act], mode: ShortfallMode, cuts: list[int]
) -> None:
    ledger = play_acts(acts, mode)
    wallet = ledger.wallet()
    tally = viewed(cut(stored(ledger), cuts))

    assert tally == viewed([stored(ledger)])
    assert {version for version, lot in tally.lots.items() if lot.payment_state == PENDING} == {
        each.grant_version for each in wallet.payments.pending_grants
    }
    assert remaining(tally) == {
        lot.grant_version: (lot.remaining_units, lot.held_units) for lot in wallet.lots
    }
    assert _totals(tally) == (
        wallet.granted_units,
        wallet.drawn_units + wallet.overage_units + debt_units(wallet),
        wallet.overage_units,
        wallet.expired_units,
        wallet.revoked_units,
        debt_units(wallet),
    )


def _totals(tally: WalletTally) -> tuple[int, ...]:
    return (
        tally.granted_units,
        tally.debited_units,
        tally.overage_units,
        tally.expired_units,
        tally.revoked_units,
        tally.debt_units,
    )


@given(ACTS)
def test_the_view_knows_which_holds_are_open_and_which_grants_come_again(acts: list[Act]) -> None:
    ledger = play_acts(acts)
    wallet = ledger.wallet()
    tally = viewed([stored(ledger)])

    assert open_holds(tally) == {
        hold.hold_version: sum(each.amount_units for each in hold.slices) for hold in wallet.holds
    }
    assert {version: due for version, due in tally.series.items() if due} == {
        each.series_version: each.next_time for each in wallet.series
    }


@given(ACTS)
def test_the_view_shows_each_lots_present_expiry(acts: list[Act]) -> None:
    ledger = play_acts(acts)
    tally = viewed([stored(ledger)])

    for lot in ledger.wallet().lots:
        found = tally.lots[lot.grant_version]
        assert found.issued is not None
        terms = found.extended or found.issued.granted
        assert terms.expire_time == lot.expire_time
        assert found.issued.granted.recurrence == lot.recurrence


@given(ACTS, MODES)
def test_a_lot_of_which_nothing_is_left_ends_at_exactly_zero(acts: list[Act], mode: ShortfallMode) -> None:
    for lot in projected(play_acts(acts, mode)).lots.values():
        assert lot.left_units >= lot.held_units >= 0
        assert lot.deferred_nanos >= 0
        if lot.used_up:
            assert lot.deferred_nanos == 0


@given(ACTS, MODES)
def test_usage_is_the_share_of_what_is_drawn_whatever_was_reversed(
    acts: list[Act], mode: ShortfallMode
) -> None:
    for lot in projected(play_acts(acts, mode)).lots.values():
        assert lot.usage_nanos == min(_share(lot), lot.recognisable_nanos)


def _share(lot: PaidLot) -> int:
    return share_nanos(lot.consideration_nanos, lot.drawn_units, lot.amount_units)


@pytest.mark.parametrize("left_out", ["late", "reverse"])
@given(acts=ACTS, mode=MODES)
def test_days_sum_to_what_the_lots_defer_and_liability_is_never_negative(
    left_out: str, acts: list[Act], mode: ShortfallMode
) -> None:
    # A day between shows more use than there was credit where a debit is backdated to before a reversal.
    ledger = play_acts([act for act in acts if act.kind != left_out], mode)
    store = projected(ledger)
    liability = 0
    for _, sums in sorted(store.sums_of("USD").items()):
        liability += sums.liability_nanos
        assert liability >= 0

    # What left for another wallet is liability all the same, and belongs to no lot here.
    moved = sum(each.nanos for each in ledger.wallet().moved.values())
    assert liability == moved + sum(lot.deferred_nanos for lot in store.lots.values())


@given(ACTS, MODES)
def test_lots_hold_what_the_wallets_paid_lots_hold(acts: list[Act], mode: ShortfallMode) -> None:
    ledger = play_acts(acts, mode)
    left = {
        key.grant_version: (lot.left_units - lot.held_units, lot.held_units, lot.expire_time)
        for key, lot in projected(ledger).lots.items()
        if not lot.used_up
    }

    assert left == _paid(ledger.wallet())


def _paid(wallet: Wallet) -> dict[int, tuple[int, int, object]]:
    return {
        lot.grant_version: (lot.remaining_units, lot.held_units, lot.expire_time)
        for lot in wallet.lots
        if lot.consideration is not None or lot.recurrence is not None
    }


def test_the_histories_meet_every_rule() -> None:
    kinds = Counter(
        kind
        for seed in range(100)
        for mode in ShortfallMode
        for each in play_acts(random_acts(seed, 60), mode).log
        for kind in _kinds(each.fact.event)
    )

    assert {kind for kind, count in kinds.items() if count >= 10} >= {
        *("CreditsHeld", "HoldCaptured", "HoldReleased", "DebitReversed", "GrantRevoked", "GrantRefunded"),
        *("GrantExpiryExtended", "CreditsRolledOver", "DebtRepaid", "CreditsExpired", "LateUsage"),
    }
    # Laws of their own are in test_transfer_laws; here it is enough that they meet the other rules.
    assert {kind for kind, count in kinds.items() if count >= 3} >= {
        *("CreditsTransferredOut", "TransferSettled", "TransferReturned", "GrantChargedBack"),
    }


def _kinds(event: Event) -> list[str]:
    late = isinstance(event, CreditsDebited) and event.late_grants
    return [type(event).__name__, *(["LateUsage"] if late else [])]
