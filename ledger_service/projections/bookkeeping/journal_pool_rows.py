"""The journal's statements of breakage pools, and their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ledger_service.projections.array_text import integers, optional_texts, texts
from ledger_service.projections.bookkeeping.pool_tallies import PoolSums, PoolTally, PoolTerms

LOAD_POOLS: Final = """
SELECT pool, entity, currency_code, jurisdiction, term, method, escheat_fraction, estimate_numerator,
    estimate_denominator, stated_day, stated_units, consideration_nanos, amount_units, drawn_units, usage_nanos,
    lot_breakage_nanos, pool_breakage_nanos
FROM journal_pools WHERE pool = ANY(%s)"""

UPSERT_POOLS: Final = """
INSERT INTO journal_pools AS p (pool, entity, currency_code, jurisdiction, term, method, escheat_fraction,
    estimate_numerator, estimate_denominator, stated_day, stated_units, consideration_nanos, amount_units, drawn_units,
    usage_nanos, lot_breakage_nanos, pool_breakage_nanos)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
    %s::bigint[], %s::bigint[], %s::date[], %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[],
    %s::numeric[], %s::numeric[])
ON CONFLICT (pool) DO UPDATE
SET estimate_numerator = excluded.estimate_numerator, estimate_denominator = excluded.estimate_denominator,
    stated_day = excluded.stated_day, stated_units = excluded.stated_units,
    consideration_nanos = excluded.consideration_nanos, amount_units = excluded.amount_units,
    drawn_units = excluded.drawn_units, usage_nanos = excluded.usage_nanos,
    lot_breakage_nanos = excluded.lot_breakage_nanos, pool_breakage_nanos = excluded.pool_breakage_nanos"""


def pool_rows(pools: Mapping[str, PoolTally]) -> tuple[str, ...] | None:
    """Return the columns of pools."""
    if not pools:
        return None
    rows = list(pools.values())
    return (
        texts(list(pools)),
        texts([pool.terms.entity for pool in rows]),
        texts([pool.terms.currency_code for pool in rows]),
        texts([pool.terms.jurisdiction for pool in rows]),
        texts([pool.terms.term for pool in rows]),
        texts([pool.terms.method for pool in rows]),
        texts([pool.terms.escheat_fraction for pool in rows]),
        integers([pool.numerator for pool in rows]),
        integers([pool.denominator for pool in rows]),
        optional_texts([None if pool.stated_day is None else pool.stated_day.isoformat() for pool in rows]),
        integers([pool.stated_units for pool in rows]),
        integers([pool.sums.consideration_nanos for pool in rows]),
        integers([pool.sums.amount_units for pool in rows]),
        integers([pool.sums.drawn_units for pool in rows]),
        integers([pool.sums.usage_nanos for pool in rows]),
        integers([pool.sums.lot_breakage_nanos for pool in rows]),
        integers([pool.breakage_nanos for pool in rows]),
    )


def pool_of_row(row: Sequence[Any]) -> PoolTally:
    """Return a pool as it is stored."""
    _, entity, currency, jurisdiction, term, method, escheat, numerator, denominator, *rest = row
    stated_day, stated_units, *sums = rest
    figures = [int(each) for each in sums]
    terms = PoolTerms(entity, currency, jurisdiction, term, method, escheat)
    return PoolTally(
        terms,
        numerator,
        denominator,
        PoolSums(*figures[:-1]),
        figures[-1],
        stated_day=stated_day,
        stated_units=stated_units,
    )
