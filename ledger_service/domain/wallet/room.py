"""Room: what the spend cap and the budgets of a wallet leave for a debit or a hold.

What an open hold reserves counts as spent while it is held: used + held + amount <= limit. A capture within its
hold needs no room, for the hold had it; what exceeds the hold does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ledger_service.domain.calendar import LAST_INSTANT
from ledger_service.domain.events import Budget
from ledger_service.domain.refusals import BudgetExceeded, SpendCapExceeded
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.caps import Cap, Spender, all_caps, caps_of, counts, in_period
from ledger_service.domain.wallet.state import Hold, Wallet


class CapUse(msgspec.Struct, frozen=True):
    """A cap in its present period. The spend cap's terms name no budget; `period_end_time` is None if it never ends."""

    terms: Budget
    used_units: int
    held_units: int
    period_end_time: datetime | None

    @property
    def remaining_units(self) -> int:
        """Return what may still be spent: 0 where more was spent than the limit."""
        return max(self.terms.amount_units - self.used_units - self.held_units, 0)


def check_room(wallet: Wallet, spender: Spender, amount_units: int, now: datetime) -> None:
    """Refuse an amount for which a cap has no room. Raises SpendCapExceeded, BudgetExceeded."""
    for use in _uses_for(wallet, spender, now):
        if amount_units > use.remaining_units:
            raise _exceeded(use, amount_units)


def room_units(wallet: Wallet, spender: Spender, now: datetime) -> int:
    """Return the least room that the caps leave a spender; UNITS_MAX without one."""
    return min((use.remaining_units for use in _uses_for(wallet, spender, now)), default=UNITS_MAX)


def cap_uses(wallet: Wallet, now: datetime) -> list[CapUse]:
    """Return how every cap stands, the spend cap first; the wallet is settled up to now."""
    caps = [] if wallet.caps is None else all_caps(wallet.caps)
    return [_use(cap, wallet.holds, now) for cap in caps]


def _uses_for(wallet: Wallet, spender: Spender, now: datetime) -> list[CapUse]:
    caps = [] if wallet.caps is None else caps_of(wallet.caps, spender)
    return [_use(cap, wallet.holds, now) for cap in caps]


def _use(cap: Cap, holds: Sequence[Hold], now: datetime) -> CapUse:
    current = in_period(cap, now)
    held_units = sum(
        each.amount_units
        for hold in holds
        if counts(cap, Spender(hold.api_key, hold.user, hold.feature))
        for each in hold.slices
    )
    return CapUse(
        cap.terms,
        current.used_units,
        held_units,
        None if current.to_time == LAST_INSTANT else current.to_time,
    )


def _exceeded(use: CapUse, amount_units: int) -> SpendCapExceeded | BudgetExceeded:
    budget, limit_units = use.terms.budget, use.terms.amount_units
    what = f"budget {budget}" if budget else "the spend cap"
    text = (
        f"{what} of {limit_units} units has room for {use.remaining_units} more, "
        f"and this needs {amount_units}"
    )
    metadata: dict[str, str | int] = {
        "amount_units": amount_units,
        "used_units": use.used_units,
        "held_units": use.held_units,
        "limit_units": limit_units,
    }
    if budget:
        metadata["budget_id"] = budget
    if use.period_end_time is not None:
        text += f" until {use.period_end_time.isoformat()}"
        metadata["period_end_time"] = use.period_end_time.isoformat()
    kind = BudgetExceeded if budget else SpendCapExceeded
    return kind(text, field="amount_units", **metadata)
