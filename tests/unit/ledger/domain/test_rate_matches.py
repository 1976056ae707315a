"""Rates that may meet are found in long lists too, without comparing every pair."""

from itertools import combinations
from random import Random

import pytest

from ledger_service.domain.agreement import rate_matches
from ledger_service.domain.agreement.rate_matches import (
    GROUP_MAX,
    check_unambiguous,
    patterns_overlap,
    specificity,
)
from ledger_service.domain.events import Rate
from ledger_service.domain.refusals import FieldTooLong, RatesAmbiguous


def rate(**match: str) -> Rate:
    """Return a rate of input tokens."""
    return Rate("input_tokens", "1", match=match)


def listed(count: int) -> list[Rate]:
    """Return rates of so many models, all equally specific."""
    return [rate(model=f"model-{number:05d}") for number in range(count)]


def is_ambiguous(rates: list[Rate]) -> bool:
    """Tell whether the check refuses the rates."""
    try:
        check_unambiguous(rates)
    except RatesAmbiguous:
        return True
    return False


def meet(one: Rate, other: Rate) -> bool:
    """Tell whether two rates are equally specific and may match one usage: the rule, word for word."""
    names = one.match.keys()
    common = names & other.match.keys()
    more = [
        len(one.match[name].replace("*", "")) - len(other.match[name].replace("*", "")) for name in common
    ]
    undecided = names != other.match.keys() or not any(more) or min(more) < 0 < max(more)
    return (
        specificity(one.match)[:2] == specificity(other.match)[:2]
        and undecided
        and all(patterns_overlap(one.match[name], other.match[name]) for name in common)
    )


@pytest.mark.parametrize("seed", range(40))
def test_a_list_is_refused_exactly_if_some_pair_of_it_may_meet(seed: int) -> None:
    random = Random(seed)
    values = [f"m{number:03d}" for number in range(400)] + (["m*00", "m0*", "m1*0"] if seed % 4 == 0 else [])
    rates = []
    for _ in range(GROUP_MAX * 2 + seed % 3):
        names = random.sample(["model", "tier", "region"], random.choice([1, 2, 2, 3]))
        rates.append(rate(**{name: random.choice(values) for name in names}))

    assert is_ambiguous(rates) == any(meet(one, other) for one, other in combinations(rates, 2))


@pytest.mark.parametrize(
    "twin",
    [
        pytest.param({"model": "model-00777"}, id="a literal"),
        pytest.param({"region": "eu"}, id="another property"),
    ],
)
def test_one_rate_that_meets_another_is_found_among_twenty_thousand(twin: dict[str, str]) -> None:
    rates = listed(19_999)

    assert not is_ambiguous(rates)
    assert is_ambiguous([*rates, rate(**twin)])


def test_as_many_pairs_of_wildcards_as_may_be_compared_are_compared_and_one_more_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = [rate(model=f"*{number:02d}") for number in range(20)]
    pairs = 20 * 19 // 2

    monkeypatch.setattr(rate_matches, "PAIRS_MAX", pairs)
    check_unambiguous(rates)
    monkeypatch.setattr(rate_matches, "PAIRS_MAX", pairs - 1)
    with pytest.raises(FieldTooLong) as refused:
        check_unambiguous(rates)

    assert refused.value.field == "phase.rates"
