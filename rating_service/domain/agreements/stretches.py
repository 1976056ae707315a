"""How a contract's phases lie in a span of time: stretches, and runs of stretches that agree on a term.

A phase may begin for many reasons, a new rate card or another limit among them. What is reckoned by time (a fee,
a minimum) is reckoned over runs, in which that one term stays the same, so that a phase which leaves a term as it
was leaves no trace in it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Generic, NamedTuple, TypeVar

from rating_service.domain.agreements.agreement import Contract, PlanPhase
from rating_service.domain.agreements.cycles import CycleBounds

T = TypeVar("T")


class Stretch(NamedTuple):
    """Terms that apply over [from_time, to_time)."""

    from_time: datetime
    to_time: datetime
    terms: PlanPhase


class Run(NamedTuple, Generic[T]):
    """A term that stays the same over [from_time, to_time); `terms` are those in which it begins."""

    from_time: datetime
    to_time: datetime
    terms: PlanPhase
    value: T


def stretches(contract: Contract, span: CycleBounds, cuts: Iterable[datetime] = ()) -> tuple[Stretch, ...]:
    """Return a contract's phases within a span, in order of time, cut at further instants too."""
    found: list[Stretch] = []
    inner = sorted(set(cuts))
    for phase in contract.phases:
        start = max(phase.from_time, span.start_time)
        end = span.end_time if phase.to_time is None else min(phase.to_time, span.end_time)
        for cut in [each for each in inner if start < each < end]:
            found.append(Stretch(start, cut, phase.terms))
            start = cut
        if start < end:
            found.append(Stretch(start, end, phase.terms))
    return tuple(found)


def runs(parts: Iterable[Stretch], value_of: Callable[[PlanPhase], T]) -> list[Run[T]]:
    """Return stretches joined where one follows the other with the same value."""
    found: list[Run[T]] = []
    for part in parts:
        value = value_of(part.terms)
        last = found[-1] if found else None
        if last is not None and last.to_time == part.from_time and last.value == value:
            found[-1] = last._replace(to_time=part.to_time)
        else:
            found.append(Run(part.from_time, part.to_time, part.terms, value))
    return found


def place_of(parts: Sequence[Stretch], instant: datetime) -> int:
    """Return which stretch holds an instant; -1 if none does."""
    place = bisect_right(parts, instant, key=lambda part: part.from_time) - 1
    return place if place >= 0 and instant < parts[place].to_time else -1
