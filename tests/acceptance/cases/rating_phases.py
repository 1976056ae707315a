"""Rating cases of a card that changes: margins before and after, and counters that carry or restart."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import agreement_pb2, price_model_pb2
from tests.acceptance.cases.amounts import price_text
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.rating_cards import CURRENCY, CardPhase, publish_card, quote_after
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

PER_MILLION: Final = 1_000_000
REQUESTS: Final = "requests"
QUANTITY: Final = "quantity"
COST_SUFFIX: Final = "_per_1m"
COUNTERS: Final = {
    "reset": price_model_pb2.COUNTERS_RESTART,
    "restart": price_model_pb2.COUNTERS_RESTART,
    "carry": price_model_pb2.COUNTERS_CARRY,
    "continue": price_model_pb2.COUNTERS_CARRY,
}
PHASE_DAYS: Final = timedelta(days=1)


def plan_margins(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a fixed price a request while the provider's prices change."""
    price = given.decimal("customer_price")
    sides = {side: _costs(given.fields(side)) for side in ("before", "after")}
    names = sorted({name for costs in sides.values() for name in costs})
    quantities = {REQUESTS: 1} | {f"{name}_tokens": given.integer(f"{name}_tokens") for name in names}
    given.finish()
    expected.offer(*(f"{figure}_{side}" for side in sides for figure in ("cost", "margin")))

    async def run(session: Session) -> None:
        phases = [
            CardPhase(
                _margin_rates(price, costs), from_time=session.now + at * PHASE_DAYS, cost_currency=CURRENCY
            )
            for at, costs in enumerate(sides.values())
        ]
        card = await publish_card(session, playing, phases)
        figures: dict[str, object] = {}
        for at, side in enumerate(sides):
            quoted = await quote_after(session, card, quantities, {}, at=session.now + at * PHASE_DAYS)
            figures[f"cost_{side}"] = Decimal(quoted.charge.provider_cost)
            figures[f"margin_{side}"] = Decimal(quoted.margin)
        expected.compare(playing, figures)

    return [Step(None, Rank.USE, run)]


def _costs(given: Fields) -> dict[str, Decimal]:
    costs = {
        name.removesuffix(COST_SUFFIX): given.decimal(name)
        for name in given.names()
        if name.endswith(COST_SUFFIX)
    }
    given.finish()
    return costs


def _margin_rates(price: Decimal, costs: dict[str, Decimal]) -> list[agreement_pb2.Rate]:
    request = agreement_pb2.UnitModel(unit_price=price_text(price))
    rates = [agreement_pb2.Rate(dimension=REQUESTS, unit=request, provider_cost="0")]
    for name, cost in costs.items():
        rates.append(
            agreement_pb2.Rate(
                dimension=f"{name}_tokens",
                unit=agreement_pb2.UnitModel(unit_price="0"),
                unit_size=PER_MILLION,
                provider_cost=price_text(cost),
            )
        )
    return rates


def plan_tier_counters(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a quantity in each of two phases with tiers; the second goes on from the total if its meter is the same."""
    counters = COUNTERS.get(given.text("tier_counter"))
    if counters is None:
        raise Unsupported(f"tier_counter {given.text('tier_counter')}")
    parts = [given.fields("phase_1"), given.fields("phase_2")]
    given.finish()
    expected.offer("lines", "amount")
    rates = [_graduated(part) for part in parts]
    used = [part.integer("qty") for part in parts]
    for part in parts:
        part.finish()

    async def run(session: Session) -> None:
        starts = [session.now, session.now + PHASE_DAYS]
        phases = [
            CardPhase([rates[0]], from_time=starts[0]),
            CardPhase([rates[1]], from_time=starts[1], counters=counters),
        ]
        card = await publish_card(session, playing, phases)
        totals: dict[str, price_model_pb2.RunningTotal] = {}
        lines = []
        for start, quantity in zip(starts, used, strict=True):
            meter = (await quote_after(session, card, {QUANTITY: 0}, {}, at=start)).charge.lines[0]
            total = totals.setdefault(meter.total_before.meter, price_model_pb2.RunningTotal())
            quoted = await quote_after(session, card, {QUANTITY: quantity}, {QUANTITY: total}, at=start)
            lines.append(quoted.amount)
            total.quantity += quantity
            total.usages += 1
        expected.compare(playing, {"lines": lines, "amount": sum(lines, Decimal(0))})

    return [Step(None, Rank.USE, run)]


def _graduated(part: Fields) -> agreement_pb2.Rate:
    tiers = []
    for row in part.objects("tiers"):
        row.ignore("up_to")
        tiers.append(
            price_model_pb2.PriceTier(
                up_to=row.integer("up_to") if "up_to" in row else None,
                unit_price=price_text(row.decimal("unit_amount", Decimal(0))),
                flat_fee=price_text(row.decimal("flat_amount", Decimal(0))),
            )
        )
        row.finish()
    return agreement_pb2.Rate(dimension=QUANTITY, graduated=price_model_pb2.GraduatedModel(tiers=tiers))
