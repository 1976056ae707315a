"""Meters that an adjustment moves: a phase that was accepted for the past may count other usage than was counted.

Each move says where the meter stood, so that one that was decided on other totals is refused and decided again, and
where it stands under the accepted phases. A meter on which nothing counts any more is forgotten.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.domain.events import Adjustment, MeterMoved, RunningTotal
from ledger_service.domain.names import check_range, check_text
from ledger_service.domain.refusals import FieldMalformed, TotalsFull, TotalsNotKept, TotalsStale
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.totals import (
    LATENESS_MAX,
    METER_LENGTH_MAX,
    METERS_MAX,
    CycleTotals,
    MeterTotal,
    Totals,
    is_kept,
    total_of,
)

_FIELD: Final = "adjustment.meters"


def check_moves(known: Totals, contract: str, adjustment: Adjustment, *, now: datetime) -> None:
    """Refuse moves of meters that stand elsewhere, or of a cycle whose totals are not kept any more.

    Raises TotalsStale, TotalsNotKept, TotalsFull and what the checks of its fields raise.
    """
    if not adjustment.meters:
        return
    if not is_kept(adjustment.cycle_end_time, now):
        raise TotalsNotKept(
            f"the cycle ended {LATENESS_MAX.days} days ago or earlier", field="adjustment.cycle_end_time"
        )
    if len({move.meter for move in adjustment.meters}) < len(adjustment.meters):
        raise FieldMalformed(f"{_FIELD} names a meter twice", field=_FIELD)
    true_totals = [_true_total(known, contract, adjustment, move) for move in adjustment.meters]
    if any(
        (total.quantity, total.usages) != (move.quantity_before, move.usages_before)
        for total, move in zip(true_totals, adjustment.meters, strict=True)
    ):
        raise TotalsStale(
            "the adjustment was decided on other running totals than the wallet's",
            field=_FIELD,
            totals=tuple(true_totals),
        )
    meters = sum(len(cycle.meters) for cycle in moved(known, contract, adjustment))
    if meters > max(METERS_MAX, sum(len(cycle.meters) for cycle in known)):
        raise TotalsFull(f"the wallet counts {METERS_MAX} meters and no more", field=_FIELD)


def moved(known: Totals, contract: str, adjustment: Adjustment) -> Totals:
    """Return the totals with the meters where an adjustment leaves them."""
    if not adjustment.meters:
        return known
    changed = {move.meter: MeterTotal(move.quantity, move.usages) for move in adjustment.meters}
    for place, cycle in enumerate(known):
        if (cycle.contract, cycle.cycle_start_time, cycle.cycle_end_time) == (
            contract,
            adjustment.cycle_start_time,
            adjustment.cycle_end_time,
        ):
            meters = _counting(cycle.meters | changed)
            kept = (msgspec.structs.replace(cycle, meters=meters),) if meters else ()
            return (*known[:place], *kept, *known[place + 1 :])
    meters = _counting(changed)
    if not meters:
        return known
    return (
        *known,
        CycleTotals(contract, adjustment.cycle_start_time, adjustment.cycle_end_time, meters),
    )


def _counting(meters: dict[str, MeterTotal]) -> dict[str, MeterTotal]:
    return {meter: total for meter, total in meters.items() if total.usages}


def _true_total(known: Totals, contract: str, adjustment: Adjustment, move: MeterMoved) -> RunningTotal:
    check_text(move.meter, field=f"{_FIELD}.meter", length_max=METER_LENGTH_MAX)
    for name in ("quantity_before", "usages_before", "quantity", "usages"):
        check_range(getattr(move, name), low=0, high=UNITS_MAX, field=f"{_FIELD}.{name}")
    if move.quantity and not move.usages:
        raise FieldMalformed(f"{_FIELD} counts a quantity of no usage", field=f"{_FIELD}.usages")
    named = RunningTotal(move.meter, 0, 0, adjustment.cycle_start_time, adjustment.cycle_end_time)
    total = total_of(known, contract, named)
    return msgspec.structs.replace(named, quantity=total.quantity, usages=total.usages)
