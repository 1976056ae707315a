"""Pages of entries of events, and the way from a day's sum in the journal down to the events behind it.

What was recorded on some days is found by position, for record time never goes back in the log; else wallets are looked
through in the order of their names, so many events a page. A wallet that is gone on with is folded from its first event
again: its lots are state that no token holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any, Final

import psycopg

from ledger_service.application.reading.page_tokens import EntriesToken, encode_token
from ledger_service.application.reporting.journal_tokens import POOLS, entries_token
from ledger_service.application.reporting.report_ports import EntriesPage, EntriesRequest
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.projections.events.wallet_events import utc_day
from ledger_service.projections.reports.entry_scope import known, narrowed
from ledger_service.projections.reports.entry_source import (
    READ_ONLY,
    EntrySource,
    WalletEntries,
    Wanted,
)

LOOKED_AT_MAX: Final = 100_000
"""Entries that one page looks at: a few seconds."""
_WANTED: Final = Wanted(models=True)


def list_entries(connection: psycopg.Connection[Any], schema: str, request: EntriesRequest) -> EntriesPage:
    """Return a page of entries. Raises psycopg.Error, PageTokenMalformed."""
    token = entries_token(request)
    with connection.transaction():
        connection.execute(READ_ONLY)
        source = EntrySource(connection, schema, position=token.position)
        found: list[BookedEntry] = []
        looked_at = 0
        for each in _wallets(source, request, token.wallet):
            skip = token.entries if each.wallet == token.wallet else 0
            seen = 0
            for booked in each.entries:
                if not known(booked, request.scope.known_before):
                    break
                seen += 1
                if seen <= skip:
                    continue
                if len(found) == request.page_size or looked_at == LOOKED_AT_MAX:
                    place = EntriesToken(token.request_hash, source.position, each.wallet, seen - 1)
                    return EntriesPage(tuple(found), encode_token(place), source.position)
                looked_at += 1
                part = _matching(booked, request)
                if part is not None:
                    found.append(part)
    return EntriesPage(tuple(found), "", source.position)


def _wallets(source: EntrySource, request: EntriesRequest, from_wallet: str) -> Iterator[WalletEntries]:
    if from_wallet == POOLS and not request.wallet:
        yield WalletEntries(POOLS, source.pools())
    if request.wallet:
        yield from source.wallets_of([request.wallet], wanted=_WANTED)
    elif request.record_from_day is not None or request.record_to_day is not None:
        days = request.record_from_day or date.min, request.record_to_day or date.max
        names: Sequence[str] = source.wallets_recorded(*days)
        yield from source.wallets_of([name for name in names if name >= from_wallet], wanted=_WANTED)
    else:
        yield from source.wallets(from_wallet, wanted=_WANTED)


def _matching(booked: BookedEntry, request: EntriesRequest) -> BookedEntry | None:
    scope, entry = request.scope, booked.entry
    if not scope.from_day <= entry.posting_day < scope.to_day or not entry.lines:
        return None
    record_day = utc_day(entry.record_time)
    if request.record_from_day is not None and record_day < request.record_from_day:
        return None
    if request.record_to_day is not None and record_day >= request.record_to_day:
        return None
    if request.model not in {None, booked.model} or request.feature not in {None, booked.feature}:
        return None
    part = narrowed(booked, entity=scope.entity, currency_code=scope.currency_code)
    if part is None:
        return None
    for line in part.entry.lines:
        if request.account in {None, line.account} and request.product in {None, line.product}:
            return part
    return None
