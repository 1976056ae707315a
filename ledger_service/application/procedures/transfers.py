"""Transfers, step by step: the source sends, the destination receives, the source notes how it ended.

The steps share no transaction. Each may be given again by anybody: the destination's key follows from the
source's stream and version, so that a transfer arrives once, and the source's last step does nothing once it
is done. What a destination refuses here it refuses for ever, so two couriers never come to different ends: its
asset and customer never change, what came into it only grows, and a wallet that has received answers so.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec
import structlog

from ledger_service.application.ports import LogReader, StoreUnavailableError
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import (
    DestinationRecord,
    ReceiveTransfer,
    Request,
    ReturnTransfer,
    SettleTransfer,
    TransferCredits,
)
from ledger_service.domain.events import TransferReturned, TransferSettled
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    AssetMismatch,
    CustomerMismatch,
    Refusal,
    WalletIsClosed,
    WalletNotFound,
)
from ledger_service.domain.topics import TOPIC_OF, decode_fact
from ledger_service.domain.wallet.state import Transit, Wallet
from ledger_service.domain.wallet.transfer import find_transfer

EVENTS_PER_READ: Final = 1_000
ENDS: Final = (TOPIC_OF[TransferSettled], TOPIC_OF[TransferReturned])
FOR_GOOD: Final = (AssetMismatch, CustomerMismatch, AmountOutOfRange, WalletIsClosed)
"""Refusals by which a destination says that it will never take a transfer."""

log = structlog.get_logger("transfers")


class TransferState(Enum):
    """How far a transfer has come."""

    IN_TRANSIT = "IN_TRANSIT"
    SETTLED = "SETTLED"
    RETURNED = "RETURNED"


class Transferred(msgspec.Struct, frozen=True):
    """The departure, and how far the transfer has come since."""

    outcome: Outcome
    state: TransferState


async def transfer(
    writer: Writer,
    reader: LogReader,
    *,
    wallet: str,
    destination: str,
    amount_units: int,
    key: str,
    actor: str,
) -> Transferred:
    """Send credit to another wallet and bring it there if that can be done now; else a courier does it later.

    Raises WalletNotFound and what the source refuses. Once the credit has left, nothing is raised.
    """
    recorded = await _destination(writer, destination)
    command = TransferCredits(wallet, destination, amount_units, recorded)
    outcome = await writer.submit(Request(command, key, actor))
    assert outcome is not None, "a keyed command records something"
    try:
        state = await carry(writer, outcome.stream, outcome.version, actor=actor)
        if state is None:
            state = await _how_it_ended(reader, outcome.stream, outcome.version)
    except (Refusal, StoreUnavailableError) as error:
        log.warning("transfer_in_transit", source=wallet, version=outcome.version, error=str(error))
        state = TransferState.IN_TRANSIT
    return Transferred(outcome, state)


async def carry(writer: Writer, source: str, transfer_version: int, *, actor: str) -> TransferState | None:
    """Bring a transfer to its end; None if it is not on its way. Raises Refusal: then try again later."""
    wallet = await _wallet(writer, source, field="name")
    transit = find_transfer(wallet, transfer_version)
    if transit is None:
        return None
    try:
        await deliver(writer, source, wallet, transit, actor=actor)
    except FOR_GOOD as refusal:
        back = ReturnTransfer(source, transfer_version, refusal.reason)
        await writer.submit(Request(back, "", actor))
        return TransferState.RETURNED
    await writer.submit(Request(SettleTransfer(source, transfer_version), "", actor))
    return TransferState.SETTLED


async def deliver(writer: Writer, source: str, wallet: Wallet, transit: Transit, *, actor: str) -> Outcome:
    """Let the destination receive a transfer, once for ever. Raises Refusal."""
    command = ReceiveTransfer(
        wallet=transit.destination,
        source=source,
        transfer_version=transit.transfer_version,
        slices=transit.slices,
        customer=wallet.customer,
        asset=wallet.asset,
    )
    key = arrival_key(source, transit.transfer_version)
    outcome = await writer.submit(Request(command, key, actor))
    assert outcome is not None, "a keyed command records something"
    return outcome


def arrival_key(source: str, transfer_version: int) -> str:
    """Return the idempotency key under which a transfer arrives: no caller can choose it, for it has two lines."""
    return f"transfer\n{source}/transfers/{transfer_version}"


async def _destination(writer: Writer, name: str) -> DestinationRecord:
    wallet = await _wallet(writer, name, field="destination")
    return DestinationRecord(wallet.customer, wallet.asset)


async def _wallet(writer: Writer, name: str, *, field: str) -> Wallet:
    state = (await writer.read(name)).state
    if not isinstance(state, Wallet):
        raise WalletNotFound(f"{name} does not exist", field=field)
    return state


async def _how_it_ended(reader: LogReader, source: str, transfer_version: int) -> TransferState:
    after = transfer_version
    while True:
        events = await reader.read_stream(source, after=after, limit=EVENTS_PER_READ, topics=ENDS)
        for stored in events:
            event = decode_fact(stored.topic, stored.state).event
            assert isinstance(event, TransferSettled | TransferReturned)
            if event.transfer_version == transfer_version:
                is_settled = isinstance(event, TransferSettled)
                return TransferState.SETTLED if is_settled else TransferState.RETURNED
        if len(events) < EVENTS_PER_READ:
            return TransferState.IN_TRANSIT
        after = events[-1].version
