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


class ChargeContractMismatch(Refusal):
    """A charge names a contract that the wallet is not bound to."""

    reason = "CHARGE_CONTRACT_MISMATCH"


class WalletNotFound(Refusal):
    """There is no such wallet."""

    reason = "WALLET_NOT_FOUND"


class WalletExists(Refusal):
    """A wallet of this name was opened before, under another idempotency key."""

    reason = "WALLET_EXISTS"


class InsufficientCredit(Refusal):
    """The lots in scope hold less than the debit needs, and the wallet's policy is HARD."""

    reason = "INSUFFICIENT_CREDIT"


class HoldNotActive(Refusal):
    """The hold was captured, released or timed out, or there never was one."""

    reason = "HOLD_NOT_ACTIVE"


class HoldNotFound(Refusal):
    """There is no such hold."""

    reason = "HOLD_NOT_FOUND"


class HoldExpired(Refusal):
    """The hold's time was over before the call."""

    reason = "HOLD_EXPIRED"


class HoldAlreadyCaptured(Refusal):
    """The hold was captured before."""

    reason = "HOLD_ALREADY_CAPTURED"


class HoldAlreadyReleased(Refusal):
    """The hold was released before."""

    reason = "HOLD_ALREADY_RELEASED"


class CaptureExceedsHold(Refusal):
    """The capture asks for more than the hold still reserves, and the caller rejects that."""

    reason = "CAPTURE_EXCEEDS_HOLD"


class AsOfOverdrawn(Refusal):
    """At that instant, on the effective clock, a backdated debit uses credit that came free only later."""

    reason = "AS_OF_OVERDRAWN"


class DebitNotFound(Refusal):
    """There is no such debit."""

    reason = "DEBIT_NOT_FOUND"


class ReversalExceedsDebit(Refusal):
    """The reversal asks for more than is left of the debit."""

    reason = "REVERSAL_EXCEEDS_DEBIT"


class GrantNotActive(Refusal):
    """The grant has nothing left, or there never was one."""

    reason = "GRANT_NOT_ACTIVE"


class GrantNotRefundable(Refusal):
    """The grant carries no consideration: promotional and bonus units are never cash."""

    reason = "GRANT_NOT_REFUNDABLE"


class RefundExceedsGrant(Refusal):
    """The refund asks for more than the unheld rest of the grant."""

    reason = "REFUND_EXCEEDS_GRANT"


class ExtensionNotLater(Refusal):
    """The new expiry does not lie after the old one."""

    reason = "EXTENSION_NOT_LATER"


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
