"""What one cycle comes to by all facts that are known: its lines, exact, before anything is rounded or settled.

It is a function of the contract, the cycle and the net debits alone, and the one rule by which a cycle is billed: its
invoice bills the statement, and every later invoice by how much the statement has grown since.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import Contract, RateCard
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.stretches import Stretch, stretches
from rating_service.domain.debits import DebitFact, GrantFact, ReversalFact
from rating_service.domain.documents.invoice_lines import LineKind
from rating_service.domain.invoicing.commitments import CommitmentPeriod, cuts_of, periods_in, usage_in
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.invoicing.included_use import IncludedUse, adjusting
from rating_service.domain.invoicing.invoice_fees import fee_lines
from rating_service.domain.invoicing.invoice_minimums import bound_lines
from rating_service.domain.invoicing.invoice_usage import CycleUsage
from rating_service.domain.invoicing.rate_minimums import rate_minimum_lines
from rating_service.domain.invoicing.reversals import net_debits

CYCLE_KINDS: Final = frozenset(
    {
        LineKind.BASE_FEE,
        LineKind.SEATS,
        LineKind.PRORATION_CREDIT,
        LineKind.PRORATION_CHARGE,
        LineKind.USAGE,
        LineKind.OVERAGE,
        LineKind.RATE_MINIMUM,
        LineKind.MINIMUM,
        LineKind.MAXIMUM,
    }
)
"""Kinds of the lines of a statement."""
RUNNING_KINDS: Final = frozenset({LineKind.USAGE, LineKind.OVERAGE, LineKind.MAXIMUM})
"""Kinds of what a cycle has come to while it runs: fees and minimums are due at its end."""


NO_CARDS: Final[Mapping[str, RateCard]] = MappingProxyType({})


class CycleFacts(NamedTuple):
    """The debits of a cycle, read while they are consumed, once; and what was taken back of debits.

    `adjusting` are debits that were posted in the cycle and put others right.
    """

    cycle: CycleBounds
    debits: Iterable[DebitFact]
    reversals: Sequence[ReversalFact] = ()
    adjusting: Sequence[DebitFact] = ()


class Statement(NamedTuple):
    """The lines of a cycle in no order, and the usage money of the commitments' periods that it touches."""

    cycle: CycleBounds
    stretches: tuple[Stretch, ...]
    lines: list[ExactLine]
    committed: list[tuple[CommitmentPeriod, Fraction]]
    included: IncludedUse


def state_cycle(
    contract: Contract,
    facts: CycleFacts,
    grants: Iterable[GrantFact],
    watermark_position: int,
    cards: Mapping[str, RateCard] = NO_CARDS,
) -> Statement:
    """Return what a cycle comes to. Debits outside the cycle, of other wallets or later are passed over.

    `cards` are the rate cards that the contract names, by name; without them no rate has a minimum. Later reversals
    than the watermark, and those of other debits, change nothing.
    """
    cycle = facts.cycle
    periods = periods_in(contract, cycle)
    parts = stretches(contract, cycle, cuts_of(periods))
    usage, included = CycleUsage(contract, parts), IncludedUse(contract, cycle, grants)
    known = [reversal for reversal in facts.reversals if reversal.position <= watermark_position]
    inside = (
        debit
        for debit in facts.debits
        if debit.position <= watermark_position
        and debit.wallet == contract.wallet
        and cycle.start_time <= debit.billed_time < cycle.end_time
    )
    usage.count(included.seen(net_debits(inside, known)))
    elsewhere = (
        debit
        for debit in adjusting(facts.adjusting, cycle)
        if debit.position <= watermark_position and debit.wallet == contract.wallet
    )
    included.count(net_debits(elsewhere, known))
    spent = usage.overage_nanos()
    minimums = rate_minimum_lines(contract, parts, cards, usage.meters)
    if minimums:
        last = len(parts) - 1
        spent[last] = spent.get(last, Fraction(0)) + sum(line.exact for line in minimums)
    lines = [*fee_lines(parts, cycle), *usage.lines(cycle), *minimums, *bound_lines(parts, spent, cycle)]
    committed = [(period, usage_in(period, parts, spent)) for period in periods]
    return Statement(cycle, parts, lines, committed, included)
