"""Refusals: every way in which the ledger says no, each with a stable reason.

A refusal is an answer, not a fault: it leaves nothing behind and the command may be sent again. The reason
may not change once released; the text may. `field` names the request field that caused it, `metadata` holds
what a program may want to read. How a refusal looks on the wire is decided in `rpc/refusal_status.py`.
"""

from __future__ import annotations

from typing import ClassVar


class Refusal(Exception):
    """Base of all refusals."""

    reason: ClassVar[str]

    def __init__(self, description: str, *, field: str = "", **metadata: str | int) -> None:
        """Refuse with one sentence that names the cause."""
        super().__init__(description)
        self.description = description
        self.field = field
        self.metadata = {key: str(value) for key, value in metadata.items()}


class FieldRequired(Refusal):
    """A required field is empty."""

    reason = "FIELD_REQUIRED"


class FieldMalformed(Refusal):
    """A field's text has the wrong form."""

    reason = "FIELD_MALFORMED"


class FieldTooLong(Refusal):
    """A text or list exceeds its maximum."""

    reason = "FIELD_TOO_LONG"


class FieldNotAllowed(Refusal):
    """A field may not be set together with the others."""

    reason = "FIELD_NOT_ALLOWED"


class NumberOutOfRange(Refusal):
    """A number lies outside its range."""

    reason = "NUMBER_OUT_OF_RANGE"


class AmountNotPositive(Refusal):
    """An amount is zero or negative."""

    reason = "AMOUNT_NOT_POSITIVE"


class AmountOutOfRange(Refusal):
    """An amount, alone or added to what is there, exceeds int64."""

    reason = "AMOUNT_OUT_OF_RANGE"


class ValueUnspecified(Refusal):
    """An enumeration is unspecified or unknown."""

    reason = "VALUE_UNSPECIFIED"


class TimeMalformed(Refusal):
    """A timestamp is not an instant between the years 1 and 9999."""

    reason = "TIME_MALFORMED"


class TimeInFuture(Refusal):
    """A debit's effective time lies too far ahead of the server's clock."""

    reason = "TIME_IN_FUTURE"


class TimesOutOfOrder(Refusal):
    """A span ends before it begins."""

    reason = "TIMES_OUT_OF_ORDER"


class ChargeInconsistent(Refusal):
    """A charge's lines do not add up to its total."""

    reason = "CHARGE_INCONSISTENT"


class WalletNotFound(Refusal):
    """There is no such wallet."""

    reason = "WALLET_NOT_FOUND"


class WalletExists(Refusal):
    """A wallet of this name was opened before, under another idempotency key."""

    reason = "WALLET_EXISTS"


class InsufficientCredit(Refusal):
    """The lots in scope hold less than the debit needs, and the wallet's policy is HARD."""

    reason = "INSUFFICIENT_CREDIT"


class OverageLimitExceeded(Refusal):
    """The debit would bring the wallet's overage above its limit."""

    reason = "OVERAGE_LIMIT_EXCEEDED"


class IdempotencyKeyReused(Refusal):
    """The key was used before for another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"


class RateCardNotFound(Refusal):
    """There is no such rate card."""

    reason = "RATE_CARD_NOT_FOUND"


class RateCardExists(Refusal):
    """A rate card of this name was created before, under another idempotency key."""

    reason = "RATE_CARD_EXISTS"


class PhaseOverlaps(Refusal):
    """A phase begins at or before one that is published already."""

    reason = "PHASE_OVERLAPS"


class PhaseInPast(Refusal):
    """A phase begins in the past, where usage may have been priced already."""

    reason = "PHASE_IN_PAST"


class RatesAmbiguous(Refusal):
    """Two equally specific rates could price the same usage."""

    reason = "RATES_AMBIGUOUS"


class TiersOutOfOrder(Refusal):
    """A multiplier's tiers do not ascend."""

    reason = "TIERS_OUT_OF_ORDER"


class PlanNotFound(Refusal):
    """There is no such plan, or not in this version."""

    reason = "PLAN_NOT_FOUND"


class ContractNotFound(Refusal):
    """There is no such contract."""

    reason = "CONTRACT_NOT_FOUND"


class ContractExists(Refusal):
    """A contract of this name was signed before, or the wallet is bound to another one."""

    reason = "CONTRACT_EXISTS"


class CustomerMismatch(Refusal):
    """The wallet belongs to another customer."""

    reason = "CUSTOMER_MISMATCH"


class AssetMismatch(Refusal):
    """Two things that must count the same asset do not."""

    reason = "ASSET_MISMATCH"


class BatchTooLarge(Refusal):
    """A batch is empty or exceeds its maximum."""

    reason = "BATCH_SIZE_OUT_OF_RANGE"


class PageTokenMalformed(Refusal):
    """A page token is not one that the service gave."""

    reason = "PAGE_TOKEN_MALFORMED"


class ClockWouldGoBack(Refusal):
    """The sandbox clock only moves forward."""

    reason = "CLOCK_WOULD_GO_BACK"


class QueueFull(Refusal):
    """More commands are waiting than the service holds; come back shortly."""

    reason = "QUEUE_FULL"


class NotServing(Refusal):
    """This instance is starting, standing by, draining or without its database; nothing was done."""

    reason = "NOT_SERVING"


class OutcomeUnknown(Refusal):
    """The database went away while the command was being stored; send it again with the same key."""

    reason = "OUTCOME_UNKNOWN"


class Contended(Refusal):
    """Another writer kept winning; nothing was done."""

    reason = "CONTENDED"


class ProjectionBehind(Refusal):
    """The view has not yet seen the position asked for."""

    reason = "PROJECTION_BEHIND"
