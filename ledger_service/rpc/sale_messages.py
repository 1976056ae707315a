"""Terms of sales on the wire."""

from __future__ import annotations

from credits.ledger.v1 import sale_terms_pb2
from ledger_service.domain.commands import BundledItemTerms, SaleTerms
from ledger_service.domain.events import BundledItem, FinanceTerms
from ledger_service.domain.names import check_name
from ledger_service.rpc.values import read_money, read_time, write_money, write_time


def read_sale_terms(message: sale_terms_pb2.SaleTerms) -> SaleTerms:
    """Return the terms of a sale. Raises Refusal."""
    if message.pool:
        check_name(message.pool, collection="breakagePools", field="grant.finance.pool")
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
        bundle=tuple(_read_item(item) for item in message.bundle),
    )


def write_sale_terms(terms: FinanceTerms) -> sale_terms_pb2.SaleTerms:
    """Return the terms of a sale as they were recorded."""
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
        bundle=[_write_item(item) for item in terms.bundle],
    )


def _read_item(item: sale_terms_pb2.BundledItem) -> BundledItemTerms:
    field = "grant.finance.bundle"
    return BundledItemTerms(
        product=item.product,
        standalone_price=read_money(item.standalone_price),
        from_time=read_time(item.from_time, field=f"{field}.from_time")
        if item.HasField("from_time")
        else None,
        to_time=read_time(item.to_time, field=f"{field}.to_time") if item.HasField("to_time") else None,
    )


def _write_item(item: BundledItem) -> sale_terms_pb2.BundledItem:
    return sale_terms_pb2.BundledItem(
        product=item.product,
        amount=write_money(item.amount),
        from_time=write_time(item.from_time) if item.from_time is not None else None,
        to_time=write_time(item.to_time) if item.to_time is not None else None,
    )
