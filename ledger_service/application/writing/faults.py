"""Faults: a decision that broke by our own doing, told to its caller as an incident and to us in full."""

from __future__ import annotations

import secrets

import structlog

from ledger_service.application.writing.calls import Call
from ledger_service.domain.refusals.service import DecisionFailed

log = structlog.get_logger("decider")


def fault(call: Call, error: Exception) -> DecisionFailed:
    """Log a fault and return the refusal that names its incident."""
    incident = secrets.token_hex(8)
    log.error(
        "fault",
        command=type(call.command).__name__,
        stream=call.streams[0],
        incident=incident,
        exc_info=error,
    )
    return DecisionFailed(
        f"internal error; quote incident {incident} to the operator; nothing was done", incident=incident
    )
