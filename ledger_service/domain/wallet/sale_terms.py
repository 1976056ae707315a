"""The terms of a sale beside its price: what finance is told of a paid grant, checked and allocated when it is made."""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from ledger_service.domain.events import (
    BundledItem,
    BundledItemTerms,
    CreditsGranted,
    FinanceTerms,
    SaleTerms,
)
from ledger_service.domain.exact import exact
from ledger_service.domain.finance.allocation import allocate
from ledger_service.domain.finance.estimates import check_estimate
from ledger_service.domain.finance.schedule import SPAN_DAYS_MAX
from ledger_service.domain.names import (
    check_currency,
    check_feature,
    check_id,
    check_money,
    check_price,
    check_range,
    check_span,
)
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    ExchangeRateRequired,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
)
from ledger_service.domain.values import UNITS_MAX, Money

BUNDLE_SIZE_MAX: Final = 32
"""Most things that are sold with credit at one price."""
FIELD: Final = "grant.finance"


def with_sale_terms(event: CreditsGranted, terms: SaleTerms, *, field: str = FIELD) -> CreditsGranted:
    """Return a grant with its terms; of a bundle the credit keeps its own part of the price.

    Raises BreakageEstimateOutOfRange, ExchangeRateRequired, FieldRequired and what the checks of its fields raise.
    """
    if terms == SaleTerms():
        return event
    if event.consideration is None:
        raise FieldRequired("the terms of a sale need a consideration", field="grant.consideration")
    check_sale_terms(terms, paid=event.consideration, amount_units=event.amount_units, field=field)
    credit, bundle = _divided(event.consideration, terms)
    finance = FinanceTerms(
        entity=terms.entity,
        product=terms.product,
        pool=terms.pool,
        expected_breakage=terms.expected_breakage,
        expected_redeemed_units=terms.expected_redeemed_units,
        expected_of_units=event.amount_units if terms.expected_redeemed_units else 0,
        bonus_units=terms.bonus_units,
        tax=terms.tax,
        functional_currency=terms.functional_currency if terms.exchange_rate else "",
        exchange_rate=terms.exchange_rate,
        bundle=bundle,
        resolved=terms.resolved,
    )
    return msgspec.structs.replace(event, consideration=credit, finance=finance)


def of_part(finance: FinanceTerms | None, *, tax: Money | None = None) -> FinanceTerms | None:
    """Return the terms of a part of a lot that begins elsewhere, with the tax that it takes along.

    What else was received with the whole stays there.
    """
    if finance is None:
        return None
    return msgspec.structs.replace(finance, tax=tax, bundle=(), bonus_units=0, resolved=())


def check_sale_terms(
    terms: SaleTerms, *, paid: Money, amount_units: int, field: str, rate_comes_later: bool = False
) -> None:
    """Refuse terms that no sale of so many units at such a price can have; `field` is where they are said."""
    if terms.entity:
        check_id(terms.entity, field=f"{field}.entity")
    if terms.product:
        check_feature(terms.product, field=f"{field}.product")
    if terms.tax is not None:
        check_tax(terms.tax, paid, field=f"{field}.tax")
    check_range(terms.bonus_units, low=0, high=amount_units - 1, field=f"{field}.bonus_units")
    check_estimate(
        expected_breakage=terms.expected_breakage,
        expected_redeemed_units=terms.expected_redeemed_units,
        of_units=amount_units,
        prefix=f"{field}.",
    )
    if terms.pool and (terms.expected_breakage or terms.expected_redeemed_units):
        raise FieldNotAllowed("the lots of a pool are estimated together", field=f"{field}.expected_breakage")
    if terms.functional_currency:
        check_currency(terms.functional_currency, field=f"{field}.functional_currency_code")
    if terms.exchange_rate or not rate_comes_later:
        check_exchange(paid, terms, field=f"{field}.exchange_rate")
    _check_bundle(paid, terms, field)


def check_tax(tax: Money, paid: Money, *, field: str) -> None:
    """Refuse a tax below 0, in another currency than what was paid, or beyond what may be paid with it in all."""
    check_money(tax, field=field)
    _check_currency(tax, paid, field)
    if paid.nanos + tax.nanos > UNITS_MAX:
        raise AmountOutOfRange(f"price and tax together would exceed {UNITS_MAX} nanos", field=field)


def check_exchange(paid: Money, terms: SaleTerms, *, field: str) -> None:
    """Refuse a foreign sale without a rate, and a rate where it is none; `field` is where the rate is said."""
    foreign = terms.functional_currency not in ("", paid.currency_code)
    if foreign and not terms.exchange_rate:
        raise ExchangeRateRequired(
            f"a sale in {paid.currency_code} states what it is worth in {terms.functional_currency}",
            field=field,
        )
    if terms.exchange_rate:
        check_price(terms.exchange_rate, field=field)
        if not foreign:
            raise FieldNotAllowed("the sale is not in a foreign currency", field=field)
        if not exact(terms.exchange_rate):
            raise AmountNotPositive("exchange_rate must be above 0", field=field)
        gross_nanos = paid.nanos + (terms.tax.nanos if terms.tax is not None else 0)
        if Fraction(gross_nanos) * Fraction(terms.exchange_rate) > UNITS_MAX:
            raise AmountOutOfRange(f"the sale would be worth more than {UNITS_MAX} nanos", field=field)


def _check_bundle(paid: Money, terms: SaleTerms, prefix: str) -> None:
    field = f"{prefix}.standalone_price"
    if not terms.bundle:
        if terms.standalone_price is not None:
            raise FieldNotAllowed("nothing else is sold at the price", field=field)
        return
    check_range(len(terms.bundle), low=1, high=BUNDLE_SIZE_MAX, field=f"{prefix}.bundle")
    if terms.standalone_price is None:
        raise FieldRequired(f"{field} is required where something else is sold at the price", field=field)
    prices = [terms.standalone_price, *(each.standalone_price for each in terms.bundle)]
    for price in prices:
        check_money(price, field=field)
        _check_currency(price, paid, field)
    if not any(price.nanos for price in prices):
        raise AmountNotPositive("the standalone prices are all 0", field=field)
    for each in terms.bundle:
        _check_item(each, f"{prefix}.bundle")


def _check_item(terms: BundledItemTerms, field: str) -> None:
    if not terms.product:
        raise FieldRequired(f"{field}.product is required", field=f"{field}.product")
    check_feature(terms.product, field=f"{field}.product")
    if (terms.from_time is None) != (terms.to_time is None):
        raise FieldRequired("a span has a beginning and an end", field=f"{field}.to_time")
    if terms.from_time is not None:
        assert terms.to_time is not None
        check_span(terms.from_time, terms.to_time, field=f"{field}.to_time")
        days = (terms.to_time - terms.from_time).days
        check_range(days, low=0, high=SPAN_DAYS_MAX, field=f"{field}.to_time")


def _divided(paid: Money, terms: SaleTerms) -> tuple[Money, tuple[BundledItem, ...]]:
    if terms.standalone_price is None:
        return paid, ()
    prices = [terms.standalone_price.nanos, *(each.standalone_price.nanos for each in terms.bundle)]
    credit, *parts = allocate(paid.nanos, prices)
    items = tuple(
        BundledItem(each.product, Money(paid.currency_code, nanos), each.from_time, each.to_time)
        for each, nanos in zip(terms.bundle, parts, strict=True)
    )
    return Money(paid.currency_code, credit), items


def _check_currency(money: Money, consideration: Money, field: str) -> None:
    if money.currency_code != consideration.currency_code:
        raise FieldMalformed(
            f"{field} must be in {consideration.currency_code}, as the consideration",
            field=f"{field}.currency_code",
        )
