"""Refusals by a wallet."""

from __future__ import annotations

from ledger_service.domain.refusals.base import Refusal


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


class RefundExceedsTax(Refusal):
    """The refund is to give back more tax than is left of what was received with the grant."""

    reason = "REFUND_EXCEEDS_TAX"


class ExtensionNotLater(Refusal):
    """The new expiry or end does not lie after the old one."""

    reason = "EXTENSION_NOT_LATER"


class OverageLimitExceeded(Refusal):
    """The debit would bring the wallet's overage above its limit."""

    reason = "OVERAGE_LIMIT_EXCEEDED"


class SpendCapExceeded(Refusal):
    """The debit or hold would bring what the wallet spends in this period above its spend cap."""

    reason = "SPEND_CAP_EXCEEDED"


class BudgetExceeded(Refusal):
    """The debit or hold would bring what a key, user or feature spends above its budget."""

    reason = "BUDGET_EXCEEDED"


class BudgetsOverlap(Refusal):
    """Two budgets have one name, or cap the same key, user or feature."""

    reason = "BUDGETS_OVERLAP"


class WalletIsClosed(Refusal):
    """The wallet was closed: it takes and gives no credit any more."""

    reason = "WALLET_CLOSED"


class WalletInUse(Refusal):
    """The wallet has holds, debts, or a contract phase now or later, so it cannot be closed."""

    reason = "WALLET_IN_USE"


class WalletNotEmpty(Refusal):
    """The wallet holds credit or has a recurring grant to come, and the caller does not forfeit it."""

    reason = "WALLET_NOT_EMPTY"
