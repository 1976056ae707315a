"""The journal's statements, and its rows as the arrays that they take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from ledger_service.domain.finance.journal import PostingKey
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.projections.array_text import booleans, dates, integers, optional_texts, texts, times
from ledger_service.projections.bookkeeping.books import ContractRow, LotKey, PeriodRow

LOAD_OPEN_DAYS: Final = "SELECT entity, max(to_day) FROM journal_periods GROUP BY entity"
LOAD_WALLETS: Final = "SELECT wallet, asset_scale, entity FROM journal_wallets WHERE wallet = ANY(%s)"
LOAD_CONTRACTS: Final = (
    "SELECT contract, wallet, commitment_end, commitment_rate FROM journal_contracts WHERE contract = ANY(%s)"
)
LOAD_UNBILLED: Final = """
SELECT wallet, currency_code, nanos::text FROM unnest(%s::text[], %s::text[]) AS k (wallet, currency_code)
JOIN journal_unbilled USING (wallet, currency_code)"""

LOT_COLUMNS: Final = """entity, product, pool, currency_code, consideration_nanos, amount_units, effective_day,
    expire_time, purchase_version, as_recorded, estimate_numerator, estimate_denominator, drawn_units, expired_units,
    remote_units, held_units, refunded_units, rolled_units, refunded_nanos, rolled_nanos, escheated_nanos,
    returned_tax_nanos, usage_nanos, breakage_nanos, exchange_rate"""
"""In the order of the fields of PaidLot."""

LOAD_LOTS: Final = """
SELECT wallet, grant_version, {columns}
FROM unnest(%s::text[], %s::bigint[]) AS k (wallet, grant_version)
JOIN journal_lots USING (wallet, grant_version)""".replace("{columns}", LOT_COLUMNS)

INSERT_LOTS: Final = """
INSERT INTO journal_lots (wallet, grant_version, {columns}, used_up)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
    %s::bigint[], %s::date[], %s::timestamptz[], %s::bigint[], %s::boolean[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::boolean[])""".replace("{columns}", LOT_COLUMNS)

UPDATE_LOTS: Final = """
UPDATE journal_lots AS l
SET drawn_units = d.drawn_units, expired_units = d.expired_units, usage_nanos = d.usage_nanos,
    breakage_nanos = d.breakage_nanos, used_up = d.used_up
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::boolean[])
    AS d (wallet, grant_version, drawn_units, expired_units, usage_nanos, breakage_nanos, used_up)
WHERE l.wallet = d.wallet AND l.grant_version = d.grant_version"""

# What few lots meet, in a statement of its own: draws pay nothing for it.
UPDATE_RULED_LOTS: Final = """
UPDATE journal_lots AS l
SET amount_units = d.amount_units, expire_time = d.expire_time, as_recorded = d.as_recorded,
    estimate_numerator = d.estimate_numerator, estimate_denominator = d.estimate_denominator,
    remote_units = d.remote_units, held_units = d.held_units, refunded_units = d.refunded_units,
    rolled_units = d.rolled_units, refunded_nanos = d.refunded_nanos, rolled_nanos = d.rolled_nanos,
    escheated_nanos = d.escheated_nanos, returned_tax_nanos = d.returned_tax_nanos
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::boolean[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS d (wallet, grant_version, amount_units, expire_time, as_recorded, estimate_numerator, estimate_denominator,
        remote_units, held_units, refunded_units, rolled_units, refunded_nanos, rolled_nanos, escheated_nanos,
        returned_tax_nanos)
WHERE l.wallet = d.wallet AND l.grant_version = d.grant_version"""

INSERT_WALLETS: Final = (
    "INSERT INTO journal_wallets SELECT * FROM unnest(%s::text[], %s::integer[], %s::text[])"
)

ADD_UNBILLED: Final = """
INSERT INTO journal_unbilled AS u (wallet, currency_code, nanos)
SELECT * FROM unnest(%s::text[], %s::text[], %s::numeric[])
ON CONFLICT (wallet, currency_code) DO UPDATE SET nanos = u.nanos + excluded.nanos"""

UPSERT_CONTRACTS: Final = """
INSERT INTO journal_contracts (contract, wallet, commitment_end, commitment_rate)
SELECT * FROM unnest(%s::text[], %s::text[], %s::date[], %s::text[])
ON CONFLICT (contract) DO UPDATE
SET commitment_end = excluded.commitment_end, commitment_rate = excluded.commitment_rate"""

UPSERT_PERIODS: Final = """
INSERT INTO journal_periods (entity, from_day, to_day, locked_position, close_time, figures_hash)
SELECT * FROM unnest(%s::text[], %s::date[], %s::date[], %s::bigint[], %s::timestamptz[], %s::text[])
ON CONFLICT (entity, from_day) DO UPDATE
SET close_time = excluded.close_time, figures_hash = excluded.figures_hash"""

_DAY_KEY: Final = """currency_code, posting_day, record_day, effective_day, entity, account, movement, product,
    source"""
_DAY_ARRAYS: Final = """%s::text[], %s::date[], %s::date[], %s::date[], %s::text[], %s::text[], %s::text[],
    %s::text[], %s::text[]"""

ADD_TO_DAYS: Final = """
INSERT INTO journal_days AS j ({key}, nanos)
SELECT * FROM unnest({arrays}, %s::numeric[])
ON CONFLICT ({key}) DO UPDATE SET nanos = j.nanos + excluded.nanos""".replace("{key}", _DAY_KEY).replace(
    "{arrays}", _DAY_ARRAYS
)

# Whether a row is there must not depend on where a run ended: what came to nothing is no row.
DELETE_EMPTY_DAYS: Final = """
DELETE FROM journal_days USING (SELECT * FROM unnest({arrays}) AS k ({key})) AS k
WHERE journal_days.nanos = 0 AND journal_days.currency_code = k.currency_code
    AND journal_days.posting_day = k.posting_day AND journal_days.record_day = k.record_day
    AND journal_days.effective_day = k.effective_day AND journal_days.entity = k.entity
    AND journal_days.account = k.account AND journal_days.movement = k.movement
    AND journal_days.product = k.product AND journal_days.source = k.source""".replace(
    "{arrays}", _DAY_ARRAYS
).replace("{key}", _DAY_KEY)


def lot_rows(lots: Mapping[LotKey, PaidLot]) -> tuple[str, ...] | None:
    """Return the columns of lots that began."""
    if not lots:
        return None
    rows = list(lots.values())
    return (
        *_keys(lots),
        texts([lot.entity for lot in rows]),
        texts([lot.product for lot in rows]),
        texts([lot.pool for lot in rows]),
        texts([lot.currency_code for lot in rows]),
        integers([lot.consideration_nanos for lot in rows]),
        integers([lot.amount_units for lot in rows]),
        dates([lot.effective_day for lot in rows]),
        times([lot.expire_time for lot in rows]),
        integers([lot.purchase_version for lot in rows]),
        booleans([lot.as_recorded for lot in rows]),
        *_counts(rows),
        texts([lot.exchange_rate for lot in rows]),
        booleans([lot.used_up for lot in rows]),
    )


def lot_updates(lots: Mapping[LotKey, PaidLot]) -> tuple[str, ...] | None:
    """Return what draws and expiries change of lots."""
    if not lots:
        return None
    rows = list(lots.values())
    return (
        *_keys(lots),
        integers([lot.drawn_units for lot in rows]),
        integers([lot.expired_units for lot in rows]),
        integers([lot.usage_nanos for lot in rows]),
        integers([lot.breakage_nanos for lot in rows]),
        booleans([lot.used_up for lot in rows]),
    )


def ruled_updates(lots: Mapping[LotKey, PaidLot]) -> tuple[str, ...] | None:
    """Return what all else changes of lots."""
    if not lots:
        return None
    rows = list(lots.values())
    return (
        *_keys(lots),
        integers([lot.amount_units for lot in rows]),
        times([lot.expire_time for lot in rows]),
        booleans([lot.as_recorded for lot in rows]),
        integers([lot.estimate_numerator for lot in rows]),
        integers([lot.estimate_denominator for lot in rows]),
        *_rule_counts(rows),
    )


def contract_rows(contracts: Mapping[str, ContractRow]) -> tuple[str, ...] | None:
    """Return the columns of contracts."""
    if not contracts:
        return None
    rows = list(contracts.values())
    ends = [None if row.commitment_end is None else row.commitment_end.isoformat() for row in rows]
    return (
        texts(list(contracts)),
        texts([row.wallet for row in rows]),
        optional_texts(ends),
        texts([row.commitment_rate for row in rows]),
    )


def period_rows(periods: Mapping[tuple[str, date], PeriodRow]) -> tuple[str, ...] | None:
    """Return the columns of periods."""
    if not periods:
        return None
    rows = list(periods.values())
    return (
        texts([entity for entity, _ in periods]),
        dates([row.from_day for row in rows]),
        dates([row.to_day for row in rows]),
        integers([row.locked_position for row in rows]),
        times([row.close_time for row in rows]),
        texts([row.figures_hash for row in rows]),
    )


def day_rows(sums: Mapping[PostingKey, int]) -> tuple[str, ...] | None:
    """Return the columns of days: of each flow one row of each account, which add up to zero."""
    if not sums:
        return None
    rows: dict[tuple[str, date, date, date, str, str, str, str, str], int] = {}
    for key, nanos in sums.items():
        for account, amount in ((key.flow.debit, nanos), (key.flow.credit, -nanos)):
            place = (
                key.currency_code,
                key.posting_day,
                key.record_day,
                key.effective_day,
                key.entity,
                account.value,
                key.flow.movement.value,
                key.product,
                key.source,
            )
            rows[place] = rows.get(place, 0) + amount
    assert not sum(rows.values()), "debits equal credits"
    columns = list(zip(*rows, strict=True))
    return (
        texts(columns[0]),
        *(dates(columns[place]) for place in (1, 2, 3)),
        *(texts(columns[place]) for place in (4, 5, 6, 7, 8)),
        integers(list(rows.values())),
    )


def _keys(lots: Mapping[LotKey, PaidLot]) -> tuple[str, str]:
    return texts([key.wallet for key in lots]), integers([key.grant_version for key in lots])


def _counts(rows: Sequence[PaidLot]) -> list[str]:
    return [
        integers([lot.estimate_numerator for lot in rows]),
        integers([lot.estimate_denominator for lot in rows]),
        integers([lot.drawn_units for lot in rows]),
        integers([lot.expired_units for lot in rows]),
        *_rule_counts(rows),
        integers([lot.usage_nanos for lot in rows]),
        integers([lot.breakage_nanos for lot in rows]),
    ]


def _rule_counts(rows: Sequence[PaidLot]) -> list[str]:
    return [
        integers([lot.remote_units for lot in rows]),
        integers([lot.held_units for lot in rows]),
        integers([lot.refunded_units for lot in rows]),
        integers([lot.rolled_units for lot in rows]),
        integers([lot.refunded_nanos for lot in rows]),
        integers([lot.rolled_nanos for lot in rows]),
        integers([lot.escheated_nanos for lot in rows]),
        integers([lot.returned_tax_nanos for lot in rows]),
    ]
