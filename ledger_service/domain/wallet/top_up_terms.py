"""Sale terms of top-ups: what is stated when one is asked for, by a rule for all that it asks for, and once it is paid.

A top-up with terms is booked as a grant with the same terms would be. Tax and exchange rate may be known only when the
money came: they may be stated with the settlement, and then replace what was stated before; a sale in a foreign
currency needs its rate by then. A rule sells again and again, so it says nothing that is true of one sale alone: no
exchange rate, and nothing that is earned over a span of time. Its tax belongs to its price, and a top-up has its share
of it, rounded up as the price is; units that were given with the rest, or are expected to be used, go with an amount
that is fixed.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_service.domain.commands import SettleTopUp
from ledger_service.domain.events import AutoTopUp, SaleTerms, TopUpRequested
from ledger_service.domain.refusals import AmountOutOfRange, FieldNotAllowed
from ledger_service.domain.values import UNITS_MAX, Money
from ledger_service.domain.wallet.sale_terms import check_exchange, check_sale_terms, check_tax

ASKED: Final = "top_up.finance"


def check_asked(terms: SaleTerms, *, price: Money, amount_units: int, books_currency: str) -> None:
    """Refuse terms that no top-up can have, sold into books of a currency, if it is known. The rate may come later."""
    if not terms.functional_currency:
        terms = msgspec.structs.replace(terms, functional_currency=books_currency)
    check_sale_terms(terms, paid=price, amount_units=amount_units, field=ASKED, rate_comes_later=True)


def check_ruled(rule: AutoTopUp, terms: SaleTerms, *, field: str) -> None:
    """Refuse terms that are not true of each sale that a rule asks for."""
    if terms.exchange_rate:
        raise FieldNotAllowed(
            "what a payment is worth is known when it came: SettleTopUp states it",
            field=f"{field}.exchange_rate",
        )
    if any(item.from_time is not None or item.to_time is not None for item in terms.bundle):
        raise FieldNotAllowed(
            "a rule sells nothing over a span of time, which passes", field=f"{field}.bundle.from_time"
        )
    if not rule.amount_units:
        for name in ("expected_redeemed_units", "bonus_units"):
            if getattr(terms, name):
                raise FieldNotAllowed("the units differ each time with target_units", field=f"{field}.{name}")
    units = rule.amount_units or rule.target_units
    check_sale_terms(terms, paid=rule.price, amount_units=units, field=field, rate_comes_later=True)
    if terms.tax is not None:
        gross_nanos = share_of(rule, rule.price, units).nanos + share_of(rule, terms.tax, units).nanos
        if gross_nanos > UNITS_MAX:
            raise AmountOutOfRange(
                f"price and tax of one top-up would exceed {UNITS_MAX} nanos", field=f"{field}.tax"
            )


def ruled_terms(rule: AutoTopUp, amount_units: int) -> SaleTerms | None:
    """Return the terms of a top-up of so many units that a rule asks for."""
    terms = rule.finance
    if terms is None or terms.tax is None:
        return terms
    return msgspec.structs.replace(terms, tax=share_of(rule, terms.tax, amount_units))


def stated_terms(requested: TopUpRequested, command: SettleTopUp) -> SaleTerms:
    """Return what was said of a top-up with its request, and of tax and rate with its payment."""
    terms = requested.finance or SaleTerms()
    if command.tax is not None:
        terms = msgspec.structs.replace(terms, tax=command.tax)
    if command.exchange_rate:
        terms = msgspec.structs.replace(terms, exchange_rate=command.exchange_rate)
    return terms


def settled_terms(requested: TopUpRequested, command: SettleTopUp) -> SaleTerms:
    """Return the terms of a top-up that was paid, in the books of its entity.

    Raises ExchangeRateRequired and what the checks of its fields raise.
    """
    terms = command.finance or stated_terms(requested, command)
    if command.tax is not None:
        check_tax(command.tax, requested.price, field="tax")
    check_exchange(requested.price, terms, field="exchange_rate")
    return terms


def share_of(rule: AutoTopUp, money: Money, amount_units: int) -> Money:
    """Return what so many units have of an amount that is for the rule's price_units, rounded up to a nano."""
    return Money(money.currency_code, -(-money.nanos * amount_units // rule.price_units))
