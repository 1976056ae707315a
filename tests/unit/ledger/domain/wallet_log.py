"""A book's log read as the service reads it, for replays up to an instant on either clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from ledger_service.application.ports import LogReader, StoredEvent
from ledger_service.application.reading.balance import Balance
from ledger_service.application.reading.replay import replay_wallet
from tests.builders import WALLET, Book
from tests.fakes.projection_log import stored


class BookReader:
    """Reads the streams of a book."""

    def __init__(self, ledger: Book) -> None:
        self._log = stored(ledger)

    async def read_stream(self, stream: str, *, after: int, limit: int) -> Sequence[StoredEvent]:
        """Return up to `limit` events of a stream after a version."""
        return [each for each in self._log if each.stream == stream and each.version > after][:limit]


async def balance_as_of(
    ledger: Book, *, effective_until: datetime, recorded_until: datetime | None = None
) -> Balance:
    """Return the wallet's balance as of an instant, as recorded by now unless told."""
    recorded = recorded_until or max(each.fact.record_time for each in ledger.log)
    replay = await replay_wallet(
        cast("LogReader", BookReader(ledger)),
        WALLET,
        effective_until=effective_until,
        recorded_until=recorded,
    )
    return replay.balance
