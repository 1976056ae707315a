"""The terms of each price model, as the ledger records them. A linear price has none: it is a rate's unit_price.

Prices, fees and percentages are decimal text. A tier holds quantities up to and including `up_to`; the last one
has no end.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class RateScope(Enum):
    """What a rate prices together: all usage of a billing period, or each usage by itself."""

    CYCLE = "CYCLE"
    USAGE = "USAGE"


class Counters(Enum):
    """What becomes of running totals where a phase begins inside a billing period."""

    CARRY = "CARRY"
    RESTART = "RESTART"


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of all terms."""


class PriceTier(Terms, frozen=True):
    """A price of one unit_size, and a fee due once the tier is reached."""

    unit_price: str = "0"
    flat_fee: str = "0"
    up_to: int | None = None


class PercentageTier(Terms, frozen=True):
    """A share of an amount, and a fee due once the tier is reached."""

    percent: str = "0"
    flat_fee: str = "0"
    up_to: int | None = None


class FlatModel(Terms, frozen=True, tag="FLAT"):
    """One fee whatever the quantity."""

    price: str


class GraduatedModel(Terms, frozen=True, tag="GRADUATED"):
    """Each part of the quantity at the price of its tier."""

    tiers: tuple[PriceTier, ...]


class VolumeModel(Terms, frozen=True, tag="VOLUME"):
    """The whole quantity at the price of the tier in which it ends."""

    tiers: tuple[PriceTier, ...]


class PackageModel(Terms, frozen=True, tag="PACKAGE"):
    """Whole packages of the rate's unit_size."""

    package_price: str


class PercentageModel(Terms, frozen=True, tag="PERCENTAGE"):
    """A share of an amount and a fee a usage."""

    percent: str
    fixed_fee: str = "0"
    free_usages: int = 0


class GraduatedPercentageModel(Terms, frozen=True, tag="GRADUATED_PERCENTAGE"):
    """A share of an amount, by tier."""

    tiers: tuple[PercentageTier, ...]


class MultiplierModel(Terms, frozen=True, tag="MULTIPLIER"):
    """The provider's cost times a factor."""

    factor: str


PriceModel = (
    FlatModel
    | GraduatedModel
    | VolumeModel
    | PackageModel
    | PercentageModel
    | GraduatedPercentageModel
    | MultiplierModel
)
"""Every price model but the linear one."""


class Band(Terms, frozen=True):
    """One value of a bracket: sums up to and including `up_to`; without it, to the end."""

    value: str
    up_to: int | None = None


class Bracket(Terms, frozen=True):
    """Sets a property by the band in which a sum of quantities falls."""

    property: str
    sum_of: tuple[str, ...]
    bands: tuple[Band, ...]


def model_name(model: PriceModel | None) -> str:
    """Return the name of a model as charge lines carry it."""
    return "unit" if model is None else str(model.__struct_config__.tag).lower()
