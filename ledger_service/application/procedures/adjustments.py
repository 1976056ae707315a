"""Recording an adjustment: the evidence of what it takes back is read from the log, then it is decided.

A query reads all debits at once, and one their lots: an adjustment of 500 debits would else wait for 1,500 answers.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.debit_records import on_evidence, read_debits, read_evidence
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.agreement.adjust import PARTS_MAX
from ledger_service.domain.commands import DebitPart, RecordAdjustment, Request, SettleWallet
from ledger_service.domain.events import Charge
from ledger_service.domain.refusals import FieldTooLong


async def record_adjustment(
    writer: Writer,
    reader: LogReader,
    *,
    wallet: str,
    rate_card: str,
    charge: Charge,
    effective_time: datetime | None,
    key: str,
    actor: str,
) -> Outcome:
    """Record an adjustment. Raises DebitNotFound and other refusals."""
    assert charge.adjustment is not None, "an adjustment says what it adjusts"
    parts = charge.adjustment.taken_back
    if len(parts) > PARTS_MAX:
        raise FieldTooLong(f"adjustment.taken_back exceeds {PARTS_MAX} debits", field="adjustment.taken_back")
    await writer.read(wallet)
    debits = await read_debits(reader, wallet, [part.debit_version for part in parts])
    if any(debit.event.debt_units for debit in debits):
        # What falls due may repay a debt: it is recorded first, so that the evidence is complete.
        await writer.submit(Request(SettleWallet(wallet), "", actor))

    async def attempt() -> Outcome:
        records = await read_evidence(writer, reader, wallet, [part.debit_version for part in parts])
        evidence = tuple(
            DebitPart(record, part.amount_units) for record, part in zip(records, parts, strict=True)
        )
        command = RecordAdjustment(wallet, rate_card, charge, evidence, effective_time)
        outcome = await writer.submit(Request(command, key, actor))
        assert outcome is not None, "a keyed command records something"
        return outcome

    return await on_evidence(attempt)
