"""Prices in rate card files: what a file says reaches the ledger's rules and comes back, and errors name their line."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import rating_service
from credits.ledger.v1 import agreement_pb2, rate_card_service_pb2
from ledger_service.domain.agreement.rate_card import RateCard, publish_phase
from ledger_service.domain.events import RateCardPhasePublished
from ledger_service.domain.values import Asset
from ledger_service.rpc.agreements.agreement_messages import read_publish_phase, write_phase
from rating_service.cli.cards.card_file import RateCardFile, read_rate_card
from rating_service.cli.yaml_source import FileRefused

EXAMPLES = Path(rating_service.__file__).with_name("examples")
NOW = datetime(2025, 12, 1, tzinfo=UTC)
HEAD = """\
rate_card: full
asset: {code: USD, scale: 9}
phases:
  - from_time: "2026-01-01T00:00:00Z"
"""
FULL = (
    HEAD
    + """\
    counters: RESTART
    cost_currency: USD
    brackets:
      - {property: context, sum_of: [a, b], bands: [{up_to: 10, value: short}, {value: long}]}
    multipliers:
      - {property: prompt, sum_of: [a, b], dimensions: [a], tiers: [{up_to: 5, factor: "2"}]}
    rates:
      - {dimension: a, unit_price: "1", usage_minimum: "0.5", usage_maximum: "2", charge_if: {outcome: good}}
      - {dimension: b, flat: "3", scope: USAGE, zero_quantity_free: true}
      - {dimension: c, graduated: [{up_to: 5, unit_price: "7", flat_fee: "1"}, {unit_price: "6"}]}
      - {dimension: d, volume: [{up_to: 0}, {unit_price: "6"}], cycle_minimum: "1", cycle_maximum: "9"}
      - {dimension: e, package: "5", unit_size: 3, free_units: 100}
      - {dimension: f, percentage: {percent: "1.2", fixed_fee: "0.10", free_usages: 3}, free_units: 500}
      - {dimension: g, graduated_percentage: [{up_to: 5, percent: "1", flat_fee: "2"}, {percent: "3"}]}
      - {dimension: h, multiplier: "1.2", provider_cost: "0.5"}
"""
)


def published(card: RateCardFile) -> list[tuple[agreement_pb2.RateCardPhase, agreement_pb2.RateCardPhase]]:
    """Return each phase of a file beside what the ledger, having checked it, shows of it."""
    asset = Asset(card.rate_card.asset.code, card.rate_card.asset.scale)
    found = []
    for phase in card.phases:
        request = rate_card_service_pb2.PublishRateCardPhaseRequest(
            name="rateCards/full", idempotency_key="k", phase=phase
        )
        (draft,) = publish_phase(RateCard(asset, "", {}), read_publish_phase(request), NOW)
        assert isinstance(draft.event, RateCardPhasePublished)
        found.append((phase, write_phase("rateCards/full", draft.event)))
    return found


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*card*.yaml")))
def test_the_ledger_publishes_every_example_card(name: str) -> None:
    card = read_rate_card((EXAMPLES / name).read_text("utf-8"), file=name)

    assert all(len(asked.rates) == len(shown.rates) for asked, shown in published(card))


def test_every_price_and_term_of_a_file_is_published_as_it_stands() -> None:
    ((asked, shown),) = published(read_rate_card(FULL, file="full.yaml"))

    assert len(shown.hash) == 64
    for one, other in zip(asked.rates, shown.rates, strict=True):
        assert other.WhichOneof("price_model") == one.WhichOneof("price_model")
        for field in one.DESCRIPTOR.fields:
            if field.name not in ("scope", "graduated", "volume", "percentage", "graduated_percentage"):
                assert getattr(other, field.name) == getattr(one, field.name), field.name
    assert list(shown.brackets) == list(asked.brackets)
    assert list(shown.multipliers[0].sum_of) == ["a", "b"]
    assert (shown.counters, shown.cost_currency) == (asked.counters, "USD")
    graduated, volume = shown.rates[2].graduated, shown.rates[3].volume
    assert [(tier.HasField("up_to"), tier.up_to) for tier in graduated.tiers] == [(True, 5), (False, 0)]
    assert [(tier.unit_price, tier.flat_fee) for tier in graduated.tiers] == [("7", "1"), ("6", "0")]
    assert [(tier.HasField("up_to"), tier.unit_price) for tier in volume.tiers] == [(True, "0"), (False, "6")]
    terms = shown.rates[5].percentage
    assert (terms.percent, terms.fixed_fee, terms.free_usages) == ("1.2", "0.10", 3)
    shares = shown.rates[6].graduated_percentage.tiers
    assert [(tier.percent, tier.flat_fee) for tier in shares] == [("1", "2"), ("3", "0")]


@pytest.mark.parametrize(
    ("rate", "problem"),
    [
        (
            "{dimension: a}",
            "phases[0].rates[0]: one price is needed, found none: unit_price, flat, graduated, volume, "
            "package, percentage, graduated_percentage, multiplier",
        ),
        (
            '{dimension: a, flat: "1", package: "2"}',
            "phases[0].rates[0].package: one price is needed, found flat and package: unit_price, flat, "
            "graduated, volume, package, percentage, graduated_percentage, multiplier",
        ),
        (
            "{dimension: a, flat: 1.5}",
            "phases[0].rates[0].flat: 1.5 is a YAML float, which is inexact: "
            'write it as a quoted decimal, "1.5"',
        ),
        (
            '{dimension: a, graduated: [{up_to: 5, unit_price: "1"}]}',
            "phases[0].rates[0].graduated[0].up_to: must be left out of the last one, which has no end",
        ),
        (
            '{dimension: a, volume: [{unit_price: "1"}, {unit_price: "2"}]}',
            "phases[0].rates[0].volume[0]: up_to is needed: only the last may be without end",
        ),
        (
            "{dimension: a, graduated_percentage: [{up_to: 5}, {up_to: 5}, {}]}",
            "phases[0].rates[0].graduated_percentage[1].up_to: must ascend: 5 after 5",
        ),
        (
            '{dimension: a, flat: "1", unit_size: 3}',
            "phases[0].rates[0].unit_size: 3 is not a product of twos and fives",
        ),
        (
            '{dimension: a, flat: "1", usage_minimum: "2", usage_maximum: "1.9"}',
            "phases[0].rates[0].usage_maximum: lies below usage_minimum",
        ),
        (
            '{dimension: a, flat: "1", provider_cost: "1"}',
            "phases[0].rates[0].provider_cost: needs a cost_currency in its phase",
        ),
        (
            '{dimension: a, multiplier: "1.0000000001"}',
            "phases[0].rates[0].multiplier: '1.0000000001' will not do. "
            "Factor on provider_cost: quoted decimal, at most 9 decimals.",
        ),
        ('{dimension: a, flat: "1", tier: 2}', "phases[0].rates[0].tier: unknown key"),
    ],
)
def test_a_price_that_cannot_stand_is_told_by_line_and_field(rate: str, problem: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_rate_card(f"{HEAD}    rates:\n      - {rate}\n", file="card.yaml")

    assert [str(each) for each in refused.value.problems] == [f"card.yaml:6: {problem}"]
