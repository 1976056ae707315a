"""Refusals of a request that is malformed in itself, or of a key that was used before."""

from __future__ import annotations

from ledger_service.domain.refusals.base import Refusal


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


class IdempotencyKeyReused(Refusal):
    """The key was used before for another request."""

    reason = "IDEMPOTENCY_KEY_REUSED"
