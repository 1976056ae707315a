"""What the log says of a debit that is to be reversed: facts that never change, looked up before the decision.

Only repayments of its debt may come while it is looked up. Then the decision refuses what it was given, and it is
looked up once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final, NamedTuple, TypeVar

import msgspec

from ledger_service.application.ports import LogReader
from ledger_service.application.writing.writer import Writer
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
    records = await debit_records(reader, wallet, await read_debits(reader, wallet, versions))
    if not isinstance(state, Wallet):
        return records
    return [msgspec.structs.replace(each, owed_units=owed_of(state, each.debit_version)) for each in records]


class ReadDebit(NamedTuple):
    """A debit as recorded."""

    version: int
    event: CreditsDebited | HoldCaptured
    record_time: datetime


async def read_event(reader: LogReader, stream: str, version: int) -> Fact[Event] | None:
    """Return one event of a stream, None if there is none."""
    events = await reader.read_stream(stream, after=version - 1, limit=1)
    if not events or events[0].version != version:
        return None
    return decode_fact(events[0].topic, events[0].state)


async def read_debit(reader: LogReader, wallet: str, version: int) -> CreditsDebited | HoldCaptured:
    """Return a debit, be it an ordinary one or a capture. Raises DebitNotFound."""
    [debit] = await read_debits(reader, wallet, [version])
    return debit.event


async def read_debits(reader: LogReader, wallet: str, versions: Sequence[int]) -> list[ReadDebit]:
    """Return debits in the order of their versions as given, by one query. Raises DebitNotFound for what is none."""
    facts = await _read_facts(reader, wallet, versions)
    return [_debit_of(facts.get(version), wallet, version) for version in versions]


async def debit_records(reader: LogReader, wallet: str, debits: Sequence[ReadDebit]) -> list[DebitRecord]:
    """Return what paid for debits so far, repayments of their debts at the end; each lot is read once."""
    draws = [await _draws_of(reader, wallet, debit) for debit in debits]
    terms = await _terms(reader, wallet, {draw.grant_version for each in draws for draw in each})
    return [_record_of(debit, drawn, terms) for debit, drawn in zip(debits, draws, strict=True)]


async def _draws_of(reader: LogReader, wallet: str, debit: ReadDebit) -> tuple[Draw, ...]:
    event = debit.event
    draws = event.draws
    if isinstance(event, HoldCaptured):
        draws = (*event.held_draws, *draws)
    if event.debt_units:
        draws = (*draws, *await _repayments(reader, wallet, debit.version))
    return draws


def _record_of(debit: ReadDebit, draws: tuple[Draw, ...], terms: Mapping[int, LotTerms]) -> DebitRecord:
    event = debit.event
    return DebitRecord(
        debit.version,
        draws,
        event.overage_units,
        {draw.grant_version: terms[draw.grant_version] for draw in draws},
        record_time=debit.record_time,
        api_key=event.api_key,
        user=event.user,
        feature=event.feature,
        overage_price=None if event.charge is None else event.charge.overage_price,
    )


def _debit_of(fact: Fact[Event] | None, wallet: str, version: int) -> ReadDebit:
    if fact is None or not isinstance(fact.event, CreditsDebited | HoldCaptured):
        raise DebitNotFound(f"{wallet} has no debit {version}", field="name")
    return ReadDebit(version, fact.event, fact.record_time)


async def _read_facts(reader: LogReader, stream: str, versions: Collection[int]) -> dict[int, Fact[Event]]:
    events = await reader.read_versions(stream, sorted(versions)) if versions else []
    return {stored.version: decode_fact(stored.topic, stored.state) for stored in events}


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


async def _terms(reader: LogReader, wallet: str, versions: Collection[int]) -> dict[int, LotTerms]:
    facts = await _read_facts(reader, wallet, versions)
    return {
        version: await _lot_terms(reader, wallet, version, facts[version]) for version in sorted(versions)
    }


async def _lot_terms(reader: LogReader, wallet: str, version: int, fact: Fact[Event]) -> LotTerms:
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
