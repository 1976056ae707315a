"""What the ledger says that a contract promises is what rating bills for it when nothing is used."""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.promises import commitments, fees, minimums
from rating_service.domain.agreements import agreement as followed
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.agreements.stretches import stretches
from rating_service.domain.invoicing.commitments import periods_in
from rating_service.domain.invoicing.invoice_fees import fee_lines
from rating_service.domain.invoicing.invoice_minimums import bound_lines
from tests.builders import CONTRACT, CUSTOMER, PLAN, WALLET
from tests.promises import random_book


def followed_contract(contract: Contract) -> followed.Contract:
    """Return a contract as rating knows it."""
    signed = contract.signed
    return followed.Contract(
        name=CONTRACT,
        customer=CUSTOMER,
        wallet=WALLET,
        plan=PLAN,
        plan_version=1,
        asset=msgspec.convert(msgspec.to_builtins(signed.asset), followed.Asset),
        start_time=contract.phases[0].from_time,
        cycle=msgspec.convert(msgspec.to_builtins(signed.cycle), followed.Cycle),
        phases=msgspec.convert(
            msgspec.to_builtins(contract.phases), tuple[followed.ContractPhase, ...], strict=False
        ),
    )


def billed(contract: followed.Contract, begin: datetime, end: datetime) -> tuple[Fraction, Fraction]:
    """Return what the cycles of a contract cost without usage: fees, and what minimums add to them."""
    of_fees, of_minimums, instant = Fraction(0), Fraction(0), begin
    while instant < end:
        cycle = cycle_at(contract.cycle, instant)
        parts = stretches(contract, cycle)
        of_fees += sum((line.exact for line in fee_lines(parts, cycle)), Fraction(0))
        of_minimums += sum((line.exact for line in bound_lines(parts, {}, cycle)), Fraction(0))
        instant = cycle.end_time
    return of_fees, of_minimums


@settings(max_examples=40)
@given(seed=st.integers(0, 10**6))
def test_a_contract_promises_what_it_is_billed_without_usage(seed: int) -> None:
    contract = random_book(seed).states[CONTRACT]
    assert isinstance(contract, Contract)
    assume(contract.phases and contract.phases[-1].to_time is not None)
    begin, end = contract.phases[0].from_time, contract.phases[-1].to_time
    assert end is not None
    known = followed_contract(contract)
    promised = [
        sum((each.nanos for each in of_kind(contract, begin, end)), Fraction(0))
        for of_kind in (fees, minimums)
    ]
    periods = [(each.from_time, each.to_time, each.nanos) for each in commitments(contract, begin, end)]

    assert tuple(promised) == billed(known, begin, end)
    assert periods == [
        (each.from_time, each.to_time, each.amount) for each in periods_in(known, CycleBounds(begin, end))
    ]
