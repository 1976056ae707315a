"""What the terms of a contract put on an invoice: seats, proration, bounds, commitments, taxes, minimums of rates."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from rating_service.domain.agreements.agreement import (
    Commitment,
    Contract,
    ContractPhase,
    FeeTiming,
    Money,
    PhaseCard,
    PlanPhase,
    Rate,
    RateCard,
    RateCardPhase,
    TaxRate,
    UnitPrice,
)
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.debits import DebitFact
from rating_service.domain.documents.invoice_document import InvoiceKind
from rating_service.domain.invoicing.invoice import Invoice, LineKind, compute_invoice
from rating_service.domain.invoicing.invoice_parts import Earlier
from rating_service.domain.refusals import Refusal
from rating_service.domain.usage import Charge, ChargeLine, TotalBefore
from tests.unit.rating.builders import (
    CREDIT,
    FEBRUARY,
    JANUARY,
    MONTHLY,
    at,
    charge,
    contract,
    debit,
    plan_phase,
)

MARCH = at("2026-03-01T00:00")
MID = at("2026-01-16T12:00")
"""Half of January."""
JANUARY_CYCLE = CycleBounds(JANUARY, FEBRUARY)
MICROSECOND = timedelta(microseconds=1)


def usd(amount: str) -> Money:
    major, _, rest = amount.partition(".")
    return Money("USD", int(major) * 10**9 + int(rest.ljust(9, "0") or 0))


def terms(key: str = "main", **changes: object) -> PlanPhase:
    """Return terms under which a CREDIT of overage costs 1 USD."""
    return msgspec.structs.replace(plan_phase(key, overage="1"), **changes)


def used(position: int, credits_used: int, when: datetime = JANUARY) -> DebitFact:
    """Return overage of so many CREDIT."""
    units = credits_used * 10**6
    return debit(position, units=units, overage=units, when=when)


def invoice(
    of: Contract | PlanPhase,
    *debits: DebitFact,
    cycle: CycleBounds = JANUARY_CYCLE,
    earlier: Earlier | None = None,
    kind: InvoiceKind = InvoiceKind.CYCLE,
    cards: tuple[RateCard, ...] = (),
) -> Invoice:
    agreed = of if isinstance(of, Contract) else contract(ContractPhase(JANUARY, of))
    return compute_invoice(
        contract=agreed,
        cycle=cycle,
        debits=debits,
        grants=(),
        watermark_position=99,
        earlier=earlier or Earlier(),
        kind=kind,
        cards={card.name: card for card in cards},
        name="invoices/acme-1",
    )


def amounts(found: Invoice) -> list[tuple[str, str]]:
    """Return the lines that cost something, in dollars."""
    return [
        (line.key.kind.value, f"{line.amount.nanos / 10**9:.2f}") for line in found.lines if line.amount.nanos
    ]


def changing(first: PlanPhase, second: PlanPhase, when: datetime = MID) -> Contract:
    return contract(ContractPhase(JANUARY, first, when), ContractPhase(when, second))


def test_a_dearer_plan_from_mid_cycle_gives_back_the_old_fee_and_charges_the_new_one() -> None:
    found = invoice(changing(terms("old", base_fee=usd("10")), terms("new", base_fee=usd("20"))))

    assert amounts(found) == [
        ("BASE_FEE", "10.00"),
        ("PRORATION_CREDIT", "-5.00"),
        ("PRORATION_CHARGE", "10.00"),
    ]
    assert [(line.from_time, line.to_time) for line in found.lines] == [
        (JANUARY, FEBRUARY),
        (MID, FEBRUARY),
        (MID, FEBRUARY),
    ]


def test_a_phase_that_keeps_the_fee_leaves_no_trace_in_it() -> None:
    found = invoice(changing(terms("old", base_fee=usd("10")), terms("new", base_fee=usd("10"))))

    assert amounts(found) == [("BASE_FEE", "10.00")]


def test_a_change_back_and_forth_credits_each_fee_once() -> None:
    third = JANUARY + (FEBRUARY - JANUARY) / 2 + (FEBRUARY - JANUARY) / 4
    twice = contract(
        ContractPhase(JANUARY, terms("a", base_fee=usd("40")), MID),
        ContractPhase(MID, terms("b", base_fee=usd("80")), third),
        ContractPhase(third, terms("a", base_fee=usd("40"))),
    )

    assert amounts(invoice(twice)) == [
        ("BASE_FEE", "40.00"),
        ("PRORATION_CREDIT", "-20.00"),
        ("PRORATION_CREDIT", "-20.00"),
        ("PRORATION_CHARGE", "10.00"),
        ("PRORATION_CHARGE", "40.00"),
    ]
    assert invoice(twice).total == usd("50")


def test_a_contract_that_ends_in_mid_cycle_pays_for_its_time() -> None:
    ending = contract(ContractPhase(JANUARY, terms(base_fee=usd("31")), MID))

    found = invoice(ending)

    assert amounts(found) == [("BASE_FEE", "31.00"), ("PRORATION_CREDIT", "-15.50")]
    assert found.kind is InvoiceKind.FINAL


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (FEBRUARY, InvoiceKind.FINAL),
        (FEBRUARY + MICROSECOND, InvoiceKind.CYCLE),
    ],
)
def test_an_invoice_is_final_if_the_contract_ends_by_the_end_of_its_cycle(
    end: datetime, kind: InvoiceKind
) -> None:
    assert invoice(contract(ContractPhase(JANUARY, terms(), end))).kind is kind


def test_seats_cost_their_fee_each_and_are_prorated_when_they_change() -> None:
    five = terms("five", seat_fee=usd("8"), seats=5)
    found = invoice(changing(five, msgspec.structs.replace(five, key="seven", seats=7)))

    assert amounts(found) == [
        ("SEATS", "40.00"),
        ("PRORATION_CREDIT", "-20.00"),
        ("PRORATION_CHARGE", "28.00"),
    ]
    assert [line.quantities for line in found.lines] == [{"seats": 5}, {"seats": 5}, {"seats": 7}]
    assert [line.key.prorated_kind for line in found.lines] == [None, LineKind.SEATS, LineKind.SEATS]


@pytest.mark.parametrize(("spent", "true_up"), [(0, "50.00"), (49, "1.00"), (50, None), (51, None)])
def test_a_minimum_is_made_up_to_exactly(spent: int, true_up: str | None) -> None:
    found = invoice(terms(minimum_spend=usd("50")), used(2, spent))

    assert dict(amounts(found)).get("MINIMUM") == true_up


@pytest.mark.parametrize(("spent", "relief"), [(50, None), (51, "-1.00"), (200, "-150.00")])
def test_what_is_above_a_maximum_is_not_due(spent: int, relief: str | None) -> None:
    found = invoice(terms(maximum_spend=usd("50")), used(2, spent))

    assert dict(amounts(found)).get("MAXIMUM") == relief
    assert found.total.nanos <= usd("50").nanos


def test_fees_count_towards_the_minimum() -> None:
    found = invoice(
        terms(base_fee=usd("30"), seat_fee=usd("5"), seats=2, minimum_spend=usd("50")), used(2, 4)
    )

    assert dict(amounts(found))["MINIMUM"] == "6.00"


def test_a_minimum_is_prorated_to_the_part_of_the_cycle_in_which_it_is_agreed() -> None:
    found = invoice(changing(terms("free"), terms("paid", minimum_spend=usd("10"))), used(2, 3, JANUARY))

    assert amounts(found) == [("OVERAGE", "3.00"), ("MINIMUM", "5.00")]


def test_a_minimum_that_stays_through_a_change_binds_the_whole_cycle() -> None:
    same = terms("a", minimum_spend=usd("10"))
    found = invoice(changing(same, msgspec.structs.replace(same, key="b", seats=1)), used(2, 10, JANUARY))

    assert amounts(found) == [("OVERAGE", "10.00")]


def committed(**changes: object) -> PlanPhase:
    commitment = Commitment(usd("100"), "P2M", "1.5")
    return terms(commitment=msgspec.structs.replace(commitment, **changes))


def february(of: PlanPhase, january: Invoice, *debits: DebitFact) -> Invoice:
    earlier = Earlier(closing=[january], last_end_time=FEBRUARY)
    return invoice(of, *debits, cycle=CycleBounds(FEBRUARY, MARCH), earlier=earlier)


@pytest.mark.parametrize(
    ("spent", "due"),
    [
        (30, [("OVERAGE", "30.00"), ("COMMITMENT", "50.00")]),
        (80, [("OVERAGE", "80.00")]),
        (100, [("OVERAGE", "100.00"), ("COMMITMENT_OVERAGE", "10.00")]),
    ],
)
def test_a_commitment_in_arrears_is_made_up_to_at_the_end_of_its_period(
    spent: int, due: list[tuple[str, str]]
) -> None:
    january = invoice(committed(), used(2, 20))

    assert amounts(january) == [("OVERAGE", "20.00")]
    assert amounts(february(committed(), january, used(3, spent, FEBRUARY))) == due


def test_a_prepaid_commitment_is_due_at_its_beginning_and_drawn_down() -> None:
    january = invoice(committed(prepaid=True), used(2, 20))

    assert amounts(january) == [
        ("OVERAGE", "20.00"),
        ("COMMITMENT", "100.00"),
        ("COMMITMENT_DRAW_DOWN", "-20.00"),
    ]
    assert amounts(february(committed(prepaid=True), january, used(3, 90, FEBRUARY))) == [
        ("OVERAGE", "90.00"),
        ("COMMITMENT_DRAW_DOWN", "-80.00"),
        ("COMMITMENT_OVERAGE", "5.00"),
    ]


def test_a_commitment_that_the_contracts_end_cuts_short_is_owed_in_proportion() -> None:
    ending = contract(ContractPhase(JANUARY, committed(period="P1M"), MID))

    assert amounts(invoice(ending)) == [("COMMITMENT", "50.00")]


def test_of_a_running_cycle_only_usage_is_invoiced() -> None:
    everything = terms(
        base_fee=usd("10"), minimum_spend=usd("90"), commitment=Commitment(usd("100"), "P1M", prepaid=True)
    )

    found = invoice(everything, used(2, 30), kind=InvoiceKind.THRESHOLD)

    assert amounts(found) == [("OVERAGE", "30.00"), ("COMMITMENT_DRAW_DOWN", "-30.00")]


def test_taxes_are_levied_on_the_net_amount_and_rounded_once_each() -> None:
    taxed = terms(tax_rates=(TaxRate("VAT", "20", "DE"), TaxRate("city", "0.5")), minimum_spend=usd("10"))
    late = contract(ContractPhase(at("2026-01-04T00:00"), taxed), start=at("2026-01-04T00:00"))

    found = invoice(late, used(2, 8, at("2026-01-05T00:00")))

    assert found.net == usd("9.03")
    assert [(tax.rate.name, tax.amount) for tax in found.taxes] == [
        ("VAT", usd("1.81")),
        ("city", usd("0.05")),
    ]
    assert found.total == usd("10.89")


def test_the_tax_rates_are_those_with_which_the_cycle_ends() -> None:
    old, new = terms("old", tax_rates=(TaxRate("VAT", "19"),)), terms("new", tax_rates=(TaxRate("VAT", "7"),))

    found = invoice(changing(old, new), used(2, 100))

    assert [(tax.rate.percent, tax.amount) for tax in found.taxes] == [("7", usd("7"))]


CARD = RateCard(
    "rateCards/llm",
    CREDIT,
    (
        RateCardPhase(
            "rateCards/llm/phases/1",
            JANUARY,
            (
                Rate("tokens", "1", cycle_minimum="5"),
                Rate("images", "1", cycle_minimum="2.5", match={"model": "m"}),
                Rate("calls", "1"),
            ),
        ),
    ),
)


def metered(meter: str) -> Charge:
    """Return a charge whose one line was counted by a meter."""
    line = ChargeLine("tokens", 1, "1", "1", total_before=TotalBefore(meter, 0, 0, JANUARY, FEBRUARY))
    return msgspec.structs.replace(charge(tokens=1), lines=(line,))


def test_a_rate_of_which_nothing_was_used_costs_its_minimum() -> None:
    found = invoice(terms(), cards=(CARD,))

    assert amounts(found) == [("RATE_MINIMUM", "2.50"), ("RATE_MINIMUM", "5.00")]
    assert sorted(line.amount_units for line in found.lines) == [2_500_000, 5_000_000]
    assert found.lines[0].key.unit_price == UnitPrice("USD", "1")


def test_a_rate_that_was_used_has_had_its_minimum_charged() -> None:
    priced = metered("rateCards/llm:tokens{}")

    found = invoice(terms(), debit(2, units=5, priced=priced), cards=(CARD,))

    assert amounts(found) == [("RATE_MINIMUM", "2.50")]


def test_minimums_of_further_cards_of_a_phase_are_due_as_well() -> None:
    further = msgspec.structs.replace(CARD, name="rateCards/images")
    both = terms(additional_cards=(PhaseCard("rateCards/images", ("art",)),))

    assert invoice(both, cards=(CARD, further)).total == usd("15")


def test_terms_without_an_overage_price_bill_no_minimum_of_a_rate() -> None:
    assert invoice(terms(overage_price=None), cards=(CARD,)).lines == ()


def test_a_card_that_is_not_in_force_has_no_minimum() -> None:
    later = msgspec.structs.replace(CARD.phases[0], from_time=FEBRUARY)

    found = invoice(terms(), cards=(msgspec.structs.replace(CARD, phases=(later,)),))

    assert found.lines == ()


def test_usage_is_told_by_dimension_and_price() -> None:
    lines = (
        ChargeLine("tokens", 7, "0.5", "3.5"),
        ChargeLine("tokens", 3, "0.25", "0.75"),
        ChargeLine("images", 1, "", "2", model="graduated"),
    )
    priced = msgspec.structs.replace(charge(), lines=lines)

    found = invoice(terms(), debit(2, units=6, priced=priced), debit(3, units=6, priced=priced))

    usage_line = next(line for line in found.lines if line.key.kind is LineKind.USAGE)
    details = [
        (each.dimension, each.unit_price, each.quantity, each.exact_units, each.charge_count)
        for each in usage_line.details
    ]
    assert details == [
        ("images", "", 2, "4", 2),
        ("tokens", "0.25", 6, "1.5", 2),
        ("tokens", "0.5", 14, "7", 2),
    ]
    assert usage_line.quantities == {"images": 2, "tokens": 20}


def test_two_currencies_in_a_plan_change_are_refused() -> None:
    euros = terms("new", base_fee=Money("EUR", 10**9), overage_price=None)
    with pytest.raises(Refusal, match="EUR, USD"):
        invoice(changing(terms("old", base_fee=usd("10")), euros))


def test_cycles_of_yen_are_rounded_to_whole_yen() -> None:
    yen = terms(base_fee=Money("JPY", 1000 * 10**9), overage_price=None)
    third = cycle_at(MONTHLY, FEBRUARY)

    found = invoice(
        contract(ContractPhase(at("2026-02-11T00:00"), yen), start=at("2026-02-11T00:00")), cycle=third
    )

    assert found.total == Money("JPY", 643 * 10**9)


AHEAD = FeeTiming.ADVANCE


def issued_ahead(of: Contract) -> Invoice:
    """Return the invoice of January's fees in advance."""
    return compute_invoice(
        contract=of,
        cycle=JANUARY_CYCLE,
        debits=[],
        grants=[],
        watermark_position=1,
        kind=InvoiceKind.ADVANCE,
        name="invoices/acme-0",
    )


def closed(of: Contract, ahead: Invoice) -> Invoice:
    """Return January's own invoice after that of its fees in advance."""
    return compute_invoice(
        contract=of,
        cycle=JANUARY_CYCLE,
        debits=[],
        grants=[],
        watermark_position=2,
        earlier=Earlier(ahead=[ahead]),
    )


def test_what_is_given_back_of_a_fee_in_advance_carries_the_taxes_that_were_paid_on_it() -> None:
    taxed = terms(base_fee=usd("20"), fee_timing=AHEAD, tax_rates=(TaxRate("VAT", "20"),))
    later = msgspec.structs.replace(taxed, key="later", base_fee=None, tax_rates=(TaxRate("VAT", "10"),))
    ahead = issued_ahead(contract(ContractPhase(JANUARY, taxed)))
    own = closed(contract(ContractPhase(JANUARY, taxed, MID), ContractPhase(MID, later)), ahead)

    assert (ahead.total, ahead.lines[0].description) == (
        usd("24"),
        "Base fee, main, in advance from 2026-01-01",
    )
    assert own.net == Money("USD", -10 * 10**9)
    assert [(tax.rate.percent, tax.amount.nanos) for tax in own.taxes] == [("20", -2 * 10**9)]
    assert own.credit_due == usd("12")


def test_fees_in_another_currency_wait_for_the_invoice_of_their_own_cycle() -> None:
    dollars = terms(base_fee=usd("20"), fee_timing=AHEAD)
    euros = msgspec.structs.replace(
        dollars, key="euros", base_fee=Money("EUR", 10**10), overage_price=UnitPrice("EUR", "1")
    )
    agreed = contract(ContractPhase(JANUARY, dollars, FEBRUARY), ContractPhase(FEBRUARY, euros))
    debits = [used(2, 3)]
    own = compute_invoice(
        contract=agreed, cycle=JANUARY_CYCLE, debits=debits, grants=[], watermark_position=9
    )
    february = compute_invoice(
        contract=agreed, cycle=CycleBounds(FEBRUARY, MARCH), debits=[], grants=[], watermark_position=9
    )

    assert own.total == usd("23")
    assert [line.advance for line in own.lines] == [None, None, None]
    assert february.lines[0].key.kind is LineKind.BASE_FEE
    assert [each.amount for each in february.lines] == [Money("EUR", 10**10), Money("EUR", 10**10)]


def test_a_next_cycle_that_was_billed_already_is_not_billed_ahead() -> None:
    agreed = contract(ContractPhase(JANUARY, terms(base_fee=usd("20"), fee_timing=AHEAD)))
    own = compute_invoice(
        contract=agreed,
        cycle=JANUARY_CYCLE,
        debits=[],
        grants=[],
        watermark_position=2,
        earlier=Earlier(next_is_billed=True),
    )

    assert [line.advance for line in own.lines] == [None]
