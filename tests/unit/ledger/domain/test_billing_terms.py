"""What a plan phase says of the bill: each term at its boundaries, and one currency."""

from typing import Any

import msgspec
import pytest

from ledger_service.domain.agreement.billing_terms import ROLL_OVER_TIMES_MAX, SEATS_MAX, TAX_RATES_MAX
from ledger_service.domain.events import Commitment, IncludedRollOver, TaxRate
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    BoundsOutOfOrder,
    CurrencyMismatch,
    FieldMalformed,
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    NumberOutOfRange,
    Refusal,
)
from ledger_service.domain.values import UNITS_MAX, Money, UnitPrice
from tests.builders import book, create_rate_card, plan_phase, publish_plan

EURO = Money("EUR", 10**9)


def rolls_over(**changes: object) -> dict[str, Any]:
    roll_over = msgspec.structs.replace(IncludedRollOver("50"), **changes)
    return {"included_units": 5, "included_roll_over": roll_over}


def committed(**changes: object) -> dict[str, Any]:
    return {"commitment": msgspec.structs.replace(Commitment(EURO, "P1Y"), **changes)}


def taxed(*rates: TaxRate) -> dict[str, Any]:
    return {"tax_rates": rates}


def publish(changes: dict[str, Any]) -> list[Any]:
    return book(create_rate_card()).run(publish_plan(msgspec.structs.replace(plan_phase(), **changes)))


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"included_roll_over": IncludedRollOver("50")}, FieldNotAllowed, "included_roll_over"),
        (rolls_over(percent=""), FieldRequired, "included_roll_over.percent"),
        (rolls_over(percent="0"), FieldMalformed, "included_roll_over.percent"),
        (rolls_over(percent="100.000000001"), FieldMalformed, "included_roll_over.percent"),
        (rolls_over(percent="-1"), FieldMalformed, "included_roll_over.percent"),
        (rolls_over(cap_units=-1), NumberOutOfRange, "included_roll_over.cap_units"),
        (rolls_over(times=0), NumberOutOfRange, "included_roll_over.times"),
        (rolls_over(times=ROLL_OVER_TIMES_MAX + 1), NumberOutOfRange, "included_roll_over.times"),
        ({"seats": -1}, NumberOutOfRange, "seats"),
        ({"seats": SEATS_MAX + 1}, NumberOutOfRange, "seats"),
        ({"seat_fee": Money("EUR", -1)}, AmountOutOfRange, "seat_fee.nanos"),
        ({"minimum_spend": Money("euro", 1)}, FieldMalformed, "minimum_spend.currency_code"),
        ({"invoice_threshold": Money("EUR", 0)}, AmountNotPositive, "invoice_threshold.nanos"),
        (
            {"minimum_spend": Money("EUR", 2), "maximum_spend": Money("EUR", 1)},
            BoundsOutOfOrder,
            "maximum_spend",
        ),
        (committed(amount=Money("EUR", 0)), AmountNotPositive, "commitment.amount.nanos"),
        (committed(amount=Money("", 1)), FieldRequired, "commitment.amount.currency_code"),
        (committed(period="P30D"), FieldMalformed, "commitment.period"),
        (committed(period="yearly"), FieldMalformed, "commitment.period"),
        (committed(overage_factor="1.0000000001"), FieldMalformed, "commitment.overage_factor"),
        (committed(overage_factor="-1"), FieldMalformed, "commitment.overage_factor"),
        (taxed(TaxRate("", "19")), FieldRequired, "tax_rates[0].name"),
        (taxed(TaxRate("VAT", "")), FieldRequired, "tax_rates[0].percent"),
        (taxed(TaxRate("VAT", "101")), FieldMalformed, "tax_rates[0].percent"),
        (taxed(TaxRate("VAT", "19", "D" * 201)), FieldTooLong, "tax_rates[0].jurisdiction"),
        (taxed(TaxRate("VAT", "19"), TaxRate("VAT", "7")), FieldMalformed, "tax_rates"),
        (taxed(*(TaxRate(str(at), "1") for at in range(TAX_RATES_MAX + 1))), FieldTooLong, "tax_rates"),
        ({"base_fee": EURO, "seat_fee": Money("USD", 1)}, CurrencyMismatch, "seat_fee.currency_code"),
        (
            {"base_fee": EURO, "overage_price": UnitPrice("USD", "1")},
            CurrencyMismatch,
            "overage_price.currency_code",
        ),
        (
            {"base_fee": Money("USD", 1), **committed()},
            CurrencyMismatch,
            "commitment.amount.currency_code",
        ),
    ],
)
def test_a_billing_term_beyond_its_boundary_is_refused_by_name(
    changes: dict[str, Any], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        publish(changes)

    assert refused.value.field == f"plan.phases[0].{field}"


@pytest.mark.parametrize(
    "changes",
    [
        rolls_over(percent="100", cap_units=UNITS_MAX, times=ROLL_OVER_TIMES_MAX),
        rolls_over(percent="0.000000001", times=1),
        {"seats": SEATS_MAX, "seat_fee": Money("EUR", 0)},
        {"minimum_spend": EURO, "maximum_spend": EURO, "invoice_threshold": Money("EUR", 1)},
        committed(amount=Money("EUR", 1), period="P1M", overage_factor="0"),
        committed(overage_factor="999999999.999999999", prepaid=True),
        taxed(TaxRate("VAT", "0"), TaxRate("GST", "100", "CA")),
    ],
)
def test_a_billing_term_may_reach_its_boundary(changes: dict[str, Any]) -> None:
    assert publish(changes) != []
