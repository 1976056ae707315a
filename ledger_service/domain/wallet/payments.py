"""What waits for a payment: grants and top-ups, and what automatic top-ups count. Part of a wallet's state.

All of it is bounded: so many grants and top-ups, and one day, one month and one row of failures.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from ledger_service.domain.events import CreditsGranted, TopUpOutcome, TopUpRequested, TopUpSettled

PENDING_GRANTS_MAX: Final = 100
OPEN_TOP_UPS_MAX: Final = 100
"""Most open top-ups that were asked for; beside them one automatic one may be open."""
BEGINNING: Final = datetime.min.replace(tzinfo=UTC)


class PendingGrant(msgspec.Struct, frozen=True):
    """A grant that waits for a payment: no lot yet, and not counted as granted."""

    grant_version: int
    granted: CreditsGranted
    effective_time: datetime


class OpenTopUp(msgspec.Struct, frozen=True):
    """A top-up that was requested and not settled."""

    top_up_version: int
    requested: TopUpRequested
    request_time: datetime


class Automatic(msgspec.Struct, frozen=True):
    """What automatic top-ups count: requests in a day and in a month, each until it ends, and failures in a row."""

    day_end_time: datetime = BEGINNING
    day_count: int = 0
    month_end_time: datetime = BEGINNING
    month_count: int = 0
    failure_count: int = 0
    retry_time: datetime = BEGINNING
    """No request before it."""
    decided_time: datetime = BEGINNING
    """When the newest event was decided; what time alone did counts at its own instant. Kept while there is a rule."""


class Payments(msgspec.Struct, frozen=True):
    """What waits for a payment, oldest first."""

    pending_grants: tuple[PendingGrant, ...] = ()
    open_top_ups: tuple[OpenTopUp, ...] = ()
    automatic: Automatic = Automatic()


NO_PAYMENTS: Final = Payments()


def find_pending(payments: Payments, grant_version: int) -> PendingGrant | None:
    """Return a grant that waits for a payment."""
    return next((each for each in payments.pending_grants if each.grant_version == grant_version), None)


def find_open(payments: Payments, top_up_version: int) -> OpenTopUp | None:
    """Return an open top-up."""
    return next((each for each in payments.open_top_ups if each.top_up_version == top_up_version), None)


def waiting(
    payments: Payments, granted: CreditsGranted, effective_time: datetime, version: int
) -> dict[str, Any]:
    """Return what a grant changes that waits for a payment."""
    pending = (*payments.pending_grants, PendingGrant(version, granted, effective_time))
    return {"payments": msgspec.structs.replace(payments, pending_grants=pending)}


def without_pending(payments: Payments, grant_version: int) -> Payments:
    """Return the payments after a pending grant was activated or withdrawn, or has lapsed."""
    left = tuple(each for each in payments.pending_grants if each.grant_version != grant_version)
    assert len(left) < len(payments.pending_grants), "the grant waits for no payment"
    return msgspec.structs.replace(payments, pending_grants=left)


def requested(
    payments: Payments, event: TopUpRequested, request_time: datetime, version: int
) -> dict[str, Any]:
    """Return what a request changes."""
    top_ups = (*payments.open_top_ups, OpenTopUp(version, event, request_time))
    automatic = _counted(payments.automatic, event) if event.automatic else payments.automatic
    return {"payments": msgspec.structs.replace(payments, open_top_ups=top_ups, automatic=automatic)}


def settled(payments: Payments, event: TopUpSettled) -> dict[str, Any]:
    """Return what a settlement changes."""
    top_up = find_open(payments, event.top_up_version)
    assert top_up is not None, "a settlement names a top-up that is not open"
    automatic = payments.automatic
    if top_up.requested.automatic:
        failed = event.outcome is not TopUpOutcome.SUCCEEDED
        automatic = msgspec.structs.replace(
            automatic,
            failure_count=automatic.failure_count + 1 if failed else 0,
            retry_time=event.retry_time or BEGINNING,
        )
    left = tuple(each for each in payments.open_top_ups if each is not top_up)
    return {"payments": msgspec.structs.replace(payments, open_top_ups=left, automatic=automatic)}


def _counted(automatic: Automatic, event: TopUpRequested) -> Automatic:
    day_end, month_end = event.day_end_time or BEGINNING, event.month_end_time or BEGINNING
    return msgspec.structs.replace(
        automatic,
        day_end_time=day_end,
        day_count=automatic.day_count + 1 if day_end == automatic.day_end_time else 1,
        month_end_time=month_end,
        month_count=automatic.month_count + 1 if month_end == automatic.month_end_time else 1,
    )
