"""Price models and the parts of a charge over a real channel: published, refused by field, recorded, read again."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import (
    agreement_pb2,
    price_model_pb2,
    rate_card_service_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import Client, key, refusal, send
from tests.integration.ledger.test_agreement_refusals import Agreements, told

Code = grpc.StatusCode
Tier = price_model_pb2.PriceTier


def graduated(*tiers: price_model_pb2.PriceTier, **fields: Any) -> agreement_pb2.Rate:
    """Return a graduated rate."""
    model = price_model_pb2.GraduatedModel(tiers=tiers)
    return agreement_pb2.Rate(dimension="calls", graduated=model, **fields)


async def test_a_published_phase_is_read_again_with_its_tiers(sandbox: Client) -> None:
    agreements = Agreements(sandbox)
    card = await agreements.card()
    bands = [price_model_pb2.Band(up_to=5, value="short"), price_model_pb2.Band(value="long")]

    await agreements.phase(
        card,
        rates=[graduated(Tier(up_to=5, unit_price="7", flat_fee="1"), Tier(unit_price="6"), free_units=3)],
        brackets=[price_model_pb2.Bracket(property="context", sum_of=["a"], bands=bands)],
        counters=price_model_pb2.COUNTERS_RESTART,
        cost_currency="USD",
    )

    request = rate_card_service_pb2.GetRateCardRequest(name=card)
    (phase,) = (await send(sandbox.rate_cards.GetRateCard, request)).rate_card.phases
    (rate,) = phase.rates
    first, last = rate.graduated.tiers
    assert (first.up_to, first.unit_price, first.flat_fee, last.HasField("up_to")) == (5, "7", "1", False)
    assert (rate.free_units, rate.scope) == (3, price_model_pb2.RATE_SCOPE_CYCLE)
    assert [band.value for band in phase.brackets[0].bands] == ["short", "long"]
    assert (phase.counters, phase.cost_currency) == (price_model_pb2.COUNTERS_RESTART, "USD")


@pytest.mark.parametrize(
    ("rate", "reason", "field"),
    [
        (graduated(Tier(up_to=5)), "TIERS_INCOMPLETE", "graduated.tiers[0].up_to"),
        (graduated(Tier(up_to=5), Tier(up_to=5), Tier()), "TIERS_OUT_OF_ORDER", "graduated.tiers[1].up_to"),
        (
            graduated(Tier(), cycle_minimum="2", cycle_maximum="1"),
            "BOUNDS_OUT_OF_ORDER",
            "cycle_maximum",
        ),
        (graduated(Tier(unit_price="-1")), "FIELD_MALFORMED", "graduated.tiers[0].unit_price"),
        (graduated(Tier(), usage_minimum="1"), "FIELD_NOT_ALLOWED", "usage_minimum"),
        (agreement_pb2.Rate(dimension="calls"), "FIELD_REQUIRED", "price_model"),
        (graduated(Tier(), scope=9), "VALUE_UNSPECIFIED", "scope"),
    ],
)
async def test_a_price_that_cannot_stand_is_refused_with_its_field(
    sandbox: Client, rate: agreement_pb2.Rate, reason: str, field: str
) -> None:
    agreements = Agreements(sandbox)

    refused = await refusal(agreements.phase(await agreements.card(), rates=[rate]))

    assert told(refused) == (Code.INVALID_ARGUMENT, reason, f"phase.rates[0].{field}")


def charge(**part: Any) -> wallet_pb2.Charge:
    """Return a charge of 3 units in two tiers, of which one part may be another."""
    first: dict[str, Any] = {
        "kind": price_model_pb2.CHARGE_PART_KIND_QUANTITY,
        "tier": 1,
        "quantity": 5,
        "price": "1",
    }
    parts = [
        price_model_pb2.ChargePart(**first | {"exact_units": "5"} | part),
        price_model_pb2.ChargePart(kind=price_model_pb2.CHARGE_PART_KIND_EARLIER, exact_units="-2"),
    ]
    line = wallet_pb2.ChargeLine(
        dimension="calls",
        quantity=5,
        unit_size=1,
        model="graduated",
        exact_units="3",
        parts=parts,
        total_before=price_model_pb2.RunningTotal(
            meter="rateCards/c:calls{}", cycle_start_time=Timestamp(), cycle_end_time=Timestamp(seconds=2**34)
        ),
        provider_cost="0.25",
    )
    return wallet_pb2.Charge(
        rate_card_phase="rateCards/c/phases/1",
        lines=[line],
        exact_units="3",
        provider_cost="0.25",
        cost_currency="USD",
    )


async def test_a_charge_keeps_its_parts_totals_and_costs(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    request = wallet_service_pb2.DebitRequest(
        name=wallet, idempotency_key=key(), delivered=True, charge=charge()
    )

    first = await send(sandbox.wallets.Debit, request)
    again = await send(sandbox.wallets.Debit, request)

    kept = again.debit.charge
    kept.lines[0].multiplier = ""
    assert first.debit.amount_units == 3
    assert (again.replayed, kept) == (True, charge())


@pytest.mark.parametrize(
    ("part", "reason", "field"),
    [
        ({"kind": 0}, "VALUE_UNSPECIFIED", "kind"),
        ({"price": "1e3"}, "FIELD_MALFORMED", "price"),
        ({"exact_units": "--1"}, "FIELD_MALFORMED", "exact_units"),
        ({"quantity": -1}, "NUMBER_OUT_OF_RANGE", "quantity"),
        ({"tier": -1}, "NUMBER_OUT_OF_RANGE", "tier"),
    ],
)
async def test_a_part_that_cannot_be_is_refused(
    sandbox: Client, part: dict[str, Any], reason: str, field: str
) -> None:
    request = wallet_service_pb2.DebitRequest(
        name=await sandbox.open_wallet(), idempotency_key=key(), delivered=True, charge=charge(**part)
    )

    refused = await refusal(send(sandbox.wallets.Debit, request))

    assert told(refused) == (Code.INVALID_ARGUMENT, reason, f"charge.lines.parts.{field}")
