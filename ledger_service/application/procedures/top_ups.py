"""Settling a top-up that was settled before: a wallet forgets it then, so the log is asked how it ended.

Payment providers report an outcome more than once and under keys of their own. The same outcome gets the
first answer again, another one is refused and changes nothing.
"""

from __future__ import annotations

from typing import Final

from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.debit_records import read_event
from ledger_service.application.procedures.entity_books import in_entity_books
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import Request, SettleTopUp
from ledger_service.domain.events import TopUpRequested, TopUpSettled
from ledger_service.domain.refusals import TopUpAlreadySettled, TopUpNotFound, TopUpNotOpen
from ledger_service.domain.topics import TOPIC_OF, decode_fact

EVENTS_PER_READ: Final = 1_000


async def settle(
    writer: Writer,
    reader: LogReader,
    command: SettleTopUp,
    *,
    functional_currency: str = "",
    key: str,
    actor: str,
) -> Outcome:
    """Settle a top-up. Raises TopUpNotFound, TopUpAlreadySettled and other refusals."""
    try:
        sale = await in_entity_books(writer, command, functional_currency=functional_currency)
        outcome = await writer.submit(Request(sale, key, actor))
    except TopUpNotOpen:
        return await _first_answer(reader, command)
    assert outcome is not None, "a keyed command records something"
    return outcome


async def _first_answer(reader: LogReader, command: SettleTopUp) -> Outcome:
    wallet, version = command.wallet, command.top_up_version
    asked = await read_event(reader, wallet, version)
    if asked is None or not isinstance(asked.event, TopUpRequested):
        raise TopUpNotFound(f"{wallet} has no top-up {version}", field="name")
    first = await _settlement(reader, wallet, version)
    event = first.fact.event
    assert isinstance(event, TopUpSettled)
    if event.outcome is not command.outcome:
        raise TopUpAlreadySettled(
            f"top-up {version} was settled before: {event.outcome.value}",
            field="outcome",
            outcome=event.outcome.value,
            payment_reference=event.payment_reference,
        )
    return first


async def _settlement(reader: LogReader, wallet: str, top_up_version: int) -> Outcome:
    after = top_up_version
    while True:
        events = await reader.read_stream(
            wallet, after=after, limit=EVENTS_PER_READ, topics=[TOPIC_OF[TopUpSettled]]
        )
        for stored in events:
            fact = decode_fact(stored.topic, stored.state)
            assert isinstance(fact.event, TopUpSettled)
            if fact.event.top_up_version == top_up_version:
                return Outcome(stored.stream, stored.version, stored.position, fact, replayed=True)
        assert events, "a top-up that is not open was settled"
        after = events[-1].version
