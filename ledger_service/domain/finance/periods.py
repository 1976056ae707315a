"""Accounting periods: [from_day, to_day), closed in order and never reopened.

A period is closed by two facts. From the position of the first one on nothing is posted to it any more, so its
figures are fixed while the ledger goes on; the second one holds their hash. An entry that counts in a closed period
is posted on the first day after it. Between the two facts the period is locked; closing it again goes on from there.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import msgspec

from ledger_service.domain.commands import CloseAccountingPeriod, LockAccountingPeriod
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import AccountingPeriodClosed, AccountingPeriodLocked, Event, Fact
from ledger_service.domain.refusals import (
    PeriodAlreadyClosed,
    PeriodNotOver,
    PeriodOutOfOrder,
    TimesOutOfOrder,
)


class AccountingPeriods(msgspec.Struct, frozen=True):
    """The periods of an entity that take nothing any more."""

    open_day: date
    """First day after all locked periods."""
    from_day: date
    """First day of the latest of them."""
    version: int
    """Of the latest lock."""
    closed: bool = False


def lock_period(
    periods: AccountingPeriods | None, command: LockAccountingPeriod, now: datetime
) -> list[Draft]:
    """Return the lock. Raises PeriodAlreadyClosed, PeriodOutOfOrder, PeriodNotOver, TimesOutOfOrder."""
    if command.to_day <= command.from_day:
        raise TimesOutOfOrder("to_time must lie after from_time", field="to_time")
    if periods is not None:
        _check_order(periods, command)
    end = datetime.combine(command.to_day, time(), UTC)
    if now < end:
        raise PeriodNotOver(f"the period lasts until {command.to_day}", field="to_time")
    event = AccountingPeriodLocked(command.from_day, command.to_day)
    return [Draft(command.period, event, now, answers=True)]


def close_period(
    periods: AccountingPeriods | None, command: CloseAccountingPeriod, now: datetime
) -> list[Draft]:
    """Return the closing of the period that is locked. Raises PeriodAlreadyClosed."""
    assert periods is not None, "a period is locked before it is closed"
    if periods.closed or periods.open_day != command.to_day:
        raise PeriodAlreadyClosed(f"the period from {command.from_day} was closed before", field="from_time")
    event = AccountingPeriodClosed(
        command.from_day, command.to_day, command.locked_position, command.figures_hash
    )
    return [Draft(command.period, event, now, answers=True)]


def evolve_periods(periods: AccountingPeriods | None, fact: Fact[Event], version: int) -> AccountingPeriods:
    """Return the state after an event of the entity's stream."""
    match fact.event:
        case AccountingPeriodLocked(from_day=from_day, to_day=to_day):
            return AccountingPeriods(to_day, from_day, version)
        case AccountingPeriodClosed():
            assert periods is not None, "a period is locked before it is closed"
            return msgspec.structs.replace(periods, closed=True)
        case _:
            raise AssertionError(f"{type(fact.event).__name__} is not an event of accounting periods")


def _check_order(periods: AccountingPeriods, command: LockAccountingPeriod) -> None:
    if command.from_day < periods.open_day:
        raise PeriodAlreadyClosed(
            f"everything before {periods.open_day} is closed; no period is reopened", field="from_time"
        )
    if not periods.closed:
        raise PeriodOutOfOrder(
            f"the period from {periods.from_day} is locked and has to be closed first", field="from_time"
        )
    if command.from_day != periods.open_day:
        raise PeriodOutOfOrder(
            f"the next period begins on {periods.open_day}, where the last one ended", field="from_time"
        )
