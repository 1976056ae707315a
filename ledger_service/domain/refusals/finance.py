"""Refusals about revenue and accounting periods."""

from __future__ import annotations

from ledger_service.domain.refusals.base import Refusal


class BreakageEstimateOutOfRange(Refusal):
    """Expected breakage must lie in [0, 1), and the units expected to be used in 1 to those granted."""

    reason = "BREAKAGE_ESTIMATE_OUT_OF_RANGE"


class FractionOutOfRange(Refusal):
    """A fraction must lie between 0 and 1."""

    reason = "FRACTION_OUT_OF_RANGE"


class ExchangeRateRequired(Refusal):
    """A sale in a foreign currency needs the exchange rate at its receipt: stated, or of its entity."""

    reason = "EXCHANGE_RATE_REQUIRED"


class FunctionalCurrencyFixed(Refusal):
    """An entity keeps its books in one currency for ever."""

    reason = "FUNCTIONAL_CURRENCY_FIXED"


class FunctionalCurrencyRequired(Refusal):
    """An exchange rate needs a functional currency that it is in."""

    reason = "FUNCTIONAL_CURRENCY_REQUIRED"


class NotPaidFor(Refusal):
    """The grant carries no consideration: there is no revenue in it."""

    reason = "NOT_PAID_FOR"


class RefundNotFound(Refusal):
    """There is no such refund that is owed still."""

    reason = "REFUND_NOT_OWED"


class BreakagePoolExists(Refusal):
    """The pool was created before."""

    reason = "BREAKAGE_POOL_EXISTS"


class BreakagePoolNotFound(Refusal):
    """There is no such breakage pool."""

    reason = "BREAKAGE_POOL_NOT_FOUND"


class BreakagePoolMismatch(Refusal):
    """The pool is of another currency or entity, or is estimated by another method."""

    reason = "BREAKAGE_POOL_MISMATCH"


class PeriodAlreadyClosed(Refusal):
    """A closed period is never closed again nor reopened."""

    reason = "PERIOD_ALREADY_CLOSED"


class PeriodOutOfOrder(Refusal):
    """Periods are closed in order: each begins where the one before ended."""

    reason = "PERIOD_OUT_OF_ORDER"


class PeriodNotOver(Refusal):
    """A period that is not over cannot be closed."""

    reason = "PERIOD_NOT_OVER"


class CurrencyNotInBooks(Refusal):
    """Nothing was ever posted in this currency."""

    reason = "CURRENCY_NOT_IN_BOOKS"


class EntityNotInBooks(Refusal):
    """Nothing was ever posted for this entity."""

    reason = "ENTITY_NOT_IN_BOOKS"


class JournalUnbalanced(Refusal):
    """Debits and credits of the journal differ: something else than the ledger has changed it."""

    reason = "JOURNAL_UNBALANCED"
