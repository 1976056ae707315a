"""The books of a legal entity: its functional currency, set once, and the exchange rates of other currencies.

What was recorded before the currency was set stays in the currencies it is in. A rate that is put right counts for what
is recorded later; sales state theirs for good.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.commands import SaleTerms, SetExchangeRate, SetFunctionalCurrency
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import Event, ExchangeRateSet, Fact, FinanceTerms, FunctionalCurrencySet
from ledger_service.domain.exact import exact
from ledger_service.domain.finance.exchange import BY_TIME
from ledger_service.domain.names import check_currency, check_price, check_text
from ledger_service.domain.refusals import (
    AmountNotPositive,
    ExchangeRateRequired,
    FieldMalformed,
    FieldNotAllowed,
    FunctionalCurrencyFixed,
    FunctionalCurrencyRequired,
)
from ledger_service.domain.values import DEFAULT_ENTITY

COLLECTION: Final = "entities/"


class StatedRate(NamedTuple):
    """What a currency is worth from an instant on."""

    from_time: datetime
    rate: str


class EntityBooks(msgspec.Struct, frozen=True):
    """What an entity has said of its books."""

    functional_currency: str
    set_time: datetime
    rates: dict[str, tuple[StatedRate, ...]] = {}
    """By currency, by from_time ascending."""

    def rate_at(self, currency_code: str, instant: datetime) -> str:
        """Return what a currency is worth at an instant, as is known now; empty if nothing is."""
        rates = self.rates.get(currency_code, ())
        place = bisect_right(rates, instant, key=BY_TIME)
        return rates[place - 1].rate if place else ""


def set_functional_currency(
    books: EntityBooks | None, command: SetFunctionalCurrency, now: datetime
) -> list[Draft]:
    """Return the setting. Raises FunctionalCurrencyFixed and what the check of its field raises."""
    check_currency(command.currency_code, field="functional_currency_code")
    if books is not None:
        raise FunctionalCurrencyFixed(
            f"the books of {command.entity} are kept in {books.functional_currency}, for ever",
            field="functional_currency_code",
        )
    return [Draft(command.entity, FunctionalCurrencySet(command.currency_code), now, answers=True)]


def set_exchange_rate(books: EntityBooks | None, command: SetExchangeRate) -> list[Draft]:
    """Return the rate. Raises FunctionalCurrencyRequired, AmountNotPositive, FieldNotAllowed and FieldMalformed."""
    check_currency(command.currency_code, field="currency_code")
    if command.rate.startswith("-"):
        raise AmountNotPositive("rate must be above 0", field="rate")
    check_price(command.rate, field="rate")
    if not exact(command.rate):
        raise AmountNotPositive("rate must be above 0", field="rate")
    check_text(command.source, field="source")
    if books is None:
        raise FunctionalCurrencyRequired(
            f"{command.entity} has no functional currency that a rate could be in", field="name"
        )
    if command.currency_code == books.functional_currency:
        raise FieldNotAllowed(
            f"the books of {command.entity} are in {command.currency_code} already", field="currency_code"
        )
    event = ExchangeRateSet(command.currency_code, command.rate, command.from_time, command.source)
    return [Draft(command.entity, event, command.from_time, answers=True)]


def sold_by(
    entity: str,
    books: EntityBooks | None,
    terms: SaleTerms,
    *,
    currency_code: str,
    instant: datetime | None,
    field: str = "grant.finance",
    rate_field: str = "grant.finance.exchange_rate",
) -> SaleTerms:
    """Return the terms of a sale by the entity of its wallet, or another that it names, in the currency of its books.

    Without an instant it waits for its payment, and for its rate with it. What was not asked for is named by
    `resolved`; `field` is where the terms are said, `rate_field` the rate.
    Raises ExchangeRateRequired, FieldMalformed.
    """
    resolved: tuple[str, ...] = ()
    if not terms.entity and entity != DEFAULT_ENTITY:
        terms, resolved = msgspec.structs.replace(terms, entity=entity), ("entity",)
    if books is not None:
        asked = terms
        _check_books(books, terms, field=f"{field}.functional_currency_code")
        terms = _in_books(books, terms, currency_code=currency_code, instant=instant, field=rate_field)
        if terms.exchange_rate != asked.exchange_rate:
            resolved = (*resolved, "exchange_rate")
    return msgspec.structs.replace(terms, resolved=resolved) if resolved else terms


def at_receipt(
    books: EntityBooks, terms: FinanceTerms | None, *, currency_code: str, instant: datetime
) -> FinanceTerms | None:
    """Return the terms of a grant whose payment has come. Raises ExchangeRateRequired."""
    told = terms or FinanceTerms()
    if told.exchange_rate or currency_code == books.functional_currency:
        return terms
    rate = _rate_of(books, told.entity or DEFAULT_ENTITY, currency_code, instant, field="name")
    return msgspec.structs.replace(
        told,
        functional_currency=books.functional_currency,
        exchange_rate=rate,
        resolved=(*told.resolved, "exchange_rate"),
    )


def _check_books(books: EntityBooks, terms: SaleTerms, *, field: str) -> None:
    own = books.functional_currency
    if terms.functional_currency not in ("", own):
        raise FieldMalformed(
            f"the books of entity {terms.entity or DEFAULT_ENTITY} are in {own}", field=field
        )


def _in_books(
    books: EntityBooks, terms: SaleTerms, *, currency_code: str, instant: datetime | None, field: str
) -> SaleTerms:
    own, entity = books.functional_currency, terms.entity or DEFAULT_ENTITY
    if currency_code == own:
        # A rate beside it is refused as that of a sale that is in no foreign currency.
        return msgspec.structs.replace(terms, functional_currency=own) if terms.exchange_rate else terms
    rate = terms.exchange_rate
    if not rate and instant is None:
        return msgspec.structs.replace(terms, functional_currency="")
    if not rate:
        assert instant is not None
        rate = _rate_of(books, entity, currency_code, instant, field=field)
    return msgspec.structs.replace(terms, functional_currency=own, exchange_rate=rate)


def _rate_of(books: EntityBooks, entity: str, currency_code: str, instant: datetime, *, field: str) -> str:
    rate = books.rate_at(currency_code, instant)
    if not rate:
        own, time = books.functional_currency, instant.isoformat()
        raise ExchangeRateRequired(
            f"entity {entity} has no rate of {currency_code} in {own} at {time}", field=field
        )
    return rate


def evolve_books(books: EntityBooks | None, fact: Fact[Event], version: int) -> EntityBooks:  # noqa: ARG001
    """Return the state after an event of the entity's stream."""
    match fact.event:
        case FunctionalCurrencySet(currency_code=currency_code):
            return EntityBooks(currency_code, fact.effective_time)
        case ExchangeRateSet() as event:
            assert books is not None, "a rate is in the functional currency"
            return _with_rate(books, event)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of an entity")


def _with_rate(books: EntityBooks, event: ExchangeRateSet) -> EntityBooks:
    rates = books.rates.get(event.currency_code, ())
    place = bisect_right(rates, event.from_time, key=BY_TIME)
    before = rates[: place - 1] if place and rates[place - 1].from_time == event.from_time else rates[:place]
    stated = (*before, StatedRate(event.from_time, event.rate), *rates[place:])
    return msgspec.structs.replace(books, rates=books.rates | {event.currency_code: stated})
