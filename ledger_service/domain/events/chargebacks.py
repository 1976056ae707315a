"""What is recorded of purchases whose payment the bank took back."""

from __future__ import annotations

from ledger_service.domain.record import Record
from ledger_service.domain.values import Money


class GrantChargedBack(Record, frozen=True):
    """The bank took a payment back. Unheld units were withdrawn; what they do not cover is owed by the customer.

    amount = cost basis of the units withdrawn + receivable. `whole` says that all the consideration was taken
    back that the grant still had: then the grant has ended, and whatever returns to it is withdrawn too.
    `tax` was taken back beside the amount, and `tax_receivable` of it is owed by the customer still: the state keeps
    it, for the credit was used. None: no tax.
    """

    grant_version: int
    amount: Money
    revoked_units: int
    receivable: Money
    granted_units: int
    whole: bool = True
    reference: str = ""
    tax: Money | None = None
    tax_receivable: Money | None = None


class ReceivableLowered(Record, frozen=True):
    """Units came back to a grant that was charged back: they were withdrawn, and less is owed for it.

    `tax` is owed less beside the reduction, and the state owes it back; None: no tax.
    """

    grant_version: int
    amount_units: int
    reduction: Money
    tax: Money | None = None
