"""The courier: it finishes transfers that a crash or a lost database left on their way.

It changes no answer and keeps nothing: what is on its way is found in the wallet view and read again from the
source itself, and every step may be given any number of times (see transfers.py).
"""

from __future__ import annotations

import asyncio
from typing import Final, NamedTuple, Protocol

import structlog

from ledger_service.application.ports import StoreUnavailableError
from ledger_service.application.procedures.transfers import carry
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.refusals import Refusal

TRANSFERS_PER_READ_MAX: Final = 1_000
"""Transfers looked up by one query."""
INTERVAL_SECONDS: Final = 2
"""Between two rounds: credit on its way is credit that nobody can use."""
ACTOR: Final = "courier"

log = structlog.get_logger("courier")


class OpenTransfer(NamedTuple):
    """A transfer, by the wallet it left and its version there."""

    source: str
    transfer_version: int


class OpenTransfers(Protocol):
    """Finds transfers that have left and are not known to have arrived."""

    async def open_transfers(self, *, after: OpenTransfer, limit: int) -> list[OpenTransfer]:
        """Return transfers after one, in order of source and version. Raises StoreUnavailableError."""


class Courier:
    """Carries what it finds, one after the other; any number of couriers may."""

    def __init__(self, writer: Writer, transfers: OpenTransfers) -> None:
        """Carry through a writer."""
        self._writer = writer
        self._transfers = transfers

    async def carry_all(self) -> int:
        """Bring every transfer that is found to its end and return how many. Raises StoreUnavailableError.

        A transfer that cannot be brought there now does not keep the others waiting.
        """
        count, after = 0, OpenTransfer("", 0)
        while found := await self._transfers.open_transfers(after=after, limit=TRANSFERS_PER_READ_MAX):
            for each in found:
                try:
                    state = await carry(self._writer, each.source, each.transfer_version, actor=ACTOR)
                except Refusal as refusal:
                    log.warning("transfer_waits", **each._asdict(), reason=refusal.reason)
                else:
                    count += state is not None
            after = found[-1]
        return count

    async def run(self) -> None:
        """Carry now and then while the writer serves."""
        while True:
            await asyncio.sleep(INTERVAL_SECONDS)
            if not self._writer.serving:
                continue
            try:
                count = await self.carry_all()
            except StoreUnavailableError as error:
                log.warning("courier_failed", error=str(error))
            else:
                if count:
                    log.info("carried", transfers=count)
