"""Identity of what finance is told; see `identity`."""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_service.domain.commands import (
    CloseAccountingPeriod,
    CreateBreakagePool,
    DeclareBreakageRemote,
    LockAccountingPeriod,
    RecordEscheat,
    ReviseBreakageEstimate,
    RevisePoolEstimate,
    SaleTerms,
    SetExchangeRate,
    SetFunctionalCurrency,
    SettleRefund,
)
from ledger_service.domain.events import (
    AccountingPeriodClosed,
    AccountingPeriodLocked,
    BreakageDeclaredRemote,
    BreakageEstimateRevised,
    BreakagePoolCreated,
    ConsiderationEscheated,
    ExchangeRateSet,
    FinanceTerms,
    FunctionalCurrencySet,
    PoolEstimateRevised,
    RefundSettled,
)
from ledger_service.domain.identity_of_agreements import Identity, fields
from ledger_service.domain.values import Money

FINANCE_COMMANDS: Final = (
    ReviseBreakageEstimate,
    DeclareBreakageRemote,
    RecordEscheat,
    SettleRefund,
    CreateBreakagePool,
    RevisePoolEstimate,
    LockAccountingPeriod,
    CloseAccountingPeriod,
    SetFunctionalCurrency,
    SetExchangeRate,
)
FINANCE_EVENTS: Final = (
    BreakageEstimateRevised,
    BreakageDeclaredRemote,
    ConsiderationEscheated,
    RefundSettled,
    BreakagePoolCreated,
    PoolEstimateRevised,
    AccountingPeriodLocked,
    AccountingPeriodClosed,
    FunctionalCurrencySet,
    ExchangeRateSet,
)
FinanceCommand = (
    ReviseBreakageEstimate
    | DeclareBreakageRemote
    | RecordEscheat
    | SettleRefund
    | CreateBreakagePool
    | RevisePoolEstimate
    | LockAccountingPeriod
    | CloseAccountingPeriod
    | SetFunctionalCurrency
    | SetExchangeRate
)
FinanceEvent = (
    BreakageEstimateRevised
    | BreakageDeclaredRemote
    | ConsiderationEscheated
    | RefundSettled
    | BreakagePoolCreated
    | PoolEstimateRevised
    | AccountingPeriodLocked
    | AccountingPeriodClosed
    | FunctionalCurrencySet
    | ExchangeRateSet
)


def identity_of_finance(command: FinanceCommand) -> Identity:
    """Return what makes the command itself, beside its stream."""
    match command:
        case ReviseBreakageEstimate() | DeclareBreakageRemote():
            return fields(command, "wallet") | {"grant_versions": tuple(sorted(command.grant_versions))}
        case RecordEscheat():
            return fields(command, "wallet", "recorded")
        case SettleRefund():
            return fields(command, "wallet")
        case CreateBreakagePool() | RevisePoolEstimate():
            return fields(command, "pool")
        case LockAccountingPeriod():
            return fields(command, "period")
        case CloseAccountingPeriod():
            return fields(command, "period", "locked_position", "figures_hash")
        case SetFunctionalCurrency() | SetExchangeRate():
            return fields(command, "entity")


def recorded_finance(event: FinanceEvent) -> Identity:
    """Return the same of the event that answered."""
    match event:
        case BreakageEstimateRevised():
            return fields(event, "expected_of_units")
        case RefundSettled():
            return fields(event, "grant_version", "refund", "exchange_rate", "tax")
        case AccountingPeriodClosed():
            return fields(event, "locked_position", "figures_hash")
        case _:
            return fields(event)


def identity_of_sale(consideration: Money | None, terms: SaleTerms | FinanceTerms | None) -> Identity:
    """Return price and terms of a sale. What was allocated in between follows from what was asked."""
    if isinstance(terms, FinanceTerms):
        terms = _asked(terms)
    if terms is None or terms in (SaleTerms(), FinanceTerms()):
        return {"consideration": consideration}
    if isinstance(terms, FinanceTerms) and consideration is not None:
        nanos = consideration.nanos + sum(each.amount.nanos for each in terms.bundle)
        consideration = Money(consideration.currency_code, nanos)
    own = ("standalone_price", "bundle", "functional_currency", "expected_of_units", "resolved")
    bundle = [(each.product, each.from_time, each.to_time) for each in terms.bundle]
    named = {f"finance.{name}": value for name, value in fields(terms, *own).items()}
    return {"consideration": consideration} | named | {"finance.bundle": bundle}


def _asked(terms: FinanceTerms) -> FinanceTerms:
    """Return terms of a sale without what its wallet and its entity's rates said."""
    if not terms.resolved:
        return terms
    without = dict.fromkeys((*terms.resolved, "functional_currency"), "")
    return msgspec.structs.replace(terms, **without, resolved=())
