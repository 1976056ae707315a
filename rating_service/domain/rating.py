"""Rating: which contract, phase and rates a usage falls under, and its charge."""

from __future__ import annotations

from rating_service.domain.agreement import Contract, Record
from rating_service.domain.catalogue import Catalogue
from rating_service.domain.pricing import Pricer
from rating_service.domain.usage import Charge, Usage


class RatedUsage(Record):
    """A usage's charge and the contract that pays for it."""

    contract: Contract
    charge: Charge


def rate_usage(catalogue: Catalogue, pricers: dict[str, Pricer], usage: Usage) -> RatedUsage:
    """Price a usage under its contract as of its effective time.

    `pricers` is the caller's cache by phase name; what is missing is added. Refuses whatever
    `catalogue` and `pricing` refuse.
    """
    raise NotImplementedError


def quote_by_card(catalogue: Catalogue, pricers: dict[str, Pricer], usage: Usage, rate_card: str) -> Charge:
    """Price a usage by a rate card as of its effective time, without a contract."""
    raise NotImplementedError


def whole_asset_text(exact_units: str, *, scale: int) -> str:
    """Return exact decimal text in whole assets for decimal text in units."""
    raise NotImplementedError
