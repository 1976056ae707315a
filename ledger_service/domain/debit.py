"""Debit: consuming credit.

Algorithm: settle what time has done; find how many whole units the debit takes; draw them from the drawable
lots in burn-down order; let the policy in force at the debit's effective time decide about the rest.

A charge is exact and may hold a fraction of a unit. The wallet carries the fraction from charge to charge and
each debit takes the whole units, so the debits of any number of charges add up to the floor of their exact
sum, in whatever order they come, with no drift.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_FLOOR
from typing import Final

from ledger_service.domain.burn_down import DEFAULT_ORDER, is_drawable
from ledger_service.domain.commands import Debit
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import Charge, CreditsDebited, Draw
from ledger_service.domain.exact import EXACT, exact, is_exact_text
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    ChargeInconsistent,
    FieldMalformed,
    FieldNotAllowed,
    InsufficientCredit,
    OverageLimitExceeded,
    TimeInFuture,
)
from ledger_service.domain.settle import settle, settled
from ledger_service.domain.values import UNITS_MAX, ShortfallMode
from ledger_service.domain.wallet import Wallet, policy_at

AHEAD_MAX: Final = timedelta(minutes=5)
"""How far a debit's effective time may lie ahead of the server's clock: what clock skew explains."""


def debit(wallet: Wallet, command: Debit, now: datetime) -> list[Draft]:
    """Return the expiries that fell due and the debit.

    Raises AmountNotPositive, AmountOutOfRange, FieldNotAllowed, FieldMalformed, ChargeInconsistent,
    TimeInFuture, InsufficientCredit, OverageLimitExceeded.
    """
    effective_time = command.effective_time or now
    if effective_time > now + AHEAD_MAX:
        raise TimeInFuture(
            f"effective_time lies more than {AHEAD_MAX} ahead of the server's clock", field="effective_time"
        )
    amount_units = _amount(wallet, command)
    expiries = settle(command.wallet, wallet, now)
    draws = _draw(settled(wallet, now), amount_units, effective_time, command.feature)
    overage_units = amount_units - sum(draw.amount_units for draw in draws)
    if overage_units:
        _check_shortfall(wallet, command, amount_units, overage_units, effective_time)
    event = CreditsDebited(
        amount_units=amount_units,
        draws=tuple(draws),
        burn_down_order=DEFAULT_ORDER,
        overage_units=overage_units,
        feature=command.feature,
        delivered=command.delivered,
        charge=command.charge,
    )
    return [*expiries, Draft(command.wallet, event, effective_time, answers=True)]


def _amount(wallet: Wallet, command: Debit) -> int:
    if command.charge is not None:
        return _charged_units(wallet, command, command.charge)
    if command.amount_units <= 0:
        raise AmountNotPositive("amount_units must be above 0", field="amount_units")
    if command.amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"amount_units must not exceed {UNITS_MAX}", field="amount_units")
    return command.amount_units


def _charged_units(wallet: Wallet, command: Debit, charge: Charge) -> int:
    if command.amount_units:
        raise FieldNotAllowed("amount_units must be 0 when a charge is given", field="amount_units")
    _check_sum(charge)
    charged = EXACT.add(wallet.carried_fraction, exact(charge.exact_units))
    amount_units = int(charged.to_integral_value(ROUND_FLOOR))
    if amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"the charge exceeds {UNITS_MAX} units", field="charge.exact_units")
    return amount_units


def _check_sum(charge: Charge) -> None:
    if not is_exact_text(charge.exact_units):
        raise FieldMalformed(
            f"charge.exact_units {charge.exact_units[:80]!r} is not a plain decimal",
            field="charge.exact_units",
        )
    total = exact("0")
    for line in charge.lines:
        if not is_exact_text(line.exact_units):
            raise FieldMalformed(
                f"exact_units {line.exact_units[:80]!r} of {line.dimension} is not a plain decimal",
                field="charge.lines.exact_units",
            )
        total = EXACT.add(total, exact(line.exact_units))
    if total != exact(charge.exact_units):
        raise ChargeInconsistent(
            f"the lines add up to {total}, not to {charge.exact_units} units", field="charge.exact_units"
        )


def _draw(wallet: Wallet, amount_units: int, effective_time: datetime, feature: str) -> list[Draw]:
    draws: list[Draw] = []
    for lot in wallet.lots:
        if amount_units == 0:
            break
        if is_drawable(lot, effective_time=effective_time, feature=feature):
            units = min(amount_units, lot.remaining_units)
            draws.append(Draw(lot.grant_version, units))
            amount_units -= units
    return draws


def _check_shortfall(
    wallet: Wallet, command: Debit, amount_units: int, overage_units: int, effective_time: datetime
) -> None:
    overage_after = wallet.overage_units + overage_units
    if overage_after > UNITS_MAX:
        raise AmountOutOfRange(f"the wallet's overage would exceed {UNITS_MAX} units", field="amount_units")
    if command.delivered:
        return
    policy = policy_at(wallet, effective_time)
    if policy.shortfall_mode is ShortfallMode.HARD:
        available_units = amount_units - overage_units
        raise InsufficientCredit(
            f"{command.wallet} has {available_units} units for this debit, which needs {amount_units}",
            field="amount_units",
            available_units=available_units,
            amount_units=amount_units,
        )
    if policy.overage_limit_units and overage_after > policy.overage_limit_units:
        raise OverageLimitExceeded(
            f"overage would rise to {overage_after} units, above the limit of {policy.overage_limit_units}",
            field="amount_units",
            overage_units=overage_after,
            overage_limit_units=policy.overage_limit_units,
        )
