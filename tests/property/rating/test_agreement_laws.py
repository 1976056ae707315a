"""Laws of what was agreed: later facts move nothing earlier, and invoices do not depend on order."""

from datetime import UTC, datetime, timedelta
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import ContractPhase, Rate
from rating_service.domain.agreements.catalogue import EMPTY, Catalogue, evolve
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import DebitFact
from rating_service.domain.invoicing.invoice import (
    Invoice,
    LineKind,
    compute_invoice,
    document,
    line_units,
    read_document,
)
from rating_service.domain.prices.pricing import Pricer
from rating_service.domain.prices.rating import quote_by_card
from rating_service.domain.usage import Usage
from tests.unit.rating import builders
from tests.unit.rating.builders import FEBRUARY, JANUARY, charge, contract, debit, plan_phase

CARD = "rateCards/llm"
START = datetime(2026, 1, 1, tzinfo=UTC)
STARTER = contract(ContractPhase(JANUARY, plan_phase(fee="29", overage="0.01")))


def with_phases(prices: list[int]) -> Catalogue:
    """Return a catalogue with one phase a day, each with the next price."""
    found = evolve(
        EMPTY, CARD, "rate_card.RateCardCreated.v1", builders.fact({"asset": {"code": "CREDIT", "scale": 6}})
    )
    for number, each in enumerate(prices, start=1):
        event = {
            "phase": number,
            "from_time": START + timedelta(days=number),
            "rates": [Rate("tokens", str(each))],
            "phase_hash": f"hash-{number}",
        }
        found = evolve(found, CARD, "rate_card.RateCardPhasePublished.v1", builders.fact(event))
    return found


@given(st.lists(st.integers(0, 99), min_size=1, max_size=6), st.integers(0, 99), st.integers(0, 10**12))
def test_a_later_phase_never_changes_an_earlier_charge(
    prices: list[int], cut: int, microseconds: int
) -> None:
    span = timedelta(days=len(prices)) // timedelta(microseconds=1)
    when = START + timedelta(days=1) + timedelta(microseconds=microseconds % span)
    usage = Usage(when, {"tokens": 3})
    pricers: dict[str, Pricer] = {}

    before = quote_by_card(with_phases(prices), pricers, usage, CARD)
    after = quote_by_card(with_phases([*prices, cut]), pricers, usage, CARD)

    assert before == after


@st.composite
def debits(draw: st.DrawFn) -> list[DebitFact]:
    """Draw debits around January, some in overage, at a few prices and card phases."""
    found = []
    for position in range(draw(st.integers(0, 12))):
        units = draw(st.integers(0, 10**9))
        found.append(
            debit(
                position + 2,
                units=units,
                overage=draw(st.integers(0, units)),
                when=JANUARY + timedelta(days=draw(st.integers(-2, 33))),
                priced=draw(
                    st.builds(
                        charge,
                        card=st.integers(1, 3),
                        overage=st.sampled_from(["0.01", "0.0000137", "0.333333333333333333", None]),
                        tokens=st.integers(0, 100),
                    )
                ),
            )
        )
    return found


def invoice_of(facts: list[DebitFact]) -> Invoice:
    """Return the January invoice."""
    return compute_invoice(
        contract=STARTER, cycle=CycleBounds(JANUARY, FEBRUARY), debits=facts, grants=[], watermark_position=99
    )


@given(debits())
def test_the_lines_of_an_invoice_sum_to_its_total_in_whole_cents(facts: list[DebitFact]) -> None:
    found = invoice_of(facts)

    assert sum(line.amount.nanos for line in found.lines) == found.total.nanos
    assert all(line.amount.nanos % 10**7 == 0 for line in found.lines)
    assert read_document(document(found)) == found


@given(debits())
def test_an_invoice_accounts_for_every_unit_of_its_cycle(facts: list[DebitFact]) -> None:
    found = invoice_of(facts)
    inside = [fact for fact in facts if JANUARY <= fact.effective_time < FEBRUARY]

    assert sum(line.amount_units for line in found.lines) == sum(fact.amount_units for fact in inside)
    for line in found.lines:
        parts = [line_units(STARTER, fact) for fact in inside]
        assert line.amount_units == sum(part.get(line.key, 0) for part in parts)
        if line.key.kind is not LineKind.BASE_FEE:
            assert line.debit_count == sum(line.key in part for part in parts)


@given(debits(), st.randoms(use_true_random=False))
def test_the_order_of_debits_does_not_change_a_byte(facts: list[DebitFact], random: Random) -> None:
    shuffled = list(facts)
    random.shuffle(shuffled)

    assert document(invoice_of(shuffled)) == document(invoice_of(facts))


@given(debits())
def test_a_debit_survives_its_stored_form(facts: list[DebitFact]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(facts), type=list[DebitFact]) == facts
