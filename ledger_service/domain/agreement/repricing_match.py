"""Which prices of a phase a recorded charge falls under: patterns, multipliers and brackets, for audits."""

from __future__ import annotations

from collections.abc import Mapping

from ledger_service.domain.events import Bracket, Multiplier
from ledger_service.domain.values import BeyondLastTier


class NotPriceableError(Exception):
    """The phase gives no price for what the charge says was used."""


def fits(pattern: str, value: str) -> bool:
    """Say whether a value fits a pattern, in which each * stands for any run of characters."""
    # reachable[n]: what was read of the pattern fits the first n characters of the value.
    reachable = [True, *(False for _ in value)]
    for sign in pattern:
        if sign == "*":
            first = reachable.index(True) if True in reachable else len(reachable)
            reachable = [place >= first for place in range(len(reachable))]
        else:
            reachable = [
                False,
                *(was and sign == char for was, char in zip(reachable[:-1], value, strict=True)),
            ]
    return reachable[-1]


def factor_text(
    multiplier: Multiplier, quantities: Mapping[str, int], properties: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the factor by the tier of a usage's number as text, nothing where it scales none of the lines.

    Raises NotPriceableError.
    """
    if multiplier.dimensions and not any(name in quantities for name in multiplier.dimensions):
        return ()
    if multiplier.sum_of:
        number = _sum_of(multiplier.sum_of, quantities, properties)
    elif multiplier.property in properties:
        number = _whole(multiplier.property, properties[multiplier.property])
    elif multiplier.property in quantities:
        number = quantities[multiplier.property]
    else:
        raise NotPriceableError(f"{multiplier.property} decides a multiplier and is not told")
    for tier in multiplier.tiers:
        if number <= tier.up_to:
            return (tier.factor,)
    if multiplier.beyond_last_tier is BeyondLastTier.LAST_APPLIES:
        return (multiplier.tiers[-1].factor,)
    raise NotPriceableError(f"{multiplier.property} {number} lies beyond the last tier")


def check_brackets(
    brackets: tuple[Bracket, ...], quantities: Mapping[str, int], properties: Mapping[str, str]
) -> None:
    """Check that properties which follow from the size of a usage do. Raises NotPriceableError."""
    for bracket in brackets:
        number = _sum_of(bracket.sum_of, quantities, properties)
        value = next(band.value for band in bracket.bands if band.up_to is None or number <= band.up_to)
        given = properties.get(bracket.property)
        if given != value:
            raise NotPriceableError(
                f"{bracket.property} of {number} is {value!r}, and the charge says {given!r}"
            )


def _sum_of(names: tuple[str, ...], quantities: Mapping[str, int], properties: Mapping[str, str]) -> int:
    """Return a sum of quantities; those without a line are told as properties."""
    return sum(
        quantities[name] if name in quantities else _whole(name, properties.get(name, "0")) for name in names
    )


def _whole(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise NotPriceableError(f"{name} is {text!r}, no whole number")
    return int(text)
