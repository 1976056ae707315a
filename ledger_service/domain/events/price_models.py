"""How a rate's quantity becomes an amount, as recorded, and what a charge says of it.

A linear price is not here: it is the rate's own `unit_price`. Prices, fees and percentages are decimal text. The
ledger checks these terms and stores them; rating does the arithmetic.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.record import Record


class PriceTier(Record, frozen=True):
    """Quantities up to and including `up_to`; without it, to the end."""

    unit_price: str = "0"
    flat_fee: str = "0"
    up_to: int | None = None


class PercentageTier(Record, frozen=True):
    """Amounts up to and including `up_to`; without it, to the end."""

    percent: str = "0"
    flat_fee: str = "0"
    up_to: int | None = None


class FlatModel(Record, frozen=True, tag="FLAT"):
    """One fee whatever the quantity."""

    price: str


class GraduatedModel(Record, frozen=True, tag="GRADUATED"):
    """Each part of the quantity at the price of its tier."""

    tiers: tuple[PriceTier, ...]


class VolumeModel(Record, frozen=True, tag="VOLUME"):
    """The whole quantity at the price of the tier in which it ends."""

    tiers: tuple[PriceTier, ...]


class PackageModel(Record, frozen=True, tag="PACKAGE"):
    """Whole packages of the rate's unit_size."""

    package_price: str


class PercentageModel(Record, frozen=True, tag="PERCENTAGE"):
    """A share of an amount and a fee a usage."""

    percent: str
    fixed_fee: str = "0"
    free_usages: int = 0


class GraduatedPercentageModel(Record, frozen=True, tag="GRADUATED_PERCENTAGE"):
    """A share of an amount, by tier."""

    tiers: tuple[PercentageTier, ...]


class MultiplierModel(Record, frozen=True, tag="MULTIPLIER"):
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


class Band(Record, frozen=True):
    """One value of a bracket: sums up to and including `up_to`; without it, to the end."""

    value: str
    up_to: int | None = None


class Bracket(Record, frozen=True):
    """Sets a property by the band in which a sum of quantities falls."""

    property: str
    sum_of: tuple[str, ...]
    bands: tuple[Band, ...]


class RunningTotal(Record, frozen=True):
    """How much of a meter the cycle [cycle_start_time, cycle_end_time) had seen before a usage.

    One that names no cycle was recorded before wallets counted; it says what was claimed, and counts nothing.
    """

    meter: str
    quantity: int = 0
    usages: int = 0
    cycle_start_time: datetime | None = None
    cycle_end_time: datetime | None = None


class ChargePart(Record, frozen=True):
    """One term of the sum behind a charge line."""

    kind: str
    exact_units: str
    tier: int = 0
    quantity: int = 0
    price: str = ""
