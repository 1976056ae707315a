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

from ledger_service.domain.agreement_events import (
    ContractSigned,
    PlanPublished,
    RateCardCreated,
    RateCardPhasePublished,
)
from ledger_service.domain.record import Record
from ledger_service.domain.values import Asset, GrantCategory, Money, ShortfallMode, UnitPrice


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
