"""Rating cases of rounding: blocks that are begun, and charges far below a cent that an invoice adds up."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from credits.ledger.v1 import agreement_pb2, price_model_pb2
from credits.rating.v1 import rating_service_pb2
from tests.acceptance.cases.amounts import from_nanos, price_text, quantity_of
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.rating_cards import CURRENCY, CardPhase, priced, publish_card, quote, rate_of
from tests.acceptance.cases.rating_contracts import Terms, preview, record_many, sign
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

LINEAR: Final = "linear"
LINEAR_MODELS: Final = ("unit", "standard")
BLOCKS: Final = "per_started_block"
CALLS: Final = "calls"
CENT: Final = Decimal("0.01")
CALLS_MAX: Final = 5_000
"""Usages in one batch."""


def plan_linear_and_blocks(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play one quantity at a price of `unit_size`, as a share of it and by blocks begun."""
    quantity = quantity_of(given.decimal("quantity"))
    unit_size = given.integer("unit_size") * quantity.unit_size
    price = given.decimal("unit_amount")
    given.ignore("unit")
    for name, known in (("model", LINEAR_MODELS), ("currency", (CURRENCY,))):
        if given.text(name, known[0]) not in known:
            raise Unsupported(f"{name} {given.text(name)}")
    given.finish()
    expected.offer("amount", LINEAR, BLOCKS)
    package = price_model_pb2.PackageModel(package_price=price_text(price))
    rates = [
        rate_of(LINEAR, price, unit_size=unit_size),
        agreement_pb2.Rate(dimension=BLOCKS, unit_size=unit_size, package=package),
    ]

    async def run(session: Session) -> None:
        card = await publish_card(session, playing, [CardPhase(rates)])
        quantities = {LINEAR: quantity.parts, BLOCKS: quantity.parts}
        lines = (await quote(session, card, quantities=quantities, properties={})).lines
        figures: dict[str, object] = {**lines, "amount": lines[LINEAR]}
        expected.compare(playing, figures)

    return [Step(None, Rank.USE, run)]


def plan_micro_charges(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Record equal usages and compare their exact sum and the invoice, which rounds it once."""
    price, count = given.decimal("unit_charge"), given.integer("count")
    if given.text("rounding", "half_up") != "half_up" or given.decimal("precision") != CENT:
        raise Unsupported("a rounding other than half up to the cent, as invoices in USD have it")
    if not 1 <= count <= CALLS_MAX:
        raise Unsupported(f"{count} charges")
    given.finish()
    expected.ignore("wrong_if_rounded_per_event")
    expected.offer("unrounded", "amount")

    async def run(session: Session) -> None:
        card = await publish_card(session, playing, [CardPhase([rate_of(CALLS, price)])])
        cycle = agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH)
        signed = await sign(session, playing, card, Terms(), cycle, session.now)
        usages = [
            rating_service_pb2.Usage(
                id=playing.next_key(),
                contract=signed.contract,
                effective_time=timestamp(session.now),
                quantities={CALLS: 1},
            )
            for _ in range(count)
        ]
        answers = await record_many(session, signed, usages)
        unrounded = sum((priced(answer.charge).amount for answer in answers), Decimal(0))
        invoice = await preview(session, signed, session.now)
        expected.compare(playing, {"unrounded": unrounded, "amount": from_nanos(invoice.total.nanos)})

    return [Step(None, Rank.USE, run)]
