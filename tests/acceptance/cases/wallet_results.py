"""How the case files call what became of a debit, hold, capture or release."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.acceptance.cases.services import Refused

RESULTS: Final[Mapping[str, str]] = {
    "INSUFFICIENT_CREDIT": "INSUFFICIENT",
    "OVERAGE_LIMIT_EXCEEDED": "INSUFFICIENT",
    "CAPTURE_EXCEEDS_HOLD": "EXCEEDS_HOLD",
    "HOLD_ALREADY_CAPTURED": "ALREADY_CAPTURED",
    "HOLD_ALREADY_RELEASED": "ALREADY_RELEASED",
    "HOLD_EXPIRED": "EXPIRED",
    "HOLD_NOT_FOUND": "NOT_FOUND",
}
"""How the case files call a refusal; any other reason stands for itself."""
WORDS: Final[Mapping[str, str]] = {
    **RESULTS,
    **dict.fromkeys(("INSUFFICIENT_FUNDS", "INSUFFICIENT_BALANCE", "REFUSED", "REJECTED"), "INSUFFICIENT"),
    **dict.fromkeys(("ALREADY_VOIDED", "VOIDED", "RELEASED", "HOLD_RELEASED"), "ALREADY_RELEASED"),
    **dict.fromkeys(("CAPTURED", "HOLD_CAPTURED", "ALREADY_POSTED"), "ALREADY_CAPTURED"),
    **dict.fromkeys(("HOLD_EXCEEDED", "EXCEEDS", "OVER_HOLD"), "EXCEEDS_HOLD"),
}
"""How the case files may call a refusal."""


def result_of(refusal: Refused) -> str:
    """Return the result that a refusal is noted as."""
    return RESULTS.get(refusal.reason, refusal.reason)


def result_named(word: object) -> object:
    """Return the name under which a result is noted."""
    plain = word.strip().upper().replace(" ", "_").replace("-", "_") if isinstance(word, str) else word
    return WORDS.get(plain, plain) if isinstance(plain, str) else plain
