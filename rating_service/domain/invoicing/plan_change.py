"""Changes of plan: what one adds to the invoice of its cycle, and what the cycles after it cost and include.

The law. A change is the difference between two invoices: fees of the cycle with the change less fees without it, each
by `invoice_fees`, so that what is shown is what will be billed. It follows from the contract, the change and nothing
else: no usage moves it. Lines that are the same on both are no part of it; what is given back is never more than what
the contract would have been charged, because it is a line of that charge. Credit that was bought, and holds, are
no business of a plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction

from rating_service.domain.agreements.agreement import Contract, Money, PlanPhase, Record
from rating_service.domain.agreements.catalogue import find_contract_phase
from rating_service.domain.agreements.contract_life import plan_at
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.agreements.stretches import stretches
from rating_service.domain.documents.invoice_lines import LineKey
from rating_service.domain.invoicing.exact_lines import ExactLine, negated
from rating_service.domain.invoicing.included import entitled_units
from rating_service.domain.invoicing.invoice_fees import FEES, fee_lines, fee_of
from rating_service.domain.invoicing.invoice_parts import NO_CURRENCY
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.rounding import minor_unit_nanos, round_parts


class PlanChangeLine(Record, frozen=True):
    """One amount that a change adds to the cycle's invoice or takes off it; `exact_nanos` is before rounding."""

    key: LineKey
    from_time: datetime
    to_time: datetime
    amount: Money
    exact_nanos: str


class PlanChangeFigures(Record, frozen=True):
    """What a change of plan comes to. `amount` is the sum of the lines; the other amounts are of whole cycles."""

    contract: str
    from_time: datetime
    previous_plan: str
    previous_plan_version: int
    plan: str
    plan_version: int
    cycle: CycleBounds
    lines: tuple[PlanChangeLine, ...]
    amount: Money
    previous_cycle_fees: Money
    cycle_fees: Money
    previous_included_units: int
    included_units: int
    previous_cycle_included_units: int
    cycle_included_units: int


def plan_change_figures(before: Contract, after: Contract, from_time: datetime) -> PlanChangeFigures:
    """Return what it comes to that a contract, from an instant on, is another. Refuses MIXED_CURRENCIES."""
    cycle = cycle_at(before.cycle, from_time)
    currency = _currency(before, after, cycle, from_time)
    changed = _difference(_fees(before, cycle), _fees(after, cycle))
    rounded = round_parts([line.exact for line in changed], step=minor_unit_nanos(currency))
    old_plan, new_plan = plan_at(before, from_time), plan_at(after, from_time)
    old_terms, new_terms = _terms_at(before, from_time), _terms_at(after, from_time)
    return PlanChangeFigures(
        contract=before.name,
        from_time=from_time,
        previous_plan=old_plan.plan,
        previous_plan_version=old_plan.plan_version,
        plan=new_plan.plan,
        plan_version=new_plan.plan_version,
        cycle=cycle,
        lines=tuple(
            PlanChangeLine(line.key, line.from_time, line.to_time, Money(currency, nanos), str(line.exact))
            for line, nanos in zip(changed, rounded, strict=True)
        ),
        amount=Money(currency, sum(rounded)),
        previous_cycle_fees=Money(currency, _cycle_fees_nanos(old_terms)),
        cycle_fees=Money(currency, _cycle_fees_nanos(new_terms)),
        previous_included_units=entitled_units(before, cycle),
        included_units=entitled_units(after, cycle),
        previous_cycle_included_units=old_terms.included_units if old_terms else 0,
        cycle_included_units=new_terms.included_units if new_terms else 0,
    )


def _fees(contract: Contract, cycle: CycleBounds) -> list[ExactLine]:
    return fee_lines(stretches(contract, cycle), cycle)


def _difference(before: Iterable[ExactLine], after: Iterable[ExactLine]) -> list[ExactLine]:
    """Return what is taken off and what is added, in this order; what is the same in both is left out."""
    old, new = list(before), list(after)
    taken_off = [negated(line) for line in old if line not in new]
    added = [line for line in new if line not in old]
    return sorted([*taken_off, *added], key=lambda line: line.exact >= Fraction(0))


def _currency(before: Contract, after: Contract, cycle: CycleBounds, from_time: datetime) -> str:
    """Return the one currency of all fees of the cycle and of the terms changed to. Refuses two."""
    terms = [part.terms for each in (before, after) for part in stretches(each, cycle)]
    terms += [found for each in (before, after) if (found := _terms_at(each, from_time)) is not None]
    used = {fee.currency_code for each in terms for kind in FEES if (fee := fee_of(each, kind))}
    if len(used) > 1:
        codes = ", ".join(sorted(used))
        raise Refusal(Reason.MIXED_CURRENCIES, f"one invoice would hold {codes}", currencies=codes)
    return next(iter(used), NO_CURRENCY)


def _terms_at(contract: Contract, instant: datetime) -> PlanPhase | None:
    phase = find_contract_phase(contract, instant)
    return phase.terms if phase else None


def _cycle_fees_nanos(terms: PlanPhase | None) -> int:
    fees = [fee_of(terms, kind) for kind in FEES] if terms else []
    return sum(fee.nanos for fee in fees if fee is not None)
