"""Which decision answers a command on breakage pools and accounting periods, and which sales go into a pool."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from ledger_service.domain.commands import (
    CloseAccountingPeriod,
    CreateBreakagePool,
    GrantCredits,
    LockAccountingPeriod,
    OpenWallet,
    RequestTopUp,
    RevisePoolEstimate,
    SaleTerms,
    UpdateWallet,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import AutoTopUp
from ledger_service.domain.finance.periods import AccountingPeriods, close_period, lock_period
from ledger_service.domain.finance.pool import BreakagePool, check_member, create_pool, revise_pool

FINANCE_COMMANDS: Final = (
    CreateBreakagePool,
    RevisePoolEstimate,
    LockAccountingPeriod,
    CloseAccountingPeriod,
)
POOLED: Final = frozenset({GrantCredits, RequestTopUp, UpdateWallet})
"""Commands on a wallet that may sell into a pool."""
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


class Sale(NamedTuple):
    """A sale on terms: what it is paid in, and where the terms are said."""

    terms: SaleTerms
    currency_code: str
    field: str


def pool_of(command: object) -> str:
    """Return the pool that the terms of a sale in a command name; empty for none."""
    sale = _sale_of(command)
    return sale.terms.pool if sale is not None else ""


def check_pool(states: Mapping[str, object], command: object) -> None:
    """Refuse a sale into a pool that cannot take it. Raises BreakagePoolNotFound, BreakagePoolMismatch.

    A pool is there for ever, so that a top-up which was asked for into it finds it when it is paid.
    """
    sale = _sale_of(command)
    if sale is None or not sale.terms.pool:
        return
    pool = states[sale.terms.pool]
    assert pool is None or isinstance(pool, BreakagePool)
    check_member(
        pool,
        sale.terms.pool,
        currency_code=sale.terms.functional_currency or sale.currency_code,
        entity=sale.terms.entity,
        field=f"{sale.field}.pool",
    )


def _sale_of(command: object) -> Sale | None:
    match command:
        case GrantCredits(finance=SaleTerms() as terms, consideration=paid):
            return Sale(terms, paid.currency_code if paid is not None else "", "grant.finance")
        case RequestTopUp(finance=SaleTerms() as terms, price=price):
            return Sale(terms, price.currency_code, "top_up.finance")
        case OpenWallet(rules=rules) if rules.auto_top_up is not None:
            return _sale_of_rule(rules.auto_top_up)
        case UpdateWallet(rules=rules, paths=paths) if rules.auto_top_up is not None:
            told = not {"rules", "rules.auto_top_up"}.isdisjoint(paths)
            return _sale_of_rule(rules.auto_top_up) if told else None
        case _:
            return None


def _sale_of_rule(rule: AutoTopUp) -> Sale | None:
    if rule.finance is None:
        return None
    return Sale(rule.finance, rule.price.currency_code, "wallet.rules.auto_top_up.finance")
