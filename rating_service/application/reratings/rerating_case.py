"""A phase for the past with all that it touches: the cycles, each priced again, and what their figures add up to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from typing import Final

import msgspec

from rating_service.application.reratings.rerating_ports import CycleReader, CycleSpan
from rating_service.domain.agreements.agreement import Contract, RateCard, RateCardPhase
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.contract_life import end_of
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.agreements.index import values
from rating_service.domain.corrections.rerating import CardPrices, CycleRerating, CycleUsage, rerate_cycle
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder, plan_adjustments
from rating_service.domain.exact import exact_text
from rating_service.domain.prices.phase_cards import cards_of

TOTALS_KEPT: Final = timedelta(days=35)
"""How long after its end the wallet keeps a cycle's totals: the ledger's rule."""
AHEAD_MAX: Final = timedelta(minutes=5)
"""How far ahead of the clock recorded usage may lie: the ledger's rule."""


class Rerating(msgspec.Struct, frozen=True):
    """What a phase changes, summed up; figures are exact units. `token` stands for all of them."""

    phase: RateCardPhase
    card: RateCard
    to_time: datetime | None
    is_accepted: bool
    watermark_position: int
    token: str
    differing_cycles: int
    more: Fraction
    less: Fraction
    unrateable_count: int


class Case(msgspec.Struct, frozen=True):
    """A phase, and its card as it is or would be with it in force."""

    card: RateCard
    phase: RateCardPhase
    to_time: datetime | None
    is_accepted: bool
    cycles: list[tuple[Contract, CycleBounds]]
    now: datetime


class Sums:
    """Sums up cycles, and makes of their figures the token that stands for them."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._cycles = 0
        self._more = self._less = Fraction(0)
        self._unrateable = 0
        timeline = [phase.phase_hash for phase in case.card.phases]
        self._digest = sha256(msgspec.json.encode((case.phase.name, timeline)))

    def add(self, found: CycleRerating) -> None:
        """Add a cycle that differs."""
        self._cycles += found.differs
        self._more += max(found.difference, Fraction(0))
        self._less += max(-found.difference, Fraction(0))
        self._unrateable += found.unrateable_count
        figures = [exact_text(each) for each in (found.charged, found.adjusted, found.rated)]
        named = (found.contract.name, found.cycle.start_time, figures, found.unrateable_count)
        self._digest.update(msgspec.json.encode(named))

    def rerating(self, watermark: int) -> Rerating:
        """Return the sum."""
        case = self._case
        return Rerating(
            case.phase,
            case.card,
            case.to_time,
            case.is_accepted,
            watermark,
            self._digest.hexdigest(),
            self._cycles,
            self._more,
            self._less,
            self._unrateable,
        )


def rerate(
    reader: CycleReader,
    prices: CardPrices,
    case: Case,
    contract: Contract,
    cycle: CycleBounds,
    watermark: int,
) -> CycleRerating:
    """Price a cycle again, in a worker thread."""
    usage = _usage(reader, case, contract, cycle, watermark)
    return rerate_cycle(prices, usage, keeps_meters=cycle.end_time > case.now - TOTALS_KEPT)


def adjustment_orders(
    reader: CycleReader,
    prices: CardPrices,
    case: Case,
    contract: Contract,
    cycle: CycleBounds,
    watermark: int,
) -> list[AdjustmentOrder]:
    """Return what puts a cycle right, in a worker thread."""
    usage = _usage(reader, case, contract, cycle, watermark)
    found = rerate_cycle(prices, usage, keeps_meters=cycle.end_time > case.now - TOTALS_KEPT)
    named = [
        debit
        for debit in usage.adjustments
        if debit.charge and debit.charge.rate_card_phase == case.phase.name
    ]
    return list(
        plan_adjustments(found, case.phase, number=len(named) + 1, now=case.now, watermark_position=watermark)
    )


def _usage(
    reader: CycleReader, case: Case, contract: Contract, cycle: CycleBounds, watermark: int
) -> CycleUsage:
    span = CycleSpan(
        contract.wallet, contract.name, case.card.name, cycle.start_time, cycle.end_time, watermark
    )
    facts = reader.read(span)
    return CycleUsage(contract, cycle, facts.debits, facts.adjustments, facts.reversed_units)


def touched_cycles(
    catalogue: Catalogue, card: str, from_time: datetime, to_time: datetime | None, now: datetime
) -> list[tuple[Contract, CycleBounds]]:
    """Return the cycles of all contracts that name a card which a span of time may touch, by contract and time."""
    found: list[tuple[Contract, CycleBounds]] = []
    for contract in sorted(values(catalogue.contracts), key=lambda each: each.name):
        if any(card in cards_of(phase.terms) for phase in contract.phases):
            found += [(contract, cycle) for cycle in _cycles_of(contract, from_time, to_time, now)]
    return found


def _cycles_of(
    contract: Contract, from_time: datetime, to_time: datetime | None, now: datetime
) -> Iterator[CycleBounds]:
    ends = [now + AHEAD_MAX, *(each for each in (to_time, end_of(contract)) if each is not None)]
    begin, end = max(from_time, contract.start_time), min(ends)
    while begin < end:
        cycle = cycle_at(contract.cycle, begin)
        yield cycle
        begin = cycle.end_time
