"""A wallet's alerts, read from the log for those who follow it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.application.ports import LogReader
from ledger_service.domain.events import ThresholdCrossed
from ledger_service.domain.topics import TOPIC_OF, decode_fact

ALERTS_PER_READ: Final = 100


class Alert(msgspec.Struct, frozen=True):
    """An alert with its version in the wallet's stream."""

    version: int
    effective_time: datetime
    crossed: ThresholdCrossed


async def read_alerts(reader: LogReader, wallet: str, *, after: int) -> list[Alert]:
    """Return up to ALERTS_PER_READ alerts after a version, oldest first. Raises StoreUnavailableError."""
    topics = [TOPIC_OF[ThresholdCrossed]]
    found: list[Alert] = []
    for stored in await reader.read_stream(wallet, after=after, limit=ALERTS_PER_READ, topics=topics):
        fact = decode_fact(stored.topic, stored.state)
        assert isinstance(fact.event, ThresholdCrossed), "the log gives the topics asked for"
        found.append(Alert(stored.version, fact.effective_time, fact.event))
    return found
