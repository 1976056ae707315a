"""A wallet by the conventions of `wallet.json` alone: lots, holds and overage, told ops in time order.

- At one instant: expiry and hold timeout, then void, then grant start, then use in the order of the ops.
- Burn order: priority, expiry (none last), promo before paid, scoped before open, effective time, creation, id.
- A usage is never refused: what no lot covers is overage, final or owed until later grants, or credit that comes back,
  pay it, oldest first.
- A hold reserves slices of lots in burn order, all or nothing. A capture takes them from the front; the rest goes back
  to the lots it came from, and where such a lot has ended meanwhile it expires, where it was voided it is gone.
- A reversal gives back the newest allocation first, under the same rule; overage is newer than all of them.
- A reset keeps min(max, max(min, remaining)) of each grant; the rest expires.

Instants are minutes since the beginning, so that nothing is shared with how a service counts time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

NEVER: Final = 10**9


@dataclass
class Lot:
    """What is left of one grant."""

    grant_id: str
    amount: int
    start: int
    end: int
    priority: int
    promo: bool
    scope: tuple[str, ...]
    number: int
    keeps_at_most: int = 0
    free: int = 0
    expired: int = 0
    has_begun: bool = False
    is_void: bool = False

    def place(self) -> tuple[Any, ...]:
        """Return the place in the burn order."""
        return (
            self.priority,
            self.end,
            not self.promo,
            not self.scope,
            self.start,
            self.number,
            self.grant_id,
        )


@dataclass
class Use:
    """A usage or debit: what it drew, and what no lot covered."""

    draws: list[tuple[Lot, int]] = field(default_factory=list)
    overage: int = 0


@dataclass
class Hold:
    """Reserved slices until an instant."""

    slices: list[tuple[Lot, int]]
    end: int
    ended_as: str = ""

    @property
    def held(self) -> int:
        """Return what it reserves."""
        return sum(units for _, units in self.slices)


class Wallet:
    """One wallet.

    `is_owed` says that overage is paid by later grants, `is_hard` that there is none but by usage; `takes_extra` that a
    capture may exceed its hold, where the excess is an ordinary debit.
    """

    def __init__(self, *, is_owed: bool = False, is_hard: bool = True, takes_extra: bool = True) -> None:
        """Hold nothing yet."""
        self.lots: dict[str, Lot] = {}
        self.uses: dict[str, Use] = {}
        self.holds: dict[str, Hold] = {}
        self.results: list[str] = []
        self.used = 0
        self._is_owed = is_owed
        self._is_hard = is_hard
        self._takes_extra = takes_extra

    @property
    def overage(self) -> int:
        """Return what no lot covers."""
        return sum(use.overage for use in self.uses.values())

    def pass_to(self, now: int) -> None:
        """Let time do what falls due up to an instant: expiries and timeouts, then grants that begin."""
        due = {lot.end for lot in self.lots.values()} | {lot.start for lot in self.lots.values()}
        due |= {hold.end for hold in self.holds.values()}
        for instant in sorted(each for each in due if each <= now):
            self._end_what_ends(instant)
            for lot in self.lots.values():
                if lot.start <= instant < lot.end and not lot.has_begun and not lot.is_void:
                    lot.has_begun, lot.free = True, lot.amount
            self._pay_what_is_owed(instant)

    def _end_what_ends(self, instant: int) -> None:
        for hold in self.holds.values():
            if hold.end <= instant and not hold.ended_as:
                hold.ended_as = "EXPIRED"
                self._give_back(hold.slices, hold.end)
                hold.slices = []
        for lot in self.lots.values():
            if lot.end <= instant:
                lot.expired += lot.free
                lot.free = 0

    def _pay_what_is_owed(self, now: int) -> None:
        for use in self.uses.values() if self._is_owed else ():
            _, use.overage = self._take(use.overage, now, "")

    def _give_back(self, slices: list[tuple[Lot, int]], now: int) -> None:
        for lot, units in slices:
            if lot.is_void:
                continue
            if lot.end <= now:
                lot.expired += units
            else:
                lot.free += units

    def grant(self, lot: Lot, now: int) -> None:
        """Issue a lot; one that is effective begins."""
        self.lots[lot.grant_id] = lot
        if lot.end <= now:
            lot.has_begun, lot.expired = True, lot.amount
        elif lot.start <= now:
            lot.has_begun, lot.free = True, lot.amount
            self._pay_what_is_owed(now)

    def available(self, now: int, scope: str) -> list[Lot]:
        """Return the lots that may pay for something, in burn order."""
        able = [
            lot
            for lot in self.lots.values()
            if lot.free and lot.start <= now < lot.end and (not lot.scope or scope in lot.scope)
        ]
        return sorted(able, key=Lot.place)

    def _take(self, amount: int, now: int, scope: str) -> tuple[list[tuple[Lot, int]], int]:
        draws: list[tuple[Lot, int]] = []
        for lot in self.available(now, scope):
            part = min(lot.free, amount)
            lot.free -= part
            amount -= part
            draws += [(lot, part)] if part else []
        return draws, amount

    def _covers(self, amount: int, now: int, scope: str) -> bool:
        return sum(lot.free for lot in self.available(now, scope)) >= amount

    def usage(self, use_id: str, amount: int, now: int, scope: str = "") -> None:
        """Record what was used, whatever there is."""
        draws, missing = self._take(amount, now, scope)
        self.uses[use_id] = Use(draws, missing)
        self.used += amount

    def debit(self, use_id: str, amount: int, now: int, scope: str = "") -> None:
        """Debit all or nothing."""
        covered = self._covers(amount, now, scope)
        if covered:
            self.usage(use_id, amount, now, scope)
        self.results.append("OK" if covered else "INSUFFICIENT")

    def hold(self, hold_id: str, amount: int, now: int, ttl: int, scope: str = "") -> None:
        """Reserve all or nothing."""
        covered = self._covers(amount, now, scope)
        if covered:
            self.holds[hold_id] = Hold(self._take(amount, now, scope)[0], now + ttl)
        self.results.append("OK" if covered else "INSUFFICIENT")

    def capture(self, use_id: str, hold_id: str, amount: int, now: int, *, final: bool) -> None:
        """Debit what was reserved."""
        hold = self.holds[hold_id]
        extra = amount - hold.held
        refusal = hold.ended_as
        if not refusal and extra > 0:
            if not self._takes_extra:
                refusal = "EXCEEDS_HOLD"
            elif self._is_hard and not self._covers(extra, now, ""):
                refusal = "INSUFFICIENT"
        self.results.append(refusal or "OK")
        if not refusal:
            self._capture(use_id, hold, amount, now, final=final)

    def _capture(self, use_id: str, hold: Hold, amount: int, now: int, *, final: bool) -> None:
        taken, rest, wanted = [], [], amount
        for lot, units in hold.slices:
            part = min(units, wanted)
            wanted -= part
            taken += [(lot, part)] if part else []
            rest += [(lot, units - part)] if part < units else []
        if final or not rest:
            self._give_back(rest, now)
            rest, hold.ended_as = [], "ALREADY_CAPTURED"
        hold.slices = rest
        more, missing = self._take(wanted, now, "")
        self.uses[use_id] = Use(taken + more, missing)
        self.used += amount
        self._pay_what_is_owed(now)

    def release(self, hold_id: str, now: int) -> None:
        """Give back what was reserved."""
        hold = self.holds[hold_id]
        self.results.append(hold.ended_as or "OK")
        if not hold.ended_as:
            hold.ended_as = "ALREADY_RELEASED"
            self._give_back(hold.slices, now)
            hold.slices = []
            self._pay_what_is_owed(now)

    def reverse(self, use_id: str, amount: int, now: int) -> None:
        """Take a use back: its overage, then the newest allocation first."""
        use, kept = self.uses[use_id], []
        back = amount - min(use.overage, amount)
        use.overage -= amount - back
        for lot, units in reversed(use.draws):
            part = min(units, back)
            back -= part
            self._give_back([(lot, part)], now)
            kept += [(lot, units - part)] if part < units else []
        use.draws = kept[::-1]
        self.used -= amount
        self._pay_what_is_owed(now)

    def void(self, grant_id: str) -> None:
        """End a lot; what holds reserve of it stays reserved."""
        lot = self.lots[grant_id]
        lot.is_void, lot.free = True, 0

    def reset(self, now: int) -> None:
        """End a period: what a lot does not keep expires."""
        for lot in self.lots.values():
            if lot.start < now < lot.end and not lot.is_void:
                kept = min(lot.keeps_at_most, lot.free)
                lot.expired += lot.free - kept
                lot.free = kept
