"""Running totals: how much of each meter a billing period of a contract has seen.

Rating prices a usage by what the total of its cycle grew by, and names in the charge the total on which it did
so. The wallet, which alone sees the order of debits, counts the meters and refuses a charge that was priced on
another total; so no two usages are ever priced as the same step of a cycle.

A cycle's totals are kept for as long as its usage may still come: LATENESS_MAX after its end. No clock is read
to forget them. They are forgotten when a later metered debit is recorded after that, and usage of such a cycle
is refused from that instant on, forgotten or not, so how often somebody looked changes nothing.

A reversal moves no total: it gives units of credit back, and the usage happened all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from ledger_service.domain.events import Charge, ChargeLine, RunningTotal
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    FieldRequired,
    TimesOutOfOrder,
    TotalsFull,
    TotalsNotKept,
    TotalsStale,
)
from ledger_service.domain.values import UNITS_MAX

LATENESS_MAX: Final = timedelta(days=35)
"""How long after the end of its cycle usage is still counted."""
METERS_MAX: Final = 4_096
"""Most meters that a wallet counts at once, every kept cycle counted: about 0.5 MB of state."""
METER_LENGTH_MAX: Final = 5_000
"""Longest name of a meter: it holds the match of its rate, at most 16 properties."""
_FIELD: Final = "charge.lines.total_before"


class MeterTotal(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Sum of the quantities of so many usages."""

    quantity: int = 0
    usages: int = 0


class CycleTotals(msgspec.Struct, frozen=True, gc=False):
    """The totals of a contract's cycle [cycle_start_time, cycle_end_time), by meter."""

    contract: str
    cycle_start_time: datetime
    cycle_end_time: datetime
    meters: dict[str, MeterTotal]


Totals = tuple[CycleTotals, ...]
"""By cycle, in the order in which they began to be counted."""
NOTHING: Final = MeterTotal()


def is_metered(charge: Charge) -> bool:
    """Say whether a charge has a line that was priced on a running total."""
    for line in charge.lines:  # noqa: SIM110 # any() of a generator costs three times as much, on every charge
        if line.total_before is not None:
            return True
    return False


def check_totals(known: Totals, charge: Charge, *, effective_time: datetime, now: datetime) -> None:
    """Refuse a charge that was not priced on the totals that the wallet has counted.

    Raises FieldRequired, TimesOutOfOrder, TotalsNotKept, AmountOutOfRange, TotalsStale, TotalsFull.
    """
    meters_before = sum(len(cycle.meters) for cycle in known)
    is_stale = False
    true_totals: list[RunningTotal] = []
    after = known
    for line, before in _metered_lines(charge):
        _check_cycle(before, effective_time, now)
        total = total_of(after, charge.contract, before)
        if total.quantity + line.quantity > UNITS_MAX:
            raise AmountOutOfRange(
                f"the total of {before.meter} would exceed {UNITS_MAX}", field="charge.lines.quantity"
            )
        is_stale = is_stale or (total.quantity, total.usages) != (before.quantity, before.usages)
        true_totals.append(msgspec.structs.replace(before, quantity=total.quantity, usages=total.usages))
        after = _with_line(after, charge.contract, before, line.quantity)
    if is_stale:
        raise TotalsStale(
            "the charge was priced on other running totals than the wallet's",
            field=_FIELD,
            totals=tuple(true_totals),
        )
    meters = sum(len(cycle.meters) for cycle in after)
    if meters > max(METERS_MAX, meters_before):
        raise TotalsFull(f"the wallet counts {METERS_MAX} meters and no more", field=_FIELD)


def counted(known: Totals, charge: Charge, record_time: datetime) -> Totals:
    """Return the totals after a charge, without those that are kept no longer."""
    if not is_metered(charge):
        return known
    totals = tuple(cycle for cycle in known if is_kept(cycle.cycle_end_time, record_time))
    for line, before in _metered_lines(charge):
        if before.cycle_start_time is not None:
            totals = _with_line(totals, charge.contract, before, line.quantity)
    return totals


def total_of(known: Totals, contract: str, asked: RunningTotal) -> MeterTotal:
    """Return what was counted of the meter and cycle that a running total names."""
    for cycle in known:
        if _is_of(cycle, contract, asked):
            return cycle.meters.get(asked.meter, NOTHING)
    return NOTHING


def is_kept(cycle_end_time: datetime, now: datetime) -> bool:
    """Say whether usage of a cycle is still counted."""
    return cycle_end_time > now - LATENESS_MAX


def totals_are_sound(known: Totals) -> bool:
    """Say whether each cycle is there once, has an end after its beginning, and counts usages that were."""
    keys = {(cycle.contract, cycle.cycle_start_time, cycle.cycle_end_time) for cycle in known}
    return len(keys) == len(known) and all(
        cycle.cycle_start_time < cycle.cycle_end_time
        and all(total.quantity >= 0 and total.usages > 0 for total in cycle.meters.values())
        for cycle in known
    )


def _metered_lines(charge: Charge) -> Iterator[tuple[ChargeLine, RunningTotal]]:
    for line in charge.lines:
        if line.total_before is not None:
            yield line, line.total_before


def _check_cycle(before: RunningTotal, effective_time: datetime, now: datetime) -> None:
    start_time, end_time = before.cycle_start_time, before.cycle_end_time
    if start_time is None or end_time is None:
        missing = "cycle_start_time" if start_time is None else "cycle_end_time"
        raise FieldRequired(f"{_FIELD}.{missing} is required", field=f"{_FIELD}.{missing}")
    if not start_time <= effective_time < end_time:
        raise TimesOutOfOrder(
            "the debit's effective_time does not lie in the cycle of its total",
            field=f"{_FIELD}.cycle_start_time",
        )
    if not is_kept(end_time, now):
        raise TotalsNotKept(
            f"the usage's cycle ended {LATENESS_MAX.days} days ago or earlier",
            field=f"{_FIELD}.cycle_end_time",
        )


def _with_line(known: Totals, contract: str, before: RunningTotal, quantity: int) -> Totals:
    for place, cycle in enumerate(known):
        if _is_of(cycle, contract, before):
            total = cycle.meters.get(before.meter, NOTHING)
            grown = MeterTotal(total.quantity + quantity, total.usages + 1)
            meters = cycle.meters | {before.meter: grown}
            return (*known[:place], msgspec.structs.replace(cycle, meters=meters), *known[place + 1 :])
    assert before.cycle_start_time is not None, "a counted line names its cycle"
    assert before.cycle_end_time is not None, "a counted line names its cycle"
    first = {before.meter: MeterTotal(quantity, 1)}
    return (*known, CycleTotals(contract, before.cycle_start_time, before.cycle_end_time, first))


def _is_of(cycle: CycleTotals, contract: str, total: RunningTotal) -> bool:
    return (
        cycle.cycle_start_time == total.cycle_start_time
        and cycle.contract == contract
        and cycle.cycle_end_time == total.cycle_end_time
    )
