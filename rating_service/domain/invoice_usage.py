"""What the debits of a cycle come to: sums by line, in one pass.

A debit is part of a USAGE line, and of an OVERAGE line as well when lots did not cover it: each line is what debits
of one contract phase, rate card phase and overage price have in common. What a debit carries of these (its charge)
was recorded with it and is not looked up again. A debit without a charge is under the contract phase in force at
its effective time; where there is none it is no business of the contract. A debit that puts right what an earlier cycle
was charged belongs to that cycle, any other to the cycle of its effective time.

The fold is by sums, so the order of debits does not matter, and memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from typing import Final

from rating_service.domain.agreement import Contract, UnitPrice
from rating_service.domain.catalogue import find_contract_phase
from rating_service.domain.cycles import CycleBounds
from rating_service.domain.debits import DebitFact
from rating_service.domain.exact import exact_text, parse_exact
from rating_service.domain.exact_lines import ExactLine
from rating_service.domain.invoice_lines import LineDetail, LineKey, LineKind
from rating_service.domain.rounding import NANOS_PER_MAJOR
from rating_service.domain.stretches import Stretch, place_of

_EXACT: Final = Context(prec=300, traps=[Inexact])
"""Adds decimals without rounding; a sum too long for it would be an error and no other sum."""

_DetailKey = tuple[str, str, int, str, str]


class _Detail:
    """Usage of one dimension at one price, while it is counted."""

    __slots__ = ("charge_count", "exact_units", "quantity")

    def __init__(self) -> None:
        self.quantity = 0
        self.exact_units = Decimal(0)
        self.charge_count = 0


class _Sums:
    """What the debits of one line add up to, while they are counted."""

    __slots__ = ("debit_count", "details", "units")

    def __init__(self) -> None:
        self.units = 0
        self.debit_count = 0
        self.details: dict[_DetailKey, _Detail] = {}


class CycleUsage:
    """The sums of a cycle's debits. `stretches` are those of its contract in the cycle."""

    def __init__(
        self, contract: Contract, stretches: Sequence[Stretch], *, included: frozenset[int] = frozenset()
    ) -> None:
        """Count nothing yet; `included` are the versions of grants that the contract's plan gave."""
        self._contract = contract
        self._stretches = stretches
        self._included = included
        self._sums: dict[LineKey, _Sums] = {}
        self._overage: dict[tuple[int, UnitPrice], int] = {}
        self.included_used_units = 0
        self.meters: set[str] = set()

    def count(self, debits: Iterable[DebitFact]) -> None:
        """Count debits, net of reversals; each must lie in the cycle and be of the contract's wallet."""
        for debit in debits:
            for key, units in line_units(self._contract, debit).items():
                sums = self._sums.setdefault(key, _Sums())
                sums.units += units
                sums.debit_count += 1
                if key.kind is LineKind.USAGE:
                    self._count_charge(sums, debit)
                elif key.unit_price is not None:
                    place = (place_of(self._stretches, debit.billed_time), key.unit_price)
                    self._overage[place] = self._overage.get(place, 0) + units
            if self._included:
                drawn = [each.amount_units for each in debit.draws if each.grant_version in self._included]
                self.included_used_units += sum(drawn)

    def lines(self, cycle: CycleBounds) -> list[ExactLine]:
        """Return the lines, in no order."""
        return [self._line(key, sums, cycle) for key, sums in self._sums.items()]

    def overage_nanos(self) -> dict[int, Fraction]:
        """Return what overage costs by the stretch that it fell into, -1 for none; exact."""
        found: dict[int, Fraction] = {}
        for (place, price), units in self._overage.items():
            found[place] = found.get(place, Fraction(0)) + priced_nanos(self._contract, price, units)
        return found

    def _line(self, key: LineKey, sums: _Sums, cycle: CycleBounds) -> ExactLine:
        spans = [part for part in self._stretches if part.terms.key == key.contract_phase]
        details = [_as_line_detail(price, sums.details[price]) for price in sorted(sums.details)]
        quantities: dict[str, int] = {}
        for detail in details:
            quantities[detail.dimension] = quantities.get(detail.dimension, 0) + detail.quantity
        return ExactLine(
            key,
            priced_nanos(self._contract, key.unit_price, sums.units),
            spans[0].from_time if spans else cycle.start_time,
            spans[-1].to_time if spans else cycle.end_time,
            key.unit_price.currency_code if key.unit_price else "",
            sums.units,
            sums.debit_count,
            quantities,
            tuple(details),
        )

    def _count_charge(self, sums: _Sums, debit: DebitFact) -> None:
        if debit.charge is None:
            return
        for line in debit.charge.lines:
            if line.total_before is not None:
                self.meters.add(line.total_before.meter)
            price = (line.dimension, line.unit_price, line.unit_size, line.multiplier, line.model)
            detail = sums.details.get(price)
            if detail is None:
                detail = sums.details[price] = _Detail()
            detail.quantity += line.quantity
            detail.exact_units = _EXACT.add(detail.exact_units, Decimal(line.exact_units))
            detail.charge_count += 1


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


def priced_nanos(contract: Contract, price: UnitPrice | None, units: int) -> Fraction:
    """Return what units of a contract's asset cost at a price, exact; nothing without one."""
    if price is None:
        return Fraction(0)
    return units * parse_exact(price.price) * Fraction(NANOS_PER_MAJOR, 10**contract.asset.scale)


def _covered_and_not(usage: LineKey, overage_price: UnitPrice | None, debit: DebitFact) -> dict[LineKey, int]:
    covered = {usage: debit.amount_units - debit.overage_units}
    if not debit.overage_units:
        return covered
    overage = LineKey(LineKind.OVERAGE, usage.contract_phase, usage.rate_card_phase, overage_price)
    return {**covered, overage: debit.overage_units}


def _as_line_detail(price: _DetailKey, detail: _Detail) -> LineDetail:
    dimension, unit_price, unit_size, multiplier, model = price
    return LineDetail(
        dimension=dimension,
        quantity=detail.quantity,
        exact_units=exact_text(Fraction(detail.exact_units)),
        unit_price=unit_price,
        unit_size=unit_size,
        multiplier=multiplier,
        model=model,
        charge_count=detail.charge_count,
    )
