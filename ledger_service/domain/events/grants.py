"""What is recorded of grants and of what becomes of their lots."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.events.finance import FinanceTerms
from ledger_service.domain.record import Record
from ledger_service.domain.values import GrantCategory, Money


class RollOver(Record, frozen=True):
    """What moves on at a lot's expiry: min(cap, floor(percent of the rest), the rest), so many times."""

    percent: str
    times_left: int
    cap_units: int | None = None


class Recurrence(Record, frozen=True):
    """A grant issued anew every period, in the calendar of a zone; None of periods left means for ever.

    Periods are counted from `anchor_time`: the first grant's own effective time, or an instant that was asked for, of
    which `periods_before` whole periods lie before the first; only that has it.
    """

    period: str
    anchor_time: datetime
    zone: str = "UTC"
    number: int = 1
    periods_left: int | None = None
    roll_over: RollOver | None = None
    periods_before: int | None = None


class CreditsGranted(Record, frozen=True):
    """Credit was issued; its lot may be drawn in [effective time, expire_time).

    `purchase_version` names the paid grant that a bonus came with. A recurring grant expires at the end of its
    period, where the next one is issued by the passing of time alone; `series_version` names the first.
    `compensates_version` names the debit for which a goodwill grant makes up. A pending one waits for its
    payment; `top_up_version` names the top-up that paid for it.
    """

    amount_units: int
    category: GrantCategory
    priority: int = 0
    scope: tuple[str, ...] = ()
    expire_time: datetime | None = None
    consideration: Money | None = None
    contract: str = ""
    reference: str = ""
    purchase_version: int = 0
    recurrence: Recurrence | None = None
    series_version: int = 0
    compensates_version: int = 0
    pending: bool = False
    top_up_version: int = 0
    finance: FinanceTerms | None = None


class LotTerms(Record, frozen=True):
    """The terms of a lot: as its grant has them, unless it was extended."""

    category: GrantCategory
    priority: int
    granted_units: int
    effective_time: datetime
    expire_time: datetime | None = None
    scope: tuple[str, ...] = ()
    consideration: Money | None = None
    purchase_version: int = 0
    recurrence: Recurrence | None = None
    series_version: int = 0
    finance: FinanceTerms | None = None


class GrantRevoked(Record, frozen=True):
    """Unheld units of a grant were withdrawn: all of them, or as a clawback a refunded purchase's part of its bonus.

    Of a pending grant nothing was issued, and so nothing is withdrawn. With `partial` the grant goes on: only so many
    units were withdrawn, or with `rest` all that were not held.
    """

    grant_version: int
    amount_units: int
    reason: str = ""
    clawback: bool = False
    pending: bool = False
    partial: bool = False
    rest: bool = False


class GrantRefunded(Record, frozen=True):
    """Unheld units of a paid grant were withdrawn, and their cost basis is owed back.

    The refunds of a grant add up to the floor of consideration x refunded units / granted units. `paid` says that it
    was paid at once. `exchange_rate` is what one unit of its currency is worth now, for a sale in a foreign one.
    `tax` goes back beside the refund, and is paid with it; None: no tax.
    """

    grant_version: int
    amount_units: int
    refund: Money
    paid: bool = False
    exchange_rate: str = ""
    tax: Money | None = None


class GrantExpiryExtended(Record, frozen=True):
    """A lot lives longer; None means for ever."""

    grant_version: int
    expire_time: datetime | None = None


class CreditsRolledOver(Record, frozen=True):
    """At a lot's expiry part of its rest moved into a new lot of the same terms, named by this event's version."""

    grant_version: int
    amount_units: int
    lot: LotTerms
    recurrence: Recurrence


class CreditsExpired(Record, frozen=True):
    """Time ended a lot; what was left in it is gone. The effective time is the exact instant of expiry.

    A pending grant lapses with no units, for it had issued none.
    """

    grant_version: int
    amount_units: int
    pending: bool = False
