"""Rate limits over the last minute: exact windows, taken together or not at all.

A window keeps what each request took and when; what was taken at an instant counts over [instant, instant + 60 s).
So no span of a minute ever holds more than the limit of what was let through. What a request takes of several
windows is one decision: either every window has room, or nothing is taken of any. An entry bears the request's id,
so a retry takes nothing again, and what was taken can be given back or put right later.

No library is used here: those that exist decide limit by limit, count a token as an entry, or read the clock
themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

MINUTE_US: Final = 60_000_000
SWEEP_EVERY: Final = 10_000
"""Decisions between two looks for windows that hold nothing any more."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Share(NamedTuple):
    """What a request takes of a window: `amount` of at most `limit` in a minute."""

    window: str
    limit: int
    amount: int


class Standing(NamedTuple):
    """How a window stands after the decision. `wait` is what it takes to have room; None: waiting does not help."""

    fits: bool
    used: int
    wait: timedelta | None = None


class Decision(NamedTuple):
    """One standing a share, and whether something was taken that had not been taken before."""

    standings: tuple[Standing, ...]
    is_fresh: bool = False


class _Entry(msgspec.Struct):
    instant_us: int
    amount: int


class _Window(msgspec.Struct):
    entries: dict[str, _Entry] = {}
    """By the request's id, oldest first."""
    total: int = 0


class MinuteWindows:
    """All windows of one process. Every method is one step: nothing may come between."""

    def __init__(self) -> None:
        """Begin with nothing taken."""
        self._windows: dict[str, _Window] = {}
        self._decisions = 0

    def decide(self, shares: Sequence[Share], *, entry: str, now: datetime, takes: bool) -> Decision:
        """Take the shares if every window has room and `takes`; a share that the entry has already fits."""
        now_us = (now - _EPOCH) // _MICROSECOND
        self._sweep(now_us)
        windows = [self._current(share.window, now_us) for share in shares]
        standings = [
            _standing(window, share, entry, now_us) for window, share in zip(windows, shares, strict=True)
        ]
        if not takes or not all(standing.fits for standing in standings):
            return Decision(tuple(standings))
        is_fresh = all(entry not in window.entries for window in windows)
        for window, share in zip(windows, shares, strict=True):
            _take(window, share.window, entry, share.amount, now_us, self._windows)
        used = (Standing(fits=True, used=window.total) for window in windows)
        return Decision(tuple(used), is_fresh)

    def give_back(self, names: Iterable[str], *, entry: str) -> None:
        """Forget what an entry took; windows that never knew it, or do not any more, stay as they are."""
        for name in names:
            window = self._windows.get(name)
            found = None if window is None else window.entries.pop(entry, None)
            if window is not None and found is not None:
                window.total -= found.amount

    def correct(self, name: str, *, entry: str, estimated: int, actual: int, now: datetime) -> None:
        """Put the actual amount in place of the estimate, once.

        What was not used goes back to the instant of the entry, if that still counts. What was used beyond the
        estimate counts from now, whatever the limit: it has happened.
        """
        now_us = (now - _EPOCH) // _MICROSECOND
        window = self._current(name, now_us)
        taken = window.entries.get(entry)
        if taken is not None and actual < taken.amount:
            window.total -= taken.amount - actual
            taken.amount = actual
        if actual > estimated:
            _take(window, name, surplus_entry(entry), actual - estimated, now_us, self._windows)

    def _current(self, name: str, now_us: int) -> _Window:
        """Return a window without what is over; it is kept only once something is taken of it."""
        window = self._windows.get(name)
        if window is None:
            return _Window()
        _forget_old(window, now_us)
        return window

    def _sweep(self, now_us: int) -> None:
        self._decisions += 1
        if self._decisions % SWEEP_EVERY:
            return
        for window in self._windows.values():
            _forget_old(window, now_us)
        self._windows = {name: window for name, window in self._windows.items() if window.entries}


def surplus_entry(entry: str) -> str:
    """Return the id under which what exceeded an estimate is kept."""
    return f"{entry}+"


def _forget_old(window: _Window, now_us: int) -> None:
    entries = window.entries
    while entries:
        oldest = next(iter(entries))
        if entries[oldest].instant_us + MINUTE_US > now_us:
            return
        window.total -= entries.pop(oldest).amount


def _standing(window: _Window, share: Share, entry: str, now_us: int) -> Standing:
    if entry in window.entries or not share.amount or window.total + share.amount <= share.limit:
        return Standing(fits=True, used=window.total)
    return Standing(fits=False, used=window.total, wait=_wait(window, share, now_us))


def _wait(window: _Window, share: Share, now_us: int) -> timedelta | None:
    excess = window.total + share.amount - share.limit
    for each in window.entries.values():
        excess -= each.amount
        if excess <= 0:
            return timedelta(microseconds=each.instant_us + MINUTE_US - now_us)
    return None


def _take(
    window: _Window, name: str, entry: str, amount: int, now_us: int, windows: dict[str, _Window]
) -> None:
    if not amount or entry in window.entries:
        return
    window.entries[entry] = _Entry(now_us, amount)
    window.total += amount
    windows[name] = window
