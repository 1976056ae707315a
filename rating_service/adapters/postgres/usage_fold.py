"""The statements that fold debits into sums by day. PostgreSQL does the work, so that Python goes on serving.

A fold of positions (from, to] adds, and is exact (numeric), so any split of the log gives the same sums. What it
adds is made of entries: a debit counts once; a reversal takes its units off the day of its debit, and the debit's
request, lines and costs too once all of it is taken back, as `domain.reversals` has it. Names beyond a maximum
count as OTHER: the first ones of a wallet's day have sums of their own, in the order of the log.

`names` and `days` say which tables are written, so that the same statements rebuild the sums elsewhere.
"""

from __future__ import annotations

from typing import Final

from psycopg import sql

from rating_service.domain.reports.usage_report import NAMES_A_DAY_MAX, OTHER, UsageGroup

KINDS: Final = {
    "feature": NAMES_A_DAY_MAX[UsageGroup.FEATURE],
    "model": NAMES_A_DAY_MAX[UsageGroup.MODEL],
    "api_key": NAMES_A_DAY_MAX[UsageGroup.API_KEY],
    "usage_user": NAMES_A_DAY_MAX[UsageGroup.USER],
}
"""Names of each kind that a wallet's day has sums for."""

KEY: Final = (
    f"wallet, day, local_day, contract, {', '.join(KINDS)}, rate_card_phase, cost_currency, dimension"
)
SUMS: Final = ("requests", "quantity", "amount_units", "overage_units", "exact_units", "provider_cost")
COLUMNS: Final = f"{KEY}, {', '.join(SUMS)}"

_ENTRIES: Final = """
    SELECT d.position, d.wallet, d.contract, d.effective_time, d.feature, d.model, d.api_key, d.usage_user,
        d.rate_card_phase, d.charge, d.adjusted_cycle_time IS NULL AS is_usage, d.amount_units AS whole_units,
        1 AS stands, d.amount_units, d.overage_units
    FROM rating.debits AS d WHERE d.position > %(from_position)s AND d.position <= %(to_position)s
    UNION ALL
    SELECT d.position, d.wallet, d.contract, d.effective_time, d.feature, d.model, d.api_key, d.usage_user,
        d.rate_card_phase, d.charge, d.adjusted_cycle_time IS NULL, d.amount_units,
        CASE WHEN before.units < d.amount_units AND before.units + r.amount_units >= d.amount_units
            THEN -1 ELSE 0 END,
        -r.amount_units, -r.overage_units
    FROM rating.debit_reversals AS r
    JOIN rating.debits AS d ON d.wallet = r.wallet AND d.version = r.debit_version
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(e.amount_units), 0) AS units FROM rating.debit_reversals AS e
        WHERE e.wallet = r.wallet AND e.debit_version = r.debit_version AND e.position < r.position
    ) AS before
    WHERE r.position > %(from_position)s AND r.position <= %(to_position)s
"""

READ_CONTRACT_DAYS: Final = sql.SQL(f"""
    SELECT DISTINCT contract, (effective_time AT TIME ZONE 'UTC')::date FROM ({_ENTRIES}) AS entries
    WHERE contract <> ''
""")  # noqa: S608 -- made of constants

ADD_NAMES: Final = """
    INSERT INTO {names} (wallet, day, kind, name)
    SELECT wallet, day, kind, name FROM (
        SELECT fresh.*, (
            SELECT count(*) FROM {names} AS named
            WHERE named.wallet = fresh.wallet AND named.day = fresh.day AND named.kind = fresh.kind
        ) + row_number() OVER (PARTITION BY wallet, day, kind ORDER BY first_position) AS place
        FROM (
            SELECT wallet, (effective_time AT TIME ZONE 'UTC')::date AS day, kind, name,
                min(position) AS first_position
            FROM rating.debits CROSS JOIN LATERAL (
                VALUES ('feature', feature), ('model', model), ('api_key', api_key), ('usage_user', usage_user)
            ) AS said (kind, name)
            WHERE position > %(from_position)s AND position <= %(to_position)s AND name <> ''
            GROUP BY 1, 2, 3, 4
        ) AS fresh
        WHERE NOT EXISTS (
            SELECT FROM {names} AS named WHERE named.wallet = fresh.wallet AND named.day = fresh.day
                AND named.kind = fresh.kind AND named.name = fresh.name
        )
    ) AS placed
    JOIN unnest(%(kinds)s::text[], %(names_max)s::bigint[]) AS bound (kind, names_max) USING (kind)
    WHERE place <= names_max
"""


def _named(kind: str) -> str:
    """Return the column of a kind with the names beyond the maximum as OTHER."""
    return f"CASE WHEN g.{kind} = '' OR {kind}_names.name IS NOT NULL THEN g.{kind} ELSE '{OTHER}' END"


def _names(kind: str) -> str:
    return (
        f"LEFT JOIN {{names}} AS {kind}_names ON {kind}_names.wallet = g.wallet AND {kind}_names.day = g.day"
        f" AND {kind}_names.kind = '{kind}' AND {kind}_names.name = g.{kind}"
    )


# Entries are summed under the names that they said before those are looked up, because groups are few.
ADD_DAYS: Final = f"""
    WITH entries AS MATERIALIZED (
        SELECT e.wallet, e.effective_time, (e.effective_time AT TIME ZONE 'UTC')::date AS day, e.contract, e.feature,
            e.model, e.api_key, e.usage_user, e.rate_card_phase, e.whole_units, e.stands, e.is_usage, e.amount_units,
            e.overage_units, e.charge::jsonb AS charge
        FROM ({_ENTRIES}) AS e
    ), parts AS (
        SELECT wallet, effective_time, day, contract, feature, model, api_key, usage_user, rate_card_phase,
            charge ->> 'cost_currency' AS cost_currency, '' AS dimension,
            stands * is_usage::int AS requests, 0::numeric AS quantity,
            amount_units, overage_units,
            stands * coalesce((charge ->> 'exact_units')::numeric, whole_units) AS exact_units,
            stands * coalesce(nullif(charge ->> 'provider_cost', '')::numeric, 0) AS provider_cost
        FROM entries
        UNION ALL
        SELECT wallet, effective_time, day, contract, feature, model, api_key, usage_user, rate_card_phase,
            charge ->> 'cost_currency', line ->> 'dimension', stands, stands * (line ->> 'quantity')::numeric,
            0, 0, stands * (line ->> 'exact_units')::numeric,
            stands * coalesce(nullif(line ->> 'provider_cost', '')::numeric, 0)
        FROM entries CROSS JOIN LATERAL jsonb_array_elements(charge -> 'lines') AS line
        WHERE stands <> 0
    ), grouped AS (
        SELECT p.wallet, p.day, coalesce(span.local_day, p.day) AS local_day, p.contract, p.feature, p.model, p.api_key,
            p.usage_user, p.rate_card_phase, coalesce(p.cost_currency, '') AS cost_currency, p.dimension,
            sum(requests) AS requests, sum(quantity) AS quantity, sum(amount_units) AS amount_units,
            sum(overage_units) AS overage_units, sum(exact_units) AS exact_units, sum(provider_cost) AS provider_cost
        FROM parts AS p
        LEFT JOIN unnest(
            %(contracts)s::text[], %(from_times)s::timestamptz[], %(to_times)s::timestamptz[], %(local_days)s::date[]
        ) AS span (contract, from_time, to_time, local_day)
        ON span.contract = p.contract AND p.effective_time >= span.from_time AND p.effective_time < span.to_time
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    )
    INSERT INTO {{days}} AS held ({COLUMNS})
    SELECT g.wallet, g.day, g.local_day, g.contract, {", ".join(map(_named, KINDS))},
        g.rate_card_phase, g.cost_currency, g.dimension, sum(requests), sum(quantity), sum(amount_units),
        sum(overage_units), sum(exact_units), sum(provider_cost)
    FROM grouped AS g {" ".join(map(_names, KINDS))}
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
    ON CONFLICT ({KEY}) DO UPDATE SET {", ".join(f"{each} = held.{each} + excluded.{each}" for each in SUMS)}
"""  # noqa: S608 -- made of constants
