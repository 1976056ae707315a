"""Patterns of rates: whether two can match one text, against trying every short text."""

import re
from itertools import product

from hypothesis import example, given
from hypothesis import strategies as st

from ledger_service.domain.agreement.rate_matches import patterns_overlap, specificity

ALPHABET = "ab"
patterns = st.text(ALPHABET + "*", max_size=5)
TEXTS = ["".join(letters) for length in range(9) for letters in product(ALPHABET, repeat=length)]
"""Patterns of five characters that meet at all meet in one of these: where both hold a wildcard, in a text of
their literals alone, eight at most; where one holds none, in itself."""


def matches(pattern: str) -> set[str]:
    """Return the short texts that a pattern matches, by way of a regular expression."""
    form = re.compile(re.escape(pattern).replace(r"\*", ".*"), re.DOTALL)
    return {text for text in TEXTS if form.fullmatch(text)}


@given(patterns, patterns)
@example("a*", "*b")
@example("ab*ba", "aba")
@example("*a*", "b*b")
@example("", "*")
@example("", "")
@example("a*b", "a*c")
def test_patterns_overlap_if_some_text_matches_both(one: str, other: str) -> None:
    assert patterns_overlap(one, other) is not matches(one).isdisjoint(matches(other))


@given(patterns, patterns)
def test_overlapping_is_symmetric(one: str, other: str) -> None:
    assert patterns_overlap(one, other) is patterns_overlap(other, one)


@given(patterns)
def test_a_pattern_overlaps_itself_and_everything(pattern: str) -> None:
    assert patterns_overlap(pattern, pattern)
    assert patterns_overlap(pattern, "*")


@given(patterns, st.dictionaries(st.sampled_from(["model", "region"]), patterns))
def test_another_property_makes_a_match_more_specific(pattern: str, match: dict[str, str]) -> None:
    assert specificity({**match, "service": pattern}) > specificity(match)
