"""Pages of positions by contract: wallet by wallet in the order of their names, as of one position and instant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg

from ledger_service.application.reading.page_tokens import ExportToken, encode_token
from ledger_service.application.reporting.contract_positions import POOLS, ContractPosition, WalletPositions
from ledger_service.application.reporting.journal_tokens import positions_token
from ledger_service.application.reporting.report_ports import PositionsPage, PositionsRequest
from ledger_service.projections.reports.entry_pages import LOOKED_AT_MAX
from ledger_service.projections.reports.entry_scope import known, narrowed
from ledger_service.projections.reports.entry_source import (
    READ_ONLY,
    EntrySource,
    WalletEntries,
    Wanted,
)


def list_positions(
    connection: psycopg.Connection[Any], schema: str, request: PositionsRequest
) -> PositionsPage:
    """Return a page of positions. Raises psycopg.Error, PageTokenMalformed."""
    token = positions_token(request)
    with connection.transaction():
        connection.execute(READ_ONLY)
        now = token.now if request.scope.known_before is None else None
        source = EntrySource(connection, schema, position=token.position, now=now)
        token = msgspec.structs.replace(token, position=source.position)
        return _page(source, request, token)


def _page(source: EntrySource, request: PositionsRequest, token: ExportToken) -> PositionsPage:
    found: list[ContractPosition] = []
    for each in _wallets(source, token.wallet):
        skipped = token.entries if each.wallet == token.wallet else 0
        room = request.page_size - len(found)
        if source.event_count >= LOOKED_AT_MAX or not room:
            return _ended(found, token, each.wallet, skipped)
        of_wallet = _positions(each, request)[skipped:]
        found += of_wallet[:room]
        if len(of_wallet) > room:
            return _ended(found, token, each.wallet, skipped + room)
    return PositionsPage(tuple(found), "", source.position)


def _wallets(source: EntrySource, from_wallet: str) -> Iterator[WalletEntries]:
    if from_wallet == POOLS:
        yield WalletEntries(POOLS, source.pools())
    yield from source.wallets(from_wallet, wanted=Wanted(contracts=True))


def _ended(found: list[ContractPosition], token: ExportToken, wallet: str, skipped: int) -> PositionsPage:
    """Return a page that a wallet goes on after; so many of its positions were told before."""
    rest = msgspec.structs.replace(token, wallet=wallet, entries=skipped)
    return PositionsPage(tuple(found), encode_token(rest), token.position)


def _positions(each: WalletEntries, request: PositionsRequest) -> list[ContractPosition]:
    scope = request.scope
    count = WalletPositions(each.wallet, each.contracts, scope.to_day, known_before=scope.known_before)
    for booked in each.entries:
        if not known(booked, scope.known_before):
            # A wallet's entries are in the order of the log; those of pools are not.
            if each.wallet == POOLS:
                continue
            break
        part = narrowed(booked, entity=scope.entity, currency_code=scope.currency_code)
        if part is not None:
            count.take(part)
    return count.positions()
