"""Rate cards: prices of usage, in immutable phases.

A phase holds [from_time, to_time): to_time is where the next phase begins, so publishing a phase ends the one
before it and moves nothing earlier. A phase that begins in the past, where usage was priced already, is only
proposed; once accepted it stands among the others as the newest truth about its time, and of two phases that begin
at one instant the one that was accepted later is in force. At publication the card is checked so that every usage
has at most one most specific rate a dimension: more properties first, then fewer wildcards, then more literal
characters.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from typing import Final

import msgspec

from ledger_service.domain.agreement.price_terms import (
    TIERS_MAX,
    check_bracket,
    check_price_terms,
    check_summands,
)
from ledger_service.domain.agreement.rate_matches import check_unambiguous
from ledger_service.domain.commands import CreateRateCard, PublishRateCardPhase
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    Bracket,
    Event,
    Fact,
    Multiplier,
    Rate,
    RateCardCreated,
    RateCardPhaseAccepted,
    RateCardPhaseProposed,
    RateCardPhasePublished,
    RateCardPhaseRejected,
    RateCardPhaseWithdrawn,
)
from ledger_service.domain.names import (
    check_asset,
    check_currency,
    check_price,
    check_range,
    check_text,
    check_word,
)
from ledger_service.domain.refusals import (
    FieldNotAllowed,
    FieldRequired,
    FieldTooLong,
    PhaseInPast,
    PhaseOverlaps,
    RateCardExists,
    TiersOutOfOrder,
)
from ledger_service.domain.values import UNITS_MAX, Asset, Counters

RATES_MAX: Final = 20_000
"""Most rates of a phase: a full list of some 1,700 models has 5,000, in an event of under a megabyte."""
MULTIPLIERS_MAX: Final = 16
BRACKETS_MAX: Final = 16
MATCHES_MAX: Final = 16


class RateCard(msgspec.Struct, frozen=True):
    """A card with its phases, by from_time ascending and, at one instant, in the order in which they became known."""

    asset: Asset
    display_name: str
    unit_definitions: dict[str, str]
    phases: tuple[RateCardPhasePublished, ...] = ()
    last_phase: int = 0
    """Number of the phase that was published or proposed last; none is used again."""
    proposal: RateCardPhasePublished | None = None
    """A phase that is proposed and neither accepted nor rejected yet."""
    accepted: tuple[int, ...] = ()
    """Numbers of the phases that were proposed and accepted."""


def evolve(card: RateCard | None, fact: Fact[Event], version: int) -> RateCard:  # noqa: ARG001
    """Return the state after an event of the rate card's stream."""
    match fact.event:
        case RateCardCreated(asset=asset, display_name=title, unit_definitions=definitions):
            return RateCard(asset, title, definitions)
        case RateCardPhasePublished() as phase:
            assert card is not None, "a rate card's stream begins with RateCardCreated"
            return msgspec.structs.replace(card, phases=(*card.phases, phase), last_phase=phase.phase)
        case RateCardPhaseWithdrawn(phase=number):
            assert card is not None, "a rate card's stream begins with RateCardCreated"
            left = tuple(phase for phase in card.phases if phase.phase != number)
            return msgspec.structs.replace(card, phases=left)
        case RateCardPhaseProposed(proposed=phase):
            assert card is not None, "a rate card's stream begins with RateCardCreated"
            return msgspec.structs.replace(card, proposal=phase, last_phase=phase.phase)
        case RateCardPhaseRejected():
            assert card is not None, "a rate card's stream begins with RateCardCreated"
            return msgspec.structs.replace(card, proposal=None)
        case RateCardPhaseAccepted(phase=number):
            assert card is not None, "a rate card's stream begins with RateCardCreated"
            assert card.proposal is not None, "what is accepted was proposed"
            return msgspec.structs.replace(
                card,
                phases=with_phase(card.phases, card.proposal),
                proposal=None,
                accepted=(*card.accepted, number),
            )
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of a rate card")


def with_phase(
    phases: tuple[RateCardPhasePublished, ...], phase: RateCardPhasePublished
) -> tuple[RateCardPhasePublished, ...]:
    """Return phases with one more in its place, after those that begin at the same instant."""
    return tuple(sorted((*phases, phase), key=lambda each: each.from_time))


def create_rate_card(card: RateCard | None, command: CreateRateCard, now: datetime) -> list[Draft]:
    """Return the creation. Raises RateCardExists and what the checks of its fields raise."""
    check_asset(command.asset, field="rate_card.asset")
    check_text(command.display_name, field="rate_card.display_name")
    for dimension, definition in command.unit_definitions.items():
        check_word(dimension, field="rate_card.unit_definitions")
        check_text(definition, field="rate_card.unit_definitions")
    if card is not None:
        raise RateCardExists(f"{command.rate_card} was created before", field="rate_card_id")
    event = RateCardCreated(command.asset, command.display_name, command.unit_definitions)
    return [Draft(command.rate_card, event, now, answers=True)]


def publish_phase(card: RateCard, command: PublishRateCardPhase, now: datetime) -> list[Draft]:
    """Return the publication; its effective time is the phase's from_time. One for the past is a proposal, from now.

    Raises PhaseOverlaps, PhaseInPast, RatesAmbiguous, and what the checks of prices and other fields raise.
    """
    _check_rates(command, card.asset)
    _check_multipliers(command.multipliers)
    _check_brackets(command.brackets)
    _check_bounds_unscaled(command)
    if command.retroactive and card.phases and command.from_time < now:
        _check_proposal(card, command)
        return [Draft(command.rate_card, RateCardPhaseProposed(_phase(card, command)), now, answers=True)]
    if card.phases and command.from_time <= card.phases[-1].from_time:
        raise PhaseOverlaps(
            f"phase {card.phases[-1].phase} begins at {card.phases[-1].from_time.isoformat()}; "
            "a later phase must begin after it",
            field="phase.from_time",
        )
    if command.from_time < now and not command.retroactive:
        raise PhaseInPast(
            f"phase.from_time lies before the server's clock, {now.isoformat()}", field="phase.from_time"
        )
    return [Draft(command.rate_card, _phase(card, command), command.from_time, answers=True)]


def _phase(card: RateCard, command: PublishRateCardPhase) -> RateCardPhasePublished:
    phase = RateCardPhasePublished(
        phase=card.last_phase + 1,
        from_time=command.from_time,
        rates=command.rates,
        phase_hash="",
        multipliers=command.multipliers,
        brackets=command.brackets,
        counters=command.counters,
        cost_currency=command.cost_currency,
    )
    return msgspec.structs.replace(phase, phase_hash=hash_phase(command.rate_card, card.asset, phase))


def _check_proposal(card: RateCard, command: PublishRateCardPhase) -> None:
    """Refuse a second proposal, and counters that begin anew: what was counted already would have to move."""
    if card.proposal is not None:
        raise PhaseOverlaps(
            f"phase {card.proposal.phase} is proposed from {card.proposal.from_time.isoformat()}; "
            "accept or reject it first",
            field="phase.from_time",
        )
    if command.counters is Counters.RESTART:
        raise FieldNotAllowed(
            "phase.counters must be CARRY: a phase for the past goes on counting what was counted",
            field="phase.counters",
        )


def phase_of(event: Event) -> RateCardPhasePublished | None:
    """Return the phase that an event brings to its card, in force or proposed."""
    match event:
        case RateCardPhasePublished() as phase:
            return phase
        case RateCardPhaseProposed(proposed=phase):
            return phase
        case _:
            return None


def hash_phase(rate_card: str, asset: Asset, phase: RateCardPhasePublished) -> str:
    """Return SHA-256 (hex) of the phase's canonical form: its stored form without the hash, card and asset first."""
    bare = msgspec.structs.replace(phase, phase_hash="")
    return sha256(msgspec.json.encode((rate_card, asset, bare))).hexdigest()


def _check_rates(command: PublishRateCardPhase, asset: Asset) -> None:
    rates = command.rates
    if not rates:
        raise FieldRequired("phase.rates is required", field="phase.rates")
    if len(rates) > RATES_MAX:
        raise FieldTooLong(f"phase.rates exceeds {RATES_MAX} rates", field="phase.rates")
    if command.cost_currency:
        check_currency(command.cost_currency, field="phase.cost_currency")
    by_dimension: dict[str, list[Rate]] = {}
    for index, rate in enumerate(rates):
        field = f"phase.rates[{index}]"
        check_word(rate.dimension, field=f"{field}.dimension")
        check_price_terms(rate, cost_currency=command.cost_currency, asset_code=asset.code, field=field)
        check_match(rate.match, field=f"{field}.match")
        check_match(rate.charge_if, field=f"{field}.charge_if")
        by_dimension.setdefault(rate.dimension, []).append(rate)
    for same_dimension in by_dimension.values():
        check_unambiguous(same_dimension)


def check_match(patterns: dict[str, str], *, field: str) -> None:
    """Refuse a match that nothing can have."""
    if len(patterns) > MATCHES_MAX:
        raise FieldTooLong(f"{field} exceeds {MATCHES_MAX} properties", field=field)
    for key, pattern in patterns.items():
        check_word(key, field=field)
        check_text(pattern, field=f"{field}.{key}")


def _check_multipliers(multipliers: tuple[Multiplier, ...]) -> None:
    if len(multipliers) > MULTIPLIERS_MAX:
        raise FieldTooLong(f"phase.multipliers exceeds {MULTIPLIERS_MAX}", field="phase.multipliers")
    for index, multiplier in enumerate(multipliers):
        field = f"phase.multipliers[{index}]"
        check_word(multiplier.property, field=f"{field}.property")
        check_summands(multiplier.sum_of, field=f"{field}.sum_of")
        for dimension in multiplier.dimensions:
            check_word(dimension, field=f"{field}.dimensions")
        if not multiplier.tiers:
            raise FieldRequired(f"{field}.tiers is required", field=f"{field}.tiers")
        if len(multiplier.tiers) > TIERS_MAX:
            raise FieldTooLong(f"{field}.tiers exceeds {TIERS_MAX} tiers", field=f"{field}.tiers")
        below = -1
        for tier in multiplier.tiers:
            check_price(tier.factor, field=f"{field}.tiers.factor")
            check_range(tier.up_to, low=0, high=UNITS_MAX, field=f"{field}.tiers.up_to")
            if tier.up_to <= below:
                raise TiersOutOfOrder(
                    f"{field}.tiers must ascend by up_to: {tier.up_to} after {below}", field=f"{field}.tiers"
                )
            below = tier.up_to


def _check_bounds_unscaled(command: PublishRateCardPhase) -> None:
    """Refuse bounds on a cycle whose usages are scaled by different factors: no total is then between them."""
    for index, rate in enumerate(command.rates):
        if not (rate.cycle_minimum or rate.cycle_maximum):
            continue
        for multiplier in command.multipliers:
            if not multiplier.dimensions or rate.dimension in multiplier.dimensions:
                name = "cycle_minimum" if rate.cycle_minimum else "cycle_maximum"
                field = f"phase.rates[{index}].{name}"
                raise FieldNotAllowed(
                    f"{field} is not allowed: {multiplier.property} multiplies {rate.dimension}", field=field
                )


def _check_brackets(brackets: tuple[Bracket, ...]) -> None:
    if len(brackets) > BRACKETS_MAX:
        raise FieldTooLong(f"phase.brackets exceeds {BRACKETS_MAX}", field="phase.brackets")
    seen: set[str] = set()
    for index, bracket in enumerate(brackets):
        field = f"phase.brackets[{index}]"
        check_bracket(bracket, field=field)
        if bracket.property in seen:
            raise FieldNotAllowed(f"{bracket.property} is set by two brackets", field=f"{field}.property")
        seen.add(bracket.property)
