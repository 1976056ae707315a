"""Overage: what no lot covered is earned at the debit's own price, and is on no invoice yet.

Units x price / 10^scale, rounded half up to a nano for each debit; a reversal takes back as much for its units. Overage
without a price is given away, and posts nothing.
"""

from __future__ import annotations

from fractions import Fraction

from ledger_service.domain.finance.journal import PostingKey
from ledger_service.domain.finance.methods import round_half_up
from ledger_service.domain.finance.postings import OVERAGE, Days
from ledger_service.domain.values import Money, UnitPrice
from ledger_service.projections.books import DEFAULT_ENTITY, Books, Unbilled
from ledger_service.projections.wallet_events import (
    Captured,
    Change,
    Debited,
    OveragePrice,
    Reversed,
    WalletEvent,
)

NANOS = 10**9


def cost_of(units: int, price: UnitPrice, scale: int) -> int:
    """Return what units of overage cost, in nanos of the price's currency."""
    return round_half_up(Fraction(price.price) * units * NANOS / 10**scale)


def overage_of(change: Change, scale: int) -> Money | None:
    """Return what the overage of usage costs, below zero for a reversal; None if there is none with a price."""
    match change:
        case Debited() | Captured() if change.overage_units and change.charge is not None:
            units, price = change.overage_units, change.charge.overage_price
        case Reversed() if change.overage_units:
            units, price = -change.overage_units, change.overage_price
        case _:
            return None
    return None if price is None else Money(price.currency_code, cost_of(units, price, scale))


def post_overage(
    books: Books, event: WalletEvent, units: int, priced: OveragePrice | Reversed | None, days: Days
) -> None:
    """Earn the overage of a debit; below zero, it is taken back."""
    price = None if priced is None else priced.overage_price
    if price is None:
        return
    nanos = cost_of(units, price, books.scales[event.wallet])
    key = PostingKey(
        OVERAGE,
        max(days.effective_day, books.open_day(DEFAULT_ENTITY)),
        days.effective_day,
        days.record_day,
        price.currency_code,
        DEFAULT_ENTITY,
        days.product,
    )
    books.add(key, nanos)
    wallet = Unbilled(event.wallet, price.currency_code)
    books.unbilled[wallet] = books.unbilled.get(wallet, 0) + nanos
