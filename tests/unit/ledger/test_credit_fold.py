"""Credit that was left on a day, as it was known on another."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import msgspec
import pytest

from ledger_service.domain.commands import Debit, OpenWallet, PlaceHold, SettleWallet
from ledger_service.domain.events import WalletRules
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.projections.reports.credit_fold import CreditFold
from tests.builders import CREDIT, NOW, WALLET, Book, extend, grant, refund
from tests.fakes.projection_log import stored
from tests.sales import sale

DAY = timedelta(days=1)
FIRST = NOW.date()
LATER = NOW + 400 * DAY


def opened() -> Book:
    """Return a book of a wallet that waits ten days for late usage."""
    ledger = Book()
    rules = WalletRules(late_usage_grace_seconds=10 * 86_400)
    ledger.run(
        msgspec.structs.replace(OpenWallet(WALLET, "customers/acme", CREDIT, ShortfallMode.SOFT), rules=rules)
    )
    return ledger


def left(ledger: Book, on: date, *, known: date | None = None, now: datetime = LATER) -> dict[str, int]:
    """Return what is left by category."""
    fold = CreditFold(on, known_before=known, now=now)
    for event in stored(ledger):
        fold.take(event)
    found: dict[str, int] = {}
    for each in fold.left(WALLET):
        found[each.category] = found.get(each.category, 0) + each.units
    return found


def test_credit_counts_from_its_day_and_usage_on_its_own() -> None:
    ledger = opened()
    ledger.run(sale(100))
    ledger.run(grant(30, category=GrantCategory.PROMOTIONAL, effective_time=NOW + 5 * DAY))
    ledger.run(Debit(WALLET, 40), NOW + 2 * DAY)

    assert left(ledger, FIRST) == {}
    assert left(ledger, FIRST + 2 * DAY) == {"PAID": 100}
    assert left(ledger, FIRST + 3 * DAY) == {"PAID": 60}
    assert left(ledger, FIRST + 6 * DAY) == {"PAID": 60, "PROMOTIONAL": 30}


def test_what_was_learned_later_was_not_known() -> None:
    ledger = opened()
    ledger.run(sale(100))
    ledger.run(Debit(WALLET, 40, NOW), NOW + 3 * DAY)
    ledger.run(refund(2, 10), NOW + 4 * DAY)

    assert left(ledger, FIRST + DAY) == {"PAID": 60}
    assert left(ledger, FIRST + DAY, known=FIRST + 3 * DAY) == {"PAID": 100}
    assert left(ledger, FIRST + 9 * DAY, known=FIRST + 4 * DAY) == {"PAID": 60}
    assert left(ledger, FIRST + 9 * DAY) == {"PAID": 50}


@pytest.mark.parametrize(("on", "units"), [(1, 100 - 25), (2, 100 - 25), (3, 0), (9, 0)])
def test_late_usage_counts_before_the_expiry_that_it_takes_back(on: int, units: int) -> None:
    ledger = opened()
    ledger.run(sale(100, expire_time=NOW + 2 * DAY))
    ledger.run(SettleWallet(WALLET), NOW + 3 * DAY)
    ledger.run(Debit(WALLET, 25, NOW), NOW + 4 * DAY)

    assert left(ledger, FIRST + on * DAY) == ({"PAID": units} if units else {})


def test_what_time_has_ended_and_nobody_recorded_has_ended_but_for_what_holds_reserve() -> None:
    ledger = opened()
    ledger.run(sale(100, expire_time=NOW + 2 * DAY))
    ledger.run(PlaceHold(WALLET, 30, DAY), NOW + 2 * DAY - timedelta(minutes=1))
    on = FIRST + 3 * DAY

    assert left(ledger, on) == {"PAID": 30}
    assert left(ledger, on, now=NOW + DAY) == {"PAID": 100}, "it is not over yet"
    assert left(ledger, on, known=on) == {"PAID": 100}, "nobody had recorded it"


def test_what_lives_longer_has_not_ended() -> None:
    ledger = opened()
    ledger.run(sale(100, expire_time=NOW + 2 * DAY))
    ledger.run(extend(2, NOW + 5 * DAY), NOW + DAY)

    assert left(ledger, FIRST + 4 * DAY) == {"PAID": 100}
    assert left(ledger, FIRST + 6 * DAY) == {}
