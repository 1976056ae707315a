"""Tax right: what of the sales tax that was received with a grant goes back with units of it.

Tax is owed to the state for what was sold, and the right to have it back travels with the consideration: units that are
paid back give their tax back, and units that move to another wallet take it along. Of tax T for N units, U units that
were paid back or moved on stand for floor(T x U / N) in all: cumulative, so that no split gains or loses a nano, all
units together for exactly T, and nothing ever for more. Where the price paid for other things as well (a bundle), T is
the credit's part of the tax, by the parts of the price and rounded down; who knows that it was another one states the
tax, at most what is left of all of it. Units that were used, expired or were revoked keep theirs with the state.

What a bank takes back counts as given back whether or not the units did come back; what of it is still owed by the
customer is kept beside (`owed_tax`).
"""

from __future__ import annotations

import msgspec

from ledger_service.domain.events import FinanceTerms
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.cost_basis import Moved
from ledger_service.domain.wallet.state import Wallet


class TaxRight(msgspec.Struct, frozen=True):
    """The tax of a lot, the credit's part of it, and what has gone of it so far with how many units."""

    tax: Money
    credit_nanos: int
    granted_units: int
    gone_units: int
    gone_nanos: int

    @property
    def left_nanos(self) -> int:
        """Return what of all the tax has not gone."""
        return max(self.tax.nanos - self.gone_nanos, 0)

    @property
    def credit_left_nanos(self) -> int:
        """Return what of the credit's part has not gone."""
        return max(self.credit_nanos - self.gone_nanos, 0)

    def due_nanos(self, units: int) -> int:
        """Return what goes with the next so many units that are paid back or move on."""
        due = self.credit_nanos * (self.gone_units + units) // self.granted_units
        return max(min(due, self.credit_nanos) - self.gone_nanos, 0)

    def due(self, units: int) -> Money | None:
        """Return the same as money, None for nothing."""
        nanos = self.due_nanos(units)
        return Money(self.tax.currency_code, nanos) if nanos else None


def tax_right(
    wallet: Wallet,
    grant_version: int,
    consideration: Money,
    granted_units: int,
    finance: FinanceTerms | None,
) -> TaxRight:
    """Return the tax of a grant's lot and what has gone of it; nothing for a grant without tax."""
    tax = finance.tax if finance is not None else None
    items_nanos = sum(item.amount.nanos for item in finance.bundle) if finance is not None else 0
    price_nanos = consideration.nanos + items_nanos
    received = tax or Money(consideration.currency_code, 0)
    return TaxRight(
        tax=received,
        credit_nanos=received.nanos * consideration.nanos // price_nanos if items_nanos else received.nanos,
        granted_units=granted_units,
        gone_units=wallet.refunded_units.get(grant_version, 0)
        + wallet.moved.get(grant_version, Moved()).amount_units,
        gone_nanos=wallet.gone_tax.get(grant_version, 0),
    )


def tax_owed_after(owed_nanos: int, *, receivable_nanos: int, reduction_nanos: int) -> int:
    """Return what tax a customer owes still when so much less of a receivable is owed: its share, rounded down."""
    if not receivable_nanos:
        return 0
    return owed_nanos * (receivable_nanos - reduction_nanos) // receivable_nanos
