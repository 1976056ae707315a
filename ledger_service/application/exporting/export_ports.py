"""What an export of the journal is asked for and gives, whoever makes it and whoever carries it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import Enum

import msgspec

from ledger_service.domain.finance.accounts import Account


class ExportFormat(Enum):
    """In which language."""

    HLEDGER = "HLEDGER"
    BEANCOUNT = "BEANCOUNT"
    CSV = "CSV"
    JSON = "JSON"


class ExportRequest(msgspec.Struct, frozen=True, tag="export"):
    """Which part of the journal: what is posted in [from_day, to_day), as recorded.

    With `known_before` only what was recorded before that day; without it, what time has ended by `now` besides.
    `token` goes on after the part that it came with.
    """

    format: ExportFormat
    from_day: date
    to_day: date
    now: datetime
    entity: str = ""
    currency_code: str = ""
    known_before: date | None = None
    names: Mapping[Account, str] = {}
    token: str = ""


class ExportPart(msgspec.Struct, frozen=True):
    """The next bytes, and how far it is. `token` goes on after them; the last part has none."""

    data: bytes
    token: str
    wallet_count: int
    wallets_total: int
    entry_count: int
    position: int
