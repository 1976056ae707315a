"""Identity of what payments bring about; see `identity`."""

from __future__ import annotations

from ledger_service.domain.commands import RequestTopUp
from ledger_service.domain.events import (
    GrantActivated,
    GrantChargedBack,
    SaleTerms,
    TopUpRequested,
    TopUpSettled,
)
from ledger_service.domain.identity_of_agreements import Identity, fields
from ledger_service.domain.values import Money


def top_up_fields(top_up: RequestTopUp | TopUpRequested, *without: str) -> Identity:
    """Return what was asked for, and on which terms."""
    asked = fields(top_up, *without, "finance") | {"scope": sorted(top_up.scope)}
    terms = fields(top_up.finance or SaleTerms(), "resolved")
    return asked | {f"finance.{name}": value for name, value in terms.items()}


def charged_back_amount(event: GrantChargedBack) -> Money:
    """Return what the bank took back, tax included."""
    tax_nanos = event.tax.nanos if event.tax is not None else 0
    return Money(event.amount.currency_code, event.amount.nanos + tax_nanos)


def recorded_payment(event: GrantActivated | TopUpRequested | TopUpSettled) -> Identity:
    """Return what made the command that the event answers, beside its stream."""
    match event:
        case GrantActivated():
            return fields(event, "lot")
        case TopUpRequested():
            own = ("zone", "automatic", "day_end_time", "month_end_time")
            return top_up_fields(event, *own)
        case TopUpSettled():
            return fields(event, "retry_time")
