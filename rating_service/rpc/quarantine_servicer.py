"""The quarantine's methods of RatingService."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from credits.rating.v1 import quarantine_pb2, rating_service_pb2_grpc
from rating_service.application.metering.quarantine import (
    Entry,
    Filter,
    Outcome,
    Quarantine,
    check_person,
    entry_name,
    entry_number,
)
from rating_service.application.names import checked_page_size, last_position_of_page, page_token
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.rpc.messages import timestamp
from rating_service.rpc.metrics import DISMISSED_USAGES, QUARANTINED_USAGES, RETRIED_USAGES
from rating_service.rpc.statuses import status_of

_STATES = {
    quarantine_pb2.QUARANTINE_STATE_UNSPECIFIED: "",
    quarantine_pb2.QUARANTINE_STATE_WAITING: "WAITING",
    quarantine_pb2.QUARANTINE_STATE_RECORDED: "RECORDED",
    quarantine_pb2.QUARANTINE_STATE_DISMISSED: "DISMISSED",
}


class QuarantineServicer(rating_service_pb2_grpc.RatingServiceServicer):
    """Lists, retries and dismisses quarantined usage."""

    _quarantine: Quarantine

    async def ListQuarantine(
        self, request: quarantine_pb2.ListQuarantineRequest, context: Any = None
    ) -> quarantine_pb2.ListQuarantineResponse:
        """List usage that could not be rated."""
        if request.state not in _STATES:
            raise RequestRefused(
                RequestReason.FIELD_MALFORMED, f"there is no state {request.state}", field="state"
            )
        wanted = Filter(request.reason, request.contract, _STATES[request.state])
        entries, next_token = await self._page(wanted, request.page_size, request.page_token)
        return quarantine_pb2.ListQuarantineResponse(
            quarantined_usages=map(entry_message, entries), next_page_token=next_token
        )

    async def RetryQuarantine(
        self, request: quarantine_pb2.RetryQuarantineRequest, context: Any = None
    ) -> quarantine_pb2.RetryQuarantineResponse:
        """Rate quarantined usage again and debit it."""
        next_token = ""
        if request.names:
            found = await self._quarantine.numbered([entry_number(name) for name in request.names])
        else:
            wanted = Filter(request.reason, request.contract, "WAITING")
            entries, next_token = await self._page(wanted, request.page_size, request.page_token)
            found = [Outcome(entry) for entry in entries]
        response = quarantine_pb2.RetryQuarantineResponse(next_page_token=next_token)
        for each in found:
            if each.entry is not None:
                each = await self._quarantine.retry(each.entry, accept_late=request.accept_late)
                RETRIED_USAGES.labels("recorded" if each.posted else "left").inc()
            _write(response.results.add(), each)
        _name_all(response.results, request.names)
        return response

    async def DismissQuarantine(
        self, request: quarantine_pb2.DismissQuarantineRequest, context: Any = None
    ) -> quarantine_pb2.DismissQuarantineResponse:
        """Give up on quarantined usage."""
        check_person(request.reason, field="reason")
        check_person(request.actor, field="actor")
        found = await self._quarantine.numbered([entry_number(name) for name in request.names])
        response = quarantine_pb2.DismissQuarantineResponse()
        for each in found:
            if each.entry is not None:
                was_waiting = each.entry.state == "WAITING"
                each = await self._quarantine.dismiss(each.entry, actor=request.actor, reason=request.reason)
                DISMISSED_USAGES.inc(was_waiting and each.refusal is None)
            _write(response.results.add(), each)
        _name_all(response.results, request.names)
        return response

    async def _page(self, wanted: Filter, page_size: int, token: str) -> tuple[list[Entry], str]:
        """Return a page of entries and the token of the next."""
        limit = checked_page_size(page_size)
        after = last_position_of_page(token)
        entries = await self._quarantine.page(wanted, after=after, limit=limit + 1)
        more = len(entries) > limit
        return entries[:limit], page_token(str(entries[limit - 1].number)) if more else ""


def entry_message(entry: Entry) -> quarantine_pb2.QuarantinedUsage:
    """Return an entry as a message."""
    return quarantine_pb2.QuarantinedUsage(
        name=entry_name(entry.number),
        usage_id=entry.usage_id,
        contract=entry.contract,
        effective_time=timestamp(entry.effective_time),
        domain=entry.domain,
        reason=entry.reason,
        message=entry.message,
        state=quarantine_pb2.QuarantineState.Value(f"QUARANTINE_STATE_{entry.state}"),
        receive_time=timestamp(entry.receive_time),
        retry_count=entry.retry_count,
        position=entry.position,
        dismiss_actor=entry.dismiss_actor,
        dismiss_reason=entry.dismiss_reason,
        received=entry.received,
    )


def counted_entry(entry: Entry) -> quarantine_pb2.QuarantinedUsage:
    """Return an entry as the answer to a usage, which the metrics count."""
    QUARANTINED_USAGES.labels(entry.domain, entry.reason).inc()
    return entry_message(entry)


def _write(result: quarantine_pb2.QuarantineResult, outcome: Outcome) -> None:
    """Write an outcome into an empty result."""
    if outcome.entry is not None:
        result.name = entry_name(outcome.entry.number)
        result.quarantined_usage.CopyFrom(entry_message(outcome.entry))
    if outcome.posted is not None:
        debit, _ = outcome.posted.answer
        result.debit.CopyFrom(debit)
    if outcome.refusal is not None:
        result.error.CopyFrom(status_of(outcome.refusal))


def _name_all(results: Sequence[quarantine_pb2.QuarantineResult], names: Sequence[str]) -> None:
    """Name each result as it was asked for."""
    for result, name in zip(results, names, strict=False):
        result.name = name
