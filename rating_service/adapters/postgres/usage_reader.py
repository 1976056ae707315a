"""Reading sums of usage by day, in PostgreSQL: one index range of a wallet's days, never its debits."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

import psycopg
from psycopg import sql

from rating_service.adapters.postgres.postgres_pool import Pool, connection
from rating_service.application.reporting.report_ports import UsageQuery, UsageRow, UsageSheet
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.reports.remaining_credit import IncludedGrant
from rating_service.domain.reports.usage_report import OTHER, UsageGroup, UsageSums

UTC_DAYS_AROUND: Final = timedelta(days=2)
"""How far a local day may lie from the UTC day of the same instant; zones differ by less than 27 hours from UTC."""
COLUMN_OF: Final = {
    UsageGroup.FEATURE: "feature",
    UsageGroup.MODEL: "model",
    UsageGroup.API_KEY: "api_key",
    UsageGroup.USER: "usage_user",
    UsageGroup.RATE_CARD_PHASE: "rate_card_phase",
    UsageGroup.DIMENSION: "dimension",
}
READ_POSITION: Final = "SELECT position FROM rating.usage_tracking"
READ_INCLUDED: Final = (
    "SELECT version, amount_units FROM rating.included_grants WHERE wallet = %(wallet)s AND contract = %(contract)s"
    " AND effective_time >= %(start_time)s AND effective_time < %(end_time)s ORDER BY version"
)
SUMS: Final = sql.SQL(
    "sum(requests)::bigint, sum(quantity)::text, sum(amount_units)::text, sum(overage_units)::text,"
    " sum(exact_units)::text, coalesce(jsonb_object_agg(cost_currency, provider_cost::text)"
    " FILTER (WHERE cost_currency <> ''), '{}')"
)
# Costs are summed by currency first.
READ_GROUPS: Final = sql.SQL("""
    SELECT {outer} {sums} FROM (
        SELECT {groups} cost_currency, sum(requests) AS requests, sum(quantity) AS quantity,
            sum(amount_units) AS amount_units, sum(overage_units) AS overage_units, sum(exact_units) AS exact_units,
            sum(provider_cost) AS provider_cost
        FROM rating.usage_days WHERE {where} GROUP BY {numbers_and_currency}
    ) AS by_currency {group_by}
    HAVING sum(requests) <> 0 OR sum(amount_units) <> 0 OR sum(exact_units) <> 0 {order_by} LIMIT %(limit)s
""")
READ_OTHER: Final = sql.SQL(
    "SELECT EXISTS (SELECT FROM rating.usage_days WHERE {where} AND %(other)s IN (feature, model, api_key, usage_user))"
)

Connection = psycopg.AsyncConnection[tuple[object, ...]]


class PostgresUsageReader:
    """UsageReader in PostgreSQL."""

    def __init__(self, pool: Pool) -> None:
        """Use connections of a pool."""
        self._pool = pool

    async def sheet(self, query: UsageQuery) -> UsageSheet:
        """Return groups; one in which nothing is left is passed over. All from one state of the sums."""
        values = _values(query)
        async with connection(self._pool) as lent:
            await lent.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            position: Any = await (await lent.execute(READ_POSITION)).fetchone()
            rows: list[Any] = await (await lent.execute(groups_statement(query), values)).fetchall()
            total: Any = await (await lent.execute(total_statement(query), values)).fetchone()
            other = READ_OTHER.format(where=_where(query))
            found: Any = await (await lent.execute(other, values)).fetchone()
        count = len(query.groups)
        return UsageSheet(
            [UsageRow(tuple(map(str, row[:count])), _sums(row[count:])) for row in rows],
            UsageSums() if total is None else _sums(total),
            has_other=found[0],
            position=position[0],
        )

    async def included_grants(self, wallet: str, contract: str, cycle: CycleBounds) -> list[IncludedGrant]:
        """Return the grants that a cycle of a contract includes."""
        values = {
            "wallet": wallet,
            "contract": contract,
            "start_time": cycle.start_time,
            "end_time": cycle.end_time,
        }
        async with connection(self._pool) as lent:
            rows: list[Any] = await (await lent.execute(READ_INCLUDED, values)).fetchall()
        return [IncludedGrant(version, amount_units) for version, amount_units in rows]


def groups_statement(query: UsageQuery) -> sql.Composed:
    """Return the statement that reads a query's groups; it may be explained."""
    columns = [_column(group, query) for group in query.groups]
    where = _where(query)
    if query.after:
        after = sql.SQL(", ").join(
            sql.SQL("{}::date" if group is UsageGroup.DAY else "{}").format(sql.Placeholder(f"after_{place}"))
            for place, group in enumerate(query.groups)
        )
        where = sql.SQL("{} AND ({}) > ({})").format(where, sql.SQL(", ").join(columns), after)
    return _statement(columns, where)


def total_statement(query: UsageQuery) -> sql.Composed:
    """Return the statement that reads what all groups of a query add up to."""
    return _statement([], _where(query))


def _statement(columns: list[sql.Identifier], where: sql.Composable) -> sql.Composed:
    listed = sql.SQL("").join(sql.SQL("{}, ").format(column) for column in columns)
    places = [sql.SQL(str(place)) for place in range(1, len(columns) + 1)]
    numbers = sql.SQL(", ").join(places)
    return READ_GROUPS.format(
        outer=listed,
        groups=listed,
        sums=SUMS,
        where=where,
        numbers_and_currency=sql.SQL(", ").join([*places, sql.SQL("cost_currency")]),
        group_by=sql.SQL("GROUP BY {}").format(numbers) if columns else sql.SQL(""),
        order_by=sql.SQL("ORDER BY {}").format(numbers) if columns else sql.SQL(""),
    )


def _where(query: UsageQuery) -> sql.Composable:
    """Return what a row must meet. The UTC day bounds the part of the index that is read, whatever the zone."""
    told = UsageGroup.DIMENSION in query.groups or UsageGroup.DIMENSION in query.filters
    conditions: list[sql.Composable] = [
        sql.SQL("wallet = %(wallet)s AND day >= %(first_day)s AND day < %(last_day)s"),
        sql.SQL("dimension <> ''" if told else "dimension = ''"),
    ]
    if query.contract:
        conditions.append(sql.SQL("contract = %(contract)s"))
    if query.is_local:
        conditions.append(sql.SQL("local_day >= %(from_day)s AND local_day < %(to_day)s"))
    for group in query.filters:
        column = _column(group, query)
        conditions.append(sql.SQL("{} = ANY({})").format(column, sql.Placeholder(COLUMN_OF[group])))
    return sql.SQL(" AND ").join(conditions)


def _column(group: UsageGroup, query: UsageQuery) -> sql.Identifier:
    if group is UsageGroup.DAY:
        return sql.Identifier("local_day" if query.is_local else "day")
    return sql.Identifier(COLUMN_OF[group])


def _values(query: UsageQuery) -> dict[str, object]:
    around = UTC_DAYS_AROUND if query.is_local else timedelta(0)
    return {
        "wallet": query.wallet,
        "contract": query.contract,
        "from_day": query.from_day,
        "to_day": query.to_day,
        "first_day": _shifted(query.from_day, -around),
        "last_day": _shifted(query.to_day, around),
        "limit": query.limit,
        "other": OTHER,
        **{COLUMN_OF[group]: list(values) for group, values in query.filters.items()},
        **{f"after_{place}": value for place, value in enumerate(query.after)},
    }


def _shifted(day: date, by: timedelta) -> date:
    """Return a day some days off, or the nearest one that a calendar has."""
    try:
        return day + by
    except OverflowError:
        return date.min if by < timedelta(0) else date.max


def _sums(row: Any) -> UsageSums:
    requests, quantity, amount_units, overage_units, exact_units, costs = row
    return UsageSums(
        requests=requests,
        quantity=int(quantity),
        amount_units=int(amount_units),
        overage_units=int(overage_units),
        exact_units=Fraction(exact_units),
        provider_costs={code: Fraction(amount) for code, amount in costs.items()},
    )
