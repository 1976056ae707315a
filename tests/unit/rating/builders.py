"""Builders of rating's values: each names only what a test is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from rating_service.domain.agreements.agreement import (
    Asset,
    BeyondLastTier,
    Contract,
    ContractPhase,
    Cycle,
    CycleInterval,
    Money,
    Multiplier,
    MultiplierTier,
    PlanPhase,
    Rate,
    RateCardPhase,
    ShortfallMode,
    UnitPrice,
)
from rating_service.domain.debits import DebitFact, Draw
from rating_service.domain.prices.pricing import Pricer, compile_phase
from rating_service.domain.usage import Charge, ChargeLine, Usage

CREDIT = Asset("CREDIT", 6)
JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MONTHLY = Cycle(interval=CycleInterval.MONTH, anchor_time=JANUARY)
CONTEXT_TIERS = (MultiplierTier(8192, "1.0"), MultiplierTier(32768, "1.8"), MultiplierTier(131072, "3.2"))


def at(text: str) -> datetime:
    """Return the UTC instant behind ISO text, for instance 2026-01-31T23:59."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def rate(dimension: str, unit_price: str, *, per: int = 1, **match: str) -> Rate:
    """Return a rate; keywords are what the usage must have."""
    return Rate(dimension=dimension, unit_price=unit_price, unit_size=per, match=match)


def context_window(
    *, beyond: BeyondLastTier = BeyondLastTier.REFUSE, dimensions: tuple[str, ...] = ()
) -> Multiplier:
    """Return x 1 up to 8192 context tokens, x 1.8 up to 32768, x 3.2 up to 131072."""
    return Multiplier(
        property="context_tokens", tiers=CONTEXT_TIERS, dimensions=dimensions, beyond_last_tier=beyond
    )


def card_phase(
    *rates: Rate, multipliers: Sequence[Multiplier] = (), number: int = 1, start: datetime = JANUARY
) -> RateCardPhase:
    """Return a phase of rateCards/llm."""
    return RateCardPhase(
        name=f"rateCards/llm/phases/{number}",
        from_time=start,
        rates=rates,
        phase_hash=f"hash-{number}",
        multipliers=tuple(multipliers),
    )


def pricer(*rates: Rate, multipliers: Sequence[Multiplier] = (), scale: int = 0) -> Pricer:
    """Return a pricer. At scale 0 its exact units are whole assets, as prices are published."""
    return compile_phase(card_phase(*rates, multipliers=multipliers), scale=scale)


def usage(properties: dict[str, str] | None = None, **quantities: int) -> Usage:
    """Return a usage of January; keywords are quantities."""
    return Usage(effective_time=JANUARY, quantities=quantities, properties=properties or {})


def lines_of(charge: Charge) -> dict[str, str]:
    """Return the exact units of each line."""
    return {line.dimension: line.exact_units for line in charge.lines}


def plan_phase(
    key: str = "evergreen",
    *,
    fee: str | None = None,
    overage: str | None = None,
    included: int = 0,
    currency: str = "USD",
) -> PlanPhase:
    """Return plan terms on rateCards/llm; money in major units."""
    return PlanPhase(
        key=key,
        rate_card="rateCards/llm",
        shortfall_mode=ShortfallMode.SOFT,
        base_fee=Money(currency, int(fee) * 10**9) if fee else None,
        included_units=included,
        overage_price=UnitPrice(currency, overage) if overage else None,
    )


def contract(*phases: ContractPhase, start: datetime = JANUARY, cycle: Cycle = MONTHLY) -> Contract:
    """Return contracts/acme on wallets/acme, in CREDIT/6."""
    return Contract(
        name="contracts/acme",
        customer="customers/acme",
        wallet="wallets/acme",
        plan="plans/starter",
        plan_version=1,
        asset=CREDIT,
        start_time=start,
        cycle=cycle,
        phases=phases,
    )


def charge(
    *,
    phase: str = "evergreen",
    card: int = 1,
    overage: str | None = None,
    contract_name: str = "contracts/acme",
    **quantities: int,
) -> Charge:
    """Return a charge as a debit carries it; its amounts do not matter to an invoice."""
    return Charge(
        contract=contract_name,
        contract_phase=phase,
        rate_card_phase=f"rateCards/llm/phases/{card}",
        phase_hash=f"hash-{card}",
        lines=tuple(ChargeLine(name, quantity, "0", "0") for name, quantity in quantities.items()),
        exact_units="0",
        overage_price=UnitPrice("USD", overage) if overage else None,
    )


def debit(
    position: int,
    *,
    units: int,
    overage: int = 0,
    when: datetime = JANUARY,
    priced: Charge | None = None,
    grant_version: int = 1,
) -> DebitFact:
    """Return a debit of wallets/acme; what is not overage was drawn from one grant."""
    return DebitFact(
        position=position,
        wallet="wallets/acme",
        version=position,
        effective_time=when,
        amount_units=units,
        overage_units=overage,
        draws=(Draw(grant_version, units - overage),) if units > overage else (),
        charge=priced,
    )


def fact(event: msgspec.Struct | dict[str, object]) -> bytes:
    """Return an event's stored bytes, with a member that rating does not know."""
    return msgspec.json.encode(
        {
            "event": event,
            "record_time": JANUARY,
            "effective_time": JANUARY,
            "previous_hash": "0" * 64,
            "idempotency_key": "key-1",
            "added_later": 1,
        }
    )
