"""Laws of re-rating, over random cards, usage and earlier adjustments.

With the same rates nothing changes. What is rated is what pricing all usage in its order gives. What is posted makes
up the difference exactly, never takes more of a debit than is left, and leaves nothing to be posted.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import Contract, ContractPhase, Rate, RateCard, RateCardPhase
from rating_service.domain.agreements.card_life import with_proposal
from rating_service.domain.agreements.catalogue import card_phase_at
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.agreements.price_terms import GraduatedModel, PriceTier
from rating_service.domain.corrections.rerating import CardPrices, CycleRerating, CycleUsage, rerate_cycle
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder, plan_adjustments
from rating_service.domain.debits import DebitFact
from rating_service.domain.exact import parse_exact
from rating_service.domain.price_models.running_total import RunningTotal, meter_root
from rating_service.domain.prices.cycle_totals import CountedTotals, MeterKey, count
from rating_service.domain.prices.pricing import compile_phase, price
from rating_service.domain.usage import Charge, ChargeTerms, Usage
from tests.unit.rating.builders import CREDIT, JANUARY, contract, plan_phase

CONTRACT: Contract = contract(ContractPhase(JANUARY, plan_phase()))
CYCLE: CycleBounds = cycle_at(CONTRACT.cycle, JANUARY)
NOW = JANUARY + timedelta(days=20)
CARD = "rateCards/llm"
PRICES = st.sampled_from(["0", "0.000001", "0.0000015", "0.00000033", "0.000007"])


def tokens(unit_price: str) -> Rate:
    return Rate("tokens", unit_price)


def calls(first: str, beyond: str, up_to: int) -> Rate:
    tiers = (PriceTier(first, up_to=up_to), PriceTier(beyond))
    return Rate("calls", "", price_model=GraduatedModel(tiers))


def counted(unit_price: str) -> Rate:
    return Rate("tokens", "", price_model=GraduatedModel((PriceTier(unit_price),)))


def linear(unit_price: str) -> Rate:
    return Rate("calls", unit_price)


RATES = st.tuples(
    st.builds(tokens, PRICES) | st.builds(counted, PRICES),
    st.builds(calls, PRICES, PRICES, st.integers(1, 9)) | st.builds(linear, PRICES),
)
USAGES = st.lists(
    st.tuples(st.integers(0, 19), st.integers(0, 30), st.integers(0, 6)), min_size=1, max_size=8
)


def phase(rates: tuple[Rate, ...], number: int, day: int) -> RateCardPhase:
    return RateCardPhase(f"{CARD}/phases/{number}", JANUARY + timedelta(days=day), rates, f"hash-{number}")


def charged(card: RateCard, usages: Sequence[tuple[int, int, int]]) -> list[DebitFact]:
    """Return the debits that usage by day, tokens and calls causes, as wallet and rating make them."""
    totals: dict[MeterKey, RunningTotal] = {}
    fraction, debits = Fraction(0), []
    for position, (day, used, called) in enumerate(usages, start=1):
        at = JANUARY + timedelta(days=day)
        charge = _priced(card, at, used, called, totals)
        count(totals, charge)
        fraction += parse_exact(charge.exact_units)
        units = max(floor(fraction), 0)
        fraction -= units
        debits.append(DebitFact(position, CONTRACT.wallet, position, at, units, charge=charge))
    return debits


def _priced(
    card: RateCard, at: datetime, used: int, called: int, totals: dict[MeterKey, RunningTotal]
) -> Charge:
    in_force = card_phase_at(card, at)
    pricer = compile_phase(in_force, scale=6, meter_root=meter_root(CARD, card.phases, in_force))
    usage = Usage(at, {"tokens": used, "calls": called}, contract=CONTRACT.name)
    terms = ChargeTerms(CONTRACT.name, "evergreen")
    return price(pricer, usage, terms, CountedTotals(CONTRACT, at, totals))


def rerated(card: RateCard, debits: list[DebitFact], adjustments: list[DebitFact]) -> CycleRerating:
    taken: dict[int, int] = {}
    for each in adjustments:
        assert each.charge is not None
        assert each.charge.adjustment is not None
        for part in each.charge.adjustment.taken_back:
            taken[part.debit_version] = taken.get(part.debit_version, 0) + part.amount_units
    usage = CycleUsage(CONTRACT, CYCLE, debits, adjustments, taken)
    return rerate_cycle(CardPrices(card), usage, keeps_meters=True)


def posted(orders: Sequence[AdjustmentOrder], after: int) -> list[DebitFact]:
    """Return orders as the ledger records them; what is above 0 is rounded down and its fraction carried."""
    return [
        DebitFact(
            position,
            CONTRACT.wallet,
            position,
            NOW,
            max(floor(parse_exact(order.charge.exact_units)), 0),
            charge=order.charge,
        )
        for position, order in enumerate(orders, start=after + 1)
    ]


@given(RATES, USAGES, st.integers(0, 19))
@settings(max_examples=60)
def test_the_same_rates_change_nothing(
    rates: tuple[Rate, ...], usages: list[tuple[int, int, int]], day: int
) -> None:
    card = RateCard(CARD, CREDIT, (phase(rates, 1, 0),))
    proposal = msgspec.structs.replace(phase(rates, 2, day), retroactive=True)
    proposing = with_proposal(msgspec.structs.replace(card, proposal=proposal))

    found = rerated(proposing, charged(card, usages), [])

    assert not found.differs
    assert found.differing_count == 0


@given(st.lists(RATES, min_size=2, max_size=4), USAGES, st.lists(st.integers(0, 19), min_size=3, max_size=3))
@settings(max_examples=120)
def test_all_that_is_posted_makes_up_what_the_usage_costs(
    rates: list[tuple[Rate, ...]], usages: list[tuple[int, int, int]], days: list[int]
) -> None:
    card = RateCard(CARD, CREDIT, (phase(rates[0], 1, 0),))
    debits = charged(card, usages)
    adjustments: list[DebitFact] = []
    for number, (proposed, day) in enumerate(zip(rates[1:], days, strict=False), start=2):
        proposal = msgspec.structs.replace(phase(proposed, number, day), retroactive=True)
        card = with_proposal(msgspec.structs.replace(card, proposal=proposal))

        found = rerated(card, debits, adjustments)
        orders = list(plan_adjustments(found, proposal, number=1, now=NOW, watermark_position=7))
        adjustments += posted(orders, len(debits) + len(adjustments))

        assert found.rated == sum(
            (parse_exact(each.charge.exact_units) for each in charged(card, usages) if each.charge),
            Fraction(0),
        )
        again = rerated(card, debits, adjustments)
        assert not again.differs
        assert again.charged + again.adjusted == found.rated
        _check_parts([*debits, *adjustments], adjustments)


def _check_parts(debits: list[DebitFact], adjustments: list[DebitFact]) -> None:
    """Check that no debit gives back more than it took, and that every adjustment adds up."""
    left = {debit.version: debit.amount_units for debit in debits}
    for each in adjustments:
        assert each.charge is not None
        adjustment = each.charge.adjustment
        assert adjustment is not None
        returned = 0
        for part in adjustment.taken_back:
            left[part.debit_version] -= part.amount_units
            returned += part.amount_units
        total = parse_exact(adjustment.charged_units) + parse_exact(each.charge.exact_units) - returned
        assert total + parse_exact(adjustment.left_units) == parse_exact(adjustment.rated_units)
    assert all(units >= 0 for units in left.values())
