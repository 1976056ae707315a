"""What the log says of a debit that is to be reversed: facts that never change, looked up before the decision.

Only repayments of its debt may come while it is looked up. Then the decision refuses what it was given, and it is
looked up once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final, TypeVar

import msgspec

from ledger_service.application.ports import LogReader
from ledger_service.application.writer import Writer
from ledger_service.domain.commands import DebitRecord
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsGranted,
    CreditsRolledOver,
    CreditsTransferredIn,
    DebtRepaid,
    Draw,
    Event,
    Fact,
    GrantActivated,
    HoldCaptured,
    LotTerms,
)
from ledger_service.domain.refusals import DebitNotFound
from ledger_service.domain.refusals.service import Contended
from ledger_service.domain.topics import TOPIC_OF, decode_fact
from ledger_service.domain.wallet.lots import from_grant, terms_of
from ledger_service.domain.wallet.reverse import owed_of
from ledger_service.domain.wallet.state import Wallet

EVENTS_PER_READ: Final = 1_000
ROUNDS_MAX: Final = 8
"""How often a debit is looked up because its debt was repaid meanwhile."""

T = TypeVar("T")


async def on_evidence(attempt: Callable[[], Awaitable[T]]) -> T:
    """Return what comes of an attempt that reads its evidence and decides on it; again if that became stale.

    Raises Contended, and what the attempt raises.
    """
    for _ in range(ROUNDS_MAX - 1):
        with suppress(Contended):
            return await attempt()
    return await attempt()


async def read_evidence(
    writer: Writer, reader: LogReader, wallet: str, versions: Sequence[int]
) -> list[DebitRecord]:
    """Return what paid for debits so far, with what was owed of each before that was read. Raises DebitNotFound."""
    state = (await writer.read(wallet)).state
    records = [await read_debit_record(reader, wallet, version) for version in versions]
    if not isinstance(state, Wallet):
        return records
    return [msgspec.structs.replace(each, owed_units=owed_of(state, each.debit_version)) for each in records]


async def read_event(reader: LogReader, stream: str, version: int) -> Fact[Event] | None:
    """Return one event of a stream, None if there is none."""
    events = await reader.read_stream(stream, after=version - 1, limit=1)
    if not events or events[0].version != version:
        return None
    return decode_fact(events[0].topic, events[0].state)


async def read_debit(reader: LogReader, wallet: str, version: int) -> CreditsDebited | HoldCaptured:
    """Return a debit, be it an ordinary one or a capture. Raises DebitNotFound."""
    return _debit_of(await read_event(reader, wallet, version), wallet, version)


async def read_debit_record(reader: LogReader, wallet: str, version: int) -> DebitRecord:
    """Return what paid for a debit so far, repayments of its debt at the end. Raises DebitNotFound."""
    fact = await read_event(reader, wallet, version)
    event = _debit_of(fact, wallet, version)
    draws = event.draws
    if isinstance(event, HoldCaptured):
        draws = (*event.held_draws, *draws)
    if event.debt_units:
        draws = (*draws, *await _repayments(reader, wallet, version))
    return DebitRecord(
        version,
        draws,
        event.overage_units,
        await _terms(reader, wallet, draws),
        record_time=None if fact is None else fact.record_time,
        api_key=event.api_key,
        user=event.user,
        feature=event.feature,
        overage_price=None if event.charge is None else event.charge.overage_price,
    )


def _debit_of(fact: Fact[Event] | None, wallet: str, version: int) -> CreditsDebited | HoldCaptured:
    if fact is None or not isinstance(fact.event, CreditsDebited | HoldCaptured):
        raise DebitNotFound(f"{wallet} has no debit {version}", field="name")
    return fact.event


async def _repayments(reader: LogReader, wallet: str, version: int) -> list[Draw]:
    topics = [TOPIC_OF[DebtRepaid]]
    found: list[Draw] = []
    after = version
    while True:
        events = await reader.read_stream(wallet, after=after, limit=EVENTS_PER_READ, topics=topics)
        for stored in events:
            event = decode_fact(stored.topic, stored.state).event
            assert isinstance(event, DebtRepaid)
            found += [
                Draw(event.grant_version, each.amount_units)
                for each in event.repayments
                if each.debit_version == version
            ]
        if len(events) < EVENTS_PER_READ:
            return found
        after = events[-1].version


async def _terms(reader: LogReader, wallet: str, draws: Sequence[Draw]) -> dict[int, LotTerms]:
    return {
        version: await _lot_terms(reader, wallet, version)
        for version in dict.fromkeys(draw.grant_version for draw in draws)
    }


async def _lot_terms(reader: LogReader, wallet: str, version: int) -> LotTerms:
    fact = await read_event(reader, wallet, version)
    assert fact is not None, "a draw names an event of its stream"
    if isinstance(fact.event, CreditsRolledOver | CreditsTransferredIn):
        return fact.event.lot
    assert isinstance(fact.event, CreditsGranted), "a draw names a grant"
    if fact.event.pending:
        return await _activated_terms(reader, wallet, version)
    return terms_of(from_grant(version, fact.event, fact.effective_time))


async def _activated_terms(reader: LogReader, wallet: str, version: int) -> LotTerms:
    after = version
    while True:
        events = await reader.read_stream(
            wallet, after=after, limit=EVENTS_PER_READ, topics=[TOPIC_OF[GrantActivated]]
        )
        for stored in events:
            event = decode_fact(stored.topic, stored.state).event
            assert isinstance(event, GrantActivated)
            if event.grant_version == version:
                return event.lot
        assert events, "a draw names a grant that was activated"
        after = events[-1].version
