"""Debit: consuming credit.

Algorithm: settle what time has done; find how many whole units the debit takes; draw them from the drawable
lots in burn-down order, for late usage from expired ones too as long as the grace runs; let the policy in
force at the debit's effective time decide about the rest.

A charge is exact and may hold a fraction of a unit. The wallet carries the fraction from charge to charge and
each debit takes the whole units, so the debits of any number of charges add up to the floor of their exact
sum, in whatever order they come, with no drift. Where a price falls with the total of a cycle, a charge gives
back: the wallet carries that too, below 0, until the charges after it have used it up.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR
from typing import Final

import msgspec

from ledger_service.domain.commands import Debit
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import Charge, CreditsDebited, Draw
from ledger_service.domain.exact import EXACT, exact
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    ChargeContractMismatch,
    FieldNotAllowed,
    InsufficientCredit,
    OverageLimitExceeded,
    TimeInFuture,
)
from ledger_service.domain.values import UNITS_MAX, ShortfallMode
from ledger_service.domain.wallet.burn_down import is_drawable
from ledger_service.domain.wallet.caps import Spender
from ledger_service.domain.wallet.charge_sum import check_sum
from ledger_service.domain.wallet.late_usage import late_grants, with_late_drawable
from ledger_service.domain.wallet.room import check_room, room_units
from ledger_service.domain.wallet.settle import begin, repay
from ledger_service.domain.wallet.state import Wallet, debt_units, policy_at
from ledger_service.domain.wallet.totals import check_totals, is_metered

AHEAD_MAX: Final = timedelta(minutes=5)
"""How far a debit's effective time may lie ahead of the server's clock: what clock skew explains."""


class Cover(msgspec.Struct, frozen=True):
    """What pays for units: draws on lots, and what no lot covers; `late_grants` of the draws have expired."""

    draws: tuple[Draw, ...]
    overage_units: int = 0
    debt_units: int = 0
    late_grants: tuple[int, ...] = ()


def debit(wallet: Wallet, command: Debit, now: datetime) -> list[Draft]:
    """Return what fell due and the debit.

    Raises AmountNotPositive, AmountOutOfRange, FieldNotAllowed, FieldMalformed, ChargeInconsistent,
    ChargeContractMismatch, TimeInFuture, SpendCapExceeded, BudgetExceeded, InsufficientCredit,
    OverageLimitExceeded.
    """
    effective_time = command.effective_time or now
    check_not_ahead(effective_time, now)
    tape = begin(command.wallet, wallet, now)
    requested_units = _amount(tape.wallet, command, effective_time, now)
    amount_units = requested_units
    if command.take_available:
        available_units = _available_units(tape.wallet, effective_time, command.feature, now)
        amount_units = min(amount_units, available_units)
        if amount_units == 0:
            raise InsufficientCredit(
                f"{command.wallet} has nothing for this debit", field="amount_units", available_units=0
            )
    if tape.wallet.caps is not None and not command.delivered:
        amount_units = _capped_units(tape.wallet, command, amount_units, now)
    cover = cover_units(
        tape.wallet,
        amount_units,
        effective_time=effective_time,
        feature=command.feature,
        delivered=command.delivered,
        now=now,
    )
    event = CreditsDebited(
        amount_units=amount_units,
        draws=cover.draws,
        burn_down_order=wallet.burn_down_order,
        overage_units=cover.overage_units,
        feature=command.feature,
        delivered=command.delivered,
        charge=command.charge,
        debt_units=cover.debt_units,
        take_available=command.take_available,
        requested_units=requested_units if requested_units != amount_units else 0,
        late_hold_version=command.late_hold_version,
        late_grants=cover.late_grants,
        api_key=command.api_key,
        user=command.user,
    )
    if not cover.debt_units:
        return tape.end(event, effective_time)
    # Only a debt may set more in motion: credit that became effective after the debit's own time repays it.
    tape.add(event, effective_time, answers=True)
    repay(tape, now)
    return tape.drafts


def check_not_ahead(effective_time: datetime, now: datetime) -> None:
    """Refuse an effective time that lies further ahead of the clock than clock skew explains."""
    if effective_time > now + AHEAD_MAX:
        raise TimeInFuture(
            f"effective_time lies more than {AHEAD_MAX} ahead of the server's clock", field="effective_time"
        )


def cover_units(
    wallet: Wallet,
    amount_units: int,
    *,
    effective_time: datetime,
    feature: str,
    delivered: bool,
    now: datetime,
) -> Cover:
    """Return what pays for so many units under the policy in force.

    Raises InsufficientCredit, OverageLimitExceeded, AmountOutOfRange.
    """
    draws = draw_units(wallet, amount_units, effective_time=effective_time, feature=feature, now=now)
    late = late_grants(wallet, draws)
    short_units = amount_units - sum(draw.amount_units for draw in draws)
    if not short_units:
        return Cover(draws, late_grants=late)
    mode = _shortfall(wallet, amount_units, short_units, effective_time, delivered=delivered)
    if mode is ShortfallMode.ADVANCE:
        return Cover(draws, debt_units=short_units, late_grants=late)
    return Cover(draws, overage_units=short_units, late_grants=late)


def draw_units(
    wallet: Wallet, amount_units: int, *, effective_time: datetime, feature: str, now: datetime
) -> tuple[Draw, ...]:
    """Return draws on the lots drawable `now` in burn-down order, up to so many units."""
    draws: list[Draw] = []
    lots = wallet.lots
    if wallet.lapsed_lots:
        lots = with_late_drawable(wallet, effective_time=effective_time, feature=feature, now=now)
    for lot in lots:
        if amount_units == 0:
            break
        if lot.remaining_units and is_drawable(lot, effective_time=effective_time, feature=feature):
            units = min(amount_units, lot.remaining_units)
            draws.append(Draw(lot.grant_version, units))
            amount_units -= units
    return tuple(draws)


def charged_units(wallet: Wallet, charge: Charge, *, effective_time: datetime, now: datetime) -> int:
    """Return the whole units that a charge takes, the wallet's carried fraction counted in.

    A charge that gives back takes none: what it gives back is carried, and the charges after it use it up.
    Raises FieldMalformed, ChargeInconsistent, ChargeContractMismatch, AmountOutOfRange, and for a charge priced on
    running totals what `check_totals` raises.
    """
    metered = is_metered(charge)
    check_sum(charge, metered=metered)
    _check_contract(wallet, charge)
    if metered:
        check_totals(wallet.totals, charge, effective_time=effective_time, now=now)
    return _whole_units(wallet, charge)


def units_of(wallet: Wallet, charge: Charge) -> int:
    """Return the whole units that a charge takes. Raises ChargeContractMismatch, AmountOutOfRange."""
    _check_contract(wallet, charge)
    return _whole_units(wallet, charge)


def _whole_units(wallet: Wallet, charge: Charge) -> int:
    charged = EXACT.add(wallet.carried_fraction, exact(charge.exact_units))
    amount_units = int(charged.to_integral_value(ROUND_FLOOR))
    if not -UNITS_MAX <= amount_units <= UNITS_MAX:
        raise AmountOutOfRange(f"the charge exceeds {UNITS_MAX} units", field="charge.exact_units")
    return max(amount_units, 0)


def _check_contract(wallet: Wallet, charge: Charge) -> None:
    # A charge need not name a contract, but one that does is invoiced there: it must be paid from that wallet.
    if charge.contract and all(policy.contract != charge.contract for policy in wallet.policies):
        raise ChargeContractMismatch(
            f"{charge.contract} is not this wallet's contract", field="charge.contract"
        )


def _available_units(wallet: Wallet, effective_time: datetime, feature: str, now: datetime) -> int:
    draws = draw_units(wallet, UNITS_MAX, effective_time=effective_time, feature=feature, now=now)
    return sum(draw.amount_units for draw in draws)


def _capped_units(wallet: Wallet, command: Debit, amount_units: int, now: datetime) -> int:
    """Return what the caps let through: all of it, or with take_available as much as there is room for."""
    spender = Spender(command.api_key, command.user, command.feature)
    room = room_units(wallet, spender, now) if command.take_available else 0
    if room:
        return min(amount_units, room)
    check_room(wallet, spender, amount_units, now)
    return amount_units


def _amount(wallet: Wallet, command: Debit, effective_time: datetime, now: datetime) -> int:
    if command.charge is not None:
        if command.amount_units:
            raise FieldNotAllowed("amount_units must be 0 when a charge is given", field="amount_units")
        if command.take_available:
            raise FieldNotAllowed("a charge is taken whole or not at all", field="take_available")
        return charged_units(wallet, command.charge, effective_time=effective_time, now=now)
    if command.amount_units <= 0:
        raise AmountNotPositive("amount_units must be above 0", field="amount_units")
    if command.amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"amount_units must not exceed {UNITS_MAX}", field="amount_units")
    return command.amount_units


def _shortfall(
    wallet: Wallet, amount_units: int, short_units: int, effective_time: datetime, *, delivered: bool
) -> ShortfallMode:
    policy = policy_at(wallet, effective_time)
    uncovered_units = wallet.overage_units + debt_units(wallet) + short_units
    if uncovered_units > UNITS_MAX:
        raise AmountOutOfRange(f"the wallet's overage would exceed {UNITS_MAX} units", field="amount_units")
    if wallet.close_time is not None:
        # Usage that was delivered is never dropped, and what is owed would never be repaid.
        return ShortfallMode.SOFT
    if delivered:
        return policy.shortfall_mode
    if policy.shortfall_mode is ShortfallMode.HARD:
        available_units = amount_units - short_units
        raise InsufficientCredit(
            f"{available_units} units are available for this, which needs {amount_units}",
            field="amount_units",
            available_units=available_units,
            amount_units=amount_units,
        )
    if policy.overage_limit_units and uncovered_units > policy.overage_limit_units:
        raise OverageLimitExceeded(
            f"overage would rise to {uncovered_units} units, above the limit of {policy.overage_limit_units}",
            field="amount_units",
            overage_units=uncovered_units,
            overage_limit_units=policy.overage_limit_units,
        )
    return policy.shortfall_mode
