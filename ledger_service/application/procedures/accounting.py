"""Closing an accounting period, in steps each of which may be given again.

What time has ended in the period is recorded first. Then the period is locked: from that position of the log on nothing
is posted to it. Its figures, which do not change any more, are read from the journal, and their hash is recorded. The
lock's key follows from the period, so whoever closes a period that was left locked goes on from there.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.chargebacks import issued_terms
from ledger_service.application.reporting.finance_ports import FinanceViews
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import (
    CloseAccountingPeriod,
    LockAccountingPeriod,
    RecordEscheat,
    Request,
    SettleWallet,
)
from ledger_service.domain.finance.periods import AccountingPeriods
from ledger_service.domain.refusals import Refusal

WALLETS_PER_BATCH_MAX: Final = 1_000
"""Wallets settled by one batch of commands."""
ACTOR: Final = "close"


async def close_period(
    writer: Writer,
    views: FinanceViews,
    *,
    period: str,
    from_day: date,
    to_day: date,
    key: str,
    actor: str,
) -> Outcome:
    """Close a period and return what was recorded. Raises Refusal."""
    state = (await writer.read(period)).state
    assert state is None or isinstance(state, AccountingPeriods)
    if state is None or state.open_day < to_day:
        await _settle(writer, views, entity=period.partition("/")[2], to_day=to_day)
    lock = LockAccountingPeriod(period, from_day, to_day)
    locked = await writer.submit(Request(lock, lock_key(from_day, to_day), actor))
    assert locked is not None, "a keyed command records something"
    figures_hash = await views.figures_hash(
        entity=period.partition("/")[2],
        from_day=from_day,
        to_day=to_day,
        min_position=locked.position,
    )
    close = CloseAccountingPeriod(period, from_day, to_day, locked.position, figures_hash)
    closed = await writer.submit(Request(close, key, actor))
    assert closed is not None, "a keyed command records something"
    return closed


def lock_key(from_day: date, to_day: date) -> str:
    """Return the idempotency key of a lock: no caller can choose it, for it has two lines."""
    return f"lock\n{from_day}/{to_day}"


async def escheat(
    writer: Writer,
    reader: LogReader,
    *,
    wallet: str,
    grant_version: int,
    fraction: str,
    jurisdiction: str,
    key: str,
    actor: str,
) -> Outcome:
    """Note what of a lot belongs to the state; its terms are read from the log, for it may have expired."""
    await writer.read(wallet)
    recorded = await issued_terms(reader, wallet, grant_version)
    command = RecordEscheat(wallet, grant_version, fraction, recorded, jurisdiction)
    outcome = await writer.submit(Request(command, key, actor))
    assert outcome is not None, "a keyed command records something"
    return outcome


async def _settle(writer: Writer, views: FinanceViews, *, entity: str, to_day: date) -> None:
    """Have recorded what time has ended before a day. Raises Refusal."""
    after = ""
    position = writer.committed_position
    while due := await views.due_wallets(
        before=to_day, entity=entity, after=after, limit=WALLETS_PER_BATCH_MAX, min_position=position
    ):
        requests = [Request(SettleWallet(wallet), "", ACTOR) for wallet in due]
        for answer in await writer.submit_many(requests):
            if isinstance(answer, Refusal):
                raise answer
        after = due[-1]
