"""Allocation: one price for several things, by their relative standalone prices (ASC 606-10-32-28 to 32-31).

Each part is the price x its standalone price / the sum of all of them, rounded down to a nano; the nanos that are left
go to the parts with the largest remainders, the earlier ones first, so that the parts add up to the price.
"""

from __future__ import annotations

from collections.abc import Sequence


def allocate(price_nanos: int, standalone_nanos: Sequence[int]) -> list[int]:
    """Return the part of each. The standalone prices must not all be 0."""
    total = sum(standalone_nanos)
    assert total > 0, "something has a price of its own"
    parts = [divmod(price_nanos * each, total) for each in standalone_nanos]
    left = price_nanos - sum(part for part, _ in parts)
    by_remainder = sorted(range(len(parts)), key=lambda place: (-parts[place][1], place))
    more = set(by_remainder[:left])
    return [part + (place in more) for place, (part, _) in enumerate(parts)]
