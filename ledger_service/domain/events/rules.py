"""What a wallet was told beside its shortfall policy: grace, caps, budgets, alerts and automatic top-ups."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.events.finance import SaleTerms
from ledger_service.domain.record import Record
from ledger_service.domain.values import Money


class SpendCap(Record, frozen=True):
    """Most units that may be debited in each period, overage and debt included."""

    amount_units: int
    period: str
    anchor_time: datetime
    zone: str = "UTC"


class Budget(Record, frozen=True):
    """A cap on what one key, user or feature may debit: in each period, or in all if `period` is empty.

    It moves no money. Exactly one of api_key, user and feature is set.
    """

    budget: str
    amount_units: int
    anchor_time: datetime
    api_key: str = ""
    user: str = ""
    feature: str = ""
    period: str = ""
    zone: str = "UTC"


class FastRise(Record, frozen=True):
    """More than `factor` x the wallet's own recent rate in one window, and at least so many units."""

    window: str
    windows: int
    factor: str
    minimum_units: int = 1


class AlertRules(Record, frozen=True):
    """Which crossings are recorded: percentages of the entitlement used, low balances, and fast rise."""

    entitlement_percents: tuple[int, ...] = ()
    low_balance_units: tuple[int, ...] = ()
    fast_rise: FastRise | None = None


class AutoTopUp(Record, frozen=True):
    """A top-up requested when the available units fall to the threshold: so many units, or up to a target.

    `price` is paid for `price_units` units, whatever the plan's price. Days and months are those of the zone.
    After a failure the next request waits `back_off_seconds`, doubled with each further failure up to the maximum.
    `finance` is what each top-up is sold on; the tax in it is that of `price`.
    """

    threshold_units: int
    price: Money
    price_units: int
    amount_units: int = 0
    target_units: int = 0
    per_day_max: int = 1
    per_month_max: int = 10
    back_off_seconds: int = 3600
    back_off_max_seconds: int = 86400
    valid_for: str = ""
    zone: str = "UTC"
    finance: SaleTerms | None = None


class WalletRules(Record, frozen=True):
    """All of a wallet's rules together."""

    late_usage_grace_seconds: int = 0
    spend_cap: SpendCap | None = None
    budgets: tuple[Budget, ...] = ()
    alerts: AlertRules = AlertRules()
    auto_top_up: AutoTopUp | None = None
