"""Pricing: a usage becomes a charge under one rate card phase."""

from __future__ import annotations

from typing import Final

from rating_service.domain.agreement import RateCardPhase, Record
from rating_service.domain.usage import Charge, ChargeTerms, Usage

NO_TERMS: Final = ChargeTerms()


class Pricer(Record):
    """A phase made ready for pricing. Holds a bounded memo; keep one per phase (`phase.name`)."""

    phase: RateCardPhase
    scale: int


def compile_phase(phase: RateCardPhase, *, scale: int) -> Pricer:
    """Return a pricer of the phase; `scale` is that of the card's asset. Once per phase."""
    raise NotImplementedError


def price(pricer: Pricer, usage: Usage, terms: ChargeTerms = NO_TERMS) -> Charge:
    """Return what the usage costs, exactly, line by line in the order of the card.

    Refuses NO_QUANTITIES, NEGATIVE_QUANTITY, UNKNOWN_DIMENSION, MISSING_PROPERTY, INVALID_PROPERTY,
    NO_RATE_FOR_USAGE, BEYOND_LAST_TIER, AMOUNT_OUT_OF_RANGE, in this order.
    """
    raise NotImplementedError
