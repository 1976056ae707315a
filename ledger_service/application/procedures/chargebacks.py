"""Chargebacks: the grant's terms are read from the log, for its lot may be used up, then it is decided."""

from __future__ import annotations

from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.debit_records import read_event
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import ChargeBackGrant, Request
from ledger_service.domain.events import CreditsGranted, CreditsRolledOver, CreditsTransferredIn, LotTerms
from ledger_service.domain.refusals import GrantNotFound
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.lots import from_grant, terms_of


async def charge_back(
    writer: Writer,
    reader: LogReader,
    *,
    wallet: str,
    grant_version: int,
    amount: Money | None,
    reference: str,
    key: str,
    actor: str,
) -> Outcome:
    """Note that the bank took back what was paid for a grant. Raises GrantNotFound and other refusals."""
    await writer.read(wallet)
    recorded = await issued_terms(reader, wallet, grant_version)
    command = ChargeBackGrant(wallet, grant_version, recorded, amount, reference)
    outcome = await writer.submit(Request(command, key, actor))
    assert outcome is not None, "a keyed command records something"
    return outcome


async def issued_terms(reader: LogReader, wallet: str, grant_version: int) -> LotTerms:
    """Return the terms of a lot as it began. Raises GrantNotFound."""
    fact = await read_event(reader, wallet, grant_version)
    match None if fact is None else fact.event:
        case CreditsGranted() as granted:
            assert fact is not None, "an event has a fact"
            return terms_of(from_grant(grant_version, granted, fact.effective_time))
        case CreditsTransferredIn(lot=lot) | CreditsRolledOver(lot=lot):
            return lot
        case _:
            raise GrantNotFound(f"{wallet} has no grant {grant_version}", field="name")
