"""Where an export or a list of entries goes on, bound to all that it depends on."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Final

import msgspec

from ledger_service.application.exporting.export_ports import ExportRequest
from ledger_service.application.reading.page_tokens import EntriesToken, ExportToken, decode_token
from ledger_service.application.reporting.report_ports import EntriesRequest, PositionsRequest
from ledger_service.domain.refusals.service import PageTokenMalformed

POOLS: Final = ""
"""Stands for the pools, which come before all wallets."""
_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)


def export_token(request: ExportRequest) -> ExportToken:
    """Return where an export begins or goes on. Raises PageTokenMalformed."""
    same = msgspec.structs.replace(request, token="", now=_NO_TIME)
    request_hash = sha256(msgspec.json.encode(same)).hexdigest()
    if not request.token:
        return ExportToken(request_hash, 0, request.now, "", 0)
    token = decode_token(request.token, ExportToken)
    if token.request_hash != request_hash:
        raise PageTokenMalformed("the page token is of another export", field="page_token")
    return token


def entries_token(request: EntriesRequest) -> EntriesToken:
    """Return where a list begins or goes on. Raises PageTokenMalformed."""
    scope = msgspec.structs.replace(request.scope, now=_NO_TIME)
    same = msgspec.structs.replace(request, token="", scope=scope, page_size=0)
    request_hash = sha256(msgspec.json.encode(same)).hexdigest()
    if not request.token:
        return EntriesToken(request_hash, 0, POOLS, 0)
    token = decode_token(request.token, EntriesToken)
    if token.request_hash != request_hash:
        raise PageTokenMalformed("the page token is of another list", field="page_token")
    return token


def positions_token(request: PositionsRequest) -> ExportToken:
    """Return where a list of positions begins or goes on. Raises PageTokenMalformed."""
    scope = msgspec.structs.replace(request.scope, now=_NO_TIME)
    same = msgspec.structs.replace(request, token="", scope=scope, page_size=0)
    request_hash = sha256(msgspec.json.encode(same)).hexdigest()
    if not request.token:
        return ExportToken(request_hash, 0, request.scope.now, POOLS, 0)
    token = decode_token(request.token, ExportToken)
    if token.request_hash != request_hash:
        raise PageTokenMalformed("the page token is of another list", field="page_token")
    return token
