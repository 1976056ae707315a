"""Which refusals mean that a usage cannot be rated, and how they are told."""

from __future__ import annotations

from typing import Final

import grpc

from rating_service.application.metering.quarantine import Cause
from rating_service.application.ports import LedgerRefused
from rating_service.application.refusals import RequestRefused
from rating_service.domain.refusals import Reason, Refusal
from rating_service.rpc.statuses import ERROR_DOMAIN, reason_of

LEDGER_DOMAIN: Final = "ledger.credits"
BAD_REQUESTS: Final = frozenset({Reason.NO_QUANTITIES, Reason.NEGATIVE_QUANTITY})
"""What no card or contract could ever price: there is nothing to keep."""
LEDGER_CODES: Final = frozenset(
    {grpc.StatusCode.NOT_FOUND.value[0], grpc.StatusCode.FAILED_PRECONDITION.value[0]}
)
"""Codes of the ledger's refusals that lie in how its wallet stands and not in the request."""


def cause_of(refusal: Refusal | RequestRefused | LedgerRefused) -> Cause:
    """Return why a usage was not debited."""
    if isinstance(refusal, LedgerRefused):
        status = refusal.status
        return Cause(
            LEDGER_DOMAIN, reason_of(status), status.message, is_unrateable=status.code in LEDGER_CODES
        )
    unrateable = isinstance(refusal, Refusal) and refusal.reason not in BAD_REQUESTS
    return Cause(ERROR_DOMAIN, refusal.reason.value, refusal.message, is_unrateable=unrateable)
