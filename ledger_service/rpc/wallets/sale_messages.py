"""Terms of sales on the wire."""

from __future__ import annotations

from credits.ledger.v1 import sale_terms_pb2
from ledger_service.domain.events import (
    BundledItem,
    BundledItemTerms,
    FinanceTerms,
    SaleTerms,
)
from ledger_service.domain.names import check_name
from ledger_service.rpc.values import read_money, read_time, write_money, write_time


def read_sale_terms(message: sale_terms_pb2.SaleTerms, *, field: str) -> SaleTerms:
    """Return the terms of a sale. Raises Refusal."""
    if message.pool:
        check_name(message.pool, collection="breakagePools", field=f"{field}.pool")
    return SaleTerms(
        entity=message.entity,
        product=message.product,
        pool=message.pool,
        expected_breakage=message.expected_breakage,
        expected_redeemed_units=message.expected_redeemed_units,
        bonus_units=message.bonus_units,
        tax=read_money(message.tax) if message.HasField("tax") else None,
        functional_currency=message.functional_currency_code,
        exchange_rate=message.exchange_rate,
        standalone_price=read_money(message.standalone_price)
        if message.HasField("standalone_price")
        else None,
        bundle=tuple(_read_item(item, field=f"{field}.bundle") for item in message.bundle),
    )


def write_sale_terms(terms: FinanceTerms) -> sale_terms_pb2.SaleTerms:
    """Return the terms of a sale as they were recorded with its grant."""
    message = _write_terms(terms)
    message.bundle.extend(_write_item(item) for item in terms.bundle)
    return message


def write_stated_terms(terms: SaleTerms) -> sale_terms_pb2.SaleTerms:
    """Return the terms of a sale as they were stated, before anything was granted."""
    message = _write_terms(terms)
    if terms.standalone_price is not None:
        message.standalone_price.CopyFrom(write_money(terms.standalone_price))
    message.bundle.extend(_write_stated_item(item) for item in terms.bundle)
    return message


def _write_terms(terms: FinanceTerms | SaleTerms) -> sale_terms_pb2.SaleTerms:
    return sale_terms_pb2.SaleTerms(
        entity=terms.entity,
        product=terms.product,
        pool=terms.pool,
        expected_breakage=terms.expected_breakage,
        expected_redeemed_units=terms.expected_redeemed_units,
        bonus_units=terms.bonus_units,
        tax=write_money(terms.tax) if terms.tax is not None else None,
        functional_currency_code=terms.functional_currency,
        exchange_rate=terms.exchange_rate,
    )


def _read_item(item: sale_terms_pb2.BundledItem, *, field: str) -> BundledItemTerms:
    return BundledItemTerms(
        product=item.product,
        standalone_price=read_money(item.standalone_price),
        from_time=read_time(item.from_time, field=f"{field}.from_time")
        if item.HasField("from_time")
        else None,
        to_time=read_time(item.to_time, field=f"{field}.to_time") if item.HasField("to_time") else None,
    )


def _write_item(item: BundledItem) -> sale_terms_pb2.BundledItem:
    return _with_span(sale_terms_pb2.BundledItem(product=item.product, amount=write_money(item.amount)), item)


def _write_stated_item(item: BundledItemTerms) -> sale_terms_pb2.BundledItem:
    price = write_money(item.standalone_price)
    return _with_span(sale_terms_pb2.BundledItem(product=item.product, standalone_price=price), item)


def _with_span(
    message: sale_terms_pb2.BundledItem, item: BundledItem | BundledItemTerms
) -> sale_terms_pb2.BundledItem:
    if item.from_time is not None:
        message.from_time.CopyFrom(write_time(item.from_time))
    if item.to_time is not None:
        message.to_time.CopyFrom(write_time(item.to_time))
    return message
