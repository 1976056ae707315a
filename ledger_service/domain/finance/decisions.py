"""Which decision answers a command on breakage pools, accounting periods and entities."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from ledger_service.domain.commands import (
    CloseAccountingPeriod,
    CreateBreakagePool,
    GrantCredits,
    LockAccountingPeriod,
    RevisePoolEstimate,
    SaleTerms,
    SetExchangeRate,
    SetFunctionalCurrency,
    SettleTopUp,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.finance.entity_books import (
    EntityBooks,
    set_exchange_rate,
    set_functional_currency,
    sold_by,
)
from ledger_service.domain.finance.periods import AccountingPeriods, close_period, lock_period
from ledger_service.domain.finance.pool import BreakagePool, check_member, create_pool, revise_pool
from ledger_service.domain.wallet.payments import find_open
from ledger_service.domain.wallet.state import Wallet

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


def with_entity(
    states: Mapping[str, object], wallet: Wallet, command: GrantCredits | SettleTopUp, now: datetime
) -> GrantCredits | SettleTopUp:
    """Return a sale that says which entity sells it and, in a foreign currency, at which rate.

    Raises ExchangeRateRequired, FieldMalformed.
    """
    instant = now
    if isinstance(command, GrantCredits):
        price, instant = command.consideration, command.effective_time or now
    else:
        top_up = find_open(wallet.payments, command.top_up_version)
        price = top_up.requested.price if top_up is not None and command.succeeded else None
    if price is None:
        return command
    books = states[command.books] if command.books else None
    assert books is None or isinstance(books, EntityBooks)
    asked = command.finance or SaleTerms()
    terms = sold_by(wallet.entity, books, asked, currency_code=price.currency_code, instant=instant)
    return command if terms == asked else msgspec.structs.replace(command, finance=terms)


def check_pool(states: Mapping[str, object], command: GrantCredits | SettleTopUp) -> None:
    """Refuse a grant into a pool that cannot take it. Raises BreakagePoolNotFound, BreakagePoolMismatch."""
    terms = command.finance
    if terms is None or not terms.pool or isinstance(command, SettleTopUp):
        return
    pool = states[terms.pool]
    assert pool is None or isinstance(pool, BreakagePool)
    paid = command.consideration.currency_code if command.consideration is not None else ""
    currency = terms.functional_currency if terms.exchange_rate else paid
    check_member(pool, terms.pool, currency_code=currency, entity=terms.entity)
