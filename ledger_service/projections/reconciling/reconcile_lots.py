"""Checks of lots: each stored lot is the one that its wallet's events give, and all of them are the liability account.

What a lot's units cost is its liability before breakage: outstanding units x consideration / units is what it carries
but for what it recognised ahead of their end, to the nano that each rounding may take. Lots are left out of that of
which something was paid back or went to the state: a bank takes back what it will, and bonuses are clawed back at no
price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, Final

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

from ledger_service.application.reporting.report_ports import Check
from ledger_service.domain.finance.booked import BookedEntry, outstanding
from ledger_service.domain.finance.lots import PaidLot
from ledger_service.projections.bookkeeping.journal_rows import LOT_COLUMNS
from ledger_service.projections.reconciling.reconcile_checks import Scope, compared

BATCH_WALLETS: Final = 200
ROUNDINGS_NANOS: Final = 2
"""Usage is rounded by at most half a nano, and what moves on by less than one."""
LOTS: Final = """
SELECT wallet || '/grants/' || grant_version, {columns}
FROM {schema}.journal_lots WHERE wallet = ANY(%s) AND purchase_version = 0"""
LOT_COUNT: Final = "SELECT count(*) FROM {schema}.journal_lots WHERE purchase_version = 0"
POOLS: Final = (
    "SELECT entity, currency_code, sum(pool_breakage_nanos)::text FROM {schema}.journal_pools GROUP BY 1, 2"
)
ACCOUNT: Final = """
SELECT entity, currency_code, (-sum(nanos))::text FROM {schema}.journal_days
WHERE account = 'CONTRACT_LIABILITY' GROUP BY 1, 2"""


class LotChecks:
    """Compares lots as wallets are folded."""

    def __init__(self, connection: psycopg.Connection[Any], schema: str) -> None:
        """Read stored lots through a connection."""
        self._connection = connection
        self._schema = schema
        self._wallets: list[str] = []
        self._lots: dict[str, PaidLot] = {}
        self._liability: dict[Scope, int] = {}
        self._compared = 0
        self._differing = 0
        self._difference = ""
        self._priced = 0
        self._mispriced = 0
        self._misprice = ""

    def take(self, booked: BookedEntry) -> None:
        """Note what an entry left of its lots."""
        for change in booked.lots:
            self._lots[change.lot] = change.after

    def end_wallet(self, wallet: str) -> None:
        """Compare the lots, as soon as enough wallets have come together. Raises psycopg.Error."""
        self._wallets.append(wallet)
        if len(self._wallets) >= BATCH_WALLETS:
            self._compare()

    def checks(self, over_time: Mapping[Scope, int]) -> Iterator[Check]:
        """Yield the checks. `over_time` is what no lot carries. Raises psycopg.Error."""
        self._compare()
        strangers = self._rows(LOT_COUNT)[0][0] - self._compared
        if strangers > 0 and not self._difference:
            self._difference = f"{strangers} stored lots are of no wallet"
        yield Check("lots = events", self._compared, self._differing + max(strangers, 0), self._difference)
        parts = dict(self._liability)
        for scope, nanos in over_time.items():
            parts[scope] = parts.get(scope, 0) + nanos
        for entity, currency, nanos in self._rows(POOLS):
            scope = Scope(entity, currency)
            parts[scope] = parts.get(scope, 0) - int(nanos)
        account = {Scope(entity, currency): int(nanos) for entity, currency, nanos in self._rows(ACCOUNT)}
        check = compared("liability by lot = account", account, parts, right="of the lots")
        if check.differing and self._difference:
            check = msgspec.structs.replace(check, difference=f"{check.difference}; {self._difference}")
        yield check
        yield Check("units x cost basis = liability", self._priced, self._mispriced, self._misprice)

    def _compare(self) -> None:
        stored = {name: PaidLot(*columns) for name, *columns in self._rows(LOTS, self._wallets)}
        for name in sorted(stored.keys() | self._lots.keys()):
            kept, derived = stored.get(name), self._lots.get(name)
            self._compared += kept is not None
            if kept is not None:
                scope = Scope(kept.entity, kept.currency_code)
                self._liability[scope] = self._liability.get(scope, 0) + kept.deferred_nanos
                self._check_price(name, kept)
            if kept != derived:
                self._differing += 1
                self._difference = self._difference or f"{name}: {_differing(kept, derived)}"
        self._wallets.clear()
        self._lots.clear()

    def _check_price(self, name: str, lot: PaidLot) -> None:
        if lot.escheated_nanos or lot.refunded_units or lot.refunded_nanos:
            return
        self._priced += 1
        basis = Fraction(lot.consideration_nanos, lot.amount_units)
        by_units = outstanding(lot) * basis
        # What has ended without use is breakage for good; all other breakage is ahead of it.
        before = lot.recognisable_nanos - lot.usage_nanos - lot.expired_units * basis
        if abs(by_units - before) > ROUNDINGS_NANOS:
            self._mispriced += 1
            text = f"{name}: units at cost {int(by_units)} nanos, liability before breakage {int(before)}"
            self._misprice = self._misprice or text

    def _rows(self, statement: str, *parameters: object) -> list[Any]:
        query = SQL(statement.replace("{columns}", LOT_COLUMNS)).format(schema=Identifier(self._schema))  # type: ignore[arg-type,unused-ignore]
        return self._connection.execute(query, parameters, binary=True).fetchall()


def _differing(stored: PaidLot | None, derived: PaidLot | None) -> str:
    if stored is None or derived is None:
        return "is not stored" if stored is None else "no event granted it"
    for field in PaidLot.__struct_fields__:
        one, other = getattr(stored, field), getattr(derived, field)
        if one != other:
            return f"stored {field} {one}, by the log {other}"
    raise AssertionError("the lots differ in a field")
