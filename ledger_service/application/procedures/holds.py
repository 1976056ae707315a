"""Captures and releases: how a hold ended that reserves nothing any more, and captures that come too late.

A wallet forgets a hold once it has ended, so the log is asked why. A late capture that its caller allows is
an ordinary debit under the capture's own idempotency key: a retry of it is answered by that debit.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.debit_records import read_event
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import CaptureHold, Debit, ReleaseHold, Request
from ledger_service.domain.events import CreditsHeld, HoldCaptured, HoldReleased
from ledger_service.domain.refusals import (
    HoldAlreadyCaptured,
    HoldAlreadyReleased,
    HoldExpired,
    HoldNotActive,
    HoldNotFound,
    IdempotencyKeyReused,
    Refusal,
)
from ledger_service.domain.topics import TOPIC_OF, decode_fact

EVENTS_PER_READ: Final = 1_000
ENDS: Final = (TOPIC_OF[HoldCaptured], TOPIC_OF[HoldReleased])


async def capture(
    writer: Writer, reader: LogReader, command: CaptureHold, *, key: str, actor: str, allow_late: bool
) -> Outcome:
    """Capture a hold; with `allow_late` one that timed out becomes an ordinary debit marked late. Raises Refusal."""
    try:
        return await _submit(writer, Request(command, key, actor))
    except HoldNotActive:
        ended = await _how_it_ended(reader, command.wallet, command.hold_version)
        if not (allow_late and isinstance(ended, HoldExpired)):
            raise ended from None
    except IdempotencyKeyReused:
        # The key may be that of this very capture, which was late: then the debit answers it, else it refuses too.
        if not allow_late:
            raise
    return await _submit(writer, Request(await _late_debit(reader, command), key, actor))


async def release(
    writer: Writer, reader: LogReader, command: ReleaseHold, *, key: str, actor: str
) -> Outcome:
    """Release a hold. Raises Refusal."""
    try:
        return await _submit(writer, Request(command, key, actor))
    except HoldNotActive:
        raise await _how_it_ended(reader, command.wallet, command.hold_version) from None


async def _submit(writer: Writer, request: Request) -> Outcome:
    outcome = await writer.submit(request)
    assert outcome is not None, "a keyed command records something"
    return outcome


async def _held(reader: LogReader, wallet: str, hold_version: int) -> CreditsHeld | None:
    fact = await read_event(reader, wallet, hold_version)
    return fact.event if fact is not None and isinstance(fact.event, CreditsHeld) else None


async def _late_debit(reader: LogReader, command: CaptureHold) -> Debit:
    held = await _held(reader, command.wallet, command.hold_version)
    if held is None:
        raise HoldNotFound(f"{command.wallet} has no hold {command.hold_version}", field="name")
    return Debit(
        wallet=command.wallet,
        amount_units=command.amount_units,
        feature=held.feature,
        charge=command.charge,
        late_hold_version=command.hold_version,
        api_key=held.api_key,
        user=held.user,
    )


class _End(msgspec.Struct, frozen=True):
    """The newest capture or release of a hold, and how much of it was captured in all."""

    last: HoldCaptured | HoldReleased | None
    captured_units: int


async def _how_it_ended(reader: LogReader, wallet: str, hold_version: int) -> Refusal:
    """Return the refusal that says why a hold reserves nothing; a timeout may not be recorded yet."""
    held = await _held(reader, wallet, hold_version)
    if held is None:
        return HoldNotFound(f"{wallet} has no hold {hold_version}", field="name")
    end = await _end_of(reader, wallet, hold_version)
    match end.last:
        case HoldReleased(timed_out=False):
            return HoldAlreadyReleased(f"hold {hold_version} was released before", field="name")
        case HoldCaptured(final=final) if final or end.captured_units == held.amount_units:
            return HoldAlreadyCaptured(f"hold {hold_version} was captured before", field="name")
        case _:
            return HoldExpired(
                f"the time of hold {hold_version} was over at {held.expire_time.isoformat()}", field="name"
            )


async def _end_of(reader: LogReader, wallet: str, hold_version: int) -> _End:
    end = _End(None, 0)
    after = hold_version
    while True:
        events = await reader.read_stream(wallet, after=after, limit=EVENTS_PER_READ, topics=ENDS)
        for stored in events:
            event = decode_fact(stored.topic, stored.state).event
            assert isinstance(event, HoldCaptured | HoldReleased)
            if event.hold_version != hold_version:
                continue
            captured = event.held_draws if isinstance(event, HoldCaptured) else ()
            end = _End(event, end.captured_units + sum(draw.amount_units for draw in captured))
            if isinstance(event, HoldReleased) or event.final:
                return end
        if len(events) < EVENTS_PER_READ:
            return end
        after = events[-1].version
