"""What is asked of Authorize and told to Settle, and what makes no sense under any agreement."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import msgspec

from rating_service.application.authorizing.authorization_ports import OverHold
from rating_service.application.names import check_contract
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.authorizing.authorization import Spender

KEY_LENGTH_MAX: Final = 180
"""Characters in a key; the keys made of it must fit the ledger's 200."""
NAME_LENGTH_MAX: Final = 100
"""Characters in an API key, user or feature, as in the ledger."""
ENTRIES_MAX: Final = 32
"""Quantities, and properties, of one request, as of one usage."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that wants to run. No `hold_ttl` means the ledger's default."""

    contract: str
    quantities: dict[str, int]
    properties: dict[str, str]
    spender: Spender
    place_hold: bool = False
    hold_ttl: timedelta | None = None
    key: str = ""
    min_position: int = 0


class ActualUsage(msgspec.Struct, frozen=True):
    """What an authorized request used."""

    quantities: dict[str, int]
    properties: dict[str, str]
    over_hold: OverHold = OverHold.UNSPECIFIED
    allow_late: bool = False


def check_request(request: Request) -> None:
    """Refuse what cannot be asked. Raises RequestRefused."""
    check_contract(request.contract, field="contract")
    check_entries(request.quantities, request.properties)
    for name, text in request.spender._asdict().items():
        _check_length(text, NAME_LENGTH_MAX, field=name)
    _check_length(request.key, KEY_LENGTH_MAX, field="idempotency_key")
    if request.place_hold and not request.key:
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED,
            "idempotency_key is required with place_hold",
            field="idempotency_key",
        )


def check_entries(quantities: Mapping[str, int], properties: Mapping[str, str]) -> None:
    """Refuse more than ENTRIES_MAX quantities or properties."""
    for name, count in (("quantities", len(quantities)), ("properties", len(properties))):
        if count > ENTRIES_MAX:
            raise RequestRefused(
                RequestReason.FIELD_TOO_LONG,
                f"{name} has {count} entries, more than {ENTRIES_MAX}",
                field=name,
            )


def _check_length(text: str, length_max: int, *, field: str) -> None:
    if len(text) > length_max:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG,
            f"{field} has {len(text)} characters, more than {length_max}",
            field=field,
        )
