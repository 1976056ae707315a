"""Exchange while a run of events is folded: functional currencies, rates, and amounts that will be cleared in another.

What is looked up is what was recorded before the event that asks. So it does not matter whether the rates at hand are
those of the run so far or all that there ever were, and a wallet folded by itself comes to what the projector does.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from enum import Enum
from fractions import Fraction
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.finance.carried import BookMove, Carried, moved
from ledger_service.domain.finance.exchange import Rate, rate_in_force, with_rate


class FunctionalCurrency(NamedTuple):
    """The currency of an entity's books, and the position from which on it is."""

    currency_code: str
    position: int


class RateKey(NamedTuple):
    """Rates of a currency in the functional one of an entity."""

    entity: str
    currency_code: str


class StatedRate(NamedTuple):
    """A rate as it is stored."""

    key: RateKey
    rate: Rate
    source: str
    record_time: datetime


class BillName(NamedTuple):
    """An invoice of a contract."""

    contract: str
    invoice: str


class CarriedKind(Enum):
    """What an amount is that will be cleared in another currency."""

    UNBILLED = "UNBILLED"
    """Overage of a wallet; an invoice clears it."""
    AHEAD = "AHEAD"
    """What a contract was billed in mid-cycle; the cycle's own invoice clears it."""
    CREDIT = "CREDIT"
    """What is owed to the customer of a contract; a later invoice clears it."""
    AHEAD_OWN = "AHEAD_OWN"
    """The same as AHEAD, booked in the currency in which it will be cleared."""
    CREDIT_OWN = "CREDIT_OWN"
    """The same as CREDIT, likewise."""


OWN_OF: Final = {CarriedKind.AHEAD: CarriedKind.AHEAD_OWN, CarriedKind.CREDIT: CarriedKind.CREDIT_OWN}


class CarriedKey(NamedTuple):
    """Whose amount, which, and in which currency it will be cleared."""

    holder: str
    kind: CarriedKind
    currency_code: str


class Exchange(msgspec.Struct):
    """What a run knows of exchange. Mutable: part of the accumulator."""

    functional: dict[str, FunctionalCurrency] = {}
    """By entity."""
    rates: dict[RateKey, list[Rate]] = msgspec.field(default_factory=lambda: defaultdict(list))
    """In order: of each currency at least those that the run may ask for."""
    bill_rates: dict[BillName, str] = {}
    """Of invoices in foreign currencies: those that the run issued, or whose credit notes it takes up."""
    carried: dict[CarriedKey, Carried] = {}
    new_currencies: list[str] = []
    """Entities that the run gave their currency."""
    new_rates: list[StatedRate] = []
    new_bills: list[BillName] = []
    moved: dict[CarriedKey, str] = {}
    """What the run moved of `carried`, with the currency that it is carried in."""

    def book_currency(self, entity: str, position: int) -> str:
        """Return the functional currency of an entity for what is recorded at a position; empty if it has none."""
        own = self.functional.get(entity)
        return "" if own is None or own.position >= position else own.currency_code

    def foreign_to(self, entity: str, currency_code: str, position: int) -> str:
        """Return the functional currency of an entity if a currency is another one; empty if not."""
        own = self.book_currency(entity, position)
        return "" if own == currency_code else own

    def rate(self, key: RateKey, instant: datetime, position: int) -> str:
        """Return what a currency is worth at an instant, as known at a position; empty if nobody said."""
        return rate_in_force(self.rates[key], instant, before_position=position)

    def set_currency(self, entity: str, own: FunctionalCurrency) -> None:
        """Note the functional currency of an entity."""
        self.functional[entity] = own
        self.new_currencies.append(entity)

    def state_rate(self, stated: StatedRate) -> None:
        """Note a rate."""
        with_rate(self.rates[stated.key], stated.rate)
        self.new_rates.append(stated)

    def book_bill(self, bill: BillName, rate: str) -> None:
        """Note at which rate an invoice is booked."""
        self.bill_rates[bill] = rate
        self.new_bills.append(bill)

    def carried_of(self, key: CarriedKey) -> Carried:
        """Return what is carried of something."""
        return self.carried.get(key, Carried())

    def note_own(self, holder: str, kind: CarriedKind, currency_code: str, nanos: int) -> None:
        """Note that so much more was booked in the currency in which it will be cleared."""
        self.move(CarriedKey(holder, OWN_OF[kind], currency_code), nanos, Fraction(1), currency_code)

    def move(self, key: CarriedKey, nanos: int, rate: Fraction | None, own: str) -> BookMove:
        """Let so much more be carried, in the currency `own`; below zero, less."""
        self.carried[key], move = moved(self.carried_of(key), nanos, rate)
        self.moved[key] = own
        return move
