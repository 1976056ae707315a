"""What an invoice says of a cycle."""

from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from rating_service.domain.agreements.agreement import Contract, ContractPhase, Money
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.debits import DebitFact, GrantCategory, GrantFact, decode_debit, decode_grant
from rating_service.domain.invoicing.invoice import (
    Invoice,
    LineKind,
    compute_invoice,
    document,
    document_hash,
    line_units,
    read_document,
)
from rating_service.domain.refusals import Reason, Refusal
from tests.unit.rating import builders
from tests.unit.rating.builders import FEBRUARY, JANUARY, at, charge, contract, debit, plan_phase

MICROSECOND = timedelta(microseconds=1)
STARTER = contract(
    ContractPhase(JANUARY, plan_phase(fee="29", overage="0.01", included=5000 * 10**6)),
)
PRO = contract(ContractPhase(JANUARY, plan_phase(fee="299", overage="0.005", included=100_000 * 10**6)))
INCLUDED = GrantFact("wallets/acme", 1, JANUARY, 5000 * 10**6, GrantCategory.INCLUDED)
PAID = GrantFact("wallets/acme", 2, JANUARY, 5000 * 10**6, GrantCategory.PAID)
CYCLE = CycleBounds(JANUARY, FEBRUARY)


def invoice(*debits: DebitFact, of: Contract = STARTER, cycle: CycleBounds = CYCLE) -> Invoice:
    return compute_invoice(
        contract=of, cycle=cycle, debits=debits, grants=[INCLUDED, PAID], watermark_position=9
    )


def dollars(amount: str) -> Money:
    major, _, rest = amount.partition(".")
    return Money("USD", int(major) * 10**9 + int(rest.ljust(9, "0")))


def amounts(found: Invoice) -> list[tuple[LineKind, Money]]:
    return [(line.key.kind, line.amount) for line in found.lines]


def test_soft_cap_overage_is_billed_beside_the_fee() -> None:
    priced = charge(overage="0.01", tokens=7)

    found = invoice(debit(2, units=6200 * 10**6, overage=1200 * 10**6, priced=priced))

    assert amounts(found) == [
        (LineKind.BASE_FEE, dollars("29")),
        (LineKind.USAGE, dollars("0")),
        (LineKind.OVERAGE, dollars("12")),
    ]
    assert found.total == dollars("41")
    assert [line.amount_units for line in found.lines] == [0, 5000 * 10**6, 1200 * 10**6]
    assert [line.line_id for line in found.lines] == ["1", "2", "3"]
    assert found.lines[1].quantities == {"tokens": 7}


def test_an_allowance_used_up_exactly_is_no_overage() -> None:
    found = invoice(debit(2, units=100_000 * 10**6, priced=charge(overage="0.005", tokens=1)), of=PRO)

    assert found.total == dollars("299")
    assert LineKind.OVERAGE not in [line.key.kind for line in found.lines]


def test_a_cycle_without_usage_costs_its_fee() -> None:
    found = invoice()

    assert amounts(found) == [(LineKind.BASE_FEE, dollars("29"))]
    assert (found.included_units, found.included_used_units) == (5000 * 10**6, 0)


def test_a_free_plan_has_an_empty_invoice_in_no_currency() -> None:
    found = invoice(of=contract(ContractPhase(JANUARY, plan_phase())))

    assert (found.lines, found.total) == ((), Money("XXX", 0))


def test_a_plan_without_a_fee_is_invoiced_in_the_currency_of_its_overage() -> None:
    found = invoice(of=contract(ContractPhase(JANUARY, plan_phase(overage="0.01", currency="EUR"))))

    assert found.total == Money("EUR", 0)


@pytest.mark.parametrize(
    ("when", "counted"),
    [(JANUARY - MICROSECOND, 0), (JANUARY, 1), (FEBRUARY - MICROSECOND, 1), (FEBRUARY, 0)],
)
def test_a_debit_belongs_to_the_cycle_of_its_effective_time(when: datetime, counted: int) -> None:
    found = invoice(debit(2, units=5, when=when, priced=charge(tokens=1)))

    assert sum(line.debit_count for line in found.lines) == counted


def test_lines_are_apart_by_contract_phase_card_phase_and_overage_price() -> None:
    trial_then_paid = contract(
        ContractPhase(JANUARY, plan_phase("trial"), at("2026-01-15T00:00")),
        ContractPhase(at("2026-01-15T00:00"), plan_phase("paid", overage="0.01")),
    )

    found = invoice(
        debit(5, units=50, overage=50, priced=charge(phase="paid", card=10, overage="0.01", tokens=5)),
        debit(4, units=40, priced=charge(phase="paid", card=9, overage="0.01", tokens=4)),
        debit(3, units=30, overage=10, priced=charge(phase="trial", card=9, tokens=3, images=1)),
        debit(2, units=20, overage=20, priced=charge(phase="paid", card=10, overage="0.02", tokens=2)),
        of=trial_then_paid,
    )

    keys = [
        (line.key.kind.value, line.key.contract_phase, line.key.rate_card_phase[-2:]) for line in found.lines
    ]
    assert keys == [
        ("USAGE", "trial", "/9"),
        ("USAGE", "paid", "/9"),
        ("USAGE", "paid", "10"),
        ("OVERAGE", "trial", "/9"),
        ("OVERAGE", "paid", "10"),
        ("OVERAGE", "paid", "10"),
    ]
    assert [line.amount_units for line in found.lines] == [20, 40, 0, 10, 50, 20]
    assert found.lines[0].quantities == {"tokens": 3, "images": 1}
    assert found.lines[2].quantities == {"tokens": 7}


def test_overage_is_charged_at_the_price_recorded_with_the_debit() -> None:
    found = invoice(debit(2, units=10**6, overage=10**6, priced=charge(overage="7", tokens=1)))

    assert found.total == dollars("36")


def test_overage_without_a_price_is_shown_and_costs_nothing() -> None:
    found = invoice(debit(2, units=10**6, overage=10**6, priced=charge(tokens=1)))

    assert amounts(found)[-1] == (LineKind.OVERAGE, dollars("0"))


def test_a_debit_without_a_charge_is_under_the_phase_in_force() -> None:
    found = invoice(debit(2, units=10**6, overage=10**6))

    assert found.total == dollars("29.01")
    assert [line.key.rate_card_phase for line in found.lines] == ["", "", ""]


def test_a_debit_outside_the_contract_is_on_no_line() -> None:
    late_start = contract(
        ContractPhase(at("2026-01-10T00:00"), plan_phase(fee="29")), start=at("2026-01-10T00:00")
    )

    elsewhere = charge(contract_name="contracts/other", tokens=1)

    assert line_units(late_start, debit(2, units=5)) == {}
    assert line_units(late_start, debit(3, units=5, priced=elsewhere)) == {}
    assert amounts(invoice(debit(2, units=5), of=late_start)) == [
        (LineKind.PRORATION_CHARGE, dollars("20.58"))
    ]


def test_only_draws_on_included_grants_use_up_what_is_included() -> None:
    found = invoice(debit(2, units=5, priced=charge(tokens=1)), debit(3, units=7, grant_version=2))

    assert found.included_used_units == 5


def test_a_trial_that_ends_in_mid_cycle_is_followed_by_the_fee_of_the_rest() -> None:
    changing = contract(
        ContractPhase(JANUARY, plan_phase("trial"), at("2026-01-15T00:00")),
        ContractPhase(at("2026-01-15T00:00"), plan_phase("paid", fee="29")),
    )
    second = cycle_at(changing.cycle, FEBRUARY)

    assert amounts(invoice(of=changing)) == [(LineKind.PRORATION_CHARGE, dollars("15.90"))]
    assert amounts(invoice(of=changing, cycle=second)) == [(LineKind.BASE_FEE, dollars("29"))]


def test_what_a_cycle_includes_is_what_each_of_its_phases_includes_for_its_time() -> None:
    changing = contract(
        ContractPhase(JANUARY, plan_phase("trial", included=3_100), at("2026-01-15T00:00")),
        ContractPhase(at("2026-01-15T00:00"), plan_phase("paid", included=31_000)),
    )

    assert invoice(of=changing).included_units == 1_400 + 17_000


def test_lines_are_rounded_so_that_they_sum_to_the_total() -> None:
    third = "0.000000333333333333"
    found = invoice(
        *(
            debit(n, units=10**10, overage=10**10, priced=charge(card=n, overage=third, tokens=1))
            for n in (2, 3, 4)
        ),
        of=contract(ContractPhase(JANUARY, plan_phase(overage=third))),
    )

    overage = [line.amount.nanos for line in found.lines if line.key.kind is LineKind.OVERAGE]
    assert overage == [10_000_000, 0, 0]
    assert found.total == dollars("0.01")


def test_two_currencies_on_one_invoice_are_refused() -> None:
    euros = contract(ContractPhase(JANUARY, plan_phase(fee="29", currency="EUR")))

    with pytest.raises(Refusal) as refused:
        invoice(debit(2, units=5, overage=5, priced=charge(overage="1", tokens=1)), of=euros)

    assert refused.value.reason is Reason.MIXED_CURRENCIES


def test_the_document_is_canonical_and_reads_back_as_the_invoice() -> None:
    found = invoice(debit(2, units=6, overage=1, priced=charge(overage="0.01", tokens=1)))

    content = document(found)

    assert read_document(content) == found
    assert document(read_document(content)) == content
    assert document_hash(content) == sha256(content).hexdigest()
    assert content.startswith(
        b'{"asset":{"code":"CREDIT","scale":6},"contract":"contracts/acme","credit_due":'
    )


def test_the_document_of_a_fixed_invoice_never_changes() -> None:
    found = compute_invoice(
        contract=STARTER,
        cycle=CYCLE,
        debits=[debit(2, units=6, overage=1, priced=charge(overage="0.01", tokens=1))],
        grants=[INCLUDED],
        watermark_position=9,
        name="invoices/acme-1",
        issue_time=FEBRUARY,
    )

    assert (
        document_hash(document(found)) == "c66d3de87c9c7d40336c431896a5cef4dc8bd3ff883706619979d614dc4fddad"
    )


def test_a_debit_is_decoded_from_the_ledgers_event() -> None:
    state = builders.fact(
        {"amount_units": 6, "draws": [[1, 5]], "burn_down_order": "default/1", "overage_units": 1}
    )

    found = decode_debit(position=7, stream="wallets/acme", version=3, state=state)

    assert (found.name, found.usage, found.amount_units) == ("wallets/acme/debits/3", "key-1", 6)
    assert [(draw.grant_version, draw.amount_units) for draw in found.draws] == [(1, 5)]


def test_a_grant_is_decoded_from_the_ledgers_event() -> None:
    state = builders.fact({"amount_units": 6, "category": "INCLUDED", "priority": 3})

    found = decode_grant(stream="wallets/acme", version=1, state=state)

    assert (found.version, found.amount_units, found.category) == (1, 6, GrantCategory.INCLUDED)
