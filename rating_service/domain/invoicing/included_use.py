"""What became of included credit: how much of it a cycle used, and how much of that went to adjustments.

The law. Included credit is used where it is drawn: in the cycle that holds the effective time of the debit, whichever
cycle the debit is billed in. A debit that puts right what an earlier cycle was charged is posted now and so draws on
the credit of the cycle that runs: that cycle's invoice shows the units as used, by an adjustment. What the debit found
no credit for is overage of the cycle that it puts right, and is billed there. So each unit that was drawn is used in
one cycle, each unit of overage is billed of one cycle, and no unit is both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import DebitFact, GrantCategory, GrantFact


class IncludedUse:
    """Counts the included units that debits drew in a cycle."""

    def __init__(self, contract: Contract, cycle: CycleBounds, grants: Iterable[GrantFact]) -> None:
        """Count nothing yet; of the grants those count that a plan gave to the contract's wallet."""
        self._cycle = cycle
        self._grants = [
            grant
            for grant in grants
            if grant.wallet == contract.wallet and grant.category is GrantCategory.INCLUDED
        ]
        self._drawn = {grant.version: 0 for grant in self._grants}
        self.adjusting_units = 0

    @property
    def used_units(self) -> int:
        """Units that were drawn in the cycle, those of adjustments included."""
        return sum(self._drawn.values())

    @property
    def left_units(self) -> int:
        """What is left of the units that were granted for the cycle."""
        start, end = self._cycle.start_time, self._cycle.end_time
        return sum(
            grant.amount_units - self._drawn[grant.version]
            for grant in self._grants
            if start <= grant.effective_time < end
        )

    def seen(self, debits: Iterable[DebitFact]) -> Iterable[DebitFact]:
        """Return debits, net of reversals, that are counted while they are consumed."""
        return self._counting(debits) if self._drawn else debits

    def count(self, debits: Iterable[DebitFact]) -> None:
        """Count debits, net of reversals; those of other times are passed over."""
        for debit in debits:
            if self._holds(debit):
                self._draw(debit)

    def _counting(self, debits: Iterable[DebitFact]) -> Iterator[DebitFact]:
        for debit in debits:
            if self._holds(debit):
                self._draw(debit)
            yield debit

    def _holds(self, debit: DebitFact) -> bool:
        return self._cycle.start_time <= debit.effective_time < self._cycle.end_time

    def _draw(self, debit: DebitFact) -> None:
        units = 0
        for draw in debit.draws:
            if draw.grant_version in self._drawn:
                self._drawn[draw.grant_version] += draw.amount_units
                units += draw.amount_units
        if not self._cycle.start_time <= debit.billed_time < self._cycle.end_time:
            self.adjusting_units += units


def adjusting(debits: Iterable[DebitFact], cycle: CycleBounds) -> Sequence[DebitFact]:
    """Return the debits that were posted in a cycle and put another one right."""
    start, end = cycle.start_time, cycle.end_time
    return [
        debit
        for debit in debits
        if start <= debit.effective_time < end and not start <= debit.billed_time < end
    ]
