"""The rate cards of a phase: one for all usage, and further ones for the usage that they are meant for.

A usage falls under exactly one of them: the most specific further card that fits its feature and properties, or
else the phase's own. As with rates, more conditions are more specific, then fewer wildcards, then more literal
characters, property by property; a list of features is one condition. Two further cards that are equally
specific and could both fit a usage are refused when the phase is agreed, so that order never decides a price.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from ledger_service.domain.agreement.rate_card import RateCard, check_match
from ledger_service.domain.agreement.rate_matches import equally_specific, may_both_match, specificity
from ledger_service.domain.agreement.repricing_match import fits
from ledger_service.domain.events import PhaseCard, PlanPhase
from ledger_service.domain.names import check_feature, check_name
from ledger_service.domain.refusals import (
    AssetMismatch,
    CardsAmbiguous,
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    RateCardNotFound,
)
from ledger_service.domain.values import Asset

CARDS_MAX: Final = 32
"""Further cards of one phase."""
CARD_FEATURES_MAX: Final = 100


def cards_of(phase: PlanPhase) -> Iterator[tuple[str, str]]:
    """Yield each rate card that a phase names, with the path of the field that names it."""
    yield "rate_card", phase.rate_card
    for index, card in enumerate(phase.additional_cards):
        yield f"additional_cards[{index}].rate_card", card.rate_card


def card_for(phase: PlanPhase, feature: str, properties: Mapping[str, str]) -> str:
    """Return the card under which a usage falls."""
    fitting = [card for card in phase.additional_cards if _fits(card, feature, properties)]
    return max(fitting, key=_specificity).rate_card if fitting else phase.rate_card


def check_cards(phase: PlanPhase, *, field: str) -> None:
    """Refuse further cards that no phase can have. Raises CardsAmbiguous and what the checks of its fields raise."""
    field = f"{field}.additional_cards"
    if len(phase.additional_cards) > CARDS_MAX:
        raise FieldTooLong(f"{field} exceeds {CARDS_MAX} cards", field=field)
    for index, card in enumerate(phase.additional_cards):
        _check_card(card, field=f"{field}[{index}]")
    for (first, one), (second, other) in combinations(enumerate(phase.additional_cards), 2):
        if _equally_specific(one, other) and _may_meet(one, other):
            raise CardsAmbiguous(
                f"{field}[{first}] and {field}[{second}] are equally specific and may fit one usage",
                field=f"{field}[{second}]",
            )


def check_card_counts(
    card: RateCard | None, name: str, asset: Asset, *, field: str, asset_field: str
) -> None:
    """Refuse a card that is not there or counts another asset than its plan. Raises RateCardNotFound, AssetMismatch."""
    if card is None:
        raise RateCardNotFound(f"{name} does not exist", field=field)
    if card.asset != asset:
        raise AssetMismatch(
            f"{name} prices in {card.asset.code}/{card.asset.scale}, what is agreed counts {asset.code}/{asset.scale}",
            field=asset_field,
        )


def _check_card(card: PhaseCard, *, field: str) -> None:
    check_name(card.rate_card, collection="rateCards", field=f"{field}.rate_card")
    if not card.features and not card.match:
        raise FieldRequired(
            f"{field} fits all usage: it needs features or a match", field=f"{field}.features"
        )
    if len(card.features) > CARD_FEATURES_MAX:
        raise FieldTooLong(
            f"{field}.features exceeds {CARD_FEATURES_MAX} features", field=f"{field}.features"
        )
    for feature in card.features:
        check_feature(feature, field=f"{field}.features")
    if len(set(card.features)) < len(card.features):
        raise FieldMalformed(f"{field}.features names a feature twice", field=f"{field}.features")
    check_match(card.match, field=f"{field}.match")


def _specificity(card: PhaseCard) -> tuple[int, int, int]:
    conditions, wildcards, characters = specificity(card.match)
    return conditions + bool(card.features), wildcards, characters


def _equally_specific(one: PhaseCard, other: PhaseCard) -> bool:
    if bool(one.features) == bool(other.features):
        return equally_specific(one.match, other.match)
    return _specificity(one)[:2] == _specificity(other)[:2]


def _may_meet(one: PhaseCard, other: PhaseCard) -> bool:
    if one.features and other.features and set(one.features).isdisjoint(other.features):
        return False
    return may_both_match(one.match, other.match)


def _fits(card: PhaseCard, feature: str, properties: Mapping[str, str]) -> bool:
    if card.features and feature not in card.features:
        return False
    return all(name in properties and fits(pattern, properties[name]) for name, pattern in card.match.items())
