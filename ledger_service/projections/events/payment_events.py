"""Narrow structs of pending grants and top-ups: what the projections fold of them (see wallet_events)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.events import LotTerms


class Payment(msgspec.Struct, frozen=True, gc=False):
    """Base of the narrow structs of this module."""


class Activated(Payment, frozen=True):
    """What the projections need of GrantActivated."""

    grant_version: int
    lot: LotTerms


class TopUpAsked(Payment, frozen=True):
    """What the projections need of TopUpRequested."""

    day_end_time: datetime | None = None
    month_end_time: datetime | None = None


class TopUpEnded(Payment, frozen=True):
    """What the projections need of TopUpSettled."""

    retry_time: datetime | None = None


AnyPayment = Activated | TopUpAsked | TopUpEnded

PAYMENT_TYPES: dict[str, type[AnyPayment]] = {
    "wallet.GrantActivated.v1": Activated,
    "wallet.TopUpRequested.v1": TopUpAsked,
    "wallet.TopUpSettled.v1": TopUpEnded,
}
