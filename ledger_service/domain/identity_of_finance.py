"""Identity of what finance is told; see `identity`."""

from __future__ import annotations

from ledger_service.domain.commands import (
    DeclareBreakageRemote,
    RecordEscheat,
    ReviseBreakageEstimate,
    SaleTerms,
)
from ledger_service.domain.events import (
    BreakageDeclaredRemote,
    BreakageEstimateRevised,
    ConsiderationEscheated,
    FinanceTerms,
    RefundSettled,
)
from ledger_service.domain.identity_of_agreements import Identity, fields
from ledger_service.domain.values import Money

FinanceEvent = BreakageEstimateRevised | BreakageDeclaredRemote | ConsiderationEscheated | RefundSettled


def identity_of_finance(
    command: ReviseBreakageEstimate | DeclareBreakageRemote | RecordEscheat,
) -> Identity:
    """Return what makes the command itself, beside its stream."""
    if isinstance(command, RecordEscheat):
        return fields(command, "wallet", "recorded")
    return fields(command, "wallet") | {"grant_versions": tuple(sorted(command.grant_versions))}


def recorded_finance(event: FinanceEvent) -> Identity:
    """Return the same of the event that answered."""
    if isinstance(event, RefundSettled):
        return fields(event, "grant_version", "refund", "exchange_rate")
    return fields(event, "expected_of_units")


def identity_of_sale(consideration: Money | None, terms: SaleTerms | FinanceTerms | None) -> Identity:
    """Return price and terms of a sale. What was allocated in between follows from what was asked."""
    if terms is None or terms == SaleTerms():
        return {"consideration": consideration}
    if terms.bundle and isinstance(terms, FinanceTerms) and consideration is not None:
        nanos = consideration.nanos + sum(each.amount.nanos for each in terms.bundle)
        consideration = Money(consideration.currency_code, nanos)
    own = ("standalone_price", "bundle", "functional_currency", "expected_of_units")
    bundle = [(each.product, each.from_time, each.to_time) for each in terms.bundle]
    named = {f"finance.{name}": value for name, value in fields(terms, *own).items()}
    return {"consideration": consideration} | named | {"finance.bundle": bundle}
