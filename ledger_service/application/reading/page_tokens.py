"""Page tokens: where the next page begins, opaque to callers and bound to the list they came from."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import date, datetime
from typing import TypeVar

import msgspec

from ledger_service.domain.refusals.service import PageTokenMalformed


class WalletsToken(msgspec.Struct, frozen=True, array_like=True, tag="wallets"):
    """After the wallet of this name, in the list of this customer's wallets ("" for all)."""

    customer: str
    after_wallet: str


class GrantsToken(msgspec.Struct, frozen=True, array_like=True, tag="grants"):
    """After the grant of this version, in the list of this wallet's grants."""

    wallet: str
    after_version: int


class StatementToken(msgspec.Struct, frozen=True, array_like=True, tag="statement"):
    """After the event of this version, with so much posted, in the statement of this wallet."""

    wallet: str
    after_version: int
    posted_units: int


class JournalToken(msgspec.Struct, frozen=True, array_like=True, tag="journal"):
    """After the row of the journal with this key."""

    posting_day: date
    record_day: date
    effective_day: date
    entity: str
    account: str
    movement: str
    product: str
    source: str


class RatesToken(msgspec.Struct, frozen=True, array_like=True, tag="rates"):
    """After this rate, in the list of an entity's exchange rates."""

    entity: str
    currency_code: str
    from_time: datetime
    position: int


class AgreementsToken(msgspec.Struct, frozen=True, array_like=True, tag="agreements"):
    """After the contract or plan of this name."""

    after: str


class ExportToken(msgspec.Struct, frozen=True, array_like=True, tag="export"):
    """After so many entries of a wallet, as of a position and an instant, in the export that was asked for.

    Also after so many positions of a wallet's contracts. `request_hash` is of all that the answer depends on.
    """

    request_hash: str
    position: int
    now: datetime
    wallet: str
    entries: int


class EntriesToken(msgspec.Struct, frozen=True, array_like=True, tag="entries"):
    """After so many entries of a wallet, as of a position, in the list of entries that was asked for."""

    request_hash: str
    position: int
    wallet: str
    entries: int


Token = (
    WalletsToken
    | GrantsToken
    | StatementToken
    | AgreementsToken
    | JournalToken
    | RatesToken
    | ExportToken
    | EntriesToken
)
T = TypeVar(
    "T",
    WalletsToken,
    GrantsToken,
    StatementToken,
    AgreementsToken,
    JournalToken,
    RatesToken,
    ExportToken,
    EntriesToken,
)


def encode_token(token: Token) -> str:
    """Return the text of a token."""
    return urlsafe_b64encode(msgspec.json.encode(token)).decode().rstrip("=")


def decode_token(text: str, kind: type[T]) -> T:
    """Return the token behind a text. Raises PageTokenMalformed."""
    try:
        raw = urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4))
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, msgspec.DecodeError) as error:
        raise PageTokenMalformed(
            "the page token is not one that this list gave", field="page_token"
        ) from error
