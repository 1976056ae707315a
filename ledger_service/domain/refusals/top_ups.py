"""Refusals about payments that credit waits for."""

from __future__ import annotations

from ledger_service.domain.refusals.base import Refusal


class GrantNotPending(Refusal):
    """The grant waits for no payment: it never did, was activated or withdrawn, or has lapsed."""

    reason = "GRANT_NOT_PENDING"


class PendingGrantsFull(Refusal):
    """As many grants wait for a payment as a wallet may have."""

    reason = "PENDING_GRANTS_FULL"


class TopUpsFull(Refusal):
    """As many top-ups are open as a wallet may have."""

    reason = "TOP_UPS_FULL"


class TopUpNotOpen(Refusal):
    """The top-up was settled before, or there never was one."""

    reason = "TOP_UP_NOT_OPEN"


class TopUpNotFound(Refusal):
    """There is no such top-up."""

    reason = "TOP_UP_NOT_FOUND"


class TopUpAlreadySettled(Refusal):
    """The top-up was settled before with another outcome."""

    reason = "TOP_UP_ALREADY_SETTLED"
