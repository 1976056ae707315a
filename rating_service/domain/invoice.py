"""Invoices: what a customer owes for one cycle, computed from recorded facts only.

A debit belongs to the cycle of its effective time, half-open. It is part of a USAGE line, and of an OVERAGE
line as well when lots did not cover it: each line is what debits of one contract phase, rate card phase and
overage price have in common. What a debit carries of these (its charge) was recorded with it and is not
looked up again, so no later phase moves an earlier invoice. A debit without a charge is under the contract
phase in force at its effective time; where there is none it is no business of the contract. What was taken
back of a debit by the watermark is taken off first, whenever that was: it changes the debit's own cycle and
no other, so a debit that was invoiced before is not counted again.

The fee is that of the contract phase in force when the cycle begins, or when the contract does if that is
later. Amounts stay exact until the end, see `rounding`. The fold is by sums, so the order of debits does not
matter, and memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from typing import Final

from rating_service.domain.agreement import Contract, ContractPhase, Money, UnitPrice
from rating_service.domain.catalogue import find_contract_phase
from rating_service.domain.contract_life import plan_at
from rating_service.domain.cycles import CycleBounds
from rating_service.domain.debits import DebitFact, GrantCategory, GrantFact, ReversalFact
from rating_service.domain.exact import parse_exact
from rating_service.domain.invoice_document import (
    Invoice,
    InvoiceLine,
    LineKey,
    LineKind,
    document,
    document_hash,
    read_document,
)
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.reversals import net_debits
from rating_service.domain.rounding import NANOS_PER_MAJOR, minor_unit_nanos, round_parts

__all__ = [
    "Invoice",
    "InvoiceLine",
    "LineKey",
    "LineKind",
    "compute_invoice",
    "document",
    "document_hash",
    "line_units",
    "read_document",
]

NO_CURRENCY: Final = "XXX"
"""ISO 4217 code of an invoice on which nothing has a price."""


class _Sums:
    """What the debits of one line add up to, while they are counted."""

    __slots__ = ("debit_count", "quantities", "units")

    def __init__(self) -> None:
        self.units = 0
        self.debit_count = 0
        self.quantities: dict[str, int] = {}


def compute_invoice(
    *,
    contract: Contract,
    cycle: CycleBounds,
    debits: Iterable[DebitFact],
    grants: Iterable[GrantFact],
    watermark_position: int,
    reversals: Iterable[ReversalFact] = (),
    name: str = "",
    issue_time: datetime | None = None,
) -> Invoice:
    """Return the invoice of a cycle. Debits outside the cycle or of other wallets are passed over.

    `reversals` are those of the wallet; later ones than the watermark, and those of other debits, change
    nothing. `grants` are those of the contract's wallet; they say which draws were of included units. The
    order of debits does not matter. Refuses MIXED_CURRENCIES.
    """
    included = {grant.version for grant in grants if _is_included(contract, grant)}
    included_used_units = 0
    sums: dict[LineKey, _Sums] = {}
    known = (reversal for reversal in reversals if reversal.position <= watermark_position)
    for debit in net_debits(debits, known):
        if debit.wallet == contract.wallet and cycle.start_time <= debit.effective_time < cycle.end_time:
            _count(sums, contract, debit)
            included_used_units += sum(d.amount_units for d in debit.draws if d.grant_version in included)
    first_phase = _phase_at_start(contract, cycle)
    lines, total = _lines(contract, first_phase, sums)
    plan = plan_at(contract, max(cycle.start_time, contract.start_time))
    return Invoice(
        contract=contract.name,
        customer=contract.customer,
        plan=plan.plan,
        plan_version=plan.plan_version,
        asset=contract.asset,
        cycle=cycle,
        watermark_position=watermark_position,
        lines=lines,
        total=total,
        included_units=first_phase.terms.included_units if first_phase else 0,
        included_used_units=included_used_units,
        name=name,
        issue_time=issue_time,
    )


def line_units(contract: Contract, debit: DebitFact) -> dict[LineKey, int]:
    """Return the lines that a debit is part of, with the units that it adds to each.

    Empty for a debit that is not under the contract.
    """
    charge = debit.charge
    if charge is not None and charge.contract == contract.name:
        key = LineKey(LineKind.USAGE, charge.contract_phase, charge.rate_card_phase)
        return _covered_and_not(key, charge.overage_price, debit)
    phase = find_contract_phase(contract, debit.effective_time)
    if charge is not None or phase is None:
        return {}
    return _covered_and_not(LineKey(LineKind.USAGE, phase.terms.key), phase.terms.overage_price, debit)


def _covered_and_not(usage: LineKey, overage_price: UnitPrice | None, debit: DebitFact) -> dict[LineKey, int]:
    covered = {usage: debit.amount_units - debit.overage_units}
    if not debit.overage_units:
        return covered
    overage = LineKey(LineKind.OVERAGE, usage.contract_phase, usage.rate_card_phase, overage_price)
    return {**covered, overage: debit.overage_units}


def _is_included(contract: Contract, grant: GrantFact) -> bool:
    return grant.wallet == contract.wallet and grant.category is GrantCategory.INCLUDED


def _count(sums: dict[LineKey, _Sums], contract: Contract, debit: DebitFact) -> None:
    for key, units in line_units(contract, debit).items():
        line = sums.setdefault(key, _Sums())
        line.units += units
        line.debit_count += 1
        if key.kind is LineKind.USAGE and debit.charge is not None:
            for priced in debit.charge.lines:
                line.quantities[priced.dimension] = line.quantities.get(priced.dimension, 0) + priced.quantity


def _phase_at_start(contract: Contract, cycle: CycleBounds) -> ContractPhase | None:
    """Return the phase whose terms the cycle begins with, or None if the contract is not in force in it."""
    start = max(cycle.start_time, contract.start_time)
    return find_contract_phase(contract, start) if start < cycle.end_time else None


def _lines(
    contract: Contract, first_phase: ContractPhase | None, sums: dict[LineKey, _Sums]
) -> tuple[tuple[InvoiceLine, ...], Money]:
    """Return the lines in order, and the total to which their amounts add up."""
    keys = sorted(sums, key=lambda key: _order(contract, key))
    exact = [_exact_nanos(contract, key, sums[key].units) for key in keys]
    fee = first_phase.terms.base_fee if first_phase else None
    if first_phase is not None and fee is not None:
        fee_key = LineKey(LineKind.BASE_FEE, first_phase.terms.key)
        keys, exact = [fee_key, *keys], [Fraction(fee.nanos), *exact]
    currency = _currency(contract, first_phase, keys)
    rounded = round_parts(exact, step=minor_unit_nanos(currency))
    lines = tuple(
        _line(place, key, sums.get(key, _Sums()), Money(currency, nanos))
        for place, (key, nanos) in enumerate(zip(keys, rounded, strict=True), start=1)
    )
    return lines, Money(currency, sum(rounded))


def _order(contract: Contract, key: LineKey) -> tuple[int, int, str, str, int, str]:
    """Return what lines are sorted by: kind, contract phase in time, rate card and its phase, price."""
    phases = [phase.terms.key for phase in contract.phases]
    place = phases.index(key.contract_phase) if key.contract_phase in phases else len(phases)
    card, _, number = key.rate_card_phase.rpartition("/")
    price = key.unit_price.price if key.unit_price else ""
    kind = list(LineKind).index(key.kind)
    return kind, place, key.contract_phase, card, int(number) if number.isdigit() else 0, price


def _exact_nanos(contract: Contract, key: LineKey, units: int) -> Fraction:
    if key.kind is not LineKind.OVERAGE or key.unit_price is None:
        return Fraction(0)
    return units * parse_exact(key.unit_price.price) * Fraction(NANOS_PER_MAJOR, 10**contract.asset.scale)


def _currency(contract: Contract, first_phase: ContractPhase | None, keys: list[LineKey]) -> str:
    """Return the one currency of what has a price; of the contract's terms if nothing has. Refuses two."""
    fee = first_phase.terms.base_fee if first_phase else None
    used = {key.unit_price.currency_code for key in keys if key.unit_price}
    used |= {fee.currency_code} if fee else set()
    if len(used) > 1:
        found = ", ".join(sorted(used))
        raise Refusal(Reason.MIXED_CURRENCIES, f"one invoice would hold {found}", currencies=found)
    return next(iter(used), None) or _currency_of_terms(contract)


def _currency_of_terms(contract: Contract) -> str:
    for phase in contract.phases:
        priced = phase.terms.base_fee or phase.terms.overage_price
        if priced is not None:
            return priced.currency_code
    return NO_CURRENCY


def _line(place: int, key: LineKey, sums: _Sums, amount: Money) -> InvoiceLine:
    return InvoiceLine(
        line_id=str(place),
        key=key,
        description=_description(key),
        amount=amount,
        amount_units=sums.units,
        debit_count=sums.debit_count,
        quantities=sums.quantities,
    )


def _description(key: LineKey) -> str:
    rates = f", rates of {key.rate_card_phase}" if key.rate_card_phase else ""
    match key.kind:
        case LineKind.USAGE:
            return f"Usage paid with credit, {key.contract_phase}{rates}"
        case LineKind.OVERAGE:
            price = f" at {key.unit_price.price} {key.unit_price.currency_code}" if key.unit_price else ""
            return f"Overage{price}, {key.contract_phase}{rates}"
        case _:
            return f"Base fee, {key.contract_phase}"
