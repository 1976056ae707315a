"""The facts about what was agreed: rate cards, plans and contracts."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.events.price_models import Bracket, PriceModel
from ledger_service.domain.record import Record
from ledger_service.domain.values import (
    Asset,
    BeyondLastTier,
    Counters,
    CycleInterval,
    FeeTiming,
    Money,
    RateScope,
    ShortfallMode,
    UnitPrice,
)


class RateCardCreated(Record, frozen=True):
    """A rate card began, without phases."""

    asset: Asset
    display_name: str = ""
    unit_definitions: dict[str, str] = {}


class Rate(Record, frozen=True):
    """The price of one dimension for the usage that matches.

    `unit_price` is empty where there is a `price_model`. `usage_` bounds are for each usage, `cycle_` bounds for
    all of a billing period.
    """

    dimension: str
    unit_price: str
    unit_size: int = 1
    match: dict[str, str] = {}
    price_model: PriceModel | None = None
    scope: RateScope = RateScope.CYCLE
    free_units: int = 0
    usage_minimum: str = ""
    usage_maximum: str = ""
    cycle_minimum: str = ""
    cycle_maximum: str = ""
    zero_quantity_free: bool = False
    provider_cost: str = ""
    charge_if: dict[str, str] = {}


class MultiplierTier(Record, frozen=True):
    """One tier: numbers up to and including `up_to`."""

    up_to: int
    factor: str


class Multiplier(Record, frozen=True):
    """Scales lines by the tier in which a property of the usage falls, or the sum of some quantities."""

    property: str
    tiers: tuple[MultiplierTier, ...]
    dimensions: tuple[str, ...] = ()
    beyond_last_tier: BeyondLastTier = BeyondLastTier.REFUSE
    sum_of: tuple[str, ...] = ()


class RateCardPhasePublished(Record, frozen=True):
    """From `from_time` these rates apply, until a later phase begins."""

    phase: int
    from_time: datetime
    rates: tuple[Rate, ...]
    phase_hash: str
    multipliers: tuple[Multiplier, ...] = ()
    brackets: tuple[Bracket, ...] = ()
    counters: Counters = Counters.CARRY
    cost_currency: str = ""


class PhaseCard(Record, frozen=True):
    """A further rate card of a phase, for the usage whose feature is listed and whose properties match.

    No `features` means any. The most specific card that fits prices a usage, else the phase's own.
    """

    rate_card: str
    features: tuple[str, ...] = ()
    match: dict[str, str] = {}


class IncludedRollOver(Record, frozen=True):
    """What of a cycle's unused included units moves into the next: min(cap, floor(percent of the rest), the rest)."""

    percent: str
    cap_units: int = 0
    times: int = 1


class Commitment(Record, frozen=True):
    """An amount to be spent in each period; usage beyond it costs its price times the factor."""

    amount: Money
    period: str
    overage_factor: str = "1"
    prepaid: bool = False


class TaxRate(Record, frozen=True):
    """A tax on the net amounts of an invoice."""

    name: str
    percent: str
    jurisdiction: str = ""


class PlanPhase(Record, frozen=True):
    """What applies in one stretch of a plan. No `features` means all; a limit or cap of 0 means none.

    A spend cap without a period is one of each cycle.
    """

    key: str
    rate_card: str
    shortfall_mode: ShortfallMode
    duration: str = ""
    base_fee: Money | None = None
    included_units: int = 0
    overage_price: UnitPrice | None = None
    overage_limit_units: int = 0
    features: tuple[str, ...] = ()
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    alert_percents: tuple[int, ...] = ()
    spend_cap_units: int = 0
    spend_cap_period: str = ""
    key_requests_per_minute: int = 0
    key_tokens_per_minute: int = 0
    slow_down_from_percent: int = 0
    slow_down_max_delay_ms: int = 0
    upgrade_hint: str = ""
    included_roll_over: IncludedRollOver | None = None
    seat_fee: Money | None = None
    seats: int = 0
    minimum_spend: Money | None = None
    maximum_spend: Money | None = None
    commitment: Commitment | None = None
    invoice_threshold: Money | None = None
    tax_rates: tuple[TaxRate, ...] = ()
    additional_cards: tuple[PhaseCard, ...] = ()
    fee_timing: FeeTiming = FeeTiming.ARREARS


class PlanPublished(Record, frozen=True):
    """A version of a plan was offered; it never changes."""

    plan_version: int
    asset: Asset
    phases: tuple[PlanPhase, ...]
    display_name: str = ""


class Cycle(Record, frozen=True):
    """How a contract is cut into billing periods."""

    interval: CycleInterval
    anchor_time: datetime
    count: int = 1
    zone: str = "UTC"


class ContractPhase(Record, frozen=True):
    """Plan terms over [from_time, to_time)."""

    from_time: datetime
    terms: PlanPhase
    to_time: datetime | None = None


class ContractSigned(Record, frozen=True):
    """A customer was bound to a plan version."""

    customer: str
    wallet: str
    plan: str
    plan_version: int
    asset: Asset
    start_time: datetime
    cycle: Cycle
    phases: tuple[ContractPhase, ...]
