"""A line of an invoice: what it is for, what it says, and what it rests on.

Each line has an exact amount (a fraction, in nanos) and the amount that is due, a multiple of the currency's
minor unit; the amounts due of one cycle's lines add up to its exact sum, rounded once (see `rounding`).
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from fractions import Fraction

import msgspec

from rating_service.domain.agreements.agreement import Money, Record, UnitPrice
from rating_service.domain.agreements.cycles import CycleBounds


class LineKind(Enum):
    """What a line is for, in the order in which lines stand."""

    BASE_FEE = "BASE_FEE"
    SEATS = "SEATS"
    PRORATION_CREDIT = "PRORATION_CREDIT"
    PRORATION_CHARGE = "PRORATION_CHARGE"
    USAGE = "USAGE"
    OVERAGE = "OVERAGE"
    RATE_MINIMUM = "RATE_MINIMUM"
    MINIMUM = "MINIMUM"
    MAXIMUM = "MAXIMUM"
    COMMITMENT = "COMMITMENT"
    COMMITMENT_DRAW_DOWN = "COMMITMENT_DRAW_DOWN"
    COMMITMENT_OVERAGE = "COMMITMENT_OVERAGE"
    ADJUSTMENT = "ADJUSTMENT"
    CREDITED_BEFORE = "CREDITED_BEFORE"
    THRESHOLD_CREDIT = "THRESHOLD_CREDIT"
    CREDIT_APPLIED = "CREDIT_APPLIED"
    CREDIT_DUE = "CREDIT_DUE"


SETTLING_KINDS = frozenset({LineKind.CREDIT_APPLIED, LineKind.CREDIT_DUE})
"""Lines that settle what is due, tax included; no tax is reckoned on them."""


class LineKey(Record, frozen=True):
    """What the facts behind one line have in common.

    `prorated_kind` is the fee that a proration line is about, BASE_FEE or SEATS. `adjusted_kind` is the kind of
    the line that an ADJUSTMENT corrects; its other members are those of that line. `from_time` tells apart lines
    whose phase occurs more than once, and is absent from those of usage, which have one line for each phase.
    """

    kind: LineKind
    contract_phase: str
    rate_card_phase: str = ""
    unit_price: UnitPrice | None = None
    prorated_kind: LineKind | None = None
    adjusted_kind: LineKind | None = None
    from_time: datetime | None = None
    dimension: str = ""


class LineDetail(Record, frozen=True):
    """Usage of one dimension at one price. `exact_units` is the sum of what its charges say, unrounded decimal text.

    `unit_price` is empty for price models with tiers.
    """

    dimension: str
    quantity: int
    exact_units: str
    unit_price: str = ""
    unit_size: int = 1
    multiplier: str = "1"
    model: str = "unit"
    charge_count: int = 0


class Adjusted(Record, frozen=True):
    """The issued invoice, and its cycle, that an adjustment corrects."""

    invoice: str
    cycle: CycleBounds


class InvoiceLine(Record, frozen=True):
    """One line. The lines' amounts and the taxes add up to the total.

    [from_time, to_time) is when the service was given. `exact_nanos` is the amount before rounding, a whole
    number or a fraction such as 100/3. `source` names the document that a line rests on:
    invoices/{invoice} for THRESHOLD_CREDIT, creditNotes/{credit_note} for CREDIT_APPLIED and CREDITED_BEFORE. `advance`
    is the cycle that a fee is for, if it is billed in advance.
    """

    line_id: str
    key: LineKey
    description: str
    amount: Money
    amount_units: int = 0
    debit_count: int = 0
    quantities: dict[str, int] = msgspec.field(default_factory=dict)
    exact_nanos: str = ""
    from_time: datetime | None = None
    to_time: datetime | None = None
    details: tuple[LineDetail, ...] = ()
    adjusted: Adjusted | None = None
    source: str = ""
    advance: CycleBounds | None = None

    @property
    def exact(self) -> Fraction:
        """The amount before rounding, in nanos."""
        return Fraction(self.exact_nanos) if self.exact_nanos else Fraction(self.amount.nanos)
