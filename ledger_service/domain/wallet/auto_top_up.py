"""Automatic top-ups: requesting credit when the available units are at or below the rule's threshold.

The request is looked for once after all that one command did, and once after all that fell due at one instant;
so an expiry and the recurring grant of the same instant cause none. Available units are those of all lots that
are effective then, whatever their scope, without what holds reserve. At most one automatic top-up is open.
Requests are counted by when they were requested, in the days and months of the rule's zone, whatever became
of them: failures cost the payer fees too. A day or month that was begun counts until its end, also when the
rule's zone changes. A failure or cancellation makes the next request wait; a success ends the waiting.
When a limit or a wait ends while the balance is still low, time alone requests at that very instant.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from ledger_service.domain.calendar import next_day, next_month
from ledger_service.domain.events import AutoTopUp, Event, Fact, TopUpRequested
from ledger_service.domain.values import UNITS_MAX, Money
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.top_up_terms import ruled_terms, share_of


def next_request_time(wallet: Wallet) -> datetime | None:
    """Return when a limit or wait ends after which time alone requests a top-up, as the lots stand."""
    if not requests_by_itself(wallet):
        return None
    instant = blocked_until(wallet)
    # One that ended before the newest event was decided had its chance then.
    if instant <= wallet.payments.automatic.decided_time:
        return None
    return instant if request_at(wallet, instant) is not None else None


def back_off(rule: AutoTopUp, failure_count: int) -> timedelta:
    """Return the wait after so many failures in a row, from 1."""
    doublings = min(failure_count - 1, rule.back_off_max_seconds.bit_length())
    return timedelta(seconds=min(rule.back_off_seconds << doublings, rule.back_off_max_seconds))


def price_of(rule: AutoTopUp, amount_units: int) -> Money:
    """Return the price of so many units, rounded up to a nano."""
    return share_of(rule, rule.price, amount_units)


def available_units(wallet: Wallet, instant: datetime) -> int:
    """Return what all lots that are effective at an instant hold and no hold reserves."""
    return sum(
        lot.remaining_units
        for lot in wallet.lots
        if lot.effective_time <= instant and (lot.expire_time is None or instant < lot.expire_time)
    )


def decided(wallet: Wallet, fact: Fact[Event]) -> Wallet:
    """Return the wallet with the instant at which an event was decided; what time did is decided at its instant.

    A command's answer carries its fingerprint; other events count no later than they were recorded. So the instant is
    the same however often a sweeper ran in between.
    """
    instant = fact.record_time if fact.fingerprint else min(fact.effective_time, fact.record_time)
    automatic = wallet.payments.automatic
    if instant <= automatic.decided_time:
        return wallet
    automatic = msgspec.structs.replace(automatic, decided_time=instant)
    payments = msgspec.structs.replace(wallet.payments, automatic=automatic)
    return msgspec.structs.replace(wallet, payments=payments)


def requests_by_itself(wallet: Wallet) -> bool:
    """Say whether the wallet has a rule to top up by itself, and is open."""
    return wallet.rules.auto_top_up is not None and wallet.close_time is None


def request_at(wallet: Wallet, instant: datetime) -> TopUpRequested | None:
    """Return the request that the balance asks for at an instant, whether or not it must wait."""
    rule = wallet.rules.auto_top_up
    assert rule is not None, "the caller looked for the rule"
    open_top_ups = wallet.payments.open_top_ups
    if any(each.requested.automatic for each in open_top_ups):
        return None
    available = available_units(wallet, instant)
    if available > rule.threshold_units:
        return None
    amount_units = rule.amount_units or rule.target_units - available
    if wallet.granted_units + wallet.received_units + amount_units > UNITS_MAX:
        return None
    automatic = wallet.payments.automatic
    in_day, in_month = instant < automatic.day_end_time, instant < automatic.month_end_time
    return TopUpRequested(
        amount_units=amount_units,
        price=price_of(rule, amount_units),
        valid_for=rule.valid_for,
        zone=rule.zone,
        automatic=True,
        day_end_time=automatic.day_end_time if in_day else next_day(instant, rule.zone),
        month_end_time=automatic.month_end_time if in_month else next_month(instant, rule.zone),
        finance=ruled_terms(rule, amount_units),
    )


def blocked_until(wallet: Wallet) -> datetime:
    """Return the first instant that neither the wait after a failure nor a limit that was reached forbids."""
    rule, automatic = wallet.rules.auto_top_up, wallet.payments.automatic
    assert rule is not None, "the caller looked for the rule"
    until = automatic.retry_time
    if automatic.day_count >= rule.per_day_max:
        until = max(until, automatic.day_end_time)
    if automatic.month_count >= rule.per_month_max:
        until = max(until, automatic.month_end_time)
    return until
