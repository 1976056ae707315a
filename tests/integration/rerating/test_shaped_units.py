"""Prices for one that are no plain product are debited, traced and verified like any other: over real services."""

from __future__ import annotations

from typing import Any

from credits.ledger.v1 import agreement_pb2
from credits.rating.v1 import rating_service_pb2
from tests.integration.ledger.client import key
from tests.integration.rerating.customer import HOUR, Customer


def one_each(dimension: str, units: int, **terms: Any) -> agreement_pb2.Rate:
    """Return a price of so many units for one, with further terms."""
    unit = agreement_pb2.UnitModel(unit_price=f"0.{units:06d}")
    return agreement_pb2.Rate(dimension=dimension, unit=unit, **terms)


RATES = [
    one_each("tickets", 5, charge_if={"outcome": "resolved"}),
    one_each("calls", 2, free_units=3),
    one_each("seconds", 1, usage_minimum="0.00001"),
    one_each("pages", 1, usage_maximum="0.00001"),
]
USAGES = [
    ("tickets", 2, {"outcome": "resolved"}, 10),
    ("tickets", 2, {"outcome": "failed"}, 0),
    ("calls", 5, {}, 4),
    ("seconds", 4, {}, 10),
    ("pages", 40, {}, 10),
]
"""Dimension, quantity, properties and the units that they cost."""


async def test_a_unit_price_with_an_outcome_free_units_or_bounds_is_debited(customer: Customer) -> None:
    await customer.publish(RATES, customer.start + HOUR)
    await customer.gateway.pass_time(2 * HOUR)
    for dimension, quantity, properties, units in USAGES:
        usage = rating_service_pb2.Usage(
            id=key(), contract=customer.contract, quantities={dimension: quantity}, properties=properties
        )
        usage.effective_time.FromDatetime(customer.start + HOUR)
        answer = await customer.gateway.rating.RecordUsage(
            rating_service_pb2.RecordUsageRequest(usage=usage, min_position=customer.position)
        )

        assert answer.debit.amount_units == units, dimension
        assert [(line.exact_units, bool(line.parts)) for line in answer.charge.lines] == [(str(units), True)]
    assert await customer.findings() == []
