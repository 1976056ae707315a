"""What was agreed, as rating follows it: rate cards, plans and contracts, each with phases.

It is folded from the events in `agreement_events`, whose parts these are as well. Unknown members are ignored, so
that the ledger may add one first; an unknown value of an enum is an error, because pricing by a guess is worse
than stopping.

Spans are half-open `[from_time, to_time)`, times are UTC, prices are decimal text.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import msgspec

from rating_service.domain.agreements.price_terms import Bracket, Counters, PriceModel, RateScope


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all values: immutable, and silent about defaults when encoded."""


class BeyondLastTier(Enum):
    """What becomes of usage beyond a multiplier's last tier."""

    REFUSE = "REFUSE"
    LAST_APPLIES = "LAST_APPLIES"


class CycleInterval(Enum):
    """Length of a billing period."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"


class ShortfallMode(Enum):
    """What happens to the part of a debit that no lot covers."""

    HARD = "HARD"
    SOFT = "SOFT"
    ADVANCE = "ADVANCE"


class Asset(Record, frozen=True):
    """What is counted. One unit is 10^-scale of one whole asset."""

    code: str
    scale: int


class Money(Record, frozen=True):
    """An exact amount of one currency, in 10^-9 of its major unit."""

    currency_code: str
    nanos: int


class UnitPrice(Record, frozen=True):
    """An exact price per one whole asset: decimal text in the currency's major unit."""

    currency_code: str
    price: str


# Rate cards


class Rate(Record, frozen=True):
    """The price of one dimension for the usage that matches.

    `unit_price` is empty where there is a `price_model`. `usage_` bounds are for each usage, `cycle_` bounds for
    all of a billing period; bounds and provider_cost are decimal text, empty where there is none.
    """

    dimension: str
    unit_price: str
    unit_size: int = 1
    match: dict[str, str] = msgspec.field(default_factory=dict)
    price_model: PriceModel | None = None
    scope: RateScope = RateScope.CYCLE
    free_units: int = 0
    usage_minimum: str = ""
    usage_maximum: str = ""
    cycle_minimum: str = ""
    cycle_maximum: str = ""
    zero_quantity_free: bool = False
    provider_cost: str = ""
    charge_if: dict[str, str] = msgspec.field(default_factory=dict)


class MultiplierTier(Record, frozen=True):
    """One tier: numbers up to and including `up_to`."""

    up_to: int
    factor: str


class Multiplier(Record, frozen=True):
    """Scales lines by the tier in which a property of the usage falls, or the sum of some of its quantities.

    No `dimensions` means all.
    """

    property: str
    tiers: tuple[MultiplierTier, ...]
    dimensions: tuple[str, ...] = ()
    beyond_last_tier: BeyondLastTier = BeyondLastTier.REFUSE
    sum_of: tuple[str, ...] = ()


class RateCardPhase(Record, frozen=True):
    """The rates that apply from `from_time` until a later phase of the card begins. Immutable.

    A `retroactive` one was proposed for the past: charges recorded before it was accepted name what it replaced.
    """

    name: str
    from_time: datetime
    rates: tuple[Rate, ...]
    phase_hash: str = ""
    multipliers: tuple[Multiplier, ...] = ()
    brackets: tuple[Bracket, ...] = ()
    counters: Counters = Counters.CARRY
    cost_currency: str = ""
    retroactive: bool = False


class RateCard(Record, frozen=True):
    """Prices of usage in one asset. `phases` are in order of `from_time`, and of when they became known.

    The `proposal` prices nothing yet.
    """

    name: str
    asset: Asset
    phases: tuple[RateCardPhase, ...] = ()
    display_name: str = ""
    unit_definitions: dict[str, str] = msgspec.field(default_factory=dict)
    proposal: RateCardPhase | None = None


# Plans and contracts


class PhaseCard(Record, frozen=True):
    """A further rate card of a phase, for the usage whose feature is listed and whose properties match.

    No `features` means any. The most specific card that fits prices a usage, else the phase's own.
    """

    rate_card: str
    features: tuple[str, ...] = ()
    match: dict[str, str] = msgspec.field(default_factory=dict)


class IncludedRollOver(Record, frozen=True):
    """What of a cycle's unused included units moves into the next: min(cap, floor(percent of the rest), the rest).

    A cap of 0 means none; the same credit moves on so many `times`.
    """

    percent: str
    cap_units: int = 0
    times: int = 1


class Commitment(Record, frozen=True):
    """An amount to be spent in each period; usage beyond it costs its price times the factor.

    A prepaid one is invoiced where the period begins, another one's shortfall where it ends.
    """

    amount: Money
    period: str
    overage_factor: str = "1"
    prepaid: bool = False


class TaxRate(Record, frozen=True):
    """A tax on the net amounts of an invoice, in percent."""

    name: str
    percent: str
    jurisdiction: str = ""


class FeeTiming(Enum):
    """When base fee and seats of a cycle are billed."""

    ARREARS = "ARREARS"
    """When it is over."""
    ADVANCE = "ADVANCE"
    """When it begins."""


class PlanPhase(Record, frozen=True):
    """What applies in one stretch of a plan. `included_units` is per cycle.

    No `features` means all; a limit or cap of 0 means none, and a cap without a period is one of each cycle.
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


class Plan(Record, frozen=True):
    """A version of a plan; it never changes."""

    name: str
    version: int
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
    """Plan terms over [from_time, to_time); no `to_time` means without end."""

    from_time: datetime
    terms: PlanPhase
    to_time: datetime | None = None


class PlanFrom(Record, frozen=True):
    """The plan version that a contract follows from an instant on."""

    from_time: datetime
    plan: str
    plan_version: int


class Contract(Record, frozen=True):
    """A customer's plan over time. `phases` are in order of `from_time`; one that never begins has none.

    `plan` is the one that was signed; `plan_changes` are in order of `from_time`.
    """

    name: str
    customer: str
    wallet: str
    plan: str
    plan_version: int
    asset: Asset
    start_time: datetime
    cycle: Cycle
    phases: tuple[ContractPhase, ...]
    plan_changes: tuple[PlanFrom, ...] = ()
