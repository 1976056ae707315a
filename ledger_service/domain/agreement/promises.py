"""Fees, minimums and commitments: what a contract promises as fixed consideration (ASC 606-10-32-2, 50-13).

A customer is bound for the term of the contract: up to its end if it has one; else through the phases that have a
duration, as they follow each other from the one in force; else, without any end, to the end of the running cycle, for
from there on either side may leave (606-10-25-3). A commitment binds for each period that has begun, beyond that term
too: an amount for a year is owed for the year. Free phases promise nothing, for they have no fee.

- **Fees**: base fee and seats of a whole cycle, in proportion to time, and not above the maximum of a cycle.
- **Minimum** of a cycle: what fees leave of it; of the running cycle, what usage leaves of it, too.
- **Commitment** of a period: what usage has not drawn down yet, and no bill has billed ahead. Where a minimum lies in
  its period both are fulfilled by the same usage, so the minimum promises only what the commitment does not.

Amounts are exact fractions of nanos, net of tax. They are additive: what is promised for a time is what is promised for
its parts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Final, NamedTuple

from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.cycles import MICROSECOND, cycle_at, cycles_before
from ledger_service.domain.events import Commitment, ContractPhase, Cycle, PlanPhase
from ledger_service.domain.values import CycleInterval, Money

YEAR: Final = timedelta(days=366)
"""The longest that a year may be (606-10-50-14(a))."""
ALWAYS: Final = datetime.max.replace(tzinfo=UTC)
_PERIOD: Final = re.compile(r"P([1-9][0-9]{0,3})([MY])", re.ASCII)
_INTERVALS: Final = {"M": CycleInterval.MONTH, "Y": CycleInterval.YEAR}


class Term(NamedTuple):
    """For how long a customer is bound, [from_time, to_time), from when that was agreed on."""

    from_time: datetime
    to_time: datetime

    @property
    def is_short(self) -> bool:
        """Return whether it is of at most a year."""
        return self.to_time - self.from_time <= YEAR


class Stretch(NamedTuple):
    """Terms over [from_time, to_time)."""

    from_time: datetime
    to_time: datetime
    terms: PlanPhase


class Promised(NamedTuple):
    """An amount that is promised for [from_time, to_time), in nanos."""

    from_time: datetime
    to_time: datetime
    currency_code: str
    nanos: Fraction


class Committed(NamedTuple):
    """A period of a commitment, [from_time, to_time), with what is committed to; `whole` is the uncut period."""

    from_time: datetime
    to_time: datetime
    whole: Term
    currency_code: str
    nanos: Fraction


def term_at(contract: Contract, at: datetime) -> Term:
    """Return for how long a customer is bound at an instant; a term that ends there binds no longer."""
    if not contract.phases:
        return Term(at, at)
    begin, last_end = contract.phases[0].from_time, contract.phases[-1].to_time
    if last_end is not None:
        return Term(begin, max(last_end, at))
    end = max(at, begin)
    for phase in contract.phases:
        if phase.to_time is not None and phase.to_time <= at:
            continue
        if phase.from_time > end:
            break
        if phase.terms.duration and phase.to_time is not None:
            end = max(end, phase.to_time)
        elif phase.from_time <= at:
            running = cycle_at(contract.signed.cycle, at)
            begin, end = max(begin, running.from_time), max(end, running.to_time)
    return Term(begin, end)


def stretches(contract: Contract, from_time: datetime, to_time: datetime) -> Iterator[Stretch]:
    """Yield the phases of a contract within a span, in order of time."""
    for phase in contract.phases:
        begin, end = max(phase.from_time, from_time), min(_end(phase), to_time)
        if begin < end:
            yield Stretch(begin, end, phase.terms)


def fees(contract: Contract, from_time: datetime, to_time: datetime) -> Iterator[Promised]:
    """Yield what fees come to over a span, by stretches."""
    cycle = contract.signed.cycle
    for part in stretches(contract, from_time, to_time):
        fee = _fee_of(part.terms)
        if fee is not None and fee.nanos:
            cycles = cycles_before(cycle, part.to_time) - cycles_before(cycle, part.from_time)
            yield Promised(part.from_time, part.to_time, fee.currency_code, fee.nanos * cycles)


def fee_lasts_until(contract: Contract, kind: str, from_time: datetime, to_time: datetime) -> datetime:
    """Return until when within a span the fee applies with which it begins: BASE_FEE, SEATS, or any other for both."""
    lasts = from_time
    first: PlanPhase | None = None
    for part in stretches(contract, from_time, to_time):
        first = first or part.terms
        if part.from_time > lasts or _named_fee(part.terms, kind) != _named_fee(first, kind):
            break
        lasts = part.to_time
    return lasts


def minimums(contract: Contract, at: datetime, until: datetime) -> Iterator[Promised]:
    """Yield what fees leave of the minimum of each cycle that is not over at an instant, in order of time.

    Of the running cycle it is that of the cycle from its beginning; what was used of it meanwhile is not taken off.
    """
    if not any(part.terms.minimum_spend for part in stretches(contract, at, until)):
        return
    cycle = contract.signed.cycle
    instant = max(at, contract.phases[0].from_time)
    while instant < until:
        span = cycle_at(cycle, instant)
        parts = stretches(contract, span.from_time, min(span.to_time, until))
        for run in _runs(parts, lambda terms: terms.minimum_spend):
            minimum = run.terms.minimum_spend
            if minimum is not None and run.to_time > at:
                cycles = Fraction(
                    (run.to_time - run.from_time) // MICROSECOND,
                    (span.to_time - span.from_time) // MICROSECOND,
                )
                charged = sum(each.nanos for each in fees(contract, run.from_time, run.to_time))
                missing = max(minimum.nanos * cycles - charged, Fraction(0))
                yield Promised(run.from_time, run.to_time, minimum.currency_code, missing)
        instant = span.to_time


def commitments(contract: Contract, at: datetime, until: datetime) -> Iterator[Committed]:
    """Yield the periods of commitments that are not over at an instant, in order of time.

    The one that has begun is told whole, and of others what lies before `until`.
    """
    for run in _runs(
        stretches(contract, datetime.min.replace(tzinfo=UTC), ALWAYS), lambda terms: terms.commitment
    ):
        if run.terms.commitment is not None:
            yield from _periods(run, run.terms.commitment, contract.signed.cycle.zone, at, until)


def _periods(
    run: Stretch, terms: Commitment, zone: str, at: datetime, until: datetime
) -> Iterator[Committed]:
    match = _PERIOD.fullmatch(terms.period)
    assert match is not None, "the period was checked before"
    calendar = Cycle(_INTERVALS[match[2]], run.from_time, int(match[1]), zone)
    instant = max(run.from_time, at)
    while instant < run.to_time and (instant < until or run.from_time <= instant == at):
        span = cycle_at(calendar, instant)
        end = min(span.to_time, run.to_time)
        if span.from_time > at:
            end = min(end, until)
        share = Fraction(
            (end - span.from_time) // MICROSECOND, (span.to_time - span.from_time) // MICROSECOND
        )
        whole = Term(span.from_time, span.to_time)
        amount = terms.amount
        yield Committed(span.from_time, end, whole, amount.currency_code, amount.nanos * share)
        instant = span.to_time


def _runs(parts: Iterator[Stretch], value_of: Callable[[PlanPhase], object]) -> list[Stretch]:
    """Return stretches joined where one follows the other with the same value; the terms are the first ones'."""
    found: list[Stretch] = []
    for part in parts:
        last = found[-1] if found else None
        if (
            last is not None
            and last.to_time == part.from_time
            and value_of(last.terms) == value_of(part.terms)
        ):
            found[-1] = last._replace(to_time=part.to_time)
        else:
            found.append(part)
    return found


def _named_fee(terms: PlanPhase, kind: str) -> tuple[Money | None, ...]:
    seats = (
        Money(terms.seat_fee.currency_code, terms.seat_fee.nanos * terms.seats) if terms.seat_fee else None
    )
    return {"BASE_FEE": (terms.base_fee,), "SEATS": (seats,)}.get(kind, (terms.base_fee, seats))


def _fee_of(terms: PlanPhase) -> Money | None:
    """Return what a whole cycle costs without usage, None for nothing."""
    parts = [terms.base_fee] if terms.base_fee is not None else []
    if terms.seat_fee is not None and terms.seats:
        parts.append(Money(terms.seat_fee.currency_code, terms.seat_fee.nanos * terms.seats))
    if not parts:
        return None
    nanos = sum(part.nanos for part in parts)
    if terms.maximum_spend is not None:
        nanos = min(nanos, terms.maximum_spend.nanos)
    return Money(parts[0].currency_code, nanos)


def _end(phase: ContractPhase) -> datetime:
    return phase.to_time or ALWAYS
