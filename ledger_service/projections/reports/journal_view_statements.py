"""The statements that read the journal, for one schema."""

from __future__ import annotations

from typing import Final

from psycopg.sql import SQL, Identifier

from ledger_service.projections.view_statements import POSITION

# A lot that time has ended posts as breakage what it carries; of one with held units what the rest is worth.
# In a pool with an escheat fraction that much of it belongs to the state, and a pool with an estimate is measured anew
# on the day of the read, which will be that of the record.
DUE: Final = """
WITH open_days AS (
    SELECT entity, max(to_day) AS open_day FROM {schema}.journal_periods GROUP BY entity
), due AS (
    SELECT l.pool, l.entity, l.currency_code, l.product,
        greatest((expire_time AT TIME ZONE 'UTC')::date, effective_day, open_day) AS day,
        CASE WHEN held_units = 0 THEN recognisable ELSE least(recognisable, greatest(recognised,
            div(2 * l.consideration_nanos::numeric * gone + l.amount_units, 2 * l.amount_units::numeric)
                - escheated_nanos)) END - recognised AS ended,
        coalesce(nullif(p.escheat_fraction, '')::numeric, 0) AS escheat_fraction
    FROM (
        SELECT *, consideration_nanos - refunded_nanos - rolled_nanos - escheated_nanos AS recognisable,
            usage_nanos + breakage_nanos AS recognised,
            amount_units - refunded_units - rolled_units - held_units AS gone
        FROM {schema}.journal_lots
        WHERE NOT used_up AND NOT as_recorded AND expire_time <= %(now)s AND expire_time < %(to_time)s
            AND %(currency_code)s IN ('', currency_code) AND %(entity)s IN ('', entity)
    ) AS l
    LEFT JOIN (SELECT pool, escheat_fraction FROM {schema}.journal_pools) AS p ON p.pool = l.pool
    LEFT JOIN open_days AS o ON o.entity = l.entity
), due_parts AS (
    SELECT pool, entity, currency_code, product, day, ended - floor(ended * escheat_fraction + 0.5) AS breakage,
        floor(ended * escheat_fraction + 0.5) AS escheat
    FROM due WHERE ended > 0
), due_pools AS (
    SELECT pool, entity, currency_code, (%(now)s::timestamptz AT TIME ZONE 'UTC')::date AS day, greatest(
        least(div(2 * usage_nanos * estimate_denominator + (estimate_denominator - estimate_numerator),
            2 * (estimate_denominator - estimate_numerator)), consideration_nanos - escheat)
        - usage_nanos - lot_breakage_nanos - breakage, 0) - pool_breakage_nanos AS change
    FROM (SELECT pool, sum(breakage) AS breakage, sum(escheat) AS escheat FROM due_parts GROUP BY pool) AS d
    JOIN {schema}.journal_pools USING (pool) WHERE estimate_numerator > 0
)"""
ROLL_FORWARD: Final = """{due}, posted AS (
    SELECT posting_day AS day, account, movement, nanos FROM {schema}.journal_days
    WHERE currency_code = %(currency_code)s AND posting_day < %(to_day)s AND record_day < %(known_before)s
        AND (%(entity)s = '' OR entity = %(entity)s)
    UNION ALL SELECT day, 'CONTRACT_LIABILITY', 'BREAKAGE', breakage FROM due_parts
    UNION ALL SELECT day, 'REVENUE_BREAKAGE', 'BREAKAGE', -breakage FROM due_parts
    UNION ALL SELECT day, 'CONTRACT_LIABILITY', 'BREAKAGE', change FROM due_pools
    UNION ALL SELECT day, 'REVENUE_BREAKAGE', 'BREAKAGE', -change FROM due_pools
    UNION ALL SELECT day, 'CONTRACT_LIABILITY', 'ESCHEAT', escheat FROM due_parts
    UNION ALL SELECT day, 'UNCLAIMED_PROPERTY_PAYABLE', 'ESCHEAT', -escheat FROM due_parts
)
SELECT CASE WHEN day >= %(from_day)s THEN day END, account, movement, sum(nanos)::text
FROM posted WHERE day < %(to_day)s GROUP BY 1, 2, 3 ORDER BY 1""".replace("{due}", DUE)

LIST_LOTS: Final = """
SELECT wallet, grant_version, entity, product, pool, currency_code, consideration_nanos, amount_units,
    greatest(amount_units - drawn_units - expired_units - refunded_units - rolled_units - remote_units, 0),
    drawn_units, expired_units + remote_units, refunded_units, usage_nanos, breakage_nanos, refunded_nanos,
    escheated_nanos,
    consideration_nanos - refunded_nanos - rolled_nanos - escheated_nanos - usage_nanos - breakage_nanos,
    CASE WHEN estimate_numerator = 0 THEN '' ELSE
        trim_scale(round(estimate_numerator::numeric / estimate_denominator, 18))::text END,
    expire_time, rolled_units, rolled_nanos
FROM {schema}.journal_lots
WHERE wallet = %(wallet)s AND grant_version > %(after)s AND purchase_version = 0
ORDER BY grant_version LIMIT %(limit)s"""

LIST_DAYS: Final = """
SELECT posting_day, record_day, effective_day, entity, account, movement, product, source, nanos::text
FROM {schema}.journal_days
WHERE currency_code = %(currency_code)s AND posting_day >= %(from_day)s AND posting_day < %(to_day)s
    AND record_day < %(known_before)s AND (%(entity)s = '' OR entity = %(entity)s)
    AND (NOT %(moved_only)s OR effective_day < posting_day)
    AND (posting_day, record_day, effective_day, entity, account, movement, product, source) >
        (%(posting_day)s::date, %(record_day)s::date, %(effective_day)s::date, %(last_entity)s::text,
        %(account)s::text, %(movement)s::text, %(product)s::text, %(source)s::text)
ORDER BY posting_day, record_day, effective_day, entity, account, movement, product, source LIMIT %(limit)s"""

LIST_PERIODS: Final = """
SELECT entity, from_day, to_day, locked_position, close_time, figures_hash
FROM {schema}.journal_periods WHERE entity = %(entity)s ORDER BY from_day"""

LIST_RATES: Final = """
SELECT r.currency_code, r.rate, r.from_time, (
        SELECT min(n.from_time) FROM {schema}.journal_rates AS n
        WHERE n.entity = r.entity AND n.currency_code = r.currency_code AND n.from_time > r.from_time
    ), r.source, r.record_time, r.position, EXISTS (
        SELECT FROM {schema}.journal_rates AS n
        WHERE n.entity = r.entity AND n.currency_code = r.currency_code AND n.from_time = r.from_time
            AND n.position > r.position
    )
FROM {schema}.journal_rates AS r
WHERE r.entity = %(entity)s AND %(currency_code)s IN ('', r.currency_code)
    AND (r.currency_code, r.from_time, r.position) > (%(last)s::text, %(from_time)s::timestamptz, %(position)s::bigint)
ORDER BY r.currency_code, r.from_time, r.position LIMIT %(limit)s"""

DUE_WALLETS: Final = """
SELECT DISTINCT wallet FROM {schema}.journal_lots
WHERE NOT used_up AND expire_time < %(before)s AND entity = %(entity)s AND wallet > %(after)s
    AND amount_units - drawn_units - expired_units - remote_units - refunded_units - rolled_units - held_units > 0
ORDER BY wallet LIMIT %(limit)s"""

PERIOD_FIGURES: Final = """
SELECT currency_code, account, sum(nanos)::text FROM {schema}.journal_days
WHERE entity = %(entity)s AND posting_day >= %(from_day)s AND posting_day < %(to_day)s
GROUP BY 1, 2 HAVING sum(nanos) <> 0 ORDER BY 1, 2"""


class JournalStatements:
    """The statements of one schema."""

    def __init__(self, schema: str) -> None:
        """Bind the statements to a schema."""
        name = Identifier(schema)
        self.roll_forward: Final = SQL(ROLL_FORWARD).format(schema=name)
        self.list_lots: Final = SQL(LIST_LOTS).format(schema=name)
        self.list_days: Final = SQL(LIST_DAYS).format(schema=name)
        self.list_periods: Final = SQL(LIST_PERIODS).format(schema=name)
        self.list_rates: Final = SQL(LIST_RATES).format(schema=name)
        self.due_wallets: Final = SQL(DUE_WALLETS).format(schema=name)
        self.period_figures: Final = SQL(PERIOD_FIGURES).format(schema=name)
        self.position: Final = SQL(POSITION).format(schema=name)
