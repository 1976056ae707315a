"""Debits and captures as rating keeps them: with the ledger's own JSON text of draws and charge."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from rating_service.application.followed import DebitRow
from rating_service.application.ports import LedgerEvent
from rating_service.domain.debits import Draw

_NO_DRAWS: Final = msgspec.Raw(b"[]")
_NO_CHARGE: Final = msgspec.Raw(b"")


class _Properties(msgspec.Struct, frozen=True):
    model: str = ""


class _AdjustmentKeys(msgspec.Struct):
    cycle_start_time: datetime


_NO_PROPERTIES: Final = _Properties()


class _ChargeKeys(msgspec.Struct):
    contract: str
    contract_phase: str
    rate_card_phase: str
    properties: _Properties = _NO_PROPERTIES
    adjustment: _AdjustmentKeys | None = None


class _Debited(msgspec.Struct):
    amount_units: int
    draws: msgspec.Raw = _NO_DRAWS
    overage_units: int = 0
    charge: msgspec.Raw = _NO_CHARGE
    feature: str = ""
    api_key: str = ""
    user: str = ""


class _DebitFact(msgspec.Struct):
    event: _Debited
    effective_time: datetime
    idempotency_key: str = ""


class _Captured(msgspec.Struct):
    amount_units: int
    held_draws: tuple[Draw, ...] = ()
    draws: tuple[Draw, ...] = ()
    overage_units: int = 0
    charge: msgspec.Raw = _NO_CHARGE
    feature: str = ""
    api_key: str = ""
    user: str = ""


class _CaptureFact(msgspec.Struct):
    event: _Captured
    effective_time: datetime
    idempotency_key: str = ""


_UNCHARGED: Final = _ChargeKeys("", "", "")
_debits: Final = msgspec.json.Decoder(_DebitFact)
_captures: Final = msgspec.json.Decoder(_CaptureFact)
_charge_keys: Final = msgspec.json.Decoder(_ChargeKeys)


def debit_row(event: LedgerEvent) -> DebitRow:
    """Return a debit. Raises msgspec.ValidationError."""
    fact = _debits.decode(event.state)
    debited = fact.event
    return _row(event, fact, debited, bytes(debited.draws).decode())


def capture_rows(event: LedgerEvent) -> list[DebitRow]:
    """Return a capture as the debit that it is, none if it only gave a hold back. Raises msgspec.ValidationError."""
    fact = _captures.decode(event.state)
    captured = fact.event
    if not captured.amount_units and bytes(captured.charge) == b"":
        return []
    draws = msgspec.json.encode(captured.held_draws + captured.draws).decode()
    return [_row(event, fact, captured, draws)]


def _row(
    event: LedgerEvent, fact: _DebitFact | _CaptureFact, debited: _Debited | _Captured, draws: str
) -> DebitRow:
    charge = bytes(debited.charge).decode()
    keys = _charge_keys.decode(debited.charge) if charge else _UNCHARGED
    return DebitRow(
        event.position,
        event.stream,
        event.version,
        fact.effective_time,
        fact.idempotency_key,
        debited.amount_units,
        debited.overage_units,
        draws,
        keys.contract,
        keys.contract_phase,
        keys.rate_card_phase,
        charge or None,
        None if keys.adjustment is None else keys.adjustment.cycle_start_time,
        debited.feature,
        debited.api_key,
        debited.user,
        keys.properties.model,
    )
