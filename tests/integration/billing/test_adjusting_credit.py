"""Credit that an accepted phase for the past uses is shown where it is drawn; what finds no credit is billed once."""

from __future__ import annotations

import grpc

from credits.ledger.v1 import agreement_pb2, rate_card_service_pb2
from credits.rating.v1 import (
    document_verification_pb2,
    invoice_service_pb2,
    rerating_service_pb2,
    rerating_service_pb2_grpc,
)
from tests.integration.billing.world import GRACE, World, terms
from tests.integration.ledger.client import key, timestamp

CENT = 10**7
KINDS = invoice_service_pb2.LineKind


async def double_the_price_since_january(world: World) -> None:
    """Publish a phase for the past in which a token costs two units, and accept it."""
    rate = agreement_pb2.Rate(
        dimension="output_tokens", unit_size=1_000_000, unit=agreement_pb2.UnitModel(unit_price="2")
    )
    phase = agreement_pb2.RateCardPhase(from_time=timestamp(world.start), rates=[rate])
    published = await world.ledger.rate_cards.PublishRateCardPhase(
        rate_card_service_pb2.PublishRateCardPhaseRequest(
            name="rateCards/llm", idempotency_key=key(), phase=phase, retroactive=True
        )
    )
    async with grpc.aio.insecure_channel(f"127.0.0.1:{world.parts.served.port}") as channel:
        stub = rerating_service_pb2_grpc.ReratingServiceStub(channel)
        request = rerating_service_pb2.AcceptReratingRequest(name=published.phase.name)
        async for _ in stub.AcceptRerating(request):
            pass


def amounts(invoice: invoice_service_pb2.Invoice) -> dict[str, tuple[int, int]]:
    """Return units and nanos of each line; of an adjustment by the kind that it corrects."""
    return {
        KINDS.Name(line.adjusted_kind or line.kind)[10:]: (line.amount_units, line.amount.nanos)
        for line in invoice.lines
    }


async def test_an_adjustment_uses_the_credit_of_the_cycle_that_runs_and_its_invoice_says_so(
    lone_world: World,
) -> None:
    world = lone_world
    agreed = terms(overage_price={"currency_code": "USD", "price": "20000"})
    contract = (await world.sign(agreed)).name
    await world.bill(contract)
    await world.use(contract, 900)
    await world.ledger.advance(world.at("02-01") + GRACE)
    await world.bill(contract)
    await double_the_price_since_january(world)
    running = await world.preview(contract)
    await world.use(contract, 100)
    await world.ledger.advance(world.at("03-01") + GRACE)
    await world.bill(contract)
    january, february = sorted(await world.issued(contract), key=lambda each: each.sequence)

    assert (january.included_used_units, january.included_left_units) == (900, 100)
    assert (running.included_used_units, running.included_adjusting_units) == (900, 900)
    assert running.included_left_units == 100
    # February had 100 units left for usage of 200: what is missing is overage, paid once.
    assert (february.included_used_units, february.included_adjusting_units) == (1_000, 900)
    assert february.included_left_units == 0
    own = [line for line in february.lines if not line.adjusted_kind]
    assert [(KINDS.Name(line.kind)[10:], line.amount_units, line.amount.nanos) for line in own] == [
        ("BASE_FEE", 0, 20 * 10**9),
        ("USAGE", 100, 0),
        ("OVERAGE", 100, 200 * CENT),
    ]
    adjusted = [line for line in february.lines if line.adjusted_kind]
    assert [(line.amount_units, line.amount.nanos) for line in adjusted] == [(900, 0)]
    call = world.invoices.VerifyDocuments(document_verification_pb2.VerifyDocumentsRequest(contract=contract))
    assert [finding async for answer in call for finding in answer.findings] == []
