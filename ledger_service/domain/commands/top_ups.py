"""Commands on top-ups and on grants that wait for a payment."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands.base import Command
from ledger_service.domain.commands.finance import SaleTerms
from ledger_service.domain.events import TopUpOutcome
from ledger_service.domain.values import Money


class ActivateGrant(Command, frozen=True):
    """The payment that a grant waited for came."""

    wallet: str
    grant_version: int


class RequestTopUp(Command, frozen=True):
    """Ask for credit at a price of its own; it is granted when the payment succeeds."""

    wallet: str
    amount_units: int
    price: Money
    valid_for: str = ""
    expire_time: datetime | None = None
    priority: int = 0
    scope: tuple[str, ...] = ()
    reference: str = ""


class SettleTopUp(Command, frozen=True):
    """Say how a top-up's payment went.

    `books`, entities/{entity}, is given where the wallet's entity has said in which currency its books are; `finance`
    is what follows from them.
    """

    wallet: str
    top_up_version: int
    outcome: TopUpOutcome
    payment_reference: str = ""
    failure_reason: str = ""
    books: str = ""
    finance: SaleTerms | None = None

    @property
    def succeeded(self) -> bool:
        """Return whether the payment came."""
        return self.outcome is TopUpOutcome.SUCCEEDED
