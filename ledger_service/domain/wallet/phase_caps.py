"""The spend cap that a contract's phase brings to its wallet, for as long as the phase lasts.

It counts as the wallet's own caps do: by record time, in the calendar of the contract's cycle. Consecutive phases
with caps of one period, zone and anchor are one run, in which the count goes on though the amount changes; a run
begins at 0. Its present period begins with the run or with the calendar's period, whichever is later. What is in
force follows from the policies and the instant alone, so nothing has to be recorded where a phase begins.
A reversal of a debit from before the run was agreed (of a contract that was signed for the past) gives back what
was never counted, but never more than was used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ledger_service.domain.calendar import period_at
from ledger_service.domain.events import Budget, SpendCap


class PhasePolicy(msgspec.Struct, frozen=True, gc=False):
    """What is agreed from an instant on: a phase of a contract and its cap, or nothing where the phase is empty."""

    from_time: datetime
    contract_phase: str
    spend_cap: SpendCap | None


class AgreedCap(msgspec.Struct, frozen=True, gc=False):
    """A phase's cap over [from_time, to_time); its run began at `run_time`. No `to_time` means without end."""

    contract_phase: str
    terms: Budget
    run_time: datetime
    from_time: datetime
    to_time: datetime | None = None


class PhaseCount(msgspec.Struct, frozen=True, gc=False):
    """What was used of the cap in force, in its period [from_time, to_time)."""

    contract_phase: str
    terms: Budget
    from_time: datetime
    to_time: datetime
    used_units: int = 0


def agreed_caps(policies: Sequence[PhasePolicy]) -> tuple[AgreedCap, ...]:
    """Return the caps that policies bring, each until the next policy; policies are by from_time ascending."""
    found: list[AgreedCap] = []
    for at, policy in enumerate(policies):
        to_time = policies[at + 1].from_time if at + 1 < len(policies) else None
        if policy.spend_cap is None or policy.from_time == to_time:
            continue
        terms = _terms(policy.spend_cap)
        run_time = policy.from_time
        if found and found[-1].to_time == policy.from_time and _is_one_run(found[-1].terms, terms):
            run_time = found[-1].run_time
        found.append(AgreedCap(policy.contract_phase, terms, run_time, policy.from_time, to_time))
    return tuple(found)


def count_at(
    agreed: tuple[AgreedCap, ...], counted: PhaseCount | None, instant: datetime
) -> PhaseCount | None:
    """Return the cap in force at an instant and what was used of it; None without one."""
    for cap in agreed:
        if cap.from_time <= instant and (cap.to_time is None or instant < cap.to_time):
            return _count(cap, counted, instant)
    return None


def _count(cap: AgreedCap, counted: PhaseCount | None, instant: datetime) -> PhaseCount:
    terms = cap.terms
    if (
        counted is not None
        and cap.run_time <= counted.from_time <= instant < counted.to_time
        and _is_one_run(counted.terms, terms)
    ):
        return PhaseCount(cap.contract_phase, terms, counted.from_time, counted.to_time, counted.used_units)
    from_time, to_time = period_at(instant, terms.anchor_time, terms.period, terms.zone)
    return PhaseCount(cap.contract_phase, terms, max(from_time, cap.run_time), to_time)


def _terms(cap: SpendCap) -> Budget:
    return Budget("", cap.amount_units, cap.anchor_time, period=cap.period, zone=cap.zone)


def _is_one_run(before: Budget, after: Budget) -> bool:
    return msgspec.structs.replace(before, amount_units=after.amount_units) == after
