"""Exchange rates: which one is in force at an instant, as known at a position of the log, and what it makes of amounts.

A rate holds from its instant until the next one of its currency, [from_time, next). Of two for one instant the one that
was recorded later counts, for what is recorded after it: nothing that was converted before is converted again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from operator import attrgetter
from typing import Final, NamedTuple

from ledger_service.domain.finance.methods import round_half_up

BY_TIME: Final = attrgetter("from_time")


class Rate(NamedTuple):
    """A rate in the order in which rates count: by instant, and at one instant by position."""

    from_time: datetime
    position: int
    rate: str


def with_rate(rates: list[Rate], rate: Rate) -> None:
    """Put a rate in its place among those of a currency, if it is not there."""
    place = bisect_left(rates, rate)
    if place == len(rates) or rates[place] != rate:
        rates.insert(place, rate)


def rate_in_force(rates: Sequence[Rate], instant: datetime, *, before_position: int) -> str:
    """Return the rate at an instant by what was recorded before a position; empty if there is none."""
    for place in range(bisect_right(rates, instant, key=BY_TIME) - 1, -1, -1):
        if rates[place].position < before_position:
            return rates[place].rate
    return ""


def converted(nanos: int, rate: Fraction) -> int:
    """Return an amount at a rate, rounded half up to a nano."""
    return round_half_up(nanos * rate)
