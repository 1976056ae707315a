"""What came back of debits, by version of the debit: a map that is never changed in place.

It is kept in buckets of neighbouring versions, so that one more reversal copies a bucket and the map of them. After
hundreds of thousands of reversals, as a price cut for the past makes them, copying one large map for each would take
longer than everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

BUCKET_VERSIONS: Final = 1_024

Reversed = dict[int, dict[int, int]]


def reversed_units(buckets: Mapping[int, Mapping[int, int]], debit_version: int) -> int:
    """Return how many units of a debit came back."""
    return buckets.get(debit_version // BUCKET_VERSIONS, {}).get(debit_version, 0)


def with_reversed(buckets: Reversed, debit_version: int, units: int) -> Reversed:
    """Return the map after so many units of a debit came back in all."""
    place = debit_version // BUCKET_VERSIONS
    return buckets | {place: buckets.get(place, {}) | {debit_version: units}}
