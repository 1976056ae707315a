"""Stores what the journal knows of exchange: functional currencies, rates, and amounts that are carried.

Of the rates only those are read that a page may ask for: from the one in force at its first instant to the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import psycopg

from ledger_service.domain.finance.carried import Carried
from ledger_service.domain.finance.exchange import Rate, with_rate
from ledger_service.projections.array_text import integers, texts, times
from ledger_service.projections.bookkeeping.exchange import (
    BillName,
    CarriedKey,
    CarriedKind,
    Exchange,
    FunctionalCurrency,
    RateKey,
)
from ledger_service.projections.bookkeeping.journal_touched import Span, Touched
from ledger_service.projections.tables import Table

EXCHANGE_TABLES: Final = (
    Table("journal_entities", ("entity",)),
    Table("journal_rates", ("entity", "currency_code", "from_time", "position")),
    Table("journal_carried", ("holder", "kind", "currency_code")),
    Table("journal_bill_rates", ("contract", "invoice")),
)

CONTRACT_KINDS: Final = tuple(kind for kind in CarriedKind if kind is not CarriedKind.UNBILLED)

_LOAD_CURRENCIES: Final = "SELECT entity, currency_code, position FROM journal_entities"
_LOAD_RATES: Final = """
SELECT k.entity, k.currency_code, r.from_time, r.position, r.rate
FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) AS k (entity, currency_code, first, last)
JOIN journal_rates AS r ON r.entity = k.entity AND r.currency_code = k.currency_code AND r.from_time <= k.last
    AND r.from_time >= coalesce((
        SELECT max(b.from_time) FROM journal_rates AS b
        WHERE b.entity = k.entity AND b.currency_code = k.currency_code AND b.from_time <= k.first
    ), '-infinity')"""
_LOAD_CARRIED: Final = """
SELECT holder, kind, currency_code, nanos::text, book_nanos::text, exact_attonanos::text
FROM unnest(%s::text[], %s::text[], %s::text[]) AS k (holder, kind, currency_code)
JOIN journal_carried USING (holder, kind, currency_code)"""
_LOAD_BILL_RATES: Final = """
SELECT contract, invoice, rate FROM unnest(%s::text[], %s::text[]) AS k (contract, invoice)
JOIN journal_bill_rates USING (contract, invoice)"""

_INSERT_CURRENCIES: Final = """
INSERT INTO journal_entities SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[])"""
_INSERT_RATES: Final = """
INSERT INTO journal_rates
SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::bigint[], %s::text[], %s::text[],
    %s::timestamptz[])"""
_UPSERT_CARRIED: Final = """
INSERT INTO journal_carried (holder, kind, currency_code, book_currency_code, nanos, book_nanos, exact_attonanos)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::numeric[], %s::numeric[], %s::numeric[])
ON CONFLICT (holder, kind, currency_code) DO UPDATE
SET nanos = excluded.nanos, book_nanos = excluded.book_nanos, exact_attonanos = excluded.exact_attonanos"""
_INSERT_BILL_RATES: Final = """
INSERT INTO journal_bill_rates SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])"""


def load_currencies(connection: psycopg.Connection[Any]) -> dict[str, FunctionalCurrency]:
    """Return the functional currencies, by entity. Raises psycopg.Error."""
    rows = connection.execute(_LOAD_CURRENCIES).fetchall()
    return {entity: FunctionalCurrency(*own) for entity, *own in rows}


def load_exchange(
    connection: psycopg.Connection[Any],
    exchange: Exchange,
    touched: Touched,
    contracts: Mapping[str, str],
    entities: Mapping[str, str],
) -> None:
    """Load what the events of a page may ask for; `contracts` and `entities` are by name. Raises psycopg.Error."""
    keys: dict[CarriedKey, None] = {}
    rates: dict[RateKey, Span] = {}
    for (wallet, currency), span in touched.priced.items() if exchange.functional else ():
        key = RateKey(entities[wallet], currency)
        # What is in the entity's own currency asks for nothing; of one that is set on this page nothing is stored yet.
        if key.entity in exchange.functional and exchange.functional[key.entity].currency_code != currency:
            keys[CarriedKey(wallet, CarriedKind.UNBILLED, currency)] = None
            _widen(rates, key, span)
    for (contract, currency), span in touched.billed.items():
        wallet = contracts[contract]
        keys[CarriedKey(wallet, CarriedKind.UNBILLED, currency)] = None
        keys |= {CarriedKey(contract, kind, currency): None for kind in CONTRACT_KINDS}
        _widen(rates, RateKey(entities[wallet], currency), span)
    _load_rates(connection, exchange, rates)
    _load_carried(connection, exchange, [key for key in keys if key not in exchange.carried])
    bills = sorted(touched.credited - exchange.bill_rates.keys())
    if bills:
        columns = texts([bill.contract for bill in bills]), texts([bill.invoice for bill in bills])
        for contract, invoice, rate in connection.execute(_LOAD_BILL_RATES, columns).fetchall():
            exchange.bill_rates[BillName(contract, invoice)] = rate


def store_exchange(connection: psycopg.Connection[Any], exchange: Exchange) -> None:
    """Write what a run changed. Raises psycopg.Error."""
    if exchange.new_currencies:
        own = [exchange.functional[entity] for entity in exchange.new_currencies]
        connection.execute(
            _INSERT_CURRENCIES,
            (
                texts(exchange.new_currencies),
                texts([each.currency_code for each in own]),
                integers([each.position for each in own]),
            ),
        )
    if exchange.new_rates:
        connection.execute(_INSERT_RATES, _rate_rows(exchange))
    if exchange.moved:
        connection.execute(_UPSERT_CARRIED, _carried_rows(exchange))
    if exchange.new_bills:
        bills = exchange.new_bills
        connection.execute(
            _INSERT_BILL_RATES,
            (
                texts([bill.contract for bill in bills]),
                texts([bill.invoice for bill in bills]),
                texts([exchange.bill_rates[bill] for bill in bills]),
            ),
        )


def _widen(rates: dict[RateKey, Span], key: RateKey, span: Span) -> None:
    before = rates.get(key, span)
    rates[key] = Span(min(before.first, span.first), max(before.last, span.last))


def _load_rates(
    connection: psycopg.Connection[Any], exchange: Exchange, wanted: Mapping[RateKey, Span]
) -> None:
    foreign = {key: span for key, span in wanted.items() if key.entity in exchange.functional}
    if not foreign:
        return
    columns = (
        texts([key.entity for key in foreign]),
        texts([key.currency_code for key in foreign]),
        times([span.first for span in foreign.values()]),
        times([span.last for span in foreign.values()]),
    )
    for entity, currency, from_time, position, rate in connection.execute(_LOAD_RATES, columns).fetchall():
        with_rate(exchange.rates[RateKey(entity, currency)], Rate(from_time, position, rate))


def _load_carried(connection: psycopg.Connection[Any], exchange: Exchange, wanted: list[CarriedKey]) -> None:
    if not wanted:
        return
    exchange.carried |= dict.fromkeys(wanted, Carried())
    columns = (
        texts([key.holder for key in wanted]),
        texts([key.kind.value for key in wanted]),
        texts([key.currency_code for key in wanted]),
    )
    for holder, kind, currency, *figures in connection.execute(_LOAD_CARRIED, columns).fetchall():
        exchange.carried[CarriedKey(holder, CarriedKind(kind), currency)] = Carried(*map(int, figures))


def _rate_rows(exchange: Exchange) -> tuple[str, ...]:
    rates = exchange.new_rates
    return (
        texts([each.key.entity for each in rates]),
        texts([each.key.currency_code for each in rates]),
        times([each.rate.from_time for each in rates]),
        integers([each.rate.position for each in rates]),
        texts([each.rate.rate for each in rates]),
        texts([each.source for each in rates]),
        times([each.record_time for each in rates]),
    )


def _carried_rows(exchange: Exchange) -> tuple[str, ...]:
    moved = [(key, own, exchange.carried[key]) for key, own in exchange.moved.items()]
    return (
        texts([key.holder for key, _, _ in moved]),
        texts([key.kind.value for key, _, _ in moved]),
        texts([key.currency_code for key, _, _ in moved]),
        texts([own for _, own, _ in moved]),
        integers([carried.nanos for _, _, carried in moved]),
        integers([carried.book_nanos for _, _, carried in moved]),
        integers([carried.exact for _, _, carried in moved]),
    )
