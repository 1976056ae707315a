"""One sentence for people about each kind of line."""

from __future__ import annotations

from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.invoice_lines import Adjusted, LineKey, LineKind

_FIXED = {
    LineKind.BASE_FEE: "Base fee",
    LineKind.SEATS: "Seats",
    LineKind.USAGE: "Usage paid with credit",
    LineKind.MINIMUM: "Up to the minimum",
    LineKind.MAXIMUM: "Above the maximum",
    LineKind.COMMITMENT: "Commitment",
    LineKind.COMMITMENT_DRAW_DOWN: "Usage covered by the commitment",
    LineKind.COMMITMENT_OVERAGE: "Usage beyond the commitment",
    LineKind.CREDIT_DUE: "Credit due to you",
}
_FEES = {LineKind.BASE_FEE: "Base fee", LineKind.SEATS: "Seats"}


def line_text(
    key: LineKey, *, adjusted: Adjusted | None = None, source: str = "", advance: CycleBounds | None = None
) -> str:
    """Return the description of a line; `advance` is the cycle that is billed ahead by it."""
    if advance is not None:
        return f"{_text(key, source)}, in advance from {advance.start_time:%Y-%m-%d}"
    if key.adjusted_kind is not None and adjusted is not None:
        from_day, to_day = adjusted.cycle.start_time, adjusted.cycle.end_time
        about = _text(_original(key), source)
        return f"Adjustment of {adjusted.invoice} ({from_day:%Y-%m-%d} to {to_day:%Y-%m-%d}): {about}"
    return _text(key, source)


def _original(key: LineKey) -> LineKey:
    return LineKey(
        key.adjusted_kind or key.kind,
        key.contract_phase,
        key.rate_card_phase,
        key.unit_price,
        key.prorated_kind,
    )


def _text(key: LineKey, source: str) -> str:
    fee = _FEES.get(key.prorated_kind or key.kind, "Fee")
    price = f" at {key.unit_price.price} {key.unit_price.currency_code}" if key.unit_price else ""
    texts = {
        LineKind.PRORATION_CREDIT: f"{fee} not used",
        LineKind.PRORATION_CHARGE: f"{fee} for the rest of the cycle",
        LineKind.OVERAGE: f"Overage{price}",
        LineKind.RATE_MINIMUM: f"Minimum of {key.dimension}{price}",
        LineKind.CREDITED_BEFORE: f"{fee} given back before with {source}",
        LineKind.THRESHOLD_CREDIT: f"Invoiced before with {source}",
        LineKind.CREDIT_APPLIED: f"Credit of {source}",
        **_FIXED,
    }
    rates = f"rates of {key.rate_card_phase}" if key.rate_card_phase else ""
    return ", ".join(part for part in (texts[key.kind], key.contract_phase, rates) if part)
