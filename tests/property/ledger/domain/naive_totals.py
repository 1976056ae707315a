"""Running totals as simply as can be told: every usage of a day is remembered, and summed when it is asked."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor

from hypothesis import strategies as st

from ledger_service.domain.commands import Debit
from ledger_service.domain.events import Charge, ChargeLine, RunningTotal
from ledger_service.domain.refusals import TotalsStale
from tests.builders import debit

DAY = timedelta(days=1)
METERS = ("calls", "notes")
metered_lines = st.lists(
    st.tuples(
        st.sampled_from(METERS),
        st.integers(0, 5),
        st.sampled_from(["0", "0.4", "3", "2.75", "-2.5", "-7"]),
        st.sampled_from([0, 0, 0, 0, 1, -1]),
    ),
    min_size=1,
    max_size=3,
)
"""(meter, quantity, exact units, how far its total is off) of each line."""


class NaiveTotals:
    """All usages that were counted, and what charges and debits came to."""

    def __init__(self) -> None:
        self.usages: list[tuple[datetime, str, int]] = []
        self.charged = Fraction()
        self.debited = 0

    def of(self, instant: datetime, meter: str) -> tuple[int, int]:
        """Return (quantity, usages) of the day that holds an instant."""
        found = [quantity for day, name, quantity in self.usages if (day, name) == (_day(instant), meter)]
        return sum(found), len(found)

    def charge(self, charge: Charge, instant: datetime) -> int:
        """Count a charge and return the units that it takes. Raises TotalsStale, and then has to be thrown away."""
        for line in charge.lines:
            before = line.total_before
            if before is not None:
                if self.of(instant, before.meter) != (before.quantity, before.usages):
                    raise TotalsStale("", field="", totals=())
                self.usages.append((_day(instant), before.meter, line.quantity))
        self.charged += Fraction(charge.exact_units)
        amount = max(floor(self.charged) - self.debited, 0)
        self.debited += amount
        return amount

    def counted(self) -> dict[tuple[datetime, str], tuple[int, int]]:
        """Return all totals by day and meter."""
        return {(day, meter): self.of(day, meter) for day, meter, _ in self.usages}


def metered_debit(
    known: NaiveTotals,
    instant: datetime,
    lines: list[tuple[str, int, str, int]],
    effective_time: datetime | None,
) -> Debit:
    """Return a debit priced on what is known, give or take what each line is off."""
    written: list[ChargeLine] = []
    totals = {meter: known.of(instant, meter) for meter in METERS}
    for meter, quantity, figure, off in lines:
        total, usages = totals[meter]
        told = RunningTotal(meter, max(total + off, 0), usages, _day(instant), _day(instant) + DAY)
        written.append(ChargeLine(meter, quantity, "", figure, model="volume", total_before=told))
        totals[meter] = (total + quantity, usages + 1)
    exact = sum((Fraction(line.exact_units) for line in written), Fraction())
    text = f"{Decimal(exact.numerator) / Decimal(exact.denominator):f}"
    charge = Charge("", "standard", "rateCards/llm/phases/1", "ab" * 32, tuple(written), text)
    return debit(charge=charge, effective_time=effective_time)


def _day(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0)
