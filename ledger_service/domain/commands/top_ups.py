"""Commands on top-ups and on grants that wait for a payment."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import FinanceTerms, SaleTerms, TopUpOutcome
from ledger_service.domain.values import Money


class ActivateGrant(Command, frozen=True):
    """The payment that a grant waited for came.

    `books`, entities/{entity}, is given where the entity that sells it has said in which currency its books are;
    `finance` are the terms of its sale at the receipt.
    """

    wallet: str
    grant_version: int
    books: str = ""
    finance: FinanceTerms | None = None


class RequestTopUp(Command, frozen=True):
    """Ask for credit at a price of its own; it is granted when the payment succeeds.

    `books_currency` is that of the books in which it will be sold, as far as it is known: terms are checked by it.
    """

    wallet: str
    amount_units: int
    price: Money
    valid_for: str = ""
    expire_time: datetime | None = None
    priority: int = 0
    scope: tuple[str, ...] = ()
    reference: str = ""
    finance: SaleTerms | None = None
    books_currency: str = ""


class SettleTopUp(Command, frozen=True):
    """Say how a top-up's payment went, and what is known of the sale only since.

    `books`, entities/{entity}, is given where the entity that sells has said in which currency its books are; `finance`
    is what follows from them and from the terms of the request.
    """

    wallet: str
    top_up_version: int
    outcome: TopUpOutcome
    payment_reference: str = ""
    failure_reason: str = ""
    tax: Money | None = None
    exchange_rate: str = ""
    books: str = ""
    finance: SaleTerms | None = None

    @property
    def succeeded(self) -> bool:
        """Return whether the payment came."""
        return self.outcome is TopUpOutcome.SUCCEEDED
