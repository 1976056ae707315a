"""Compound cards: size decides the price of the whole request, success decides whether it is charged, cost is known."""

from datetime import timedelta

import msgspec
import pytest

from rating_service.domain.agreements.agreement import (
    Multiplier,
    MultiplierTier,
    Rate,
    RateCardPhase,
)
from rating_service.domain.agreements.price_terms import Band, Bracket, Counters, GraduatedModel, PriceTier
from rating_service.domain.price_models.running_total import NO_TOTALS, meter_root
from rating_service.domain.prices.pricing import Pricer, compile_phase, price
from rating_service.domain.prices.rating import margin_text
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Charge
from tests.unit.rating.builders import JANUARY, card_phase, lines_of, rate, usage

PROMPT = ("input_tokens", "cached_input_tokens", "cache_write_tokens_5m")
CONTEXT = Bracket("context", PROMPT, (Band("standard", 200_000), Band("long")))
BY_CONTEXT = (
    rate("input_tokens", "3", context="standard"),
    rate("input_tokens", "6", context="long"),
    rate("cached_input_tokens", "0.3", context="standard"),
    rate("cached_input_tokens", "0.6", context="long"),
    rate("output_tokens", "15", context="standard"),
    rate("output_tokens", "22.5", context="long"),
    rate("output_tokens", "7.5", context="standard", service_tier="batch"),
)


def compiled(*rates: Rate, **changes: object) -> Pricer:
    """Return a pricer of a phase with these members."""
    phase: RateCardPhase = msgspec.structs.replace(card_phase(*rates), **changes)
    return compile_phase(phase, scale=0)


def long_context(**quantities: int) -> Charge:
    """Return the charge of a prompt and an answer."""
    return price(compiled(*BY_CONTEXT, brackets=(CONTEXT,)), usage(None, **quantities))


def refusal(pricer: Pricer, properties: dict[str, str], **quantities: int) -> Refusal:
    """Return the refusal of a usage."""
    with pytest.raises(Refusal) as refused:
        price(pricer, usage(properties, **quantities))
    return refused.value


@pytest.mark.parametrize(
    ("prompt", "lines"),
    [
        ((200_000, 0), ("600000", "0", "15")),
        ((199_999, 1), ("599997", "0.3", "15")),
        ((200_000, 1), ("1200000", "0.6", "22.5")),
        ((200_001, 0), ("1200006", "0", "22.5")),
        ((0, 200_001), ("0", "120000.6", "22.5")),
    ],
)
def test_the_whole_request_changes_price_once_its_prompt_exceeds_the_threshold(
    prompt: tuple[int, int], lines: tuple[str, ...]
) -> None:
    charge = long_context(input_tokens=prompt[0], cached_input_tokens=prompt[1], output_tokens=1)

    assert tuple(lines_of(charge).values()) == lines


def test_the_band_is_recorded_and_prices_the_charge_again() -> None:
    pricer = compiled(*BY_CONTEXT, brackets=(CONTEXT,))
    counted = {"input_tokens": 100_000, "output_tokens": 1, "cache_write_tokens_5m": 100_001}

    charge = price(pricer, usage(None, **counted))

    assert charge.properties == {"context": "long", "cache_write_tokens_5m": "100001"}
    held = {line.dimension: line.quantity for line in charge.lines}
    assert price(pricer, usage(charge.properties, **held)) == charge


def test_a_usage_cannot_claim_another_band() -> None:
    refused = refusal(
        compiled(*BY_CONTEXT, brackets=(CONTEXT,)), {"context": "standard"}, input_tokens=200_001
    )

    assert (refused.reason, refused.metadata) == (
        Reason.INVALID_PROPERTY,
        {"property": "context", "value": "standard"},
    )


def test_a_service_tier_and_the_size_match_together() -> None:
    pricer = compiled(*BY_CONTEXT, brackets=(CONTEXT,))
    batch = {"service_tier": "batch"}

    assert price(pricer, usage(batch, output_tokens=2)).exact_units == "15"
    assert price(pricer, usage(batch, output_tokens=2, input_tokens=200_001)).exact_units == "1200051"


@pytest.mark.parametrize(("cached", "factor"), [(100, "1"), (101, "2")])
def test_a_multiplier_may_look_at_a_sum_of_quantities(cached: int, factor: str) -> None:
    tiers = (MultiplierTier(200, "1"), MultiplierTier(1000, "2"))
    multiplier = Multiplier("prompt", tiers, ("input_tokens",), sum_of=("input_tokens", "cached"))
    pricer = compiled(rate("input_tokens", "1"), rate("cached", "1"), multipliers=(multiplier,))

    first, second = price(pricer, usage(input_tokens=100, cached=cached)).lines

    assert (first.multiplier, second.multiplier) == (factor, "1")


TICKETS = Rate("resolved_tickets", "0.99", charge_if={"outcome": "resolved*"})


@pytest.mark.parametrize(
    ("outcome", "amount"), [("resolved", "1.98"), ("resolved_by_ai", "1.98"), ("escalated", "0"), ("", "0")]
)
def test_an_outcome_is_charged_on_success_and_recorded_otherwise(outcome: str, amount: str) -> None:
    (line,) = price(compiled(TICKETS), usage({"outcome": outcome}, resolved_tickets=2)).lines

    assert (line.quantity, line.exact_units) == (2, amount)


def test_an_outcome_that_is_not_told_is_never_free() -> None:
    refused = refusal(compiled(TICKETS), {}, resolved_tickets=1)

    assert refused.reason is Reason.MISSING_PROPERTY
    assert refused.metadata == {"property": "outcome", "dimension": "resolved_tickets"}


def test_what_is_not_charged_counts_towards_no_tier() -> None:
    tiered = Rate(
        "tickets", "", price_model=GraduatedModel((PriceTier("1"),)), charge_if={"outcome": "resolved"}
    )

    (line,) = price(compiled(tiered), usage({"outcome": "failed"}, tickets=3), totals=NO_TOTALS).lines

    assert (line.exact_units, line.total_before) == ("0", None)


def with_costs(*, known: bool) -> Pricer:
    """Return a card in USD with the provider's costs; one may be unknown."""
    return compiled(
        Rate("requests", "0.05", provider_cost="0"),
        Rate("input_tokens", "0", 1_000_000, provider_cost="15"),
        Rate("output_tokens", "0", 1_000_000, provider_cost="75" if known else ""),
        cost_currency="USD",
    )


def test_a_charge_carries_what_the_call_costs_at_the_provider() -> None:
    charge = price(with_costs(known=True), usage(requests=1, input_tokens=1000, output_tokens=500))

    assert [line.provider_cost for line in charge.lines] == ["0", "0.015", "0.0375"]
    assert (charge.provider_cost, charge.cost_currency) == ("0.0525", "USD")
    assert margin_text("0.05", charge, asset_code="USD") == "-0.0025"


def test_a_margin_is_not_known_in_part_nor_across_currencies() -> None:
    part = price(with_costs(known=False), usage(requests=1, output_tokens=500))
    whole = price(with_costs(known=True), usage(requests=1))

    assert (part.provider_cost, margin_text("1", part, asset_code="USD")) == ("", "")
    assert margin_text("1", whole, asset_code="CREDIT") == ""
    assert margin_text("1", whole, asset_code="USD") == "1"


def phases(*counters: Counters) -> tuple[RateCardPhase, ...]:
    """Return consecutive phases of a card, a day apart."""
    return tuple(
        msgspec.structs.replace(
            card_phase(rate("calls", "1"), number=at + 1, start=JANUARY + timedelta(days=at)), counters=each
        )
        for at, each in enumerate(counters)
    )


def test_meters_are_carried_from_phase_to_phase_until_one_restarts_them() -> None:
    carry, restart = Counters.CARRY, Counters.RESTART
    card = phases(carry, carry, restart, carry, restart)

    roots = [meter_root("rateCards/llm", card, phase) for phase in card]

    assert roots == [
        "rateCards/llm",
        "rateCards/llm",
        "rateCards/llm/phases/3",
        "rateCards/llm/phases/3",
        "rateCards/llm/phases/5",
    ]


def test_a_meter_is_named_by_dimension_and_match() -> None:
    tiers = GraduatedModel((PriceTier("1"),))
    rates = [
        Rate("tokens", "", match={"tier": "batch", "model": "gpt-*"}, price_model=tiers),
        Rate("tokens", "", price_model=tiers),
    ]
    pricer = compile_phase(card_phase(*rates), scale=0, meter_root="rateCards/llm")

    def meter(properties: dict[str, str]) -> str:
        (line,) = price(pricer, usage(properties, tokens=1), totals=NO_TOTALS).lines
        assert line.total_before is not None
        return line.total_before.meter

    assert meter({"model": "gpt-4o", "tier": "batch"}) == "rateCards/llm:tokens{model=gpt-*,tier=batch}"
    assert meter({"model": "gpt-4o"}) == "rateCards/llm:tokens{}"
