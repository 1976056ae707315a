"""Which decision answers a command on breakage pools and accounting periods."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from ledger_service.domain.commands import (
    CloseAccountingPeriod,
    CreateBreakagePool,
    GrantCredits,
    LockAccountingPeriod,
    RevisePoolEstimate,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.finance.periods import AccountingPeriods, close_period, lock_period
from ledger_service.domain.finance.pool import BreakagePool, check_member, create_pool, revise_pool

FINANCE_COMMANDS: Final = (
    CreateBreakagePool,
    RevisePoolEstimate,
    LockAccountingPeriod,
    CloseAccountingPeriod,
)
FinanceCommand = CreateBreakagePool | RevisePoolEstimate | LockAccountingPeriod | CloseAccountingPeriod


def stream_of(command: FinanceCommand) -> str:
    """Return the one stream that the command touches."""
    if isinstance(command, CreateBreakagePool | RevisePoolEstimate):
        return command.pool
    return command.period


def decide_finance(states: Mapping[str, object], command: FinanceCommand, now: datetime) -> list[Draft]:
    """Return the events that the command causes. Raises Refusal."""
    state = states[stream_of(command)]
    if isinstance(command, CreateBreakagePool | RevisePoolEstimate):
        assert state is None or isinstance(state, BreakagePool)
        if isinstance(command, CreateBreakagePool):
            return create_pool(state, command, now)
        return revise_pool(state, command, now)
    assert state is None or isinstance(state, AccountingPeriods)
    if isinstance(command, LockAccountingPeriod):
        return lock_period(state, command, now)
    return close_period(state, command, now)


def check_pool(states: Mapping[str, object], command: GrantCredits) -> None:
    """Refuse a grant into a pool that cannot take it. Raises BreakagePoolNotFound, BreakagePoolMismatch."""
    terms = command.finance
    if terms is None or not terms.pool:
        return
    pool = states[terms.pool]
    assert pool is None or isinstance(pool, BreakagePool)
    paid = command.consideration.currency_code if command.consideration is not None else ""
    currency = terms.functional_currency if terms.exchange_rate else paid
    check_member(pool, terms.pool, currency_code=currency, entity=terms.entity)
