"""What goes into pricing, a usage, and what comes out, a charge.

A charge is recorded inside the ledger's debit, so `Charge` and `ChargeLine` are stored forms: members may be
added with a default, never renamed or removed.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from rating_service.domain.agreements.agreement import Record, UnitPrice


class Usage(Record, frozen=True):
    """What a customer consumed in one request. `id`, `contract` and `feature` may be empty in a quote.

    `foldable` usage was read from a provider's object: a dimension that the card does not price counts in the
    wider one of which the provider counts it a part.
    """

    effective_time: datetime
    quantities: dict[str, int]
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    id: str = ""
    contract: str = ""
    feature: str = ""
    api_key: str = ""
    user: str = ""
    foldable: bool = False


class ChargePart(Record, frozen=True):
    """One term of the sum behind a line; `exact_units` is below 0 where it takes something back."""

    kind: str
    exact_units: str
    tier: int = 0
    quantity: int = 0
    price: str = ""


class TotalBefore(Record, frozen=True):
    """The running total of a meter's cycle on which a line was priced. A quote by totals told names no cycle."""

    meter: str
    quantity: int = 0
    usages: int = 0
    cycle_start_time: datetime | None = None
    cycle_end_time: datetime | None = None


class ChargeLine(Record, frozen=True):
    """One dimension of a charge. `exact_units` is unrounded decimal text, in units of the asset.

    A line with a unit_price is quantity / unit_size x unit_price x multiplier x 10^scale; any other is the sum
    of its parts.
    """

    dimension: str
    quantity: int
    unit_price: str
    exact_units: str
    unit_size: int = 1
    multiplier: str = "1"
    model: str = "unit"
    parts: tuple[ChargePart, ...] = ()
    total_before: TotalBefore | None = None
    provider_cost: str = ""


class TakenBack(msgspec.Struct, frozen=True, array_like=True):
    """Units that an adjustment takes back of the debit at `debit_version` in the same wallet."""

    debit_version: int
    amount_units: int


class MeterMoved(Record, frozen=True):
    """A meter that stands elsewhere once the usage of its cycle is priced by other rates."""

    meter: str
    quantity_before: int = 0
    usages_before: int = 0
    quantity: int = 0
    usages: int = 0


class Adjustment(Record, frozen=True):
    """What usage of a cycle was charged and what it costs, since a phase was accepted for the past.

    charged_units + the charge's exact_units - what is taken back + left_units = rated_units. The `number`th of its
    phase, contract and cycle. The figures are those of history up to `watermark_position`.
    """

    cycle_start_time: datetime
    cycle_end_time: datetime
    charged_units: str
    rated_units: str
    number: int = 1
    left_units: str = "0"
    taken_back: tuple[TakenBack, ...] = ()
    meters: tuple[MeterMoved, ...] = ()
    watermark_position: int = 0


class Charge(Record, frozen=True):
    """Usage priced under the phase in force. `exact_units` is the sum of the lines; an adjustment has none.

    Pricing the lines' quantities with `properties`, after the same totals, under the same phase gives the same
    charge again. `provider_cost` is decimal text of `cost_currency`, empty unless every line has one.
    """

    contract: str
    contract_phase: str
    rate_card_phase: str
    phase_hash: str
    lines: tuple[ChargeLine, ...]
    exact_units: str
    properties: dict[str, str] = msgspec.field(default_factory=dict)
    overage_price: UnitPrice | None = None
    provider_cost: str = ""
    cost_currency: str = ""
    adjustment: Adjustment | None = None


class ChargeTerms(Record, frozen=True):
    """What a charge says of the contract under which it was made. Empty in a quote by rate card."""

    contract: str = ""
    contract_phase: str = ""
    overage_price: UnitPrice | None = None
