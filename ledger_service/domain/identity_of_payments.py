"""Identity of what payments bring about, and of withdrawals; see `identity`."""

from __future__ import annotations

from ledger_service.domain.commands import RefundGrant, RequestTopUp, RevokeGrant
from ledger_service.domain.events import (
    GrantActivated,
    GrantChargedBack,
    GrantRefunded,
    GrantRevoked,
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


def withdrawal(command: RevokeGrant | RefundGrant) -> Identity:
    """Return what is to be withdrawn."""
    match command:
        case RevokeGrant():
            return fields(command, "wallet", "goes_on") | _going_on(goes_on=command.goes_on)
        case RefundGrant():
            # A tax that is not stated follows from the rest.
            return fields(command, "wallet", *(() if command.tax is not None else ("tax",)))


def recorded_withdrawal(event: GrantRevoked | GrantRefunded) -> Identity:
    """Return what was asked to be withdrawn; how much all of it came to was not asked."""
    match event:
        case GrantRevoked():
            units = event.amount_units if event.partial and not event.rest else 0
            asked = fields(event, "clawback", "pending", "partial", "rest") | {"amount_units": units}
            return asked | _going_on(goes_on=event.rest)
        case GrantRefunded():
            return fields(event, "refund") | {"tax": event.tax or Money(event.refund.currency_code, 0)}


def _going_on(*, goes_on: bool) -> Identity:
    # Only where it is asked for, so that the fingerprints of other revocations stay what they are.
    return {"goes_on": ("goes_on", goes_on)} if goes_on else {}
