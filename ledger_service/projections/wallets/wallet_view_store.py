"""Stores the wallet view: adds tallies to its tables, in the caller's transaction.

Table names carry no schema: the connection's search_path decides, which is how a rebuild writes beside the
live tables with the same statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import psycopg

from ledger_service.domain.events import FinanceTerms, Recurrence
from ledger_service.projections.array_text import booleans, integers, optional_texts, texts, times
from ledger_service.projections.events.book_events import PageEvents
from ledger_service.projections.tables import Table, expect_rows
from ledger_service.projections.wallets.wallet_tallies import (
    GrantedAt,
    LotTally,
    OpenedAt,
    Tallies,
    WalletTally,
)
from ledger_service.projections.wallets.wallet_view import count_rows, fold_wallet_view
from ledger_service.projections.wallets.wallet_view_movements_store import (
    MOVEMENT_TABLES,
    store_wallet_movements,
)
from ledger_service.projections.wallets.wallet_view_policies import PolicyAt, Replacement
from ledger_service.projections.wallets.wallet_view_rules_store import RULE_TABLES, store_wallet_rules

TABLES: Final = (
    Table("wallet_view_wallets", ("wallet",)),
    Table("wallet_view_policies", ("wallet", "policy_version")),
    Table("wallet_view_grants", ("wallet", "grant_version")),
    *RULE_TABLES,
    *MOVEMENT_TABLES,
)

_INSERT_WALLETS: Final = """
INSERT INTO wallet_view_wallets
    (wallet, customer, asset_code, asset_scale, open_time,
     burn_down_order, entity, version, granted_units, debited_units, overage_units, expired_units,
     debt_units, revoked_units)
SELECT *, 0, 0 FROM unnest(%s::text[], %s::text[], %s::text[], %s::integer[], %s::timestamptz[], %s::text[],
    %s::text[], %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[])"""

_ADD_TO_WALLETS: Final = """
UPDATE wallet_view_wallets AS w
SET version = d.version,
    granted_units = w.granted_units + d.granted_units,
    debited_units = w.debited_units + d.debited_units,
    overage_units = w.overage_units + d.overage_units,
    expired_units = w.expired_units + d.expired_units
FROM unnest(%s::text[], %s::bigint[], %s::numeric[], %s::numeric[], %s::numeric[], %s::numeric[])
    AS d (wallet, version, granted_units, debited_units, overage_units, expired_units)
WHERE w.wallet = d.wallet"""

_INSERT_POLICIES: Final = """
INSERT INTO wallet_view_policies
    (wallet, policy_version, effective_time, contract, contract_phase, shortfall_mode, overage_limit_units,
     ended_contract, own)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::text[], %s::text[], %s::text[],
    %s::bigint[], %s::text[], %s::boolean[])"""

# An end without a name was recorded when a wallet had one contract for ever.
_DELETE_POLICIES: Final = """
DELETE FROM wallet_view_policies AS p
USING unnest(%s::text[], %s::bigint[], %s::timestamptz[], %s::text[])
    AS d (wallet, policy_version, from_time, contract)
WHERE p.wallet = d.wallet AND p.policy_version < d.policy_version AND p.effective_time >= d.from_time
    AND NOT p.own AND (p.contract || p.ended_contract) IN ('', d.contract)"""

# A scope is an array itself, and unnest flattens arrays of arrays: it travels as the text of a literal.
_INSERT_GRANTS: Final = """
INSERT INTO wallet_view_grants
    (wallet, grant_version, amount_units, category, priority, scope, effective_time, expire_time,
     currency_code, consideration_nanos, reference, contract, purchase_version, recurrence, series_version,
     drawn_units, expired_units, held_units, revoked_units, rolled_over_units,
     transferred_units, transfer, receivable_nanos, compensates_version, payment_state, top_up_version, finance)
SELECT wallet, grant_version, amount_units, category, priority, scope::text[], effective_time, expire_time,
    currency_code, consideration_nanos, reference, contract, purchase_version, recurrence::jsonb, series_version,
    drawn_units, expired_units, 0, 0, 0, 0, '', 0, 0, '', 0, finance::jsonb
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::integer[], %s::text[],
    %s::timestamptz[], %s::timestamptz[], %s::text[], %s::bigint[], %s::text[], %s::text[],
    %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
    AS d (wallet, grant_version, amount_units, category, priority, scope, effective_time, expire_time,
        currency_code, consideration_nanos, reference, contract, purchase_version, recurrence, series_version,
        drawn_units, expired_units, finance)"""

_ADD_TO_GRANTS: Final = """
UPDATE wallet_view_grants AS g
SET drawn_units = g.drawn_units + d.drawn_units, expired_units = g.expired_units + d.expired_units
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS d (wallet, grant_version, drawn_units, expired_units)
WHERE g.wallet = d.wallet AND g.grant_version = d.grant_version"""


class _OpenedRow(NamedTuple):
    wallet: str
    begin: OpenedAt
    tally: WalletTally


class _PolicyRow(NamedTuple):
    wallet: str
    set_at: PolicyAt


class _IssuedRow(NamedTuple):
    wallet: str
    grant_version: int
    issued: GrantedAt
    lot: LotTally


class _MovedRow(NamedTuple):
    wallet: str
    grant_version: int
    lot: LotTally


class WalletViewRun:
    """A run of the wallet view."""

    def __init__(self) -> None:
        self._tallies: Tallies = {}

    def fold(self, events: PageEvents) -> None:
        """Add the next events of the log."""
        fold_wallet_view(self._tallies, events.wallets)

    def row_count(self) -> int:
        """Return how many rows storing the run writes."""
        return count_rows(self._tallies)

    def store(self, connection: psycopg.Connection[Any]) -> None:
        """Add the run to the tables. Raises RowMissingError, psycopg.Error."""
        store_wallet_view(connection, self._tallies)


def store_wallet_view(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    """Add the tallies to the tables. Raises RowMissingError, psycopg.Error."""
    opened = [_OpenedRow(name, tally.opened, tally) for name, tally in tallies.items() if tally.opened]
    moved = {name: tally for name, tally in tallies.items() if tally.opened is None}
    policies = [_PolicyRow(name, policy) for name, tally in tallies.items() for policy in tally.policies]
    issued: list[_IssuedRow] = []
    lots: list[_MovedRow] = []
    for name, tally in tallies.items():
        for version, lot in tally.lots.items():
            if lot.issued is None:
                lots.append(_MovedRow(name, version, lot))
            else:
                issued.append(_IssuedRow(name, version, lot.issued, lot))
    _insert_wallets(connection, opened)
    _delete_policies(
        connection, [(name, each) for name, tally in moved.items() for each in tally.replacements]
    )
    _insert_policies(connection, policies)
    _insert_grants(connection, issued)
    _add_to_wallets(connection, moved)
    _add_to_grants(connection, lots)
    store_wallet_rules(connection, tallies)
    store_wallet_movements(connection, tallies)


def _insert_wallets(connection: psycopg.Connection[Any], rows: Sequence[_OpenedRow]) -> None:
    if rows:
        connection.execute(
            _INSERT_WALLETS,
            (
                texts([row.wallet for row in rows]),
                texts([row.begin.opened.customer for row in rows]),
                texts([row.begin.opened.asset.code for row in rows]),
                integers([row.begin.opened.asset.scale for row in rows]),
                times([row.begin.open_time for row in rows]),
                texts([row.begin.opened.burn_down_order for row in rows]),
                texts([row.begin.opened.entity for row in rows]),
                *_totals([row.tally for row in rows]),
            ),
        )


def _add_to_wallets(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    if tallies:
        cursor = connection.execute(_ADD_TO_WALLETS, (texts(list(tallies)), *_totals(list(tallies.values()))))
        expect_rows(cursor.rowcount, len(tallies), "wallets of the wallet view")


def _totals(tallies: Sequence[WalletTally]) -> list[str]:
    return [
        integers([tally.version for tally in tallies]),
        integers([tally.granted_units for tally in tallies]),
        integers([tally.debited_units for tally in tallies]),
        integers([tally.overage_units for tally in tallies]),
        integers([tally.expired_units for tally in tallies]),
    ]


def _delete_policies(connection: psycopg.Connection[Any], rows: Sequence[tuple[str, Replacement]]) -> None:
    if rows:
        connection.execute(
            _DELETE_POLICIES,
            (
                texts([wallet for wallet, _ in rows]),
                integers([each.policy_version for _, each in rows]),
                times([each.from_time for _, each in rows]),
                texts([each.contract for _, each in rows]),
            ),
        )


def _insert_policies(connection: psycopg.Connection[Any], rows: Sequence[_PolicyRow]) -> None:
    if rows:
        policies = [row.set_at.policy for row in rows]
        connection.execute(
            _INSERT_POLICIES,
            (
                texts([row.wallet for row in rows]),
                integers([row.set_at.policy_version for row in rows]),
                times([row.set_at.effective_time for row in rows]),
                texts([policy.contract for policy in policies]),
                texts([policy.contract_phase for policy in policies]),
                texts([policy.shortfall_mode.value for policy in policies]),
                integers([policy.overage_limit_units for policy in policies]),
                texts([policy.ended_contract for policy in policies]),
                booleans([row.set_at.own for row in rows]),
            ),
        )


def _insert_grants(connection: psycopg.Connection[Any], rows: Sequence[_IssuedRow]) -> None:
    if rows:
        grants = [row.issued.granted for row in rows]
        money = [granted.consideration for granted in grants]
        connection.execute(
            _INSERT_GRANTS,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                integers([granted.amount_units for granted in grants]),
                texts([granted.category.value for granted in grants]),
                integers([granted.priority for granted in grants]),
                texts([texts(granted.scope) for granted in grants]),
                times([row.issued.effective_time for row in rows]),
                times([granted.expire_time for granted in grants]),
                optional_texts([None if amount is None else amount.currency_code for amount in money]),
                integers([None if amount is None else amount.nanos for amount in money]),
                texts([granted.reference for granted in grants]),
                texts([granted.contract for granted in grants]),
                integers([granted.purchase_version for granted in grants]),
                optional_texts([_json(granted.recurrence) for granted in grants]),
                integers([granted.series_version for granted in grants]),
                integers([row.lot.drawn_units for row in rows]),
                integers([row.lot.expired_units for row in rows]),
                optional_texts([_json(granted.finance) for granted in grants]),
            ),
        )


def _json(told: Recurrence | FinanceTerms | None) -> str | None:
    return None if told is None else msgspec.json.encode(told).decode()


def _add_to_grants(connection: psycopg.Connection[Any], rows: Sequence[_MovedRow]) -> None:
    if rows:
        cursor = connection.execute(
            _ADD_TO_GRANTS,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                integers([row.lot.drawn_units for row in rows]),
                integers([row.lot.expired_units for row in rows]),
            ),
        )
        expect_rows(cursor.rowcount, len(rows), "grants of the wallet view")
