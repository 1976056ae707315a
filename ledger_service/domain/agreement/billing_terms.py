"""Billing terms: what a phase says of the bill of a cycle. Here they are checked, once, when they are agreed.

How a bill is computed from them is rating's business.
"""

from __future__ import annotations

import re
from typing import Final

from ledger_service.domain.calendar import check_period
from ledger_service.domain.events import Commitment, IncludedRollOver, PlanPhase, TaxRate
from ledger_service.domain.exact import exact
from ledger_service.domain.names import check_money, check_range, check_text
from ledger_service.domain.refusals import (
    AmountNotPositive,
    BoundsOutOfOrder,
    CurrencyMismatch,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
)
from ledger_service.domain.values import UNITS_MAX, Money

SEATS_MAX: Final = 1_000_000
ROLL_OVER_TIMES_MAX: Final = 120
TAX_RATES_MAX: Final = 8
PERCENT_MAX: Final = 100
_PERCENT: Final = re.compile(r"(0|[1-9][0-9]{0,2})(\.[0-9]{1,9})?", re.ASCII)
_FACTOR: Final = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?", re.ASCII)
_COMMITMENT_PERIOD: Final = re.compile(r"P[1-9][0-9]{0,3}[MY]", re.ASCII)
_AMOUNTS: Final = ("base_fee", "seat_fee", "minimum_spend", "maximum_spend", "invoice_threshold")


def check_billing_terms(phase: PlanPhase, *, field: str) -> None:
    """Refuse billing terms that no phase can have, and amounts in more than one currency."""
    for name in _AMOUNTS:
        amount = getattr(phase, name)
        if amount is not None:
            check_money(amount, field=f"{field}.{name}")
    check_range(phase.seats, low=0, high=SEATS_MAX, field=f"{field}.seats")
    _check_positive(phase.invoice_threshold, field=f"{field}.invoice_threshold")
    if phase.included_roll_over is not None:
        _check_roll_over(phase, phase.included_roll_over, field=f"{field}.included_roll_over")
    if phase.commitment is not None:
        _check_commitment(phase.commitment, field=f"{field}.commitment")
    _check_taxes(phase.tax_rates, field=f"{field}.tax_rates")
    _check_one_currency(phase, field=field)
    _check_bounds(phase, field=field)


def _check_positive(amount: Money | None, *, field: str) -> None:
    if amount is not None and amount.nanos <= 0:
        raise AmountNotPositive(f"{field}.nanos must be above 0", field=f"{field}.nanos")


def _check_roll_over(phase: PlanPhase, roll_over: IncludedRollOver, *, field: str) -> None:
    if not phase.included_units:
        raise FieldNotAllowed(f"{field} is the roll-over of no included units", field=field)
    _check_percent(roll_over.percent, field=f"{field}.percent")
    if not exact(roll_over.percent):
        raise FieldMalformed(f"{field}.percent must be above 0", field=f"{field}.percent")
    check_range(roll_over.cap_units, low=0, high=UNITS_MAX, field=f"{field}.cap_units")
    check_range(roll_over.times, low=1, high=ROLL_OVER_TIMES_MAX, field=f"{field}.times")


def _check_commitment(commitment: Commitment, *, field: str) -> None:
    check_money(commitment.amount, field=f"{field}.amount")
    _check_positive(commitment.amount, field=f"{field}.amount")
    check_period(commitment.period, field=f"{field}.period")
    if _COMMITMENT_PERIOD.fullmatch(commitment.period) is None:
        raise FieldMalformed(
            f"{field}.period {commitment.period[:20]!r} must be of months or years, such as P1Y",
            field=f"{field}.period",
        )
    if _FACTOR.fullmatch(commitment.overage_factor) is None:
        raise FieldMalformed(
            f"{field}.overage_factor {commitment.overage_factor[:40]!r} must be a plain decimal, not negative, "
            "with at most 9 decimals",
            field=f"{field}.overage_factor",
        )


def _check_taxes(rates: tuple[TaxRate, ...], *, field: str) -> None:
    if len(rates) > TAX_RATES_MAX:
        raise FieldTooLong(f"{field} exceeds {TAX_RATES_MAX} taxes", field=field)
    for index, rate in enumerate(rates):
        at = f"{field}[{index}]"
        if not rate.name:
            raise FieldRequired(f"{at}.name is required", field=f"{at}.name")
        check_text(rate.name, field=f"{at}.name")
        check_text(rate.jurisdiction, field=f"{at}.jurisdiction")
        _check_percent(rate.percent, field=f"{at}.percent")
    if len({rate.name for rate in rates}) < len(rates):
        raise FieldMalformed(f"{field} names a tax twice", field=field)


def _check_percent(text: str, *, field: str) -> None:
    if not text:
        raise FieldRequired(f"{field} is required", field=field)
    if _PERCENT.fullmatch(text) is None or exact(text) > PERCENT_MAX:
        raise FieldMalformed(
            f"{field} {text[:40]!r} must be a plain decimal from 0 to 100 with at most 9 decimals",
            field=field,
        )


def _check_one_currency(phase: PlanPhase, *, field: str) -> None:
    """Refuse a second currency: everything that a phase bills stands on one invoice."""
    first = ""
    amounts = {name: getattr(phase, name) for name in ("base_fee", "overage_price", *_AMOUNTS[1:])}
    amounts["commitment.amount"] = phase.commitment and phase.commitment.amount
    for name, amount in amounts.items():
        if amount is None:
            continue
        first = first or amount.currency_code
        if amount.currency_code != first:
            raise CurrencyMismatch(
                f"{field}.{name} is in {amount.currency_code}, other amounts of the phase in {first}",
                field=f"{field}.{name}.currency_code",
            )


def _check_bounds(phase: PlanPhase, *, field: str) -> None:
    low, high = phase.minimum_spend, phase.maximum_spend
    if low is not None and high is not None and high.nanos < low.nanos:
        raise BoundsOutOfOrder(
            f"{field}.maximum_spend lies below {field}.minimum_spend", field=f"{field}.maximum_spend"
        )
