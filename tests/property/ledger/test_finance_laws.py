"""Laws of revenue, on random histories of sales of all terms."""

from __future__ import annotations

from collections import defaultdict

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.journal import Movement
from ledger_service.domain.finance.lots import PaidLot, declared_remote, escheated, estimated, moved
from ledger_service.projections.bookkeeping.books import FIRST_DAY
from tests.fakes.finance_log import POOL, Act, play, random_acts
from tests.fakes.projection_log import MemoryJournal, stored
from tests.lots import paid_lot

ACTS = st.integers(0, 10**6).map(lambda seed: random_acts(seed, 40))
UNITS = st.integers(1, 50)
ESTIMATES = st.sampled_from([(0, 1), (1, 10), (1, 4), (1, 2), (99, 100)])


def folded(acts: list[Act], *, pieces: int = 1) -> MemoryJournal:
    """Return the journal of a history, folded in so many pieces."""
    log, store = stored(play(acts)), MemoryJournal()
    step = max(len(log) // pieces, 1)
    for begin in range(0, len(log), step):
        store.apply([log[begin : begin + step]])
    return store


def balances(store: MemoryJournal) -> dict[Account, int]:
    """Return what each account was debited in all, net of credits."""
    found: dict[Account, int] = defaultdict(int)
    for key, nanos in store.sums.items():
        found[key.flow.debit] += nanos
        found[key.flow.credit] -= nanos
    return found


@given(ACTS)
def test_contract_liability_is_what_the_lots_defer_less_what_their_pools_have_earned(acts: list[Act]) -> None:
    store = folded(acts)
    by_lots = sum(lot.deferred_nanos for lot in store.lots.values())
    by_pools = sum(nanos for key, nanos in store.sums.items() if key.source == POOL)

    assert sum(balances(store).values()) == 0
    assert -balances(store)[Account.CONTRACT_LIABILITY] == by_lots - by_pools


@given(ACTS, st.integers(2, 9))
@example(random_acts(5, 40), 40)
@example(random_acts(155, 40), 40)
@example(random_acts(77, 40), 40)
def test_however_a_history_is_cut_the_same_is_posted(acts: list[Act], pieces: int) -> None:
    whole, cut = folded(acts), folded(acts, pieces=pieces)

    assert (whole.sums, whole.lots) == (cut.sums, cut.lots)


@given(ACTS)
def test_a_lot_never_defers_less_than_nothing_and_one_that_is_used_up_nothing(acts: list[Act]) -> None:
    for lot in folded(acts).lots.values():
        assert lot.deferred_nanos >= 0
        assert lot.usage_nanos >= 0
        if lot.used_up:
            assert lot.deferred_nanos == 0


@given(ACTS)
def test_closing_moves_postings_and_changes_no_figure_of_a_lot(acts: list[Act]) -> None:
    closed, left_open = folded(acts), folded([_without_lock(act) for act in acts])

    assert _by_movement(closed) == _by_movement(left_open)
    assert all(key.posting_day >= key.effective_day for key in closed.sums)
    assert all(key.posting_day == key.effective_day for key in left_open.sums)


@given(ACTS)
def test_what_is_recorded_after_a_lock_is_never_posted_before_its_end(acts: list[Act]) -> None:
    log, store = stored(play(acts)), MemoryJournal()
    open_day, before = FIRST_DAY, dict(store.sums)
    for event in log:
        store.apply([[event]])
        changed = {key for key in store.sums.keys() | before.keys() if store.sums.get(key) != before.get(key)}
        assert all(key.posting_day >= open_day for key in changed)
        open_day, before = store.open_day, dict(store.sums)


def _without_lock(act: Act) -> Act:
    return msgspec.structs.replace(act, kind="idle") if act.kind == "lock" else act


def _by_movement(store: MemoryJournal) -> dict[Movement, int]:
    found: dict[Movement, int] = defaultdict(int)
    for key, nanos in store.sums.items():
        found[key.flow.movement] += nanos
    return {movement: nanos for movement, nanos in found.items() if nanos}


# One lot


@given(UNITS, st.lists(UNITS, max_size=5), ESTIMATES, st.integers(0, 10**6))
def test_every_method_ends_at_the_same_total(
    amount: int, draws: list[int], estimate: tuple[int, int], nanos: int
) -> None:
    remote, proportional = paid_lot(nanos, amount), paid_lot(nanos, amount, estimate=estimate)
    left = amount
    for units in draws:
        part = min(units, left)
        left -= part
        remote = moved(remote, drawn_units=part, expired_units=0)
        proportional = moved(proportional, drawn_units=part, expired_units=0)
        assert proportional.usage_nanos == remote.usage_nanos
        assert proportional.breakage_nanos >= remote.breakage_nanos
        assert proportional.usage_nanos + proportional.breakage_nanos <= nanos
    ended = [moved(lot, drawn_units=0, expired_units=left) for lot in (remote, proportional)]

    assert _figures(ended[0]) == _figures(ended[1])
    assert [lot.deferred_nanos for lot in ended] == [0, 0]


@given(UNITS, UNITS, ESTIMATES, ESTIMATES)
def test_a_revision_and_its_opposite_cancel(
    amount: int, drawn: int, first: tuple[int, int], second: tuple[int, int]
) -> None:
    lot = moved(paid_lot(10**6, amount, estimate=first), drawn_units=min(drawn, amount - 1), expired_units=0)
    revised = estimated(lot, numerator=second[0], denominator=second[1])

    assert estimated(revised, numerator=first[0], denominator=first[1]) == lot


@given(UNITS, st.permutations([3, 5, 7, 11]), ESTIMATES)
def test_the_order_of_draws_does_not_matter(amount: int, draws: list[int], estimate: tuple[int, int]) -> None:
    lots = []
    for order in (draws, sorted(draws)):
        lot = paid_lot(10**6, amount + sum(draws), estimate=estimate)
        for units in order:
            lot = moved(lot, drawn_units=units, expired_units=0)
        lots.append(lot)

    assert lots[0] == lots[1]


@given(UNITS, UNITS)
def test_units_that_are_remote_and_used_all_the_same_are_usage(amount: int, drawn: int) -> None:
    remote = declared_remote(paid_lot(1_000, amount))
    units = min(drawn, amount)
    used = moved(remote, drawn_units=units, expired_units=0)

    assert (remote.breakage_nanos, remote.deferred_nanos, remote.left_units) == (1_000, 0, 0)
    assert used.usage_nanos + used.breakage_nanos == 1_000
    assert (
        used.usage_nanos
        == moved(paid_lot(1_000, amount), drawn_units=min(drawn, amount), expired_units=0).usage_nanos
    )


@given(UNITS, st.integers(0, 49), ESTIMATES, st.fractions(0, 1))
def test_what_is_escheated_is_never_revenue(
    amount: int, drawn: int, estimate: tuple[int, int], fraction: object
) -> None:
    lot = moved(paid_lot(1_000, amount, estimate=estimate), drawn_units=min(drawn, amount), expired_units=0)
    given_up = escheated(lot, fraction)  # type: ignore[arg-type]
    ended = moved(given_up, drawn_units=0, expired_units=amount - lot.drawn_units)

    assert given_up.deferred_nanos >= 0
    assert ended.usage_nanos + ended.breakage_nanos + ended.escheated_nanos == 1_000


def _figures(lot: PaidLot) -> tuple[int, int]:
    return lot.usage_nanos, lot.breakage_nanos
