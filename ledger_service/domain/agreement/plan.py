"""Plans: what is offered. A plan version never changes."""

from __future__ import annotations

import re
from datetime import datetime
from itertools import zip_longest
from typing import Final

import msgspec

from ledger_service.domain.agreement.billing_terms import check_billing_terms
from ledger_service.domain.agreement.entitlement import check_entitlement
from ledger_service.domain.agreement.phase_cards import cards_of, check_card_counts, check_cards
from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.calendar import add_periods, check_period
from ledger_service.domain.commands import PublishPlan
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    ContractPhase,
    Event,
    Fact,
    PlanPhase,
    PlanPublished,
)
from ledger_service.domain.names import (
    check_asset,
    check_name,
    check_range,
    check_text,
    check_unit_price,
)
from ledger_service.domain.refusals import (
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    PlanNotFound,
)
from ledger_service.domain.values import UNITS_MAX

PHASES_MAX: Final = 16
_PHASE_KEY: Final = re.compile(r"[a-z0-9_-]{1,64}", re.ASCII)


class Plan(msgspec.Struct, frozen=True):
    """All versions of a plan; the version is the index plus 1."""

    versions: tuple[PlanPublished, ...]


def evolve_plan(plan: Plan | None, fact: Fact[Event], version: int) -> Plan:  # noqa: ARG001
    """Return the state after an event of the plan's stream."""
    match fact.event:
        case PlanPublished() as published:
            return Plan((*(plan.versions if plan else ()), published))
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of a plan")


def publish_plan(
    plan: Plan | None, cards: dict[str, RateCard | None], command: PublishPlan, now: datetime
) -> list[Draft]:
    """Return the publication of the next version; `cards` holds the rate cards that the phases name.

    Raises RateCardNotFound, AssetMismatch, CardsAmbiguous and what the checks of its fields raise.
    """
    check_asset(command.asset, field="plan.asset")
    check_text(command.display_name, field="plan.display_name")
    _check_phases(command.phases)
    for index, phase in enumerate(command.phases):
        for path, name in cards_of(phase):
            field = f"plan.phases[{index}].{path}"
            check_card_counts(cards[name], name, command.asset, field=field, asset_field="plan.asset")
    number = len(plan.versions) + 1 if plan else 1
    event = PlanPublished(number, command.asset, command.phases, command.display_name)
    return [Draft(command.plan, event, now, answers=True)]


def plan_version(plan: Plan | None, name: str, number: int, *, field: str = "") -> PlanPublished:
    """Return a version of a plan, the newest for 0. Raises PlanNotFound, with fields under `field`."""
    if plan is None:
        raise PlanNotFound(f"{name} does not exist", field=f"{field}plan")
    if not 0 <= number <= len(plan.versions):
        raise PlanNotFound(f"{name} has no version {number}", field=f"{field}plan_version")
    return plan.versions[number - 1]


def schedule(phases: tuple[PlanPhase, ...], start: datetime, zone: str) -> tuple[ContractPhase, ...]:
    """Return plan phases at their instants, one after the other. Raises TimeMalformed."""
    ends = add_periods(start, [phase.duration for phase in phases if phase.duration], zone)
    # Only the last phase may lack an end.
    spans = zip_longest([start, *ends][: len(phases)], ends)
    return tuple(ContractPhase(begin, phase, end) for phase, (begin, end) in zip(phases, spans, strict=True))


def _check_phases(phases: tuple[PlanPhase, ...]) -> None:
    if not phases:
        raise FieldRequired("plan.phases is required", field="plan.phases")
    if len(phases) > PHASES_MAX:
        raise FieldTooLong(f"plan.phases exceeds {PHASES_MAX} phases", field="plan.phases")
    if len({phase.key for phase in phases}) < len(phases):
        raise FieldMalformed("plan.phases names a key twice", field="plan.phases")
    for index, phase in enumerate(phases):
        check_phase(phase, field=f"plan.phases[{index}]")
        if not phase.duration and index < len(phases) - 1:
            raise FieldRequired(
                f"plan.phases[{index}].duration is required: only the last phase has no end",
                field=f"plan.phases[{index}].duration",
            )


def check_phase(phase: PlanPhase, *, field: str) -> None:
    """Refuse terms that no phase can have."""
    if _PHASE_KEY.fullmatch(phase.key) is None:
        raise FieldMalformed(
            f"{field}.key {phase.key[:80]!r} must be 1 to 64 of a-z, 0-9, _ and -", field=f"{field}.key"
        )
    check_name(phase.rate_card, collection="rateCards", field=f"{field}.rate_card")
    check_cards(phase, field=field)
    if phase.duration:
        check_period(phase.duration, field=f"{field}.duration")
    check_range(phase.included_units, low=0, high=UNITS_MAX, field=f"{field}.included_units")
    check_range(phase.overage_limit_units, low=0, high=UNITS_MAX, field=f"{field}.overage_limit_units")
    if phase.overage_price is not None:
        check_unit_price(phase.overage_price, field=f"{field}.overage_price")
    check_billing_terms(phase, field=field)
    check_entitlement(phase, field=field)
