"""One usage as a simulation takes it: what was used, and what was charged for it.

The structs are what a simulation reads of a recorded charge, and no more: decoding the rest of it costs as much again.
"""

from __future__ import annotations

from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.simulation.amounts import read_amount
from rating_service.domain.simulation.candidate import Price
from rating_service.domain.usage import Usage


class RecordedLine(msgspec.Struct, frozen=True, gc=False):
    """One dimension of a recorded charge."""

    dimension: str
    quantity: int
    exact_units: str


class RecordedCharge(msgspec.Struct, frozen=True):
    """A recorded charge, see `domain.usage.Charge`."""

    rate_card_phase: str
    lines: tuple[RecordedLine, ...]
    properties: dict[str, str] = {}
    provider_cost: str = ""
    cost_currency: str = ""


NOT_CHARGED: Final = Price([], None, "", None)


def recorded_price(charge: RecordedCharge) -> Price:
    """Return what was charged."""
    cost = charge.provider_cost
    return Price(
        [(line.dimension, read_amount(line.exact_units)) for line in charge.lines],
        read_amount(cost) if cost else None,
        charge.cost_currency,
        None,
    )


class SimulatedUsage(msgspec.Struct, frozen=True, gc=False):
    """A usage, its contract and what it was charged; NOT_CHARGED for synthetic usage without a baseline.

    `left_units` of `debited_units` were not taken back. `counts` is False for usage outside the span, which
    only moves running totals. `name` is that of the debit.
    """

    contract: Contract
    usage: Usage
    charged: Price
    name: str
    rate_card_phase: str = ""
    left_units: int = 1
    debited_units: int = 1
    counts: bool = True

    @property
    def is_reversed(self) -> bool:
        """Whether all of it was taken back; a debit of less than a unit debits 0 and may still stand."""
        return self.left_units < self.debited_units and self.left_units <= 0


class UnrateableKey(msgspec.Struct, frozen=True, order=True):
    """What unrateable usages have in common: the reason, and what is at fault."""

    reason: str
    dimension: str = ""
    property: str = ""
