"""Overage: what no lot covered is earned at the debit's own price, and is on no invoice yet.

Units x price / 10^scale, rounded half up to a nano for each debit; a reversal takes back as much for its units. Overage
without a price is given away, and posts nothing.

It is in the books of the wallet's entity. In a foreign currency it is converted at the rate in force at its effective
time, as known when it was recorded; without one it stays in its own. A reversal takes back what was booked in its own
currency first, and then its part of what is carried in the functional one.
"""

from __future__ import annotations

from fractions import Fraction

from ledger_service.domain.finance.journal import PostingKey
from ledger_service.domain.finance.methods import round_half_up
from ledger_service.domain.finance.postings import OVERAGE, Days
from ledger_service.domain.values import Money, UnitPrice
from ledger_service.projections.bookkeeping.books import Books, Unbilled
from ledger_service.projections.bookkeeping.exchange import CarriedKey, CarriedKind, RateKey
from ledger_service.projections.events.wallet_events import (
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
    scale, entity = books.scales[event.wallet], books.entities[event.wallet]
    nanos = cost_of(units, price, scale)
    wallet = Unbilled(event.wallet, price.currency_code)
    own = books.exchange.foreign_to(entity, price.currency_code, event.position)
    converted = _foreign_part(books, event, wallet, nanos) if own else 0
    if converted:
        rate = books.exchange.rate(RateKey(entity, price.currency_code), event.effective_time, event.position)
        key = CarriedKey(event.wallet, CarriedKind.UNBILLED, price.currency_code)
        move = books.exchange.move(key, converted, Fraction(rate) if rate else None, own)
        _post(books, entity, own, move.nanos, days)
    left = nanos - converted
    if left:
        _post(books, entity, price.currency_code, left, days)
        books.unbilled[wallet] = books.unbilled.get(wallet, 0) + left


def _foreign_part(books: Books, event: WalletEvent, wallet: Unbilled, nanos: int) -> int:
    """Return how much of overage in a foreign currency is booked in the entity's own."""
    exchange = books.exchange
    entity = books.entities[event.wallet]
    key = CarriedKey(event.wallet, CarriedKind.UNBILLED, wallet.currency_code)
    there = books.unbilled_of(wallet)
    if there * nanos < 0:
        # What is in its own currency was booked without a rate, and goes as it came.
        nanos += there if abs(there) < abs(nanos) else -nanos
    if exchange.rate(RateKey(entity, wallet.currency_code), event.effective_time, event.position):
        return nanos
    return -min(-nanos, max(exchange.carried_of(key).nanos, 0)) if nanos < 0 else 0


def _post(books: Books, entity: str, currency_code: str, nanos: int, days: Days) -> None:
    posting_day = max(days.effective_day, books.open_day(entity))
    key = PostingKey(
        OVERAGE, posting_day, days.effective_day, days.record_day, currency_code, entity, days.product
    )
    books.add(key, nanos)
