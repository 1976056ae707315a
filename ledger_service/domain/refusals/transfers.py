"""Refusals of transfers and chargebacks."""

from __future__ import annotations

from ledger_service.domain.refusals.base import Refusal


class TransferToItself(Refusal):
    """Source and destination of a transfer are one wallet."""

    reason = "TRANSFER_TO_ITSELF"


class GrantNotFound(Refusal):
    """There is no such grant."""

    reason = "GRANT_NOT_FOUND"


class GrantAlreadyChargedBack(Refusal):
    """The grant was charged back before, under another idempotency key."""

    reason = "GRANT_CHARGED_BACK"


class ChargebackExceedsGrant(Refusal):
    """The chargeback asks for more than the grant's consideration has left."""

    reason = "CHARGEBACK_EXCEEDS_GRANT"
