"""Commands on grants."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import RollOver, SaleTerms
from ledger_service.domain.values import GrantCategory, Money


class RecurrenceTerms(Command, frozen=True):
    """How a grant comes again: every period, so many periods in all (0: for ever), and what rolls over.

    Periods are counted from the grant's effective time, or from `anchor_time`: then the first grant covers what is
    left of the period that holds its effective time.
    """

    period: str
    zone: str = "UTC"
    period_count: int = 0
    roll_over: RollOver | None = None
    anchor_time: datetime | None = None


class GrantCredits(Command, frozen=True):
    """Issue credit to a wallet.

    `books`, entities/{entity}, is given where the entity that sells it has said in which currency its books are.
    """

    wallet: str
    amount_units: int
    category: GrantCategory
    priority: int = 0
    scope: tuple[str, ...] = ()
    effective_time: datetime | None = None
    expire_time: datetime | None = None
    consideration: Money | None = None
    contract: str = ""
    reference: str = ""
    purchase_version: int = 0
    recurrence: RecurrenceTerms | None = None
    compensates_version: int = 0
    pending: bool = False
    finance: SaleTerms | None = None
    books: str = ""


class RevokeGrant(Command, frozen=True):
    """Withdraw the unheld rest of a grant, or only so many units of it; with `goes_on` the rest and not the grant."""

    wallet: str
    grant_version: int
    reason: str = ""
    amount_units: int = 0
    goes_on: bool = False


class RefundGrant(Command, frozen=True):
    """Withdraw unheld units of a paid grant and owe their cost basis back; 0: all of them.

    Their part of the tax goes back as well, or what is stated of it.
    """

    wallet: str
    grant_version: int
    amount_units: int = 0
    paid: bool = False
    exchange_rate: str = ""
    tax: Money | None = None


class ExtendGrant(Command, frozen=True):
    """Let a lot live longer; None: for ever."""

    wallet: str
    grant_version: int
    expire_time: datetime | None = None
