"""Rate cards of rating cases: a price by dimension, published in USD, and usages priced by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import (
    agreement_pb2,
    money_pb2,
    price_model_pb2,
    rate_card_service_pb2,
    wallet_pb2,
)
from credits.rating.v1 import rating_service_pb2
from tests.acceptance.cases.amounts import WIDE, price_text
from tests.acceptance.cases.fields import timestamp
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Playing, Session

CURRENCY: Final = "USD"
USD: Final = money_pb2.Asset(code=CURRENCY, scale=9)
"""Asset of cards in money. Charges are exact below its units too, so the scale decides nothing."""


class CardPhase(NamedTuple):
    """Prices from an instant; None means from when it is published."""

    rates: Sequence[agreement_pb2.Rate]
    multipliers: Sequence[agreement_pb2.Multiplier] = ()
    from_time: datetime | None = None
    brackets: Sequence[price_model_pb2.Bracket] = ()
    cost_currency: str = ""
    counters: price_model_pb2.Counters.ValueType = price_model_pb2.COUNTERS_UNSPECIFIED


class Card(NamedTuple):
    """A published rate card, and the position of the log at which it is known."""

    name: str
    position: int


class Quoted(NamedTuple):
    """A quote: the charge, and in whole assets its amount and what it leaves after the provider's cost."""

    charge: wallet_pb2.Charge
    amount: Decimal
    margin: str


class Priced(NamedTuple):
    """A charge in whole assets, by dimension."""

    lines: dict[str, Decimal]
    multipliers: list[Decimal]
    amount: Decimal


def rate_of(
    dimension: str, price: Decimal, *, unit_size: int = 1, match: Mapping[str, str] | None = None
) -> agreement_pb2.Rate:
    """Return a linear rate."""
    return agreement_pb2.Rate(
        dimension=dimension,
        unit_size=unit_size,
        unit=agreement_pb2.UnitModel(unit_price=price_text(price)),
        match=match or {},
    )


async def publish_card(
    session: Session, playing: Playing, phases: Sequence[CardPhase], *, asset: money_pb2.Asset = USD
) -> Card:
    """Publish a card of the case with its phases, in their order."""
    cards = session.services.rate_cards
    created = await call(
        cards.CreateRateCard,
        rate_card_service_pb2.CreateRateCardRequest(
            rate_card_id=playing.key,
            rate_card=agreement_pb2.RateCard(asset=asset),
            idempotency_key=playing.next_key(),
        ),
    )
    name, position = created.rate_card.name, created.position
    for phase in phases:
        message = agreement_pb2.RateCardPhase(
            from_time=timestamp(phase.from_time or session.now),
            rates=phase.rates,
            multipliers=phase.multipliers,
            brackets=phase.brackets,
            cost_currency=phase.cost_currency,
            counters=phase.counters,
        )
        request = rate_card_service_pb2.PublishRateCardPhaseRequest(
            name=name, idempotency_key=playing.next_key(), phase=message
        )
        position = (await call(cards.PublishRateCardPhase, request)).position
    return Card(name, position)


async def quote(
    session: Session, card: Card, *, quantities: Mapping[str, int], properties: Mapping[str, str]
) -> Priced:
    """Price a usage by a card, recording nothing."""
    answer = await quote_after(session, card, quantities, {}, properties=properties)
    return priced(answer.charge)._replace(amount=answer.amount)


async def quote_after(
    session: Session,
    card: Card,
    quantities: Mapping[str, int],
    totals: Mapping[str, price_model_pb2.RunningTotal],
    *,
    properties: Mapping[str, str] | None = None,
    at: datetime | None = None,
) -> Quoted:
    """Price a usage after running totals of its cycle, by dimension, recording nothing."""
    usage = rating_service_pb2.Usage(
        effective_time=timestamp(at or session.now), properties=properties or {}, quantities=quantities
    )
    request = rating_service_pb2.QuoteUsageRequest(
        usage=usage, rate_card=card.name, min_position=card.position, totals_before=totals
    )
    answer = await call(session.services.rating.QuoteUsage, request)
    return Quoted(answer.charge, Decimal(answer.exact_amount), answer.margin)


def priced(charge: wallet_pb2.Charge, *, scale: int = USD.scale) -> Priced:
    """Return what a charge says, in whole assets."""
    lines: dict[str, Decimal] = {}
    for line in charge.lines:
        lines[line.dimension] = lines.get(line.dimension, Decimal(0)) + whole(line.exact_units, scale)
    multipliers = sorted({Decimal(line.multiplier or 1) for line in charge.lines})
    return Priced(lines, multipliers, whole(charge.exact_units, scale))


def whole(exact_units: str, scale: int) -> Decimal:
    """Return exact units, decimal text, as whole assets."""
    return Decimal(exact_units).scaleb(-scale, WIDE)
