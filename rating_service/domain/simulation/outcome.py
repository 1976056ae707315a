"""What comes out of a simulation: values that are told, all exact, with the texts that people and machines read.

Amounts are decimal text in units of the asset, costs and margins in the currency of the costs.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from rating_service.domain.agreements.agreement import Asset, Money, Record


class CandidateSums(Record, frozen=True):
    """Usage under one candidate. The difference is against what the priced usages were charged."""

    priced_count: int
    unrateable_count: int
    units: str
    difference_units: str
    difference_percent: str
    provider_cost: str = ""
    margin: str = ""


class Sums(Record, frozen=True):
    """Usage now and under each candidate. `quantity` is told by dimension only."""

    key: str
    usage_count: int
    units_now: str
    candidates: tuple[CandidateSums, ...]
    provider_cost_now: str = ""
    margin_now: str = ""
    quantity: int = 0
    cost_currency: str = ""


class Bill(Record, frozen=True):
    """Money under one candidate; the difference is 0 and has no per cent where it cannot be compared."""

    candidate: int
    bill: Money
    difference_nanos: int
    difference_percent: str


class ContractOutcome(Record, frozen=True):
    """What becomes of one contract. `best_candidate` is -1 if none is cheaper than now."""

    contract: str
    customer: str
    sums: Sums
    bill_now: Money | None = None
    bills: tuple[Bill, ...] = ()
    best_candidate: int = -1


class Mover(Record, frozen=True):
    """One contract and its difference, in units or in money."""

    contract: str
    customer: str
    now: str
    simulated: str
    difference: str
    difference_percent: str
    is_moved: bool
    currency_code: str = ""


class TierOutcome(Record, frozen=True):
    """What falls into one tier."""

    dimension: str
    model: str
    match: str
    tier: int
    price: str
    quantity: int
    units: str
    share_percent: str


class UnrateableOutcome(Record, frozen=True):
    """Usages of one kind that a candidate cannot price."""

    reason: str
    dimension: str
    property: str
    usage_count: int
    units_now: str
    message: str
    examples: tuple[str, ...]


class CandidateOutcome(Record, frozen=True):
    """What one candidate does to whom."""

    label: str
    bills: tuple[Money, ...]
    dearer_count: int
    cheaper_count: int
    moved_count: int
    winners: tuple[Mover, ...]
    losers: tuple[Mover, ...]
    tiers: tuple[TierOutcome, ...]
    unrateable: tuple[UnrateableOutcome, ...]
    best_count: int


class Outcome(Record, frozen=True):
    """The whole picture; the contracts are told apart."""

    asset: Asset
    from_time: datetime
    to_time: datetime
    contract_count: int
    reversed_count: int
    total: Sums
    months: tuple[Sums, ...]
    models: tuple[Sums, ...]
    features: tuple[Sums, ...]
    dimensions: tuple[Sums, ...]
    candidates: tuple[CandidateOutcome, ...]
    bills_now: tuple[Money, ...] = ()
    best_now_count: int = 0
    watermark_position: int = 0
    other_asset_contract_count: int = 0


class Progress(msgspec.Struct, frozen=True):
    """How far a simulation is."""

    usage_count: int
    done_permille: int
