"""Settling: recording what time alone has done to a wallet, before the wallet decides anything.

What fell due is recorded in time order, each with the exact instant as its effective time, so the answer at
any instant is the same whether or when a sweeper ran. Order at one instant: hold timeouts, expiries (credit
that a timeout returned to an expired lot among them), grants lapsing that wait for a payment, roll-overs,
recurring grants, grants that become effective repaying debts, and an automatic top-up. Revocations
are commands and come after all of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from ledger_service.domain.commands import SettleWallet
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    CreditsExpired,
    CreditsRolledOver,
    DebtRepaid,
    Draw,
    GrantRevoked,
    HoldReleased,
    ReceivableLowered,
    Repayment,
    Return,
)
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.burn_down import Lot, is_drawable
from ledger_service.domain.wallet.lots import terms_of
from ledger_service.domain.wallet.low_credit import request_if_low
from ledger_service.domain.wallet.recurrence import (
    after_roll_over,
    boundary,
    carry_units,
    may_come,
    next_grant,
)
from ledger_service.domain.wallet.sale_terms import of_part
from ledger_service.domain.wallet.state import (
    Debt,
    Wallet,
    basis_of,
    clawback_units,
    is_revoked,
    issued_units,
)
from ledger_service.domain.wallet.tape import Tape
from ledger_service.domain.wallet.tax_right import tax_owed_after


def settle(wallet: Wallet, command: SettleWallet, now: datetime) -> list[Draft]:
    """Return what fell due by `now`, oldest first."""
    return begin(command.wallet, wallet, now).drafts


def begin(name: str, wallet: Wallet, now: datetime) -> Tape:
    """Return a tape on which everything that fell due by `now` is recorded."""
    tape = Tape(name, wallet, now)
    while (instant := _next_instant(tape.wallet)) is not None and instant <= now:
        tape.instant = instant
        _settle_instant(tape, instant)
    tape.instant = now
    return tape


def settled(wallet: Wallet, now: datetime) -> Wallet:
    """Return the wallet as settling at `now` leaves it, without recording anything."""
    return begin("", wallet, now).wallet


def lapse_returned(
    tape: Tape, now: datetime, returned: Sequence[Draw | Return], *, rolls_over: bool = True
) -> None:
    """End what was returned to lots that have lapsed meanwhile: no laundering into fresh credit.

    Lots lapse when they expire, are revoked, came with a purchase that was refunded, or their wallet was closed.
    """
    _revoke(tape, now)
    _claw_back(tape, now, returned)
    _expire(tape, now, rolls_over=rolls_over)
    repay(tape, now, since=now)


def repay(tape: Tape, now: datetime, *, since: datetime | None = None) -> None:
    """Let drawable credit repay debts by `now`, oldest debt first; credit that came back repays since then."""
    while (found := _next_repayment(tape.wallet)) is not None and found[0] <= now:
        instant, lot, debt = found
        _repay_from(tape, instant if since is None else max(instant, since), lot, debt)


def _next_instant(wallet: Wallet) -> datetime | None:
    due = wallet.next_due_time
    if wallet.debts and (found := _next_repayment(wallet)) is not None:
        return found[0] if due is None else min(due, found[0])
    return due


def _settle_instant(tape: Tape, instant: datetime) -> None:
    for hold in tape.wallet.holds:
        if hold.expire_time <= instant:
            returned = tuple(reversed(hold.slices))
            tape.add(HoldReleased(hold.hold_version, returned, timed_out=True), instant)
            _claw_back(tape, instant, returned)
    _revoke(tape, instant)
    _expire(tape, instant)
    _lapse_pending(tape, instant)
    for series in tape.wallet.series:
        if series.next_time <= instant and may_come(series, issued_units(tape.wallet)):
            tape.add(next_grant(series), series.next_time)
    repay(tape, instant, since=instant)
    request_if_low(tape, instant)


def _lapse_pending(tape: Tape, instant: datetime) -> None:
    """End grants whose payment did not come before their expiry: there is nothing to break."""
    for pending in tape.wallet.payments.pending_grants:
        expire_time = pending.granted.expire_time
        if expire_time is not None and expire_time <= instant:
            tape.add(CreditsExpired(pending.grant_version, 0, pending=True), instant)


def _revoke(tape: Tape, instant: datetime) -> None:
    """Withdraw what came back to grants that were revoked or charged back, or to any grant of a closed wallet."""
    for lot in tape.wallet.lots:
        receivable = tape.wallet.receivables.get(lot.grant_version)
        whole = is_revoked(tape.wallet, lot)
        if lot.remaining_units and receivable is not None and (whole or receivable.nanos):
            _lower_receivable(tape, instant, lot, receivable, whole=whole)
        elif lot.remaining_units and whole:
            tape.add(GrantRevoked(lot.grant_version, lot.remaining_units), instant)


def _lower_receivable(tape: Tape, instant: datetime, lot: Lot, receivable: Money, *, whole: bool) -> None:
    """Withdraw what returned to a grant that was charged back: as much as is still owed for it, or all."""
    assert lot.consideration is not None, "only what was paid is charged back"
    basis = basis_of(tape.wallet, lot.grant_version, lot.consideration, lot.granted_units)
    units = lot.remaining_units if whole else basis.covering_units(receivable.nanos, lot.remaining_units)
    nanos = min(basis.refund_nanos(units), receivable.nanos)
    reduction = Money(receivable.currency_code, nanos)
    owed = tape.wallet.owed_tax.get(lot.grant_version, 0)
    tax = owed - tax_owed_after(owed, receivable_nanos=receivable.nanos, reduction_nanos=nanos)
    less = Money(receivable.currency_code, tax) if tax else None
    tape.add(ReceivableLowered(lot.grant_version, units, reduction, less), instant)


def _claw_back(tape: Tape, instant: datetime, returned: Sequence[Draw | Return]) -> None:
    """Withdraw a refunded purchase's part of the bonuses that holds or reversals returned.

    Of a recurring bonus a refund withdraws what it finds and no more: its later lots have a part of their own.
    """
    versions = {each.grant_version for each in returned}
    for lot in tape.wallet.lots:
        if lot.purchase_version and lot.recurrence is None and lot.grant_version in versions:
            units = 0 if lot.grant_version in tape.wallet.revoked_grants else clawback_units(tape.wallet, lot)
            if units:
                tape.add(GrantRevoked(lot.grant_version, units, "clawback", clawback=True), instant)


def _expire(tape: Tape, instant: datetime, *, rolls_over: bool = True) -> None:
    """Expire what expired lots hold, and roll over what their policy carries on."""
    due = [
        lot
        for lot in tape.wallet.lots
        if lot.remaining_units and lot.expire_time is not None and lot.expire_time <= instant
    ]
    carried = [(lot, carry_units(lot) if rolls_over else 0) for lot in due]
    for lot, carry in carried:
        if carry < lot.remaining_units:
            tape.add(CreditsExpired(lot.grant_version, lot.remaining_units - carry), instant)
    for lot, carry in carried:
        if carry:
            _roll_over(tape, lot, carry)


def _roll_over(tape: Tape, lot: Lot, carry: int) -> None:
    recurrence = after_roll_over(lot)
    assert lot.expire_time is not None, "a lot rolls over at its expiry"
    terms = msgspec.structs.replace(
        terms_of(lot),
        effective_time=lot.expire_time,
        expire_time=boundary(recurrence, recurrence.number),
        recurrence=None,
        series_version=0,
        finance=of_part(lot.finance),
    )
    tape.add(CreditsRolledOver(lot.grant_version, carry, terms, recurrence), lot.expire_time)


def _next_repayment(wallet: Wallet) -> tuple[datetime, Lot, Debt] | None:
    """Return the earliest instant at which a lot can repay a debt, with the lot first in burn-down order."""
    found: tuple[datetime, Lot, Debt] | None = None
    for debt in wallet.debts:
        for lot in wallet.lots:
            instant = max(lot.effective_time, debt.effective_time)
            drawable = is_drawable(lot, effective_time=instant, feature=debt.feature)
            if drawable and lot.remaining_units and (found is None or instant < found[0]):
                found = (instant, lot, debt)
    return found


def _repay_from(tape: Tape, instant: datetime, lot: Lot, debt: Debt) -> None:
    units = min(lot.remaining_units, debt.amount_units)
    repayments = (Repayment(debt.debit_version, units),)
    tape.add(DebtRepaid(lot.grant_version, units, repayments), instant)
