"""Holds: reserving credit, and turning it into a debit.

A hold reserves concrete slices of lots, all or nothing, in burn-down order. A capture takes slices from the
front; what is left goes back to the lots it came from. Held slices stay usable past their lot's expiry until
the hold ends; what returns to a lot that has expired meanwhile expires at once.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from ledger_service.domain.commands import CaptureHold, OverHold, PlaceHold, ReleaseHold
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import CreditsHeld, HoldCaptured, HoldReleased
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    CaptureExceedsHold,
    FieldNotAllowed,
    HoldNotActive,
    InsufficientCredit,
    NumberOutOfRange,
)
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.caps import Spender
from ledger_service.domain.wallet.debit import Cover, charged_units, cover_units, draw_units
from ledger_service.domain.wallet.room import check_room
from ledger_service.domain.wallet.settle import begin, lapse_returned
from ledger_service.domain.wallet.state import Hold, Wallet, take_front

TTL_DEFAULT: Final = timedelta(minutes=10)
TTL_MAX: Final = timedelta(hours=24)


def place_hold(wallet: Wallet, command: PlaceHold, now: datetime) -> list[Draft]:
    """Return what fell due and the hold.

    Raises AmountNotPositive, AmountOutOfRange, NumberOutOfRange, SpendCapExceeded, BudgetExceeded,
    InsufficientCredit.
    """
    _check_amount(command.amount_units)
    ttl = TTL_DEFAULT if command.ttl is None else command.ttl
    if not timedelta(0) < ttl <= TTL_MAX:
        raise NumberOutOfRange(f"ttl must lie above 0 and up to {TTL_MAX}", field="ttl")
    tape = begin(command.wallet, wallet, now)
    spender = Spender(command.api_key, command.user, command.feature)
    check_room(tape.wallet, spender, command.amount_units, now)
    slices = draw_units(
        tape.wallet, command.amount_units, effective_time=now, feature=command.feature, now=now
    )
    available_units = sum(each.amount_units for each in slices)
    if available_units < command.amount_units:
        raise InsufficientCredit(
            f"{available_units} units are available for this hold, which needs {command.amount_units}",
            field="amount_units",
            available_units=available_units,
            amount_units=command.amount_units,
        )
    held = CreditsHeld(
        command.amount_units,
        slices,
        now + ttl,
        wallet.burn_down_order,
        feature=command.feature,
        api_key=command.api_key,
        user=command.user,
        estimate_of=command.estimate_of,
    )
    return tape.end(held, now)


def capture_hold(wallet: Wallet, command: CaptureHold, now: datetime) -> list[Draft]:
    """Return what fell due and the capture; a final one gives back what it does not take.

    What exceeds the hold is an ordinary debit within the same event, and the whole capture fails if that is refused.
    Raises HoldNotActive, CaptureExceedsHold, FieldNotAllowed, AmountOutOfRange, SpendCapExceeded, BudgetExceeded,
    InsufficientCredit, OverageLimitExceeded.
    """
    tape = begin(command.wallet, wallet, now)
    hold = _active(tape.wallet, command.hold_version)
    amount_units = _amount(tape.wallet, command, now)
    taken, rest = take_front(hold.slices, amount_units)
    excess_units = amount_units - sum(each.amount_units for each in taken)
    extra = _extra(tape.wallet, command, hold, excess_units, now)
    captured = HoldCaptured(
        hold_version=hold.hold_version,
        amount_units=amount_units,
        held_draws=taken,
        burn_down_order=wallet.burn_down_order,
        final=command.final,
        returned=tuple(reversed(rest)) if command.final else (),
        draws=extra.draws,
        overage_units=extra.overage_units,
        debt_units=extra.debt_units,
        feature=hold.feature,
        charge=command.charge,
        api_key=hold.api_key,
        user=hold.user,
    )
    tape.add(captured, now, answers=True)
    lapse_returned(tape, now, captured.returned)
    return tape.drafts


def release_hold(wallet: Wallet, command: ReleaseHold, now: datetime) -> list[Draft]:
    """Return what fell due and the release. Raises HoldNotActive."""
    tape = begin(command.wallet, wallet, now)
    hold = _active(tape.wallet, command.hold_version)
    released = HoldReleased(hold.hold_version, tuple(reversed(hold.slices)))
    tape.add(released, now, answers=True)
    lapse_returned(tape, now, released.returned)
    return tape.drafts


def _extra(wallet: Wallet, command: CaptureHold, hold: Hold, excess_units: int, now: datetime) -> Cover:
    if not excess_units:
        return Cover(())
    if command.over_hold is OverHold.REJECT:
        held_units = sum(each.amount_units for each in hold.slices)
        raise CaptureExceedsHold(
            f"the hold reserves {held_units} units",
            field="amount_units",
            held_units=held_units,
        )
    check_room(wallet, Spender(hold.api_key, hold.user, hold.feature), excess_units, now)
    return cover_units(
        wallet, excess_units, effective_time=now, feature=hold.feature, delivered=False, now=now
    )


def _active(wallet: Wallet, hold_version: int) -> Hold:
    for hold in wallet.holds:
        if hold.hold_version == hold_version:
            return hold
    raise HoldNotActive(f"hold {hold_version} reserves nothing", field="name", hold=hold_version)


def _amount(wallet: Wallet, command: CaptureHold, now: datetime) -> int:
    if command.charge is not None:
        if command.amount_units:
            raise FieldNotAllowed("amount_units must be 0 when a charge is given", field="amount_units")
        return charged_units(wallet, command.charge, effective_time=now, now=now)
    if command.amount_units < 0:
        raise AmountNotPositive("amount_units must not be negative", field="amount_units")
    return command.amount_units


def _check_amount(amount_units: int) -> None:
    if amount_units <= 0:
        raise AmountNotPositive("amount_units must be above 0", field="amount_units")
    if amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"amount_units must not exceed {UNITS_MAX}", field="amount_units")
