"""The authorization as its holder keeps it: text that says all that settling needs, so that nothing is kept here.

Any instance can settle it, also after a restart. It is no secret and no proof: who may call Settle may debit anyway.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from datetime import datetime
from typing import Final

import msgspec

from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Record

TICKET_LENGTH_MAX: Final = 65_536
"""Characters: room for as many properties as a request may name."""


class Ticket(Record, frozen=True):
    """An authorization: who may run what, since when, and what was taken for it."""

    entry: str
    """Its id, of which the idempotency keys of hold, capture and release are made."""
    contract: str
    wallet: str
    time: datetime
    tokens: int
    feature: str = ""
    api_key: str = ""
    user: str = ""
    hold: str = ""
    properties: dict[str, str] = {}
    """What the request was said to be; what is settled is priced by the same, unless it says otherwise."""


def ticket_text(ticket: Ticket) -> str:
    """Return an authorization as text."""
    return urlsafe_b64encode(msgspec.json.encode(ticket)).decode()


def read_ticket(text: str) -> Ticket:
    """Return the authorization behind text. Refuses FIELD_REQUIRED, FIELD_MALFORMED."""
    if not text:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "authorization is required", field="authorization")
    try:
        if len(text) > TICKET_LENGTH_MAX:
            raise ValueError
        return msgspec.json.decode(b64decode(text.encode(), altchars=b"-_", validate=True), type=Ticket)
    except (Base64Error, ValueError, msgspec.MsgspecError):
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED,
            "authorization was not given by this service",
            field="authorization",
        ) from None
