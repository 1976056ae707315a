"""Which decision answers a command on breakage pools, accounting periods and entities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ledger_service.domain.commands import (
    CloseAccountingPeriod,
    CreateBreakagePool,
    LockAccountingPeriod,
    RevisePoolEstimate,
    SetExchangeRate,
    SetFunctionalCurrency,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.finance.entity_books import (
    EntityBooks,
    set_exchange_rate,
    set_functional_currency,
)
from ledger_service.domain.finance.periods import AccountingPeriods, close_period, lock_period
from ledger_service.domain.finance.pool import BreakagePool, create_pool, revise_pool

FINANCE_COMMANDS: Final = (
    CreateBreakagePool,
    RevisePoolEstimate,
    LockAccountingPeriod,
    CloseAccountingPeriod,
    SetFunctionalCurrency,
    SetExchangeRate,
)
FinanceCommand = (
    CreateBreakagePool
    | RevisePoolEstimate
    | LockAccountingPeriod
    | CloseAccountingPeriod
    | SetFunctionalCurrency
    | SetExchangeRate
)


def stream_of(command: FinanceCommand) -> str:
    """Return the one stream that the command touches."""
    if isinstance(command, CreateBreakagePool | RevisePoolEstimate):
        return command.pool
    if isinstance(command, SetFunctionalCurrency | SetExchangeRate):
        return command.entity
    return command.period


def decide_finance(states: Mapping[str, object], command: FinanceCommand, now: datetime) -> list[Draft]:
    """Return the events that the command causes. Raises Refusal."""
    state = states[stream_of(command)]
    if isinstance(command, CreateBreakagePool | RevisePoolEstimate):
        assert state is None or isinstance(state, BreakagePool)
        if isinstance(command, CreateBreakagePool):
            return create_pool(state, command, now)
        return revise_pool(state, command, now)
    if isinstance(command, SetFunctionalCurrency | SetExchangeRate):
        assert state is None or isinstance(state, EntityBooks)
        if isinstance(command, SetFunctionalCurrency):
            return set_functional_currency(state, command, now)
        return set_exchange_rate(state, command)
    assert state is None or isinstance(state, AccountingPeriods)
    if isinstance(command, LockAccountingPeriod):
        return lock_period(state, command, now)
    return close_period(state, command, now)
