"""The terms of a sale beside its price: what finance is told of a paid grant, checked and allocated when it is made."""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_service.domain.commands import BundledItemTerms, SaleTerms
from ledger_service.domain.events import BundledItem, CreditsGranted, FinanceTerms
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
    ExchangeRateRequired,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
)
from ledger_service.domain.values import Money

BUNDLE_SIZE_MAX: Final = 32
"""Most things that are sold with credit at one price."""
FIELD: Final = "grant.finance"


def with_sale_terms(event: CreditsGranted, terms: SaleTerms) -> CreditsGranted:
    """Return a grant with its terms; of a bundle the credit keeps its own part of the price.

    Raises BreakageEstimateOutOfRange, ExchangeRateRequired, FieldRequired and what the checks of its fields raise.
    """
    if terms == SaleTerms():
        return event
    if event.consideration is None:
        raise FieldRequired("the terms of a sale need a consideration", field="grant.consideration")
    _check(event, terms)
    credit, bundle = _bundle(event.consideration, terms)
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


def of_part(finance: FinanceTerms | None) -> FinanceTerms | None:
    """Return the terms of a part of a lot that begins elsewhere: what was received with the whole stays there."""
    if finance is None:
        return None
    return msgspec.structs.replace(finance, tax=None, bundle=(), bonus_units=0, resolved=())


def _check(event: CreditsGranted, terms: SaleTerms) -> None:
    assert event.consideration is not None
    if terms.entity:
        check_id(terms.entity, field=f"{FIELD}.entity")
    if terms.product:
        check_feature(terms.product, field=f"{FIELD}.product")
    if terms.tax is not None:
        check_money(terms.tax, field=f"{FIELD}.tax")
        _check_currency(terms.tax, event.consideration, f"{FIELD}.tax")
    check_range(terms.bonus_units, low=0, high=event.amount_units - 1, field=f"{FIELD}.bonus_units")
    check_estimate(
        expected_breakage=terms.expected_breakage,
        expected_redeemed_units=terms.expected_redeemed_units,
        of_units=event.amount_units,
        prefix=f"{FIELD}.",
    )
    if terms.pool and (terms.expected_breakage or terms.expected_redeemed_units):
        raise FieldNotAllowed("the lots of a pool are estimated together", field=f"{FIELD}.expected_breakage")
    _check_exchange(event.consideration, terms)


def _check_exchange(consideration: Money, terms: SaleTerms) -> None:
    if terms.functional_currency:
        check_currency(terms.functional_currency, field=f"{FIELD}.functional_currency")
    foreign = terms.functional_currency not in ("", consideration.currency_code)
    if foreign and not terms.exchange_rate:
        raise ExchangeRateRequired(
            f"a sale in {consideration.currency_code} states what it is worth in {terms.functional_currency}",
            field=f"{FIELD}.exchange_rate",
        )
    if terms.exchange_rate:
        check_price(terms.exchange_rate, field=f"{FIELD}.exchange_rate")
        if not foreign:
            raise FieldNotAllowed("the sale is not in a foreign currency", field=f"{FIELD}.exchange_rate")
        if not exact(terms.exchange_rate):
            raise AmountNotPositive("exchange_rate must be above 0", field=f"{FIELD}.exchange_rate")


def _bundle(consideration: Money, terms: SaleTerms) -> tuple[Money, tuple[BundledItem, ...]]:
    field = f"{FIELD}.standalone_price"
    if not terms.bundle:
        if terms.standalone_price is not None:
            raise FieldNotAllowed("nothing else is sold at the price", field=field)
        return consideration, ()
    check_range(len(terms.bundle), low=1, high=BUNDLE_SIZE_MAX, field=f"{FIELD}.bundle")
    if terms.standalone_price is None:
        raise FieldRequired(f"{field} is required where something else is sold at the price", field=field)
    prices = [terms.standalone_price, *(each.standalone_price for each in terms.bundle)]
    for price in prices:
        check_money(price, field=field)
        _check_currency(price, consideration, field)
    if not any(price.nanos for price in prices):
        raise AmountNotPositive("the standalone prices are all 0", field=field)
    currency = consideration.currency_code
    credit, *parts = allocate(consideration.nanos, [price.nanos for price in prices])
    items = tuple(
        _item(each, Money(currency, nanos)) for each, nanos in zip(terms.bundle, parts, strict=True)
    )
    return Money(currency, credit), items


def _item(terms: BundledItemTerms, amount: Money) -> BundledItem:
    field = f"{FIELD}.bundle"
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
    return BundledItem(terms.product, amount, terms.from_time, terms.to_time)


def _check_currency(money: Money, consideration: Money, field: str) -> None:
    if money.currency_code != consideration.currency_code:
        raise FieldMalformed(
            f"{field} must be in {consideration.currency_code}, as the consideration",
            field=f"{field}.currency_code",
        )
