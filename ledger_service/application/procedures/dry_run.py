"""Dry runs: what a command would record now. Nothing is recorded, and nothing is promised of a later command."""

from __future__ import annotations

from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import AnyCommand
from ledger_service.domain.decide import decide, streams_of
from ledger_service.domain.events import Event


async def dry_run(writer: Writer, command: AnyCommand) -> Event:
    """Return the event that would answer a command.

    Its streams are read one after the other. Raises Refusal, as the command itself would.
    """
    states = {stream: (await writer.read(stream)).state for stream in streams_of(command)}
    drafts = decide(command, states, writer.now())
    return next(draft.event for draft in drafts if draft.answers)
