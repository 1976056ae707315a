"""The facts that the ledger records, and their stable topics.

An event is what happened, in the past tense; a `Fact` is an event with what every event carries: both clocks,
who did it, the idempotency key and fingerprint of the command, and the hash of the event before it in its
stream. Stored forms are frozen by `tests/contract/golden_events.json`: fields may be added with a default,
never renamed or removed; a new form gets a new topic version and an upcaster in `topics.py`.

Times are UTC datetimes with microseconds, amounts are integer units of the wallet's asset, money is integer
nanos (10^-9 of the currency's major unit), exact figures are decimal text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from ledger_service.domain.values import (
    Asset,
    BeyondLastTier,
    CycleInterval,
    GrantCategory,
    Money,
    ShortfallMode,
    UnitPrice,
)


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all that is stored: immutable, and silent about defaults."""


# Wallets


class WalletOpened(Record, frozen=True):
    """A customer's wallet in one asset began."""

    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0


class WalletPolicyChanged(Record, frozen=True):
    """From the effective time a contract phase decides what happens when credit runs out."""

    contract: str
    contract_phase: str
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0


class CreditsGranted(Record, frozen=True):
    """Credit was issued; its lot may be drawn in [effective time, expire_time)."""

    amount_units: int
    category: GrantCategory
    priority: int = 0
    scope: tuple[str, ...] = ()
    expire_time: datetime | None = None
    consideration: Money | None = None
    contract: str = ""
    reference: str = ""


class Draw(msgspec.Struct, frozen=True, array_like=True):
    """Units taken from the lot of the grant at `grant_version` in the same stream."""

    grant_version: int
    amount_units: int


class ChargeLine(Record, frozen=True):
    """One dimension of a charge: quantity / unit_size x unit_price x multiplier, exact."""

    dimension: str
    quantity: int
    unit_price: str
    exact_units: str
    unit_size: int = 1
    multiplier: str = "1"


class Charge(Record, frozen=True):
    """Usage priced under the phase in force."""

    contract: str
    contract_phase: str
    rate_card_phase: str
    phase_hash: str
    lines: tuple[ChargeLine, ...]
    exact_units: str
    properties: dict[str, str] = {}
    overage_price: UnitPrice | None = None


class CreditsDebited(Record, frozen=True):
    """Credit was consumed. Draws and overage add up to amount_units."""

    amount_units: int
    draws: tuple[Draw, ...]
    burn_down_order: str
    overage_units: int = 0
    feature: str = ""
    delivered: bool = False
    charge: Charge | None = None


class CreditsExpired(Record, frozen=True):
    """Time ended a lot; what was left in it is gone. The effective time is the exact instant of expiry."""

    grant_version: int
    amount_units: int


# Rate cards, plans, contracts


class RateCardCreated(Record, frozen=True):
    """A rate card began, without phases."""

    asset: Asset
    display_name: str = ""
    unit_definitions: dict[str, str] = {}


class Rate(Record, frozen=True):
    """The price of one dimension for the usage that matches."""

    dimension: str
    unit_price: str
    unit_size: int = 1
    match: dict[str, str] = {}


class MultiplierTier(Record, frozen=True):
    """One tier: numbers up to and including `up_to`."""

    up_to: int
    factor: str


class Multiplier(Record, frozen=True):
    """Scales lines by the tier in which a property of the usage falls."""

    property: str
    tiers: tuple[MultiplierTier, ...]
    dimensions: tuple[str, ...] = ()
    beyond_last_tier: BeyondLastTier = BeyondLastTier.REFUSE


class RateCardPhasePublished(Record, frozen=True):
    """From `from_time` these rates apply, until a later phase begins."""

    phase: int
    from_time: datetime
    rates: tuple[Rate, ...]
    phase_hash: str
    multipliers: tuple[Multiplier, ...] = ()


class PlanPhase(Record, frozen=True):
    """What applies in one stretch of a plan."""

    key: str
    rate_card: str
    shortfall_mode: ShortfallMode
    duration: str = ""
    base_fee: Money | None = None
    included_units: int = 0
    overage_price: UnitPrice | None = None


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


Event = (
    WalletOpened
    | WalletPolicyChanged
    | CreditsGranted
    | CreditsDebited
    | CreditsExpired
    | RateCardCreated
    | RateCardPhasePublished
    | PlanPublished
    | ContractSigned
)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Fact(Record, Generic[E_co], frozen=True):
    """An event as stored: what every event carries, beside its stream, version and topic."""

    event: E_co
    record_time: datetime
    effective_time: datetime
    previous_hash: str
    actor: str = ""
    idempotency_key: str = ""
    fingerprint: str = ""
