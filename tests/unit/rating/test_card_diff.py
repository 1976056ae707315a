"""What differs between two phases: rate by rate, in per cent, and nothing that is only written differently."""

from typing import Any

import pytest

from credits.ledger.v1 import agreement_pb2
from rating_service.cli.cards.card_diff import Change, diff_phases
from rating_service.cli.cards.card_file import card_of
from tests.unit.rating.price_lists import LIST, card_of_list


def phase(*rates: dict[str, Any], **fields: Any) -> agreement_pb2.RateCardPhase:
    """Return a phase as a card file would say it."""
    tree = {"from_time": "2026-01-01T00:00:00Z", "rates": list(rates), **fields}
    card = card_of({"rate_card": "x", "asset": {"code": "USD", "scale": 9}, "phases": [tree]})
    return card.phases[0]


def priced(price: str, **fields: Any) -> dict[str, Any]:
    """Return a rate of input tokens of model m."""
    return {"dimension": "input_tokens", "unit_price": price, "match": {"model": "m"}, **fields}


@pytest.mark.parametrize(
    ("old", "new", "percent"),
    [
        ("10", "12", "+20.00"),
        ("10", "9.999", "-0.01"),
        ("3", "1", "-66.67"),
        ("1", "0", "-100.00"),
        ("0", "1", ""),
    ],
)
def test_a_price_that_changed_is_shown_with_its_change_in_per_cent(old: str, new: str, percent: str) -> None:
    found = diff_phases(phase(priced(old)), phase(priced(new)))

    assert found.changes == (
        Change("changed", "m", "input_tokens", "", f"{old} / 1", f"{new} / 1", percent, "", ""),
    )
    assert (found.models_added, found.models_removed, found.is_empty) == ((), (), False)


def test_a_price_of_another_size_is_compared_for_one() -> None:
    found = diff_phases(phase(priced("1")), phase(priced("1500", unit_size=1000)))

    assert found.changes[0].percent == "+50.00"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (priced("3.6"), priced("3.60")),
        (priced("3"), priced("3", unit_size=1)),
        (priced("3"), priced("3", scope="CYCLE")),
        (priced("3", provider_cost="2"), priced("3", provider_cost="2.0")),
    ],
)
def test_what_is_only_written_differently_is_no_difference(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert diff_phases(phase(old), phase(new)).is_empty


def test_the_order_of_rates_is_no_difference() -> None:
    one, two = priced("1"), priced("2", match={"model": "n"})

    assert diff_phases(phase(one, two), phase(two, one)).is_empty


def test_a_cost_that_changed_alone_is_a_difference() -> None:
    (change,) = diff_phases(
        phase(priced("3", provider_cost="2")), phase(priced("3", provider_cost="1"))
    ).changes

    assert (change.percent, change.old_cost, change.new_cost) == ("+0.00", "2", "1")


def test_models_that_come_and_go_are_named() -> None:
    found = diff_phases(phase(priced("1")), phase(priced("2", match={"model": "n", "service_tier": "batch"})))

    assert [(each.kind, each.model, each.applies_to) for each in found.changes] == [
        ("removed", "m", ""),
        ("added", "n", "service_tier: batch"),
    ]
    assert (found.models_added, found.models_removed) == (("n",), ("m",))


@pytest.mark.parametrize(
    ("fields", "term"),
    [
        ({"counters": "RESTART"}, "counters"),
        ({"cost_currency": "USD"}, "cost_currency"),
        ({"multipliers": [{"property": "a", "tiers": [{"up_to": 1, "factor": "2"}]}]}, "multipliers"),
        ({"brackets": [{"property": "a", "sum_of": ["b"], "bands": [{"value": "c"}]}]}, "brackets"),
    ],
)
def test_other_terms_that_differ_are_named(fields: dict[str, Any], term: str) -> None:
    assert diff_phases(phase(priced("1")), phase(priced("1"), **fields)).terms == (term,)
    assert diff_phases(phase(priced("1"), **fields), phase(priced("1"), **fields)).is_empty


def test_a_default_that_is_spelt_out_is_no_other_term() -> None:
    tiers = [{"up_to": 1, "factor": "2"}]
    plain = phase(priced("1"), multipliers=[{"property": "a", "tiers": tiers}])
    spelt = [{"property": "a", "tiers": tiers, "beyond_last_tier": "REFUSE"}]

    assert diff_phases(plain, phase(priced("1"), counters="CARRY", multipliers=spelt)).is_empty


def test_a_new_threshold_elsewhere_changes_no_rate_of_other_models() -> None:
    newer = LIST.replace(
        b'"short": {',
        b'"short": {"input_cost_per_token_above_64k_tokens": 3e-07, ',
    )
    old, new = (card_of(card_of_list(content).tree).phases[0] for content in (LIST, newer))

    found = diff_phases(old, new)

    assert found.terms == ("brackets",)
    assert [(each.kind, each.model, each.applies_to) for each in found.changes] == [
        ("added", "short", "context: above 64,000")
    ]
