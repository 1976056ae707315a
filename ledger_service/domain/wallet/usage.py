"""What a wallet remembers of its use for the sake of its alerts: lots used up, and units by window. Bounded.

A lot that is used up leaves the wallet, but not at once its entitlement: if it did, the percentage used would
jump because of a debit. It counts until it would have expired; without an expiry until credit is granted next.
Lots that have ended are forgotten: what a backdated recurring grant catches up on is compared without them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from ledger_service.domain.events import AlertRules, FastRise, Return
from ledger_service.domain.wallet.burn_down import Lot

SPENT_MAX: Final = 100
"""Used-up lots remembered; of more, those that would end first no longer count."""
CLOCK_SKEW: Final = timedelta(minutes=5)
"""A debit's effective time may lie so far ahead: what ended before that is forgotten."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime.max.replace(tzinfo=UTC)
_HOUR_SECONDS: Final = 3_600
_DAY_SECONDS: Final = 86_400


class SpentLot(msgspec.Struct, frozen=True, gc=False):
    """A lot that was used up and still counts into the entitlement, over [from_time, until_time)."""

    grant_version: int
    entitled_units: int
    from_time: datetime
    until_time: datetime | None
    expires: bool
    """It ends by itself; else when credit is granted next."""


class WindowCount(msgspec.Struct, frozen=True, gc=False):
    """Units debited in one window, numbered from the epoch."""

    window: int
    amount_units: int


class Usage(msgspec.Struct, frozen=True, gc=False):
    """The memory of a wallet's alerts."""

    spent: tuple[SpentLot, ...] = ()
    counts: tuple[WindowCount, ...] = ()
    """Windows in which something was debited, oldest first; kept only for a wallet with a fast rise rule."""
    first_window: int = 0
    """The first window that lies wholly after the fast rise rule was set."""
    alert_version: int = 0
    """Version of the newest alert."""


NO_USAGE: Final = Usage()


def with_spent(
    usage: Usage, before: tuple[Lot, ...], left: tuple[Lot, ...], effective_time: datetime
) -> Usage:
    """Return the usage after lots were drawn on: those that left the wallet were used up."""
    remaining = {lot.grant_version for lot in left}
    spent = [each for each in usage.spent if not _ended(each, effective_time - CLOCK_SKEW)]
    spent += [
        SpentLot(
            lot.grant_version,
            lot.entitled_units,
            lot.effective_time,
            lot.expire_time,
            expires=lot.expire_time is not None,
        )
        for lot in before
        if lot.grant_version not in remaining and lot.entitled_units
    ]
    if len(spent) > SPENT_MAX:
        spent = sorted(spent, key=lambda each: (each.until_time or _NEVER, each.grant_version))[-SPENT_MAX:]
    return msgspec.structs.replace(usage, spent=tuple(spent))


def with_grant(usage: Usage, effective_time: datetime) -> Usage:
    """Return the usage after a grant: used-up lots without an expiry count until the new credit is there."""
    if all(each.expires for each in usage.spent):
        return usage
    spent = tuple(
        each
        if each.expires
        else msgspec.structs.replace(each, until_time=min(each.until_time or _NEVER, effective_time))
        for each in usage.spent
    )
    return msgspec.structs.replace(usage, spent=spent)


def without_returned(usage: Usage, returned: Iterable[Return]) -> Usage:
    """Return the usage after credit came back: lots that are in the wallet again are not used up."""
    versions = {each.grant_version for each in returned}
    if all(each.grant_version not in versions for each in usage.spent):
        return usage
    spent = tuple(each for each in usage.spent if each.grant_version not in versions)
    return msgspec.structs.replace(usage, spent=spent)


def with_rules(usage: Usage, before: AlertRules, alerts: AlertRules, from_time: datetime) -> Usage:
    """Return the usage under new rules: another fast rise rule begins to count anew."""
    rise = alerts.fast_rise
    if rise == before.fast_rise:
        return usage
    first = 0 if rise is None else window_of(rise, from_time - timedelta(microseconds=1)) + 1
    return msgspec.structs.replace(usage, counts=(), first_window=first)


def with_debit(usage: Usage, rise: FastRise, amount_units: int, record_time: datetime) -> Usage:
    """Return the usage after a debit of so many units, in the window in which it was recorded."""
    window = window_of(rise, record_time)
    units = amount_units + units_in(usage, window)
    oldest = window - rise.windows
    kept = [each for each in usage.counts if oldest <= each.window < window]
    return msgspec.structs.replace(usage, counts=(*kept, WindowCount(window, units)))


def units_in(usage: Usage, window: int) -> int:
    """Return the units debited in a window."""
    return sum(each.amount_units for each in usage.counts if each.window == window)


def window_of(rise: FastRise, instant: datetime) -> int:
    """Return the number of the window in which an instant lies; windows are aligned to the epoch in UTC."""
    period = rise.window
    seconds = int(period[2:-1]) * _HOUR_SECONDS if period[-1] == "H" else int(period[1:-1]) * _DAY_SECONDS
    return (instant - _EPOCH) // timedelta(seconds=seconds)


def _ended(spent: SpentLot, instant: datetime) -> bool:
    return spent.until_time is not None and spent.until_time <= instant
