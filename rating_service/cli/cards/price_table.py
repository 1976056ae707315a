"""How the prices of a rate look in a table: one row a tier, and what else decides the amount below them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from credits.ledger.v1 import agreement_pb2, price_model_pb2

_BOUNDS: Final = ("usage_minimum", "usage_maximum", "cycle_minimum", "cycle_maximum")
Row = tuple[str, str]
"""What it is for, and the price."""


def price_rows(rate: agreement_pb2.Rate) -> list[Row]:
    """Return the rows of a rate; the first stands beside its dimension."""
    size = f" / {rate.unit_size or 1:,}"
    return [*_model_rows(rate, size), *_term_rows(rate)]


def _model_rows(rate: agreement_pb2.Rate, size: str) -> list[Row]:
    match rate.WhichOneof("price_model"):
        case "flat":
            return [("flat", rate.flat.price)]
        case "graduated":
            return [("graduated", ""), *_tier_rows(rate.graduated.tiers, size)]
        case "volume":
            return [("volume", ""), *_tier_rows(rate.volume.tiers, size)]
        case "package":
            return [("package", rate.package.package_price + size)]
        case "percentage":
            fee = f" + {rate.percentage.fixed_fee}" if rate.percentage.fixed_fee else ""
            return [("percentage", f"{rate.percentage.percent} %{fee}")]
        case "graduated_percentage":
            tiers = rate.graduated_percentage.tiers
            return [
                ("graduated percentage", ""),
                *((_span(tier), f"{tier.percent or 0} %{_fee(tier)}") for tier in tiers),
            ]
        case "multiplier":
            return [("cost plus", f"{rate.provider_cost} x {rate.multiplier.factor}{size}")]
        case _:
            return [("", rate.unit.unit_price + size)]


def _tier_rows(tiers: Iterable[price_model_pb2.PriceTier], size: str) -> list[Row]:
    return [(_span(tier), f"{tier.unit_price or 0}{size}{_fee(tier)}") for tier in tiers]


def _span(tier: price_model_pb2.PriceTier | price_model_pb2.PercentageTier) -> str:
    return f"  up to {tier.up_to:,}" if tier.HasField("up_to") else "  above"


def _fee(tier: price_model_pb2.PriceTier | price_model_pb2.PercentageTier) -> str:
    return f" + {tier.flat_fee}" if tier.flat_fee else ""


def _term_rows(rate: agreement_pb2.Rate) -> list[Row]:
    rows: list[Row] = [("  free units", f"{rate.free_units:,}")] if rate.free_units else []
    bounds = {name: getattr(rate, name) for name in _BOUNDS}
    rows += [(f"  {name.replace('_', ' ')}", text) for name, text in bounds.items() if text]
    if rate.scope == price_model_pb2.RATE_SCOPE_USAGE:
        rows.append(("  each usage by itself", ""))
    rows += [(f"  charged if {name}={pattern}", "") for name, pattern in sorted(rate.charge_if.items())]
    return rows
