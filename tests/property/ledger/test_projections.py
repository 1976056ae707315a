"""Laws of the projections: how a log is cut never matters, and the figures tie."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.finance.methods import share_nanos
from ledger_service.domain.values import GrantCategory
from ledger_service.domain.wallet.state import Wallet
from ledger_service.projections.bookkeeping.books import LotKey
from ledger_service.projections.events.wallet_events import read_wallet_events
from ledger_service.projections.reports.roll_forward import DaySums, roll_forward_days
from ledger_service.projections.wallets.wallet_tallies import Tallies
from ledger_service.projections.wallets.wallet_view import fold_wallet_view
from tests.builders import Book
from tests.fakes.projection_log import CATEGORIES, WALLETS, MemoryJournal, Step, play, stored

STEPS = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["grant", "grant", "debit", "debit", "settle"]),
        wallet=st.sampled_from(WALLETS),
        units=st.integers(1, 50),
        hours_later=st.integers(0, 30),
        effective_hours=st.integers(-48, 0),
        lasts_hours=st.sampled_from([None, 24, 72]),
        category=st.sampled_from(CATEGORIES),
        consideration_nanos=st.integers(0, 10**12),
        currency_code=st.sampled_from(["USD", "EUR"]),
    ),
    max_size=40,
)
CUTS = st.lists(st.integers(0, 100), max_size=8)


def cut(log: Sequence[StoredEvent], cuts: Sequence[int]) -> list[Sequence[StoredEvent]]:
    """Return the log in pieces that begin at the given places; some may be empty."""
    places = sorted({0, len(log), *(place for place in cuts if place < len(log))})
    return [log[begin:end] for begin, end in pairwise(places)]


def projected(log: Sequence[StoredEvent]) -> MemoryJournal:
    """Return deferred revenue after the whole log in one run."""
    store = MemoryJournal()
    store.apply([log])
    return store


def wallet_tallies(pieces: Sequence[Sequence[StoredEvent]]) -> Tallies:
    """Return the wallet view after pieces of a log."""
    tallies: Tallies = {}
    for piece in pieces:
        fold_wallet_view(tallies, read_wallet_events(piece))
    return tallies


@given(STEPS, CUTS)
def test_deferred_revenue_is_the_same_however_the_log_is_cut_into_runs(
    steps: list[Step], cuts: list[int]
) -> None:
    log = stored(play(steps))
    in_pieces = MemoryJournal()
    for piece in cut(log, cuts):
        in_pieces.apply([piece])

    assert (in_pieces.lots, in_pieces.sums) == (projected(log).lots, projected(log).sums)


@given(STEPS, CUTS)
def test_deferred_revenue_is_the_same_however_a_run_is_cut_into_pages(
    steps: list[Step], cuts: list[int]
) -> None:
    log = stored(play(steps))
    in_pages = MemoryJournal()
    in_pages.apply(cut(log, cuts))

    assert (in_pages.lots, in_pages.sums) == (projected(log).lots, projected(log).sums)


@given(STEPS, st.integers(0, 100))
def test_applying_any_prefix_again_changes_nothing(steps: list[Step], length: int) -> None:
    log = stored(play(steps))
    store = projected(log)
    lots, sums = dict(store.lots), dict(store.sums)
    store.apply([log[: length + 1]])

    assert (store.lots, store.sums) == (lots, sums)


@given(STEPS, CUTS)
def test_the_wallet_view_is_the_same_however_the_log_is_cut(steps: list[Step], cuts: list[int]) -> None:
    log = stored(play(steps))

    assert wallet_tallies(cut(log, cuts)) == wallet_tallies([log])


@given(STEPS)
def test_the_wallet_view_holds_what_the_wallets_hold(steps: list[Step]) -> None:
    ledger = play(steps)

    for name, tally in wallet_tallies([stored(ledger)]).items():
        wallet = ledger.wallet(name)
        assert _left(wallet) == {
            version: lot.issued.granted.amount_units - lot.drawn_units - lot.expired_units
            for version, lot in tally.lots.items()
            if lot.issued is not None
            and lot.issued.granted.amount_units > lot.drawn_units + lot.expired_units
        }
        assert tally.granted_units == wallet.granted_units
        assert tally.debited_units == wallet.drawn_units + wallet.overage_units
        assert tally.overage_units == wallet.overage_units
        assert tally.expired_units == wallet.expired_units


def _left(wallet: Wallet) -> dict[int, int]:
    return {lot.grant_version: lot.remaining_units for lot in wallet.lots}


@given(STEPS)
def test_a_used_up_lot_defers_exactly_nothing_and_others_their_exact_share(steps: list[Step]) -> None:
    for lot in projected(stored(play(steps))).lots.values():
        gone = lot.drawn_units + lot.expired_units
        exact = Fraction(lot.consideration_nanos * (lot.amount_units - gone), lot.amount_units)
        assert abs(lot.deferred_nanos - exact) <= Fraction(1, 2)
        if lot.used_up:
            assert lot.deferred_nanos == 0


@given(STEPS)
def test_days_sum_to_what_the_lots_defer(steps: list[Step]) -> None:
    store = projected(stored(play(steps)))
    deferred: dict[str, int] = defaultdict(int)
    for lot in store.lots.values():
        deferred[lot.currency_code] += lot.deferred_nanos

    for currency_code in ("USD", "EUR"):
        total = sum(sums.liability_nanos for sums in store.sums_of(currency_code).values())
        assert total == deferred[currency_code]


@given(STEPS)
def test_contract_liability_is_never_negative_on_any_day(steps: list[Step]) -> None:
    sums = projected(stored(play(steps))).sums_of("USD")
    liability = 0
    for day in sorted(sums):
        liability += sums[day].liability_nanos
        assert liability >= 0


@given(STEPS, st.dates(date(2026, 2, 20), date(2026, 4, 20)))
def test_a_roll_forward_ties_and_its_parts_chain(steps: list[Step], middle: date) -> None:
    sums = projected(stored(play(steps))).sums_of("USD")
    first, last = date(2026, 1, 1), date(2027, 1, 1)
    whole = roll_forward_days(DaySums(), sums, from_day=first, to_day=last, position=1)
    early = {day: each for day, each in sums.items() if day < middle}
    late = {day: each for day, each in sums.items() if day >= middle}
    before = sum(early.values(), start=DaySums())
    left = roll_forward_days(DaySums(), early, from_day=first, to_day=middle, position=1)
    right = roll_forward_days(before, late, from_day=middle, to_day=last, position=1)

    assert left.total.closing_nanos == right.total.opening_nanos
    assert right.total.closing_nanos == whole.total.closing_nanos
    assert left.days + right.days == whole.days
    for row in (whole.total, *whole.days):
        recognised = row.recognised_usage_nanos + row.recognised_breakage_nanos
        assert row.opening_nanos + row.billings_nanos - recognised == row.closing_nanos
    for earlier, later in pairwise(whole.days):
        assert earlier.closing_nanos == later.opening_nanos
        assert earlier.to_day - earlier.from_day == timedelta(days=1)


@given(st.integers(1, 2**63 - 1), st.data())
def test_recognition_rises_from_nothing_to_the_consideration(amount_units: int, data: st.DataObject) -> None:
    consideration_nanos = data.draw(st.integers(0, 2**63 - 1))
    gone = data.draw(st.integers(0, amount_units - 1))

    def share(gone_units: int) -> int:
        return share_nanos(consideration_nanos, gone_units, amount_units)

    assert share(0) == 0
    assert share(amount_units) == consideration_nanos
    assert share(gone) <= share(gone + 1)


@given(STEPS)
def test_only_paid_grants_with_consideration_become_lots_of_the_journal(steps: list[Step]) -> None:
    ledger = play(steps)

    assert set(projected(stored(ledger)).lots) == _paid_grants(ledger)


def _paid_grants(ledger: Book) -> set[LotKey]:
    return {
        LotKey(each.stream, each.version)
        for each in ledger.log
        if getattr(each.fact.event, "category", None) is GrantCategory.PAID
    }
