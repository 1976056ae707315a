"""Charges: exact figures become whole units, and no fraction is lost on the way."""

from decimal import Decimal

import pytest

from ledger_service.domain.refusals import (
    AmountOutOfRange,
    ChargeContractMismatch,
    ChargeInconsistent,
    FieldMalformed,
    FieldNotAllowed,
    InsufficientCredit,
)
from ledger_service.domain.values import UNITS_MAX, ShortfallMode
from tests.builders import (
    CONTRACT,
    Book,
    after,
    agreed,
    book,
    capture,
    charge,
    debit,
    grant,
    hold,
    open_wallet,
    plan_phase,
    sign_contract,
)

SOFT = ShortfallMode.SOFT


def funded() -> Book:
    """Return a book with a HARD wallet of 100 units."""
    return book(open_wallet(), grant(100))


def test_a_debit_takes_the_whole_units_of_its_charge_and_carries_the_fraction() -> None:
    ledger = funded()

    event = ledger.debit(debit(charge=charge("1.25", "2.5")))

    assert event.amount_units == 3
    assert ledger.wallet().carried_fraction == Decimal("0.75")


def test_the_debits_of_charges_add_up_to_the_floor_of_their_exact_sum() -> None:
    ledger = funded()

    amounts = [ledger.debit(debit(charge=charge("0.4"))).amount_units for _ in range(8)]

    assert amounts == [0, 0, 1, 0, 1, 0, 0, 1]
    assert ledger.wallet().carried_fraction == Decimal("0.2")


def test_a_carried_fraction_that_completes_a_unit_is_taken_exactly() -> None:
    ledger = funded()
    tiny = "0." + "0" * 53 + "1"
    nearly_one = "0." + "9" * 54

    assert ledger.debit(debit(charge=charge(nearly_one))).amount_units == 0
    assert ledger.debit(debit(charge=charge(tiny))).amount_units == 1
    assert ledger.wallet().carried_fraction == 0


def test_a_debit_without_a_charge_leaves_the_fraction_alone() -> None:
    ledger = funded()
    ledger.run(debit(charge=charge("0.75")))

    ledger.run(debit(5))

    assert ledger.wallet().carried_fraction == Decimal("0.75")


def test_the_fraction_of_a_refused_charge_is_not_carried() -> None:
    ledger = funded()
    ledger.run(debit(charge=charge("0.75")))

    with pytest.raises(InsufficientCredit):
        ledger.run(debit(charge=charge("100.25")))

    assert ledger.wallet().carried_fraction == Decimal("0.75")
    assert ledger.debit(debit(charge=charge("100.24"))).amount_units == 100


def test_a_charge_of_nothing_is_recorded() -> None:
    event = funded().debit(debit(charge=charge("0")))

    assert (event.amount_units, event.draws, event.overage_units) == (0, (), 0)


@pytest.mark.parametrize("total", ["3.74", "3.76", "0", "3.750000000000000001"])
def test_lines_that_do_not_add_up_to_the_total_are_refused(total: str) -> None:
    with pytest.raises(ChargeInconsistent) as refused:
        funded().run(debit(charge=charge("1.25", "2.5", total=total)))

    assert refused.value.field == "charge.exact_units"


def test_trailing_zeros_do_not_make_a_charge_inconsistent() -> None:
    assert funded().debit(debit(charge=charge("1.25", "2.50", total="3.7500"))).amount_units == 3


@pytest.mark.parametrize("amount_units", [1, 3, -1])
def test_an_amount_beside_a_charge_is_refused(amount_units: int) -> None:
    with pytest.raises(FieldNotAllowed) as refused:
        funded().run(debit(amount_units, charge=charge("3")))

    assert refused.value.field == "amount_units"


@pytest.mark.parametrize("text", ["", "-1", "1e3", "NaN", "+1", "01", "1.", ".5", "1" * 20, "0." + "1" * 55])
def test_a_total_that_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(FieldMalformed) as refused:
        funded().run(debit(charge=charge("1", total=text)))

    assert refused.value.field == "charge.exact_units"


@pytest.mark.parametrize("text", ["-1", "1e3", "Infinity", "1_0", "１"])
def test_a_line_that_is_not_a_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(FieldMalformed) as refused:
        funded().run(debit(charge=charge(text, total="1")))

    assert refused.value.field == "charge.lines.exact_units"


def test_a_charge_may_be_as_large_as_int64_and_no_larger() -> None:
    ledger = book(open_wallet(), grant(UNITS_MAX))

    with pytest.raises(AmountOutOfRange) as refused:
        ledger.run(debit(charge=charge(str(UNITS_MAX + 1))))
    assert refused.value.field == "charge.exact_units"
    assert ledger.debit(debit(charge=charge(f"{UNITS_MAX}.5"))).amount_units == UNITS_MAX


def test_a_carried_fraction_counts_towards_the_range() -> None:
    ledger = book(open_wallet(), grant(UNITS_MAX))
    ledger.run(debit(charge=charge("0.5")))

    with pytest.raises(AmountOutOfRange):
        ledger.run(debit(charge=charge(f"{UNITS_MAX}.5")))


@pytest.mark.parametrize("contract", ["", CONTRACT])
def test_a_charge_names_the_wallets_own_contract_or_none(contract: str) -> None:
    ledger = agreed(plan_phase(mode=SOFT))
    ledger.run(sign_contract())

    assert ledger.debit(debit(charge=charge("3", contract=contract))).amount_units == 3


@pytest.mark.parametrize("bound", [False, True])
def test_a_charge_under_a_contract_that_is_not_the_wallets_is_refused(bound: bool) -> None:
    ledger = agreed(plan_phase(mode=SOFT), mode=SOFT)
    ledger.run(grant(5))
    version = ledger.place(hold(2))
    if bound:
        ledger.run(sign_contract(contract="contracts/another"))

    for command in (
        debit(charge=charge("3", contract=CONTRACT)),
        capture(version, charge=charge("1", contract=CONTRACT)),
    ):
        with pytest.raises(ChargeContractMismatch) as refused:
            ledger.run(command)
        assert refused.value.field == "charge.contract"


def test_a_charge_names_its_contract_after_the_end_too() -> None:
    ledger = agreed(plan_phase(duration="P1D", mode=SOFT), mode=SOFT)
    ledger.run(sign_contract())

    assert ledger.debit(debit(charge=charge("3", contract=CONTRACT)), after(days=2)).amount_units == 3
