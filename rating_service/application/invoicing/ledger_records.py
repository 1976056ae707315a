"""Recording issued documents in the ledger, exactly once each.

A document is stored together with its record, in one transaction. The record is then sent to the ledger under
the document's name as idempotency key, and its position noted: whatever breaks in between, sending it again gives
the same position. So a document and its fact in the ledger exist together in the end, after any kill.

The records of one contract are sent one after the other, in the order in which their documents were issued,
because the ledger checks a credit note against its invoice. One that the ledger refuses stops the later ones of
its contract and no others; it is logged, kept with the refusal's reason, and tried again.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

import structlog

from rating_service.application.ports import LedgerRefused, LedgerUnavailableError, StoreUnavailableError
from rating_service.domain.documents.ledger_records import DocumentRecord, decode_record

SWEEP_SECONDS: Final = 1.0
SWEEP_CONTRACTS_MAX: Final = 32
"""Contracts whose records are sent at once; the next sweep takes the rest."""
RECORDS_MAX: Final = 100
"""Records of one contract that are read at once."""
REFUSED_RETRY_TIME: Final = timedelta(minutes=1)
"""Pause after a refusal, which time alone seldom mends."""

log = structlog.get_logger("rating.ledger_records")


class StoredRecord(NamedTuple):
    """A record as stored; `position` is None until the ledger has recorded it."""

    document: str
    contract: str
    payload: bytes
    position: int | None


class RecordStore(Protocol):
    """The stored records. Every method raises StoreUnavailableError."""

    async def waiting_contracts(self, *, limit: int) -> list[str]:
        """Return contracts of which a record waits and may be tried now, the longest waiting first."""

    async def waiting(self, contract: str, *, limit: int) -> list[StoredRecord]:
        """Return records of a contract that wait, in the order in which they were stored."""

    async def recorded(self, document: str, position: int) -> None:
        """Note the position at which the ledger has recorded a document."""

    async def refused(self, document: str, refusal: str, *, pause: timedelta) -> None:
        """Note why the ledger refused a document, and to let it rest."""

    async def position(self, document: str) -> int | None:
        """Return the position at which the ledger recorded a document, None if it has not."""


class DocumentLedger(Protocol):
    """The ledger's book of documents."""

    async def record(self, record: DocumentRecord) -> int:
        """Record a document and return the fact's position; again returns the same one.

        Raises LedgerRefused, LedgerUnavailableError.
        """


class LedgerRecords:
    """Sends records to the ledger. `run` it in a task of its own for those that a break left behind."""

    def __init__(self, *, store: RecordStore, ledger: DocumentLedger) -> None:
        """Send what a store holds to a ledger."""
        self._store = store
        self._ledger = ledger
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def record(self, contract: str, document: str) -> int:
        """Return the position of a stored document in the ledger's log, 0 if it is recorded only later."""
        try:
            await self.send(contract)
            return await self._store.position(document) or 0
        except (LedgerUnavailableError, StoreUnavailableError) as cause:
            log.warning("document_not_recorded_yet", document=document, cause=f"{cause}")
            return 0

    async def send(self, contract: str) -> None:
        """Send what waits of a contract, up to the first that is refused. Raises LedgerUnavailableError."""
        async with self._turns.setdefault(contract, asyncio.Lock()):
            while True:
                waiting = await self._store.waiting(contract, limit=RECORDS_MAX)
                for stored in waiting:
                    if not await self._sent(stored):
                        return
                if len(waiting) < RECORDS_MAX:
                    return

    async def sweep(self) -> int:
        """Send what waits and return of how many contracts that was."""
        contracts = await self._store.waiting_contracts(limit=SWEEP_CONTRACTS_MAX)
        outcomes = await asyncio.gather(*map(self.send, contracts), return_exceptions=True)
        for outcome in outcomes:
            if outcome is not None:
                raise outcome
        return len(contracts)

    async def run(self) -> None:
        """Sweep for ever; what fails is tried again by the next sweep."""
        while True:
            try:
                while await self.sweep() == SWEEP_CONTRACTS_MAX:
                    pass
            except (LedgerUnavailableError, StoreUnavailableError) as cause:
                log.warning("sweep_broke_off", cause=f"{type(cause).__name__}: {cause}")
            await asyncio.sleep(SWEEP_SECONDS)

    async def _sent(self, stored: StoredRecord) -> bool:
        try:
            position = await self._ledger.record(decode_record(stored.payload))
        except LedgerRefused as refused:
            await self._store.refused(stored.document, refused.status.message, pause=REFUSED_RETRY_TIME)
            log.warning("document_refused", document=stored.document, cause=refused.status.message)
            return False
        await self._store.recorded(stored.document, position)
        return True
