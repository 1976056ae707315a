"""Stores what transfers, chargebacks and goodwill change in the wallet view, and the transfers on their way.

Statements of their own, so that wallets without them pay nothing for it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import psycopg

from ledger_service.projections.array_text import integers, texts
from ledger_service.projections.events.movement_events import Sent
from ledger_service.projections.tables import Table, expect_rows
from ledger_service.projections.wallets.wallet_tallies import GrantedAt, LotTally, Tallies

MOVEMENT_TABLES: Final = (Table("wallet_view_transfers", ("wallet", "transfer_version")),)

_ADD_TO_GRANTS: Final = """
UPDATE wallet_view_grants AS g
SET transferred_units = g.transferred_units + d.transferred_units,
    receivable_nanos = g.receivable_nanos + d.receivable_nanos
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
    AS d (wallet, grant_version, transferred_units, receivable_nanos)
WHERE g.wallet = d.wallet AND g.grant_version = d.grant_version"""

_SET_ORIGINS: Final = """
UPDATE wallet_view_grants AS g SET transfer = d.transfer, compensates_version = d.compensates_version
FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[])
    AS d (wallet, grant_version, transfer, compensates_version)
WHERE g.wallet = d.wallet AND g.grant_version = d.grant_version"""

_INSERT_TRANSFERS: Final = """
INSERT INTO wallet_view_transfers (wallet, transfer_version, destination, amount_units)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[])"""

_DELETE_TRANSFERS: Final = """
DELETE FROM wallet_view_transfers AS t
USING unnest(%s::text[], %s::bigint[]) AS d (wallet, transfer_version)
WHERE t.wallet = d.wallet AND t.transfer_version = d.transfer_version"""


class _MovedRow(NamedTuple):
    wallet: str
    grant_version: int
    lot: LotTally


class _OriginRow(NamedTuple):
    wallet: str
    grant_version: int
    issued: GrantedAt


class _SentRow(NamedTuple):
    wallet: str
    transfer_version: int
    sent: Sent


def store_wallet_movements(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    """Add to rows that are there already, those of the run included. Raises RowMissingError, psycopg.Error."""
    moved: list[_MovedRow] = []
    origins: list[_OriginRow] = []
    for name, tally in tallies.items():
        for version, lot in tally.lots.items():
            if lot.transferred_units or lot.receivable_nanos:
                moved.append(_MovedRow(name, version, lot))
            issued = lot.issued
            if issued is not None and (issued.transfer or issued.granted.compensates_version):
                origins.append(_OriginRow(name, version, issued))
    _add_to_grants(connection, moved)
    _set_origins(connection, origins)
    _store_transfers(connection, tallies)


def _add_to_grants(connection: psycopg.Connection[Any], rows: list[_MovedRow]) -> None:
    if rows:
        cursor = connection.execute(
            _ADD_TO_GRANTS,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                integers([row.lot.transferred_units for row in rows]),
                integers([row.lot.receivable_nanos for row in rows]),
            ),
        )
        expect_rows(cursor.rowcount, len(rows), "grants of the wallet view")


def _set_origins(connection: psycopg.Connection[Any], rows: list[_OriginRow]) -> None:
    if rows:
        cursor = connection.execute(
            _SET_ORIGINS,
            (
                texts([row.wallet for row in rows]),
                integers([row.grant_version for row in rows]),
                texts([row.issued.transfer for row in rows]),
                integers([row.issued.granted.compensates_version for row in rows]),
            ),
        )
        expect_rows(cursor.rowcount, len(rows), "grants of the wallet view")


def _store_transfers(connection: psycopg.Connection[Any], tallies: Tallies) -> None:
    left: list[_SentRow] = []
    ended: list[tuple[str, int]] = []
    for name, tally in tallies.items():
        for version, sent in tally.transfers.items():
            if sent is None:
                ended.append((name, version))
            else:
                left.append(_SentRow(name, version, sent))
    if left:
        connection.execute(
            _INSERT_TRANSFERS,
            (
                texts([row.wallet for row in left]),
                integers([row.transfer_version for row in left]),
                texts([row.sent.destination for row in left]),
                integers([row.sent.amount_units for row in left]),
            ),
        )
    if ended:
        keys = (texts([wallet for wallet, _ in ended]), integers([version for _, version in ended]))
        connection.execute(_DELETE_TRANSFERS, keys)
