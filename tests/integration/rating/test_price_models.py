"""Price models over a real channel: quoted after a total, and recorded with their parts."""

from __future__ import annotations

import json
from typing import Any

import grpc

from credits.ledger.v1 import price_model_pb2
from credits.rating.v1 import rating_service_pb2
from tests.fakes.fake_ledger import iso
from tests.integration.rating.harness import CARD, DAY, START, Service, refused, usage
from tests.integration.rating.test_command_line import rating

TIERS = [{"unit_price": "7", "flat_fee": "1", "up_to": 5}, {"unit_price": "6"}]
RATES = [
    {"dimension": "fonts", "unit_price": "", "price_model": {"type": "GRADUATED", "tiers": TIERS}},
    {
        "dimension": "bundles",
        "unit_price": "",
        "unit_size": 3,
        "price_model": {"type": "PACKAGE", "package_price": "5"},
        "scope": "USAGE",
    },
    {"dimension": "calls", "unit_price": "0.5", "provider_cost": "0.2"},
]
LATER = START + DAY


async def publish(service: Service) -> None:
    """Publish the rates as a later phase of the card of the only contract."""
    event = {
        "phase": 2,
        "from_time": iso(LATER),
        "rates": RATES,
        "phase_hash": "2" * 64,
        "cost_currency": "CREDIT",
    }
    await service.ledger.publish(CARD, "rate_card.RateCardPhasePublished.v1", event)
    await service.caught_up()


async def quote(
    service: Service, item: rating_service_pb2.Usage, *, card: str = CARD, **totals: Any
) -> rating_service_pb2.QuoteUsageResponse:
    """Quote a usage after totals, each (quantity, usages)."""
    before = {
        name: price_model_pb2.RunningTotal(quantity=total[0], usages=total[1])
        for name, total in totals.items()
    }
    request = rating_service_pb2.QuoteUsageRequest(usage=item, rate_card=card, totals_before=before)
    return await service.rating.QuoteUsage(request)


async def test_a_tiered_price_is_quoted_after_the_total_that_is_told(service: Service) -> None:
    await publish(service)

    answer = await quote(service, usage(fonts=4, at=LATER), fonts=(3, 2))

    (line,) = answer.charge.lines
    parts = [(part.kind, part.tier, part.quantity, part.exact_units) for part in line.parts]
    assert answer.exact_amount == "26"
    assert (line.model, line.unit_price, line.exact_units) == ("graduated", "", "26000000")
    assert parts == [
        (price_model_pb2.CHARGE_PART_KIND_QUANTITY, 1, 2, "14000000"),
        (price_model_pb2.CHARGE_PART_KIND_QUANTITY, 2, 2, "12000000"),
    ]
    before = line.total_before
    assert (before.meter, before.quantity, before.usages) == (f"{CARD}:fonts{{}}", 3, 2)


async def test_a_quote_begins_at_nothing_unless_told_and_a_quantity_alone_is_of_one_usage(
    service: Service,
) -> None:
    await publish(service)

    by_contract = await quote(service, usage(fonts=1, at=LATER), card="")
    after_one = await quote(service, usage(fonts=1, at=LATER), fonts=(1, 0))

    assert (by_contract.exact_amount, after_one.exact_amount) == ("8", "7")


async def test_a_total_is_not_negative(service: Service) -> None:
    await publish(service)

    for total in ((-1, 0), (0, -1)):
        code = await refused(quote(service, usage(fonts=1, at=LATER), fonts=total))
        assert code == (grpc.StatusCode.INVALID_ARGUMENT, "NUMBER_OUT_OF_RANGE")


async def test_usage_that_stands_alone_is_recorded_with_its_parts(service: Service) -> None:
    await publish(service)
    request = rating_service_pb2.RecordUsageRequest(usage=usage(bundles=4, at=LATER))

    answer = await service.rating.RecordUsage(request)

    (line,) = answer.charge.lines
    assert answer.debit.amount_units == 10_000_000
    assert (line.model, [part.quantity for part in line.parts]) == ("package", [2])
    assert not line.HasField("total_before")


async def test_a_quote_tells_the_margin_of_the_call(service: Service) -> None:
    await publish(service)

    known = await quote(service, usage(calls=10, at=LATER))
    partly = await quote(service, usage(calls=10, bundles=1, at=LATER))

    assert (known.exact_amount, known.charge.provider_cost, known.margin) == ("5", "2", "3")
    assert (partly.charge.provider_cost, partly.margin) == ("", "")
    assert [line.provider_cost for line in partly.charge.lines] == ["", "2"]


async def test_the_command_line_quotes_after_a_total_and_shows_the_tiers(service: Service) -> None:
    await publish(service)
    asked = ["quote", "--card", CARD, "-q", "fonts=4", "--at", LATER.isoformat(), "--before", "fonts=3/2"]

    shown = await rating(service, *asked)
    told = await rating(service, *asked, "--json")
    wrong = await rating(service, *asked[:-1], "fonts=x")

    assert "26 CREDIT" in shown.stdout
    assert "quantity tier 2" in shown.stdout
    assert "3 -> 7" in shown.stdout
    assert json.loads(told.stdout)["charge"]["lines"][0]["total_before"]["quantity"] == "3"
    assert (shown.returncode, told.returncode, wrong.returncode) == (0, 0, 2)
