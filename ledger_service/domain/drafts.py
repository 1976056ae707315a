"""What a decision returns: events that are not yet part of any log."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.events import Event


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event for a stream. `answers` marks the one that carries the idempotency key and answers retries."""

    stream: str
    event: Event
    effective_time: datetime
    answers: bool = False
