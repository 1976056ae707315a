"""Brackets: properties that follow from the size of a usage, so that its size decides the price of all of it.

A prompt above 200,000 tokens, say, is priced as a whole at the rates for long contexts. A band's upper end
belongs to it.
"""

from __future__ import annotations

from bisect import bisect_left

from rating_service.domain.agreements.agreement import Record
from rating_service.domain.agreements.price_terms import Bracket
from rating_service.domain.prices.multipliers import sum_of
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Usage


class Bands(Record, frozen=True):
    """A bracket with the upper ends of all bands but the last, made ready for searching."""

    bracket: Bracket
    up_to: tuple[int, ...]


def bands_of(bracket: Bracket) -> Bands:
    """Return a bracket made ready for searching."""
    return Bands(bracket, tuple(band.up_to for band in bracket.bands[:-1] if band.up_to is not None))


def with_brackets(brackets: tuple[Bands, ...], usage: Usage) -> dict[str, str]:
    """Return the properties of a usage and those that its size gives it.

    Refuses INVALID_PROPERTY if the usage gives one of these another value.
    """
    properties = dict(usage.properties)
    for bands in brackets:
        bracket = bands.bracket
        total = sum_of(bracket.sum_of, usage)
        value = bracket.bands[bisect_left(bands.up_to, total)].value
        given = properties.setdefault(bracket.property, value)
        if given != value:
            raise Refusal(
                Reason.INVALID_PROPERTY,
                f"{bracket.property} follows from the quantities: it is {value!r}, not {given!r}",
                property=bracket.property,
                value=given,
            )
    return properties
