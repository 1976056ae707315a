"""The answer to a usage that was debited."""

from __future__ import annotations

from credits.rating.v1 import rating_service_pb2
from rating_service.application.ports import Posted


def write_posted(response: rating_service_pb2.RecordUsageResponse, posted: Posted) -> None:
    """Write what the ledger answered into an empty response."""
    debit, charge = posted.answer
    response.debit.CopyFrom(debit)
    response.charge.CopyFrom(charge)
    response.replayed = posted.replayed
    response.position = posted.position
