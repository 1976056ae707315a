"""Refusals of requests: what is declined before or after pricing, each with a reason that never changes.

Those of pricing itself are in `domain.refusals`. How one looks on the wire is decided in `rpc.statuses`.
"""

from __future__ import annotations

from enum import Enum
from typing import Final


class RequestReason(Enum):
    """Why a request was refused."""

    FIELD_REQUIRED = "FIELD_REQUIRED"
    FIELD_MALFORMED = "FIELD_MALFORMED"
    FIELD_TOO_LONG = "FIELD_TOO_LONG"
    TIME_MALFORMED = "TIME_MALFORMED"
    NUMBER_OUT_OF_RANGE = "NUMBER_OUT_OF_RANGE"
    BATCH_SIZE_OUT_OF_RANGE = "BATCH_SIZE_OUT_OF_RANGE"
    PAGE_TOKEN_MALFORMED = "PAGE_TOKEN_MALFORMED"  # noqa: S105, a reason and no secret
    QUARANTINE_NOT_FOUND = "QUARANTINE_NOT_FOUND"
    QUARANTINE_RECORDED = "QUARANTINE_RECORDED"
    QUARANTINE_DISMISSED = "QUARANTINE_DISMISSED"
    INVOICE_NOT_FOUND = "INVOICE_NOT_FOUND"
    INVOICE_LINE_NOT_FOUND = "INVOICE_LINE_NOT_FOUND"
    CREDIT_NOTE_NOT_FOUND = "CREDIT_NOTE_NOT_FOUND"
    NO_CREDIT_DUE = "NO_CREDIT_DUE"
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    CYCLE_OUTSIDE_CONTRACT = "CYCLE_OUTSIDE_CONTRACT"
    CYCLE_NOT_ENDED = "CYCLE_NOT_ENDED"
    GRACE_NOT_OVER = "GRACE_NOT_OVER"
    INVOICES_CONTENDED = "INVOICES_CONTENDED"
    WATERMARK_BEYOND_LOG = "WATERMARK_BEYOND_LOG"
    WATERMARK_BEFORE_CONTRACT = "WATERMARK_BEFORE_CONTRACT"
    WATERMARK_BEFORE_INVOICE = "WATERMARK_BEFORE_INVOICE"
    PREVIEW_MALFORMED = "PREVIEW_MALFORMED"
    PREVIEW_STALE = "PREVIEW_STALE"
    PREVIEW_EXPIRED = "PREVIEW_EXPIRED"
    INCLUDED_CREDIT_REFUSED = "INCLUDED_CREDIT_REFUSED"
    EMPTY_SPAN = "EMPTY_SPAN"
    SIMULATIONS_BUSY = "SIMULATIONS_BUSY"
    RERATING_NOT_FOUND = "RERATING_NOT_FOUND"
    RERATING_CHANGED = "RERATING_CHANGED"
    RERATING_INCOMPLETE = "RERATING_INCOMPLETE"
    HISTORY_BEHIND = "HISTORY_BEHIND"
    NOT_SERVING = "NOT_SERVING"
    LEDGER_UNAVAILABLE = "LEDGER_UNAVAILABLE"
    LIMITS_UNAVAILABLE = "LIMITS_UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"


class RequestRefused(Exception):
    """A request was declined. `reason` and the keys of `metadata` are stable, the message is for people."""

    def __init__(self, reason: RequestReason, message: str, *, field: str = "", **metadata: str) -> None:
        """Refuse with one sentence that names the cause; `field` is the request field concerned."""
        super().__init__(message)
        self.reason: Final = reason
        self.message: Final = message
        self.field: Final = field
        self.metadata: Final = metadata
