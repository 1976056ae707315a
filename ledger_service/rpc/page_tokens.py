"""Page tokens: opaque to callers, JSON inside, refused if they are not ours."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from ledger_service.domain.refusals.service import PageTokenMalformed

T = TypeVar("T")


def write_page_token(key: object) -> str:
    """Return a token that remembers where the next page begins."""
    return base64.urlsafe_b64encode(msgspec.json.encode(key)).decode()


def read_page_token(token: str, kind: type[T]) -> T:
    """Return what a token remembers. Raises PageTokenMalformed."""
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(token.encode()), type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise PageTokenMalformed(
            "page_token is not one that this service gave", field="page_token"
        ) from error
