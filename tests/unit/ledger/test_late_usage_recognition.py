"""What late usage of an expired paid lot recognises, to the nano, and on which day."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
import pytest

from ledger_service.domain.commands import (
    CreateBreakagePool,
    Debit,
    GrantCredits,
    OpenWallet,
    SaleTerms,
    SettleWallet,
)
from ledger_service.domain.events import WalletRules
from ledger_service.domain.finance.lots import moved
from ledger_service.domain.values import BreakageMethod, GrantCategory, Money, ShortfallMode
from ledger_service.projections.bookkeeping.books import LotKey
from ledger_service.projections.events.wallet_events import read_wallet_events
from ledger_service.projections.reports.roll_forward import DaySums
from ledger_service.projections.wallets.wallet_tallies import Tallies
from ledger_service.projections.wallets.wallet_view import fold_wallet_view
from tests.builders import CREDIT, MICROSECOND, NOW, WALLET, Book
from tests.fakes.projection_log import MemoryJournal, stored
from tests.lots import paid_lot
from tests.sales import sale

FIRST = date(2026, 3, 1)
EXPIRY = NOW + timedelta(days=1)
BEFORE = EXPIRY - MICROSECOND
RECORDED = NOW + timedelta(days=3)
GRACE = WalletRules(late_usage_grace_seconds=5 * 86_400)


def expired_book(nanos: int = 100, units: int = 3) -> Book:
    """Return a book in which a paid lot has expired whole."""
    ledger = Book()
    opening = OpenWallet(WALLET, "customers/acme", CREDIT, ShortfallMode.SOFT)
    ledger.run(msgspec.structs.replace(opening, rules=GRACE))
    ledger.run(
        GrantCredits(WALLET, units, GrantCategory.PAID, expire_time=EXPIRY, consideration=Money("USD", nanos))
    )
    ledger.run(SettleWallet(WALLET), EXPIRY)
    return ledger


def projected(ledger: Book) -> MemoryJournal:
    """Return deferred revenue, each event a run of its own."""
    store = MemoryJournal()
    for event in stored(ledger):
        store.apply([[event]])
    return store


def days(store: MemoryJournal) -> dict[int, tuple[int, int]]:
    """Return usage and breakage of the days of March that have any."""
    return {
        day.day: (sums.usage_nanos, sums.breakage_nanos)
        for day, sums in store.sums_of("USD").items()
        if (sums.usage_nanos, sums.breakage_nanos) != (0, 0)
    }


def test_breakage_of_the_units_turns_into_usage_on_the_day_of_the_record() -> None:
    ledger = expired_book()
    ledger.run(Debit(WALLET, 1, BEFORE), RECORDED)
    store = projected(ledger)

    assert days(store) == {2: (0, 100), 4: (33, -33)}
    assert store.lots[LotKey(WALLET, 2)].deferred_nanos == 0


@pytest.mark.parametrize("parts", [(3,), (1, 2), (2, 1), (1, 1, 1)])
def test_a_lot_drawn_late_as_a_whole_is_all_usage_whatever_the_order(parts: tuple[int, ...]) -> None:
    ledger = expired_book()
    for units in parts:
        ledger.run(Debit(WALLET, units, BEFORE), RECORDED)
    store = projected(ledger)

    assert days(store) == {2: (0, 100), 4: (100, -100)}
    lot = store.lots[LotKey(WALLET, 2)]
    assert (lot.drawn_units, lot.expired_units, lot.usage_nanos) == (3, 0, 100)
    assert (lot.breakage_nanos, lot.deferred_nanos, lot.used_up) == (0, 0, True)


def test_a_reversal_of_late_usage_is_breakage_again() -> None:
    ledger = expired_book()
    ledger.run(Debit(WALLET, 2, BEFORE), RECORDED)
    ledger.reverse(ledger.log[-1].version, 1, RECORDED + timedelta(days=1))
    store = projected(ledger)

    assert days(store) == {2: (0, 100), 4: (67, -67), 5: (-34, 34)}
    assert store.lots[LotKey(WALLET, 2)].deferred_nanos == 0


def test_liability_does_not_move_with_late_usage() -> None:
    ledger = expired_book(nanos=101, units=7)
    ledger.run(Debit(WALLET, 2, NOW), RECORDED)
    ledger.run(Debit(WALLET, 4, BEFORE), RECORDED + timedelta(days=1))
    sums = projected(ledger).sums_of("USD")

    assert sum((sums[day] for day in sums if day <= EXPIRY.date()), DaySums()).liability_nanos == 0
    assert [sums[day].liability_nanos for day in sums if day > EXPIRY.date()] == [0, 0]
    assert projected(ledger).lots[LotKey(WALLET, 2)].usage_nanos == 87


def test_late_usage_beside_what_the_lot_still_defers_changes_no_liability() -> None:
    broken = moved(paid_lot(100, 3, held_units=1), drawn_units=0, expired_units=2)
    late = moved(broken, drawn_units=1, expired_units=-1)

    assert (broken.deferred_nanos, late.deferred_nanos) == (33, 33)
    assert (broken.usage_nanos, broken.breakage_nanos) == (0, 67)
    assert (late.usage_nanos, late.breakage_nanos) == (33, 34)


@pytest.mark.parametrize(("units", "usage", "escheat"), [(1, 33, 40), (2, 67, 20), (3, 100, 0)])
def test_what_was_used_after_all_does_not_belong_to_the_state(units: int, usage: int, escheat: int) -> None:
    pool = "breakagePools/packs"
    ledger = Book()
    opening = OpenWallet(WALLET, "customers/acme", CREDIT, ShortfallMode.SOFT)
    ledger.run(msgspec.structs.replace(opening, rules=GRACE))
    ledger.run(CreateBreakagePool(pool, "EUR", BreakageMethod.REMOTE, escheat_fraction="0.6"))
    ledger.run(sale(100, 3, terms=SaleTerms(pool=pool), expire_time=EXPIRY))
    ledger.run(SettleWallet(WALLET), EXPIRY)
    ledger.run(Debit(WALLET, units, BEFORE), RECORDED)
    lot = projected(ledger).lots[LotKey(WALLET, 2)]

    assert (lot.usage_nanos, lot.escheated_nanos) == (usage, escheat)
    assert lot.usage_nanos + lot.breakage_nanos + lot.escheated_nanos == 100
    ledger.reverse(ledger.log[-1].version, units, RECORDED + timedelta(days=1))
    back = projected(ledger).lots[LotKey(WALLET, 2)]
    assert (back.usage_nanos, back.escheated_nanos, back.deferred_nanos) == (0, 60, 0)


def test_what_the_same_debit_draws_on_a_live_lot_counts_on_the_day_of_the_usage() -> None:
    ledger = expired_book()
    ledger.run(
        GrantCredits(WALLET, 5, GrantCategory.PAID, effective_time=NOW, consideration=Money("USD", 50)),
        EXPIRY,
    )
    ledger.run(Debit(WALLET, 5, NOW), RECORDED)

    assert days(projected(ledger)) == {1: (20, 0), 2: (0, 100), 4: (100, -100)}


@pytest.mark.parametrize("recorded_time", [EXPIRY, RECORDED])
def test_the_wallet_view_takes_the_expiry_back(recorded_time: datetime) -> None:
    ledger = expired_book()
    ledger.run(Debit(WALLET, 2, BEFORE), recorded_time)
    log = read_wallet_events(stored(ledger))
    whole: Tallies = {}
    fold_wallet_view(whole, log)
    last: Tallies = {}
    fold_wallet_view(last, log[-1:])

    assert (whole[WALLET].expired_units, whole[WALLET].debited_units) == (1, 2)
    lot = whole[WALLET].lots[2]
    assert (lot.drawn_units, lot.expired_units) == (2, 1)
    assert (last[WALLET].expired_units, last[WALLET].lots[2].expired_units) == (-2, -2)
