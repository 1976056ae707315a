"""What is recorded for finance: terms of sales beside their prices, estimates, refunds paid, closed periods."""

from __future__ import annotations

from datetime import date, datetime

from ledger_service.domain.record import Record
from ledger_service.domain.values import BreakageMethod, Money


class BundledItem(Record, frozen=True):
    """What was sold with credit at one price: its part of the price, by relative standalone price.

    It is revenue at once, or over [from_time, to_time) evenly by the second.
    """

    product: str
    amount: Money
    from_time: datetime | None = None
    to_time: datetime | None = None


class BundledItemTerms(Record, frozen=True):
    """What is sold with credit at one price, by its standalone price."""

    product: str
    standalone_price: Money
    from_time: datetime | None = None
    to_time: datetime | None = None


class SaleTerms(Record, frozen=True):
    """What finance is told of a sale of credit, as the seller says it: with a grant, a top-up or a rule for top-ups.

    `standalone_price` is that of the credit, if anything is sold with it. A grant keeps what becomes of them: see
    FinanceTerms. `resolved` names what was not asked for but follows from the wallet and its entity's books.
    """

    entity: str = ""
    product: str = ""
    pool: str = ""
    expected_breakage: str = ""
    expected_redeemed_units: int = 0
    bonus_units: int = 0
    tax: Money | None = None
    functional_currency: str = ""
    exchange_rate: str = ""
    standalone_price: Money | None = None
    bundle: tuple[BundledItemTerms, ...] = ()
    resolved: tuple[str, ...] = ()


class FinanceTerms(Record, frozen=True):
    """What finance is told of a paid grant; it travels with the lot.

    `expected_breakage` is the fraction of units never used, decimal text in [0, 1); or the units expected to be used
    are stated, of so many. `bonus_units` of the units were given with the rest, and share its price. `exchange_rate` is
    what one unit of the consideration's currency was worth in `functional_currency` at its receipt, decimal text.
    `resolved` names what was not asked for: the entity is the wallet's, the rate that of its entity's books.
    """

    entity: str = ""
    product: str = ""
    pool: str = ""
    expected_breakage: str = ""
    expected_redeemed_units: int = 0
    expected_of_units: int = 0
    bonus_units: int = 0
    tax: Money | None = None
    functional_currency: str = ""
    exchange_rate: str = ""
    bundle: tuple[BundledItem, ...] = ()
    resolved: tuple[str, ...] = ()


class BreakageEstimateRevised(Record, frozen=True):
    """Of some lots another part is expected never to be used, from now on: a cumulative catch-up.

    Stated as a fraction, or as the units expected to be used of all that were granted with these lots and neither paid
    back nor moved on. What was declared remote of them is so no longer.
    """

    grant_versions: tuple[int, ...]
    expected_breakage: str = ""
    expected_redeemed_units: int = 0
    expected_of_units: int = 0


class BreakageDeclaredRemote(Record, frozen=True):
    """What is left of some lots is expected never to be used: the likelihood became remote."""

    grant_versions: tuple[int, ...]


class ConsiderationEscheated(Record, frozen=True):
    """A fraction of what was not used of a lot's consideration belongs to the state: decimal text in (0, 1]."""

    grant_version: int
    fraction: str
    jurisdiction: str = ""


class RefundSettled(Record, frozen=True):
    """What a refund owed was paid; the refund is named by its event's version, and its grant by that of its own.

    Paid was `refund` and `tax` together, each as the refund says it.
    """

    refund_version: int
    grant_version: int
    refund: Money
    reference: str = ""
    exchange_rate: str = ""
    tax: Money | None = None


class BreakagePoolCreated(Record, frozen=True):
    """A cohort of lots whose breakage is estimated together began.

    `escheat_fraction` of what ends unused belongs to the state, decimal text in [0, 1]; empty: nothing.
    """

    currency_code: str
    method: BreakageMethod
    entity: str = ""
    term: str = ""
    jurisdiction: str = ""
    expected_breakage: str = ""
    escheat_fraction: str = ""


class PoolEstimateRevised(Record, frozen=True):
    """Another part of a pool is expected never to be used: a fraction, or units expected to be used of all issued."""

    expected_breakage: str = ""
    expected_redeemed_units: int = 0


class AccountingPeriodLocked(Record, frozen=True):
    """From this position of the log on nothing is posted to [from_day, to_day) any more."""

    from_day: date
    to_day: date


class AccountingPeriodClosed(Record, frozen=True):
    """The figures of a locked period, by their hash: SHA-256 (hex) of its trial balance up to the locked position."""

    from_day: date
    to_day: date
    locked_position: int
    figures_hash: str
