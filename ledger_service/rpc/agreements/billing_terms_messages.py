"""Billing terms of a plan phase: read from the wire and written to it."""

from __future__ import annotations

from typing import Final, TypedDict

from credits.ledger.v1 import agreement_pb2, billing_terms_pb2
from ledger_service.domain.events import Commitment, IncludedRollOver, PlanPhase, TaxRate
from ledger_service.domain.refusals import FieldMalformed
from ledger_service.domain.values import FeeTiming, Money
from ledger_service.rpc.values import read_money, write_money

FACTOR_DEFAULT: Final = "1"
TIMES_DEFAULT: Final = 1
FEE_TIMING: Final = {
    billing_terms_pb2.FEE_TIMING_UNSPECIFIED: FeeTiming.ARREARS,
    billing_terms_pb2.FEE_TIMING_ARREARS: FeeTiming.ARREARS,
    billing_terms_pb2.FEE_TIMING_ADVANCE: FeeTiming.ADVANCE,
}
FEE_TIMING_WIRE: Final = {
    FeeTiming.ARREARS: billing_terms_pb2.FEE_TIMING_ARREARS,
    FeeTiming.ADVANCE: billing_terms_pb2.FEE_TIMING_ADVANCE,
}


class BillingTerms(TypedDict):
    """The members of PlanPhase that are about the bill."""

    included_roll_over: IncludedRollOver | None
    seat_fee: Money | None
    seats: int
    minimum_spend: Money | None
    maximum_spend: Money | None
    commitment: Commitment | None
    invoice_threshold: Money | None
    tax_rates: tuple[TaxRate, ...]
    fee_timing: FeeTiming


def read_billing_terms(phase: agreement_pb2.PlanPhase) -> BillingTerms:
    """Return the billing terms of a phase; they are checked where they are agreed."""

    def amount(name: str) -> Money | None:
        return read_money(getattr(phase, name)) if phase.HasField(name) else None  # type: ignore[arg-type]

    return BillingTerms(
        included_roll_over=_roll_over(phase.included_roll_over)
        if phase.HasField("included_roll_over")
        else None,
        seat_fee=amount("seat_fee"),
        seats=phase.seats,
        minimum_spend=amount("minimum_spend"),
        maximum_spend=amount("maximum_spend"),
        commitment=_commitment(phase.commitment) if phase.HasField("commitment") else None,
        invoice_threshold=amount("invoice_threshold"),
        tax_rates=tuple(TaxRate(rate.name, rate.percent, rate.jurisdiction) for rate in phase.tax_rates),
        fee_timing=_fee_timing(phase.fee_timing),
    )


def write_billing_terms(message: agreement_pb2.PlanPhase, phase: PlanPhase) -> None:
    """Set the billing terms in a message."""
    for name in ("seat_fee", "minimum_spend", "maximum_spend", "invoice_threshold"):
        amount: Money | None = getattr(phase, name)
        if amount is not None:
            getattr(message, name).CopyFrom(write_money(amount))
    message.seats = phase.seats
    message.fee_timing = FEE_TIMING_WIRE[phase.fee_timing]
    if (roll_over := phase.included_roll_over) is not None:
        message.included_roll_over.percent = roll_over.percent
        message.included_roll_over.cap_units = roll_over.cap_units
        message.included_roll_over.times = roll_over.times
    if (commitment := phase.commitment) is not None:
        message.commitment.amount.CopyFrom(write_money(commitment.amount))
        message.commitment.period = commitment.period
        message.commitment.overage_factor = commitment.overage_factor
        message.commitment.prepaid = commitment.prepaid
    message.tax_rates.extend(
        billing_terms_pb2.TaxRate(name=rate.name, percent=rate.percent, jurisdiction=rate.jurisdiction)
        for rate in phase.tax_rates
    )


def _fee_timing(value: billing_terms_pb2.FeeTiming.ValueType) -> FeeTiming:
    timing = FEE_TIMING.get(value)
    if timing is None:
        raise FieldMalformed("fee_timing must be ARREARS or ADVANCE", field="fee_timing")
    return timing


def _roll_over(message: billing_terms_pb2.IncludedRollOver) -> IncludedRollOver:
    return IncludedRollOver(message.percent, message.cap_units, message.times or TIMES_DEFAULT)


def _commitment(message: billing_terms_pb2.Commitment) -> Commitment:
    return Commitment(
        read_money(message.amount), message.period, message.overage_factor or FACTOR_DEFAULT, message.prepaid
    )
