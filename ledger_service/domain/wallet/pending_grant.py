"""Grants that wait for a payment: activating them, withdrawing them, and what time does to them.

Such a grant is recorded and nothing more: it has no lot, is neither available nor posted, and counts as granted,
and its consideration as received, from its activation on.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.commands import ActivateGrant, GrantCredits
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import GrantActivated
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    FieldNotAllowed,
    GrantNotPending,
    PendingGrantsFull,
)
from ledger_service.domain.values import UNITS_MAX, GrantCategory
from ledger_service.domain.wallet.lots import from_grant, terms_of
from ledger_service.domain.wallet.payments import PENDING_GRANTS_MAX, find_pending
from ledger_service.domain.wallet.settle import begin, repay
from ledger_service.domain.wallet.state import Wallet


def check_pending(wallet: Wallet, command: GrantCredits) -> None:
    """Refuse what cannot wait for a payment. Raises FieldNotAllowed, PendingGrantsFull."""
    field = "grant.pending"
    if command.recurrence is not None:
        raise FieldNotAllowed("a recurring grant waits for no payment", field=field)
    if command.purchase_version:
        raise FieldNotAllowed("a bonus comes with a purchase that is paid", field=field)
    if command.category is GrantCategory.INCLUDED:
        raise FieldNotAllowed("an INCLUDED grant comes with its contract", field=field)
    if len(wallet.payments.pending_grants) >= PENDING_GRANTS_MAX:
        raise PendingGrantsFull(
            f"{PENDING_GRANTS_MAX} grants of {command.wallet} wait for a payment", field=field
        )


def activate_grant(wallet: Wallet, command: ActivateGrant, now: datetime) -> list[Draft]:
    """Return what fell due, the activation, and what it repays. Raises GrantNotPending, AmountOutOfRange.

    A grant whose expiry has come has lapsed and waits no longer.
    """
    tape = begin(command.wallet, wallet, now)
    pending = find_pending(tape.wallet.payments, command.grant_version)
    if pending is None:
        raise GrantNotPending(
            f"grant {command.grant_version} does not wait for a payment, or no longer", field="name"
        )
    if tape.wallet.granted_units + pending.granted.amount_units > UNITS_MAX:
        raise AmountOutOfRange(
            f"all grants of {command.wallet} together would exceed {UNITS_MAX} units", field="name"
        )
    lot = from_grant(pending.grant_version, pending.granted, max(pending.effective_time, now))
    if command.finance is not None:
        lot = msgspec.structs.replace(lot, finance=command.finance)
    tape.add(GrantActivated(pending.grant_version, terms_of(lot)), now, answers=True)
    repay(tape, now)
    return tape.drafts
