"""The ledger's events about what was agreed, as rating reads them: the `event` member of each fact."""

from __future__ import annotations

from datetime import datetime

import msgspec

from rating_service.domain.agreements.agreement import (
    Asset,
    ContractPhase,
    Cycle,
    Multiplier,
    PlanPhase,
    Rate,
    Record,
)
from rating_service.domain.agreements.price_terms import Bracket, Counters


class RateCardCreated(Record, frozen=True):
    """Event of rateCards/{id}: a rate card began, without phases."""

    asset: Asset
    display_name: str = ""
    unit_definitions: dict[str, str] = msgspec.field(default_factory=dict)


class RateCardPhasePublished(Record, frozen=True):
    """Event of rateCards/{id}: from `from_time` these rates apply."""

    phase: int
    from_time: datetime
    rates: tuple[Rate, ...]
    phase_hash: str
    multipliers: tuple[Multiplier, ...] = ()
    brackets: tuple[Bracket, ...] = ()
    counters: Counters = Counters.CARRY
    cost_currency: str = ""


class RateCardPhaseProposed(Record, frozen=True):
    """Event of rateCards/{id}: rates for a time that is past. They price nothing until they are accepted."""

    proposed: RateCardPhasePublished


class RateCardPhaseAccepted(Record, frozen=True):
    """Event of rateCards/{id}: from now on the proposed phase is what is known of its time."""

    phase: int


class RateCardPhaseRejected(Record, frozen=True):
    """Event of rateCards/{id}: the proposed phase will not be in force."""

    phase: int


class PlanPublished(Record, frozen=True):
    """Event of plans/{id}: a version was offered."""

    plan_version: int
    asset: Asset
    phases: tuple[PlanPhase, ...]
    display_name: str = ""


class ContractSigned(Record, frozen=True):
    """Event of contracts/{id}: a customer was bound to a plan version."""

    customer: str
    wallet: str
    plan: str
    plan_version: int
    asset: Asset
    start_time: datetime
    cycle: Cycle
    phases: tuple[ContractPhase, ...]


class ContractPhaseScheduled(Record, frozen=True):
    """Event of contracts/{id}: `phases` are what holds from `from_time` on."""

    from_time: datetime
    phases: tuple[ContractPhase, ...]


class TrialExtended(Record, frozen=True):
    """Event of contracts/{id}: `phases` are what holds from `from_time` on, where the extended phase begins."""

    from_time: datetime
    phases: tuple[ContractPhase, ...]


class PlanChanged(Record, frozen=True):
    """Event of contracts/{id}: `phases` of another plan version are what holds from `from_time` on."""

    from_time: datetime
    plan: str
    plan_version: int
    phases: tuple[ContractPhase, ...]


class ContractEnded(Record, frozen=True):
    """Event of contracts/{id}: nothing is agreed from `end_time` on."""

    end_time: datetime


class RateCardPhaseWithdrawn(Record, frozen=True):
    """Event of rateCards/{id}: a phase that had not begun will not begin."""

    phase: int
