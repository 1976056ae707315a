"""Which model the usage behind an event names: that of its charge, and of a reversal that of its debit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ledger_service.application.ports import StoredEvent

MODEL: Final = "model"
"""The property of usage that names the model."""
CHARGED_TOPICS: Final = frozenset({"wallet.CreditsDebited.v1", "wallet.HoldCaptured.v1"})
REVERSED_TOPIC: Final = "wallet.DebitReversed.v1"


class _Charged(msgspec.Struct, frozen=True, gc=False):
    properties: dict[str, str] = {}


class _Used(msgspec.Struct, frozen=True, gc=False):
    charge: _Charged | None = None


class _Usage(msgspec.Struct, frozen=True, gc=False):
    event: _Used


class _Debit(msgspec.Struct, frozen=True, gc=False):
    debit_version: int


class _Reversal(msgspec.Struct, frozen=True, gc=False):
    event: _Debit


_usages: Final = msgspec.json.Decoder(_Usage)
_reversals: Final = msgspec.json.Decoder(_Reversal)


def model_of(stored: StoredEvent, state_of: Callable[[str, int], bytes]) -> str:
    """Return the model of an event, empty for none. `state_of` reads another event of a stream, by its version."""
    if stored.topic in CHARGED_TOPICS:
        return _model(stored.state)
    if stored.topic == REVERSED_TOPIC:
        debit_version = _reversals.decode(stored.state).event.debit_version
        return _model(state_of(stored.stream, debit_version))
    return ""


def _model(state: bytes) -> str:
    charge = _usages.decode(state).event.charge
    return "" if charge is None else charge.properties.get(MODEL, "")
