"""Estimates of breakage: the fraction of units that will never be used, in [0, 1), exact.

An estimate is stated as that fraction, or as the units expected to be used of those that there are. Nothing is ever
expected to be broken as a whole: then there would be no use to recognise breakage in proportion to.
"""

from __future__ import annotations

from fractions import Fraction

from ledger_service.domain.exact import is_exact_text
from ledger_service.domain.refusals import (
    BreakageEstimateOutOfRange,
    FieldMalformed,
    FieldNotAllowed,
    FractionOutOfRange,
)

DECIMALS_MAX = 18
"""So that numerator and denominator fit int64."""


def estimate_of(*, expected_breakage: str, expected_redeemed_units: int, of_units: int) -> Fraction:
    """Return the expected breakage behind what was stated and checked; 0 if nothing was."""
    if expected_redeemed_units:
        return 1 - Fraction(expected_redeemed_units, of_units)
    return Fraction(expected_breakage or 0)


def check_estimate(
    *, expected_breakage: str, expected_redeemed_units: int, of_units: int, prefix: str = ""
) -> None:
    """Refuse an estimate outside [0, 1), or one that is stated twice. Nothing stated is no estimate."""
    if expected_breakage:
        field = f"{prefix}expected_breakage"
        if expected_redeemed_units:
            raise FieldNotAllowed("an estimate is stated once", field=field)
        if not 0 <= _fraction(expected_breakage, field) < 1:
            raise BreakageEstimateOutOfRange(f"{field} must be at least 0 and below 1", field=field)
    elif expected_redeemed_units and not 0 < expected_redeemed_units <= of_units:
        field = f"{prefix}expected_redeemed_units"
        raise BreakageEstimateOutOfRange(f"{field} must lie in 1 to {of_units}", field=field)


def check_fraction(text: str, *, field: str, positive: bool = False) -> None:
    """Refuse what is not decimal text in [0, 1], or with `positive` in (0, 1]."""
    fraction = _fraction(text, field)
    if not 0 <= fraction <= 1 or (positive and not fraction):
        raise FractionOutOfRange(
            f"{field} must lie {'above 0 and' if positive else ''} in 0 to 1", field=field
        )


def _fraction(text: str, field: str) -> Fraction:
    negative = text.startswith("-")
    if not is_exact_text(text[negative:]) or len(text.partition(".")[2]) > DECIMALS_MAX:
        raise FieldMalformed(
            f"{field} {text[:40]!r} is not a decimal with at most {DECIMALS_MAX} decimals", field=field
        )
    return Fraction(text)
