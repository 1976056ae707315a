"""Goodwill: a grant that compensates a debit names one that is in the log of the same wallet."""

from __future__ import annotations

from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.debit_records import read_debit
from ledger_service.domain.commands import GrantCredits
from ledger_service.domain.refusals import DebitNotFound


async def check_compensated_debit(reader: LogReader, command: GrantCredits) -> None:
    """Refuse goodwill for a debit that never was. Debits are never removed, so it holds when it is decided.

    Raises DebitNotFound.
    """
    if not command.compensates_version:
        return
    try:
        await read_debit(reader, command.wallet, command.compensates_version)
    except DebitNotFound as refusal:
        raise DebitNotFound(refusal.description, field="grant.compensates") from None
