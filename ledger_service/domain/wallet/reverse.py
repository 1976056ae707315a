"""Reverse: taking a debit back, in part or whole.

Units come back from the end of what paid for the debit: first what no lot covered (overage, then debt), then
its draws, last one first, each to its own lot. Credit that comes back to a lot that has expired or been
revoked meanwhile ends at once: a reversal never makes fresh credit.

What repaid its debt is read from the log before the wallet decides. If something was repaid in between, the record
lacks it, and nothing is decided on that: it is read again.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.commands import DebitRecord, ReverseDebit
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    CreditsGranted,
    CreditsRolledOver,
    DebitReversed,
    DebtRepaid,
    Draw,
    GrantActivated,
    LotTerms,
    Return,
)
from ledger_service.domain.refusals import AmountNotPositive, ReversalExceedsDebit
from ledger_service.domain.refusals.service import Contended
from ledger_service.domain.wallet.lots import from_grant, terms_of
from ledger_service.domain.wallet.settle import begin, lapse_returned
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.tape import Tape


def reverse_debit(wallet: Wallet, command: ReverseDebit, now: datetime) -> list[Draft]:
    """Return what fell due and the reversal. Raises AmountNotPositive, ReversalExceedsDebit, Contended."""
    tape = begin(command.wallet, wallet, now)
    take_back(tape, command.recorded, command.amount_units, now, answers=True)
    return tape.drafts


def take_back(
    tape: Tape, evidence: DebitRecord, amount_units: int, now: datetime, *, answers: bool = False
) -> None:
    """Add the reversal of so many units of a debit to a tape; 0: all that is left of it.

    Raises AmountNotPositive, ReversalExceedsDebit, Contended.
    """
    version = evidence.debit_version
    if evidence.owed_units not in (None, owed_of(tape.begun, version)):
        raise Contended(f"the debt of debit {version} changed while it was looked up; nothing was done")
    recorded = _with_repayments(tape, evidence)
    owed_units = owed_of(tape.wallet, version)
    drawn_units = sum(draw.amount_units for draw in recorded.draws)
    before = tape.wallet.reversed_units.get(version, 0)
    left_units = recorded.overage_units + owed_units + drawn_units - before
    amount_units = amount_units or left_units
    if amount_units < 0 or left_units == 0:
        raise (
            _exceeds(left_units)
            if left_units == 0
            else AmountNotPositive("amount_units must not be negative", field="amount_units")
        )
    if amount_units > left_units:
        raise _exceeds(left_units)
    reversal = _reversal(tape.wallet, recorded, amount_units, before, owed_units)
    tape.add(reversal, now, answers=answers)
    # Credit that comes back after the end of its lot has missed the boundary: it does not roll over.
    lapse_returned(tape, now, reversal.returned, rolls_over=False)


def owed_of(wallet: Wallet, debit_version: int) -> int:
    """Return what is owed of a debit."""
    return sum(debt.amount_units for debt in wallet.debts if debt.debit_version == debit_version)


def _exceeds(left_units: int) -> ReversalExceedsDebit:
    return ReversalExceedsDebit(
        f"{left_units} units are left of the debit", field="amount_units", left_units=left_units
    )


def _reversal(
    wallet: Wallet, recorded: DebitRecord, amount_units: int, before: int, owed_units: int
) -> DebitReversed:
    overage_left = max(recorded.overage_units - before, 0)
    overage_units = min(amount_units, overage_left)
    debt_units = min(amount_units - overage_units, owed_units)
    skip_units = max(before - recorded.overage_units, 0)
    returned = _from_the_end(recorded.draws, skip_units, amount_units - overage_units - debt_units)
    reversal = DebitReversed(
        debit_version=recorded.debit_version,
        amount_units=amount_units,
        returned=tuple(
            Return(draw.grant_version, draw.amount_units, _terms(wallet, recorded, draw.grant_version))
            for draw in returned
        ),
        overage_units=overage_units,
        debt_units=debt_units,
        feature=recorded.feature,
        overage_price=recorded.overage_price if overage_units else None,
    )
    if wallet.caps is None:
        return reversal
    return msgspec.structs.replace(
        reversal,
        debit_time=recorded.record_time,
        api_key=recorded.api_key,
        user=recorded.user,
    )


def _with_repayments(tape: Tape, recorded: DebitRecord) -> DebitRecord:
    """Return the record with what fell due only now: repayments that settling has just put on the tape."""
    known = {lot.grant_version: terms_of(lot) for lot in tape.begun.lots}
    draws, lots = list(recorded.draws), dict(recorded.lots)
    for version, draft in enumerate(tape.drafts, start=tape.begun.version + 1):
        match draft.event:
            case CreditsGranted() as granted:
                known[version] = terms_of(from_grant(version, granted, draft.effective_time))
            case GrantActivated(grant_version=activated, lot=terms):
                known[activated] = terms
            case CreditsRolledOver(lot=terms, recurrence=recurrence):
                known[version] = msgspec.structs.replace(terms, recurrence=recurrence)
            case DebtRepaid(grant_version=grant_version, repayments=repayments):
                for part in repayments:
                    if part.debit_version == recorded.debit_version:
                        draws.append(Draw(grant_version, part.amount_units))
                        lots[grant_version] = known[grant_version]
            case _:
                pass
    return msgspec.structs.replace(recorded, draws=tuple(draws), lots=lots)


def _from_the_end(draws: tuple[Draw, ...], skip_units: int, units: int) -> list[Draw]:
    returned: list[Draw] = []
    for draw in reversed(draws):
        skipped = min(skip_units, draw.amount_units)
        skip_units -= skipped
        part = min(units, draw.amount_units - skipped)
        units -= part
        if part:
            returned.append(Draw(draw.grant_version, part))
    return returned


def _terms(wallet: Wallet, recorded: DebitRecord, grant_version: int) -> LotTerms:
    terms = recorded.lots[grant_version]
    if grant_version not in wallet.extended_grants:
        return terms
    return msgspec.structs.replace(terms, expire_time=wallet.extended_grants[grant_version])
