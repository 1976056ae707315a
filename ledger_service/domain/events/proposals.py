"""What is recorded of a rate card phase that begins in the past: it is proposed, then accepted or rejected."""

from __future__ import annotations

from ledger_service.domain.events.agreements import RateCardPhasePublished
from ledger_service.domain.record import Record


class RateCardPhaseProposed(Record, frozen=True):
    """Rates were proposed for a time that is past already. They price nothing until they are accepted."""

    proposed: RateCardPhasePublished


class RateCardPhaseAccepted(Record, frozen=True):
    """From now on a proposed phase is what is known of its time: later knowledge than what was published before.

    `rerating_hash` is that of the re-rating by which it was accepted, read at `watermark_position` of the log.
    """

    phase: int
    watermark_position: int = 0
    rerating_hash: str = ""


class RateCardPhaseRejected(Record, frozen=True):
    """A proposed phase will not be in force."""

    phase: int
