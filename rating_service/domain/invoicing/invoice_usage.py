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
from datetime import datetime
from decimal import Context, Decimal, Inexact
from fractions import Fraction
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import Contract, UnitPrice
from rating_service.domain.agreements.catalogue import find_contract_phase
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.stretches import Stretch, place_of
from rating_service.domain.debits import DebitFact
from rating_service.domain.documents.invoice_lines import LineDetail, LineKey, LineKind
from rating_service.domain.exact import exact_text, parse_exact
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.rounding import NANOS_PER_MAJOR
from rating_service.domain.usage import Charge

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


class _Target(NamedTuple):
    """The sums that debits of one contract phase, rate card phase and overage price are part of."""

    usage: _Sums
    overage: _Sums
    price: UnitPrice | None


_TargetKey = tuple[str, str, UnitPrice | None]


class CycleUsage:
    """The sums of a cycle's debits. `stretches` are those of its contract in the cycle."""

    def __init__(self, contract: Contract, stretches: Sequence[Stretch]) -> None:
        """Count nothing yet."""
        self._contract = contract
        self._stretches = stretches
        self._sums: dict[LineKey, _Sums] = {}
        self._targets: dict[_TargetKey, _Target] = {}
        self._overage: dict[tuple[int, UnitPrice], int] = {}
        self._place = 0
        self.meters: set[str] = set()

    def count(self, debits: Iterable[DebitFact]) -> None:
        """Count debits, net of reversals; each must lie in the cycle and be of the contract's wallet."""
        for debit in debits:
            keys = target_of(self._contract, debit)
            if keys is not None:
                self._count(self._targets.get(keys) or self._new_target(keys), debit)

    def _count(self, target: _Target, debit: DebitFact) -> None:
        overage_units = debit.overage_units
        usage = target.usage
        usage.units += debit.amount_units - overage_units
        usage.debit_count += 1
        if debit.charge is not None:
            self._count_charge(usage, debit.charge)
        if overage_units:
            target.overage.units += overage_units
            target.overage.debit_count += 1
            if target.price is not None:
                place = (self._place_of(debit.billed_time), target.price)
                self._overage[place] = self._overage.get(place, 0) + overage_units

    def _new_target(self, keys: _TargetKey) -> _Target:
        usage, overage = _line_keys(keys)
        target = _Target(
            self._sums.setdefault(usage, _Sums()), self._sums.setdefault(overage, _Sums()), keys[2]
        )
        self._targets[keys] = target
        return target

    def _place_of(self, instant: datetime) -> int:
        """Return which stretch holds an instant; most often it is that of the debit before."""
        if self._stretches:
            last = self._stretches[self._place]
            if last.from_time <= instant < last.to_time:
                return self._place
        place = place_of(self._stretches, instant)
        self._place = max(place, 0)
        return place

    def lines(self, cycle: CycleBounds) -> list[ExactLine]:
        """Return the lines, in no order."""
        return [self._line(key, sums, cycle) for key, sums in self._sums.items() if sums.debit_count]

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

    def _count_charge(self, sums: _Sums, charge: Charge) -> None:
        for line in charge.lines:
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
    keys = target_of(contract, debit)
    if keys is None:
        return {}
    usage, overage = _line_keys(keys)
    covered = {usage: debit.amount_units - debit.overage_units}
    return {**covered, overage: debit.overage_units} if debit.overage_units else covered


def target_of(contract: Contract, debit: DebitFact) -> _TargetKey | None:
    """Return the contract phase, rate card phase and overage price of a debit, None if it is not under the contract."""
    charge = debit.charge
    if charge is None:
        return _by_phase(contract, debit)
    if charge.contract != contract.name:
        return None
    return (charge.contract_phase, charge.rate_card_phase, charge.overage_price)


def priced_nanos(contract: Contract, price: UnitPrice | None, units: int) -> Fraction:
    """Return what units of a contract's asset cost at a price, exact; nothing without one."""
    if price is None:
        return Fraction(0)
    return units * parse_exact(price.price) * Fraction(NANOS_PER_MAJOR, 10**contract.asset.scale)


def _by_phase(contract: Contract, debit: DebitFact) -> _TargetKey | None:
    phase = find_contract_phase(contract, debit.effective_time)
    return None if phase is None else (phase.terms.key, "", phase.terms.overage_price)


def _line_keys(keys: _TargetKey) -> tuple[LineKey, LineKey]:
    """Return the keys of the usage line and of the overage line."""
    contract_phase, rate_card_phase, price = keys
    return (
        LineKey(LineKind.USAGE, contract_phase, rate_card_phase),
        LineKey(LineKind.OVERAGE, contract_phase, rate_card_phase, price),
    )


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
