"""Reversing a debit: its evidence is read from the log, then the reversal is decided."""

from __future__ import annotations

from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.debit_records import on_evidence, read_debit, read_evidence
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import Request, ReverseDebit, SettleWallet


async def reverse(
    writer: Writer,
    reader: LogReader,
    *,
    wallet: str,
    debit_version: int,
    amount_units: int,
    key: str,
    actor: str,
) -> Outcome:
    """Take back so many units of a debit; 0: all that is left of it. Raises DebitNotFound and other refusals."""
    await writer.read(wallet)
    if (await read_debit(reader, wallet, debit_version)).debt_units:
        # What falls due may repay the debt: it is recorded first, so that the evidence is complete.
        await writer.submit(Request(SettleWallet(wallet), "", actor))

    async def attempt() -> Outcome:
        [recorded] = await read_evidence(writer, reader, wallet, [debit_version])
        command = ReverseDebit(wallet, debit_version, recorded, amount_units)
        outcome = await writer.submit(Request(command, key, actor))
        assert outcome is not None, "a keyed command records something"
        return outcome

    return await on_evidence(attempt)
