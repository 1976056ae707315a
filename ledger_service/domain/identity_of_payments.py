"""Identity of what payments bring about; see `identity`."""

from __future__ import annotations

from ledger_service.domain.events import GrantActivated, TopUpRequested, TopUpSettled
from ledger_service.domain.identity_of_agreements import Identity, fields


def recorded_payment(event: GrantActivated | TopUpRequested | TopUpSettled) -> Identity:
    """Return what made the command that the event answers, beside its stream."""
    match event:
        case GrantActivated():
            return fields(event, "lot")
        case TopUpRequested():
            own = ("zone", "automatic", "day_end_time", "month_end_time")
            return fields(event, *own) | {"scope": sorted(event.scope)}
        case TopUpSettled():
            return fields(event, "retry_time")
