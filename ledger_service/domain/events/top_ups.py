"""What is recorded of payments that credit waits for: grants that wait for one, and top-ups."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

from ledger_service.domain.events.finance import SaleTerms
from ledger_service.domain.events.grants import LotTerms
from ledger_service.domain.record import Record
from ledger_service.domain.values import Money


class TopUpOutcome(Enum):
    """How a top-up ended."""

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class GrantActivated(Record, frozen=True):
    """The payment that a grant waited for came; its lot begins now, or when the grant itself does if that is later."""

    grant_version: int
    lot: LotTerms


class TopUpRequested(Record, frozen=True):
    """Credit is to be bought: somebody is to charge the price and say how it went. Named by this event's version.

    Of an automatic one, the day and the month that it counts in end at the instants given. `finance` is what its
    grant will be sold on, but for what its payment tells.
    """

    amount_units: int
    price: Money
    valid_for: str = ""
    zone: str = "UTC"
    expire_time: datetime | None = None
    priority: int = 0
    scope: tuple[str, ...] = ()
    reference: str = ""
    automatic: bool = False
    day_end_time: datetime | None = None
    month_end_time: datetime | None = None
    finance: SaleTerms | None = None


class TopUpSettled(Record, frozen=True):
    """A top-up ended; on success the next event is its grant.

    After an automatic one that did not succeed, the next is not requested before `retry_time`. `tax` and
    `exchange_rate` are what was stated of them with the payment.
    """

    top_up_version: int
    outcome: TopUpOutcome
    payment_reference: str = ""
    failure_reason: str = ""
    retry_time: datetime | None = None
    tax: Money | None = None
    exchange_rate: str = ""
