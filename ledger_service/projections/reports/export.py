"""The journal written for other programs, in parts, wallet by wallet.

What a part holds is bounded, and so is memory. Each part says where it ended, and as of which position of the log; who
goes on from there gets just the rest of the same journal, whatever was recorded meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
import psycopg
from psycopg.sql import SQL, Identifier

from ledger_service.application.exporting import journal_beancount, journal_hledger, journal_rows
from ledger_service.application.exporting.export_ports import ExportFormat, ExportPart, ExportRequest
from ledger_service.application.exporting.journal_texts import JournalHead, JournalText, TextSpan
from ledger_service.application.reading.page_tokens import ExportToken, encode_token
from ledger_service.application.reporting.journal_tokens import export_token
from ledger_service.domain.finance.accounts import Chart
from ledger_service.domain.finance.booked import BookedEntry
from ledger_service.projections.reports.entry_scope import known, narrowed
from ledger_service.projections.reports.entry_source import (
    READ_ONLY,
    EntrySource,
    WalletEntries,
    Wanted,
)

PART_BYTES: Final = 256 * 1024
"""About so much text is in a part."""

_SCOPE: Final = "SELECT DISTINCT entity, currency_code FROM {schema}.journal_days"


class Language(msgspec.Struct, frozen=True):
    """How a journal is written."""

    head: JournalHead
    text: Callable[[Chart, TextSpan], JournalText]


LANGUAGES: Final = {
    ExportFormat.HLEDGER: Language(journal_hledger.head, journal_hledger.HledgerText),
    ExportFormat.BEANCOUNT: Language(journal_beancount.head, journal_beancount.BeancountText),
    ExportFormat.CSV: Language(journal_rows.csv_head, journal_rows.CsvText),
    ExportFormat.JSON: Language(journal_rows.no_head, journal_rows.JsonText),
}
ROWS: Final = frozenset({ExportFormat.CSV, ExportFormat.JSON})
"""The languages that name the model of what was used; the others have no place for it."""


def export(connection: psycopg.Connection[Any], schema: str, request: ExportRequest) -> Iterator[ExportPart]:
    """Yield the parts of an export. Raises psycopg.Error, PageTokenMalformed."""
    token = export_token(request)
    with connection.transaction():
        connection.execute(READ_ONLY)
        now = token.now if request.known_before is None else None
        source = EntrySource(connection, schema, position=token.position, now=now)
        writer = _Writer(source, request, msgspec.structs.replace(token, position=source.position))
        if not request.token:
            yield from writer.begin(_scope(connection, schema, request))
        for each in source.wallets(token.wallet, wanted=Wanted(models=request.format in ROWS)):
            yield from writer.wallet(each)
        yield writer.end()


class _Writer:
    """Writes one export. Has the life of a run."""

    def __init__(self, source: EntrySource, request: ExportRequest, token: ExportToken) -> None:
        self._source = source
        self._request = request
        self._language = LANGUAGES[request.format]
        self._chart = Chart(request.names)
        self._span = TextSpan(request.from_day, request.to_day)
        self._written = token
        self._wallets_total = source.wallet_count(token.wallet)
        self._wallet_count = 0
        self._entry_count = 0
        self._texts: list[str] = []
        self._bytes = 0

    def begin(self, scope: tuple[tuple[str, ...], tuple[str, ...]]) -> Iterator[ExportPart]:
        """Write the head and what pools have posted, which belongs to no wallet."""
        entities, currencies = scope
        self._add(self._language.head(self._chart, entities=entities, currencies=currencies))
        text = self._language.text(self._chart, self._span)
        for booked in self._source.pools():
            self._entry(text, booked)
        self._add(text.opening())
        yield self._part()

    def wallet(self, each: WalletEntries) -> Iterator[ExportPart]:
        """Write a wallet, and parts of it as they are full."""
        text = self._language.text(self._chart, self._span)
        # What an earlier part holds is folded again for the state of the text, and not written.
        skip = self._written.entries if each.wallet == self._written.wallet else 0
        for done, booked in enumerate(each.entries, start=1):
            if not known(booked, self._request.known_before):
                break
            self._entry(text, booked, silent=done <= skip)
            if self._bytes >= PART_BYTES:
                self._written = self._at(each.wallet, done)
                yield self._part()
        self._add(text.opening())
        self._wallet_count += 1
        # After the last name: no wallet is called so, and all that follow come after it.
        self._written = self._at(each.wallet + "\x01", 0)
        if self._bytes >= PART_BYTES:
            yield self._part()

    def end(self) -> ExportPart:
        """Return the last part."""
        return msgspec.structs.replace(self._part(), token="")

    def _entry(self, text: JournalText, booked: BookedEntry, *, silent: bool = False) -> None:
        request = self._request
        part = narrowed(booked, entity=request.entity, currency_code=request.currency_code)
        written = "" if part is None or not known(part, request.known_before) else text.entry(part)
        if written and not silent:
            self._entry_count += 1
            self._add(written)

    def _at(self, wallet: str, entries: int) -> ExportToken:
        return msgspec.structs.replace(self._written, wallet=wallet, entries=entries)

    def _add(self, text: str) -> None:
        if text:
            self._texts.append(text)
            self._bytes += len(text)

    def _part(self) -> ExportPart:
        data = "".join(self._texts).encode()
        self._texts.clear()
        self._bytes = 0
        return ExportPart(
            data,
            encode_token(self._written),
            self._wallet_count,
            self._wallets_total,
            self._entry_count,
            self._source.position,
        )


def _scope(
    connection: psycopg.Connection[Any], schema: str, request: ExportRequest
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    rows = connection.execute(SQL(_SCOPE).format(schema=Identifier(schema))).fetchall()
    entities = {entity for entity, _ in rows if request.entity in {"", entity}}
    currencies = {currency for _, currency in rows if request.currency_code in {"", currency}}
    return tuple(sorted(entities)), tuple(sorted(currencies))
