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
from ledger_service.domain.wallet.caps import (
    Cap,
    Caps,
    Spender,
    all_caps,
    caps_of,
    counts,
    in_period,
    phase_count_at,
)
from ledger_service.domain.wallet.state import Hold, Wallet


class CapUse(msgspec.Struct, frozen=True):
    """A cap in its present period. The spend cap's terms name no budget; `period_end_time` is None if it never ends."""

    terms: Budget
    used_units: int
    held_units: int
    period_end_time: datetime | None
    contract_phase: str = ""
    """The phase that brought it; empty for one of the wallet's rules."""

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
    """Return how every cap stands, spend caps first, that of the phase before all; the wallet is settled up to now."""
    if wallet.caps is None:
        return []
    return [
        *_phase_use(wallet.caps, wallet, now),
        *(_use(cap, wallet.holds, now) for cap in all_caps(wallet.caps)),
    ]


def _uses_for(wallet: Wallet, spender: Spender, now: datetime) -> list[CapUse]:
    if wallet.caps is None:
        return []
    counting = caps_of(wallet.caps, spender)
    return [*_phase_use(wallet.caps, wallet, now), *(_use(cap, wallet.holds, now) for cap in counting)]


def _phase_use(caps: Caps, wallet: Wallet, now: datetime) -> list[CapUse]:
    count = phase_count_at(caps, now)
    if count is None:
        return []
    held_units = sum(each.amount_units for hold in wallet.holds for each in hold.slices)
    return [CapUse(count.terms, count.used_units, held_units, count.to_time, count.contract_phase)]


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
    if use.contract_phase:
        what += f" of phase {use.contract_phase}"
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
    if use.contract_phase:
        metadata["contract_phase"] = use.contract_phase
    if use.period_end_time is not None:
        text += f" until {use.period_end_time.isoformat()}"
        metadata["period_end_time"] = use.period_end_time.isoformat()
    kind = BudgetExceeded if budget else SpendCapExceeded
    return kind(text, field="amount_units", **metadata)
