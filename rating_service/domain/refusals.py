"""Refusals: what rating declines to do, each with a reason that never changes."""

from __future__ import annotations

from enum import Enum
from typing import Final


class Reason(Enum):
    """Why something was refused, in order of precedence."""

    MALFORMED_USAGE = "MALFORMED_USAGE"
    INCONSISTENT_USAGE = "INCONSISTENT_USAGE"
    TOO_LATE = "TOO_LATE"
    STREAM_CHUNK_CHANGED = "STREAM_CHUNK_CHANGED"
    STREAM_ENDED = "STREAM_ENDED"
    UNKNOWN_CONTRACT = "UNKNOWN_CONTRACT"
    CONTRACT_NOT_IN_FORCE = "CONTRACT_NOT_IN_FORCE"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    UNKNOWN_RATE_CARD = "UNKNOWN_RATE_CARD"
    UNKNOWN_PLAN = "UNKNOWN_PLAN"
    ASSET_DIFFERS = "ASSET_DIFFERS"
    NO_PHASE_IN_FORCE = "NO_PHASE_IN_FORCE"
    NO_QUANTITIES = "NO_QUANTITIES"
    NEGATIVE_QUANTITY = "NEGATIVE_QUANTITY"
    UNKNOWN_DIMENSION = "UNKNOWN_DIMENSION"
    MISSING_PROPERTY = "MISSING_PROPERTY"
    INVALID_PROPERTY = "INVALID_PROPERTY"
    BEYOND_LAST_TIER = "BEYOND_LAST_TIER"
    NO_RATE_FOR_USAGE = "NO_RATE_FOR_USAGE"
    AMOUNT_OUT_OF_RANGE = "AMOUNT_OUT_OF_RANGE"
    MIXED_CURRENCIES = "MIXED_CURRENCIES"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    LINE_WITHOUT_SPAN = "LINE_WITHOUT_SPAN"
    AMOUNT_NOT_POSITIVE = "AMOUNT_NOT_POSITIVE"
    AMOUNT_NOT_PAYABLE = "AMOUNT_NOT_PAYABLE"
    CREDIT_NOTE_ABOVE_INVOICE = "CREDIT_NOTE_ABOVE_INVOICE"


class Refusal(Exception):
    """Something was declined. `reason` and the keys of `metadata` are stable, the message is for people."""

    def __init__(self, reason: Reason, message: str, **metadata: str) -> None:
        super().__init__(message)
        self.reason: Final = reason
        self.message: Final = message
        self.metadata: Final = metadata
