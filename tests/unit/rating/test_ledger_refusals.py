"""What a failed call to the ledger means: it said no, it is busy, or it is away."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.message import Message
from grpc.aio import AioRpcError, Metadata
from grpc_status import rpc_status

from ledger_service.domain.refusals import InsufficientCredit, Refusal
from ledger_service.domain.refusals.service import Contended, NotServing, OutcomeUnknown, QueueFull
from ledger_service.rpc.refusal_status import status_of
from rating_service.adapters.ledger import ledger_client
from rating_service.application.ports import LedgerRefused, LedgerUnavailableError


def refusing(refusal: Refusal) -> AioRpcError:
    """Return the failure of a call that the ledger refused."""
    status = rpc_status.to_status(status_of(refusal))
    return AioRpcError(status.code, Metadata(), Metadata(*status.trailing_metadata), status.details)


async def refused(failure: AioRpcError) -> Exception:
    """Return what a call raises that fails so every time."""

    async def method(_request: Message, **_: float) -> Message:
        raise failure

    with pytest.raises((LedgerRefused, LedgerUnavailableError)) as raised:
        await ledger_client.call_ledger(method, status_of(NotServing("a request")))
    return raised.value


@pytest.mark.parametrize(
    ("refusal", "is_passing"),
    [(InsufficientCredit("too little"), False), (QueueFull("busy"), True), (Contended("busy"), True)],
)
async def test_a_refusal_passes_if_the_ledger_says_when_to_come_back(
    refusal: Refusal, is_passing: bool
) -> None:
    found = await refused(refusing(refusal))

    assert isinstance(found, LedgerRefused)
    assert found.status == status_of(refusal)
    assert found.is_passing == is_passing


@pytest.mark.parametrize("refusal", [NotServing("standby"), OutcomeUnknown("the database went away")])
async def test_a_ledger_that_does_not_serve_or_does_not_know_what_it_stored_is_away(
    refusal: Refusal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_client, "RETRY_SECONDS", 0.0)

    assert isinstance(await refused(refusing(refusal)), LedgerUnavailableError)


async def test_a_failure_that_explains_nothing_means_that_the_ledger_is_away() -> None:
    failure = AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, Metadata(), Metadata())

    assert isinstance(await refused(failure), LedgerUnavailableError)
