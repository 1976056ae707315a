"""Alerts: an event crosses a threshold if the figure just before it and just after it lie on different sides.

Both are taken at the event's own instant, after all that was due before it, so that each crossing is recorded
once, whoever looks and whenever, and a threshold arms itself again when the figure comes back. Nothing is
remembered of what was sent. What time does without an event (a lot becomes effective, a used-up lot expires)
is in the figure before the next event and is no crossing of its own; nor is setting a rule.

available = what the lots that count may still be drawn for: posted - held, so that held units are used ones.
entitlement = what these lots were issued with, less what was refunded or clawed back, and the lots used up
that still count (usage.py). A lot counts from its effective time until it expires or is revoked; the unexpired
rest of a lot counts until the event that expires it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from ledger_service.domain.events import (
    AlertRules,
    CreditsDebited,
    Event,
    FastRise,
    HoldCaptured,
    ThresholdCrossed,
)
from ledger_service.domain.exact import exact
from ledger_service.domain.values import AlertKind, CrossingDirection
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.state import Wallet, policy_at
from ledger_service.domain.wallet.usage import Usage, units_in, window_of


class Measure(NamedTuple):
    """What thresholds are compared with, at an instant."""

    available_units: int
    entitlement_units: int


def is_watched(alerts: AlertRules) -> bool:
    """Say whether anything can cross."""
    return bool(alerts.entitlement_percents or alerts.low_balance_units or alerts.fast_rise is not None)


def alerts_in_force(wallet: Wallet, instant: datetime) -> AlertRules:
    """Return the rules of a wallet, with the percentages of the contract's phase if that brings any."""
    alerts = wallet.rules.alerts
    if not wallet.has_phase_alerts:
        return alerts
    percents = policy_at(wallet, instant).alert_percents
    return msgspec.structs.replace(alerts, entitlement_percents=percents) if percents else alerts


def measure(wallet: Wallet, instant: datetime) -> Measure:
    """Return the figures of a wallet at an instant."""
    available_units = entitlement_units = 0
    for lot in wallet.lots:
        if counts(lot, instant):
            available_units += lot.remaining_units
            entitlement_units += lot.entitled_units
    return Measure(available_units, entitlement_units + _spent_units(wallet.usage, instant))


def counts(lot: Lot, instant: datetime) -> bool:
    """Say whether a lot is part of the figures; at the very instant of its expiry until that is recorded."""
    if not lot.entitled_units or lot.effective_time > instant:
        return False
    expire_time = lot.expire_time
    if expire_time is None or instant < expire_time:
        return True
    return instant == expire_time and lot.remaining_units > 0


def crossings_of_debit(
    wallet: Wallet, event: CreditsDebited, alerts: AlertRules, *, instant: datetime, record_time: datetime
) -> Sequence[ThresholdCrossed]:
    """Return what a debit on this wallet crosses, without folding it: it takes draws out and changes nothing else."""
    # One pass over the lots, and an answer as soon as nothing can have been crossed: the path of every request.
    available_units = entitlement_units = uncounted_units = 0
    for lot in wallet.lots:
        if counts(lot, instant):
            available_units += lot.remaining_units
            entitlement_units += lot.entitled_units
        else:
            uncounted_units += sum(
                draw.amount_units for draw in event.draws if draw.grant_version == lot.grant_version
            )
    if wallet.usage.spent:
        entitlement_units += _spent_units(wallet.usage, instant)
    drawn_units = event.amount_units - event.overage_units - event.debt_units - uncounted_units
    if alerts.fast_rise is None and not alerts.low_balance_units:
        if not entitlement_units:
            return ()
        used_units = entitlement_units - available_units
        percent = 100 * used_units // entitlement_units
        if percent == 100 * (used_units + drawn_units) // entitlement_units:
            return ()
    before = Measure(available_units, entitlement_units)
    after = Measure(available_units - drawn_units, entitlement_units)
    return list(crossings(wallet, event, alerts, before, after, record_time=record_time))


def crossings(
    wallet: Wallet,
    event: Event,
    alerts: AlertRules,
    before: Measure,
    after: Measure,
    *,
    record_time: datetime,
) -> Iterator[ThresholdCrossed]:
    """Yield what an event on this wallet crosses, in the order in which the figure passed the thresholds."""
    if before != after:
        yield from _of_entitlement(alerts.entitlement_percents, before, after)
        yield from _of_balance(alerts.low_balance_units, before, after)
    if alerts.fast_rise is not None and isinstance(event, CreditsDebited | HoldCaptured):
        yield from _of_rise(wallet.usage, alerts.fast_rise, event.amount_units, after, record_time)


def _spent_units(usage: Usage, instant: datetime) -> int:
    return sum(
        spent.entitled_units
        for spent in usage.spent
        if spent.from_time <= instant and (spent.until_time is None or instant < spent.until_time)
    )


def _of_entitlement(percents: tuple[int, ...], before: Measure, after: Measure) -> Iterator[ThresholdCrossed]:
    if not before.entitlement_units or not after.entitlement_units:
        return
    # A whole percentage is reached exactly when the percentage used, rounded down, reaches it.
    low, high = sorted((_used_percent(before), _used_percent(after)))
    passed = [percent for percent in percents if low < percent <= high]
    if _used_percent(after) == high:
        for percent in passed:
            yield ThresholdCrossed(AlertKind.ENTITLEMENT, percent, CrossingDirection.RISING, *after)
    else:
        for percent in reversed(passed):
            yield ThresholdCrossed(AlertKind.ENTITLEMENT, percent, CrossingDirection.FALLING, *after)


def _of_balance(thresholds: tuple[int, ...], before: Measure, after: Measure) -> Iterator[ThresholdCrossed]:
    low, high = sorted((before.available_units, after.available_units))
    # Low is at or below the threshold.
    passed = [units for units in thresholds if low <= units < high]
    if after.available_units == low:
        for units in passed:
            yield ThresholdCrossed(AlertKind.LOW_BALANCE, units, CrossingDirection.FALLING, *after)
    else:
        for units in reversed(passed):
            yield ThresholdCrossed(AlertKind.LOW_BALANCE, units, CrossingDirection.RISING, *after)


def _of_rise(
    usage: Usage, rise: FastRise, amount_units: int, after: Measure, record_time: datetime
) -> Iterator[ThresholdCrossed]:
    window = window_of(rise, record_time)
    threshold = _rise_threshold(usage, rise, window)
    if threshold is None:
        return
    # Earlier windows do not change and this one only grows, so it passes the threshold at most once.
    before_units = units_in(usage, window)
    after_units = before_units + amount_units
    if before_units < threshold <= after_units:
        yield ThresholdCrossed(
            AlertKind.FAST_RISE, threshold, CrossingDirection.RISING, *after, window_units=after_units
        )


def _rise_threshold(usage: Usage, rise: FastRise, window: int) -> int | None:
    """Return the least units of a window that exceed factor x average; None without a full window before it."""
    windows = min(rise.windows, window - usage.first_window)
    if windows <= 0:
        return None
    earlier_units = sum(
        each.amount_units for each in usage.counts if window - windows <= each.window < window
    )
    numerator, denominator = exact(rise.factor).as_integer_ratio()
    return max(earlier_units * numerator // (windows * denominator) + 1, rise.minimum_units)


def _used_percent(figures: Measure) -> int:
    used_units = figures.entitlement_units - figures.available_units
    return 100 * used_units // figures.entitlement_units
