"""A plan as people read it: a row for each phase."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.table import Table

from credits.ledger.v1 import agreement_pb2, billing_terms_pb2, money_pb2, wallet_pb2
from rating_service.cli.amounts import money, units

_LIMITS: Final = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "key_requests_per_minute": "requests per minute of a key",
    "key_tokens_per_minute": "tokens per minute of a key",
}


def plan_table(plan_id: str, plan: agreement_pb2.Plan) -> Table:
    """Return a plan's phases with what they say; what a phase leaves out is not shown."""
    table = Table(title=f"plans/{plan_id}")
    table.add_column("phase", overflow="fold")
    table.add_column("term", overflow="fold")
    table.add_column("value", overflow="fold")
    for phase in plan.phases:
        label = f"{phase.key} ({phase.duration or 'without end'})"
        for term, value in phase_terms(phase, plan.asset):
            table.add_row(label, term, value)
            label = ""
    return table


def card_condition(card: agreement_pb2.PhaseCard) -> str:
    """Return in words which usage a further card of a phase is for."""
    parts = [f"feature {' or '.join(card.features)}"] if card.features else []
    parts += [f"{name}={pattern}" for name, pattern in sorted(card.match.items())]
    return ", ".join(parts)


def phase_terms(phase: agreement_pb2.PlanPhase, asset: money_pb2.Asset) -> Iterator[tuple[str, str]]:
    """Yield what a phase says, each as a term and its value."""
    yield "rate card", phase.rate_card
    yield from (
        ("rate card for", f"{card_condition(card)}: {card.rate_card}") for card in phase.additional_cards
    )
    if phase.HasField("base_fee"):
        yield "base fee", money(phase.base_fee)
    if phase.included_units:
        yield "included", units(phase.included_units, asset)
    shortfall = wallet_pb2.ShortfallMode.Name(phase.shortfall_mode)
    yield "shortfall", shortfall.removeprefix("SHORTFALL_MODE_")
    if phase.HasField("overage_price"):
        yield "overage price", f"{phase.overage_price.price} {phase.overage_price.currency_code}"
    if phase.overage_limit_units:
        yield "overage limit", units(phase.overage_limit_units, asset)
    yield from _access_terms(phase)
    if phase.alert_percents:
        yield "alerts", ", ".join(f"{percent} %" for percent in phase.alert_percents)
    if phase.spend_cap_units:
        period = phase.spend_cap_period or "cycle"
        yield "spend cap", f"{units(phase.spend_cap_units, asset)} each {period}"
    yield from _billing_terms(phase, asset)


def _access_terms(phase: agreement_pb2.PlanPhase) -> Iterator[tuple[str, str]]:
    if phase.features:
        yield "features", ", ".join(phase.features)
    for name, label in _LIMITS.items():
        if limit := getattr(phase, name):
            yield label, f"{limit:,}"
    if phase.slow_down_from_percent:
        delay = f"{phase.slow_down_max_delay_ms:,} ms"
        yield "slow-down", f"from {phase.slow_down_from_percent} % used, by at most {delay} a request"
    if phase.upgrade_hint:
        yield "upgrade hint", phase.upgrade_hint


def _billing_terms(phase: agreement_pb2.PlanPhase, asset: money_pb2.Asset) -> Iterator[tuple[str, str]]:
    if phase.HasField("included_roll_over"):
        moves = phase.included_roll_over
        cap = f", at most {units(moves.cap_units, asset)}" if moves.cap_units else ""
        yield "roll-over", f"{moves.percent} % of the unused rest{cap}, {moves.times or 1} times"
    if phase.HasField("seat_fee"):
        yield "seats", f"{phase.seats:,} at {money(phase.seat_fee)}"
    if phase.fee_timing == billing_terms_pb2.FEE_TIMING_ADVANCE:
        yield "fees", "in advance"
    for name in ("minimum_spend", "maximum_spend", "invoice_threshold"):
        if phase.HasField(name):
            yield name.replace("_", " "), money(getattr(phase, name))
    if phase.HasField("commitment"):
        due = "in advance" if phase.commitment.prepaid else "in arrears"
        factor = phase.commitment.overage_factor or "1"
        yield (
            "commitment",
            f"{money(phase.commitment.amount)} each {phase.commitment.period}, {due}, beyond it x {factor}",
        )
    for rate in phase.tax_rates:
        yield "tax", f"{rate.name} {rate.percent} % {rate.jurisdiction}".rstrip()
