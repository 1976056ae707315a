"""Refusals that concern the service rather than the book: batches, pages, queues and readiness."""

from __future__ import annotations

from ledger_service.domain.refusals import Refusal


class BatchTooLarge(Refusal):
    """A batch is empty or exceeds its maximum."""

    reason = "BATCH_SIZE_OUT_OF_RANGE"


class GroupMalformed(Refusal):
    """The items that name one group of a batch cannot be one."""

    reason = "GROUP_MALFORMED"


class GroupRefused(Refusal):
    """Another item of the same group was refused; nothing of the group was done."""

    reason = "GROUP_REFUSED"

    def __init__(self, failed_index: int) -> None:
        """Name the item that was refused, by its index in the batch."""
        super().__init__(
            f"item {failed_index} of the same group was refused; nothing of the group was done",
            failed_index=failed_index,
        )
        self.failed_index = failed_index


class PageTokenMalformed(Refusal):
    """A page token is not one that the service gave."""

    reason = "PAGE_TOKEN_MALFORMED"


class ClockWouldGoBack(Refusal):
    """The sandbox clock only moves forward."""

    reason = "CLOCK_WOULD_GO_BACK"


class DecisionFailed(Refusal):
    """Deciding the command failed by a fault of ours; nothing was done. The incident id finds it in the log."""

    reason = "INTERNAL"


class QueueFull(Refusal):
    """More commands are waiting than the service holds; come back shortly."""

    reason = "QUEUE_FULL"


class WatchersFull(Refusal):
    """As many callers watch balances as the service allows."""

    reason = "WATCHERS_FULL"


class NotServing(Refusal):
    """This instance is starting, standing by, draining or without its database; nothing was done."""

    reason = "NOT_SERVING"


class OutcomeUnknown(Refusal):
    """The database went away while the command was being stored; send it again with the same key."""

    reason = "OUTCOME_UNKNOWN"


class Contended(Refusal):
    """Others kept changing what the command rests on; nothing was done."""

    reason = "CONTENDED"


class ProjectionBehind(Refusal):
    """The view has not yet seen the position asked for."""

    reason = "PROJECTION_BEHIND"
