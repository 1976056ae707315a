"""Callers that debit without pause, try again when the ledger is away, and keep book of what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

import grpc

from credits.ledger.v1 import wallet_service_pb2
from tests.integration.ledger.client import Client, Refused, refused_by

CALLERS: Final = 12
BATCH_SIZE: Final = 20
GROUP_SIZE: Final = 5
"""Debits of a batch that begins with a group."""
RETRY_SECONDS: Final = 0.02
CALL_SECONDS_MAX: Final = 10.0
AGAIN: Final = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
TOO_MUCH: Final = 10**15
"""More than any wallet holds: refused."""

Answer = wallet_service_pb2.DebitResponse | Refused


class Book:
    """What the callers were told, by key; every key is used for one debit."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, tuple[wallet_service_pb2.DebitRequest, wallet_service_pb2.DebitResponse]]
        self.acknowledged = {}
        self.refused: dict[str, str] = {}
        self.retries = 0

    def acknowledged_units(self, wallet: str) -> int:
        """Return what the ledger said it took from a wallet."""
        return sum(
            request.amount_units for request, _ in self.acknowledged.values() if request.name == wallet
        )

    def note(self, request: wallet_service_pb2.DebitRequest, answer: Answer) -> bool:
        """Write an answer down and say whether it is final."""
        if isinstance(answer, wallet_service_pb2.DebitResponse):
            assert answer.debit.amount_units == request.amount_units
            self.acknowledged[request.idempotency_key] = (request, answer)
        elif answer.code in AGAIN:
            self.retries += 1
            return False
        else:
            assert answer.reason in {"INSUFFICIENT_CREDIT", "GROUP_REFUSED"}, answer
            self.refused[request.idempotency_key] = answer.reason
        return True


async def debit_until(
    stopping: asyncio.Event, client: Client, wallets: Sequence[str], book: Book, name: str, random: Random
) -> None:
    """Debit random amounts, each under a key of its own; every fourth time as a batch that begins with a group."""
    count = 0
    while not stopping.is_set():
        size = BATCH_SIZE if random.random() < 0.25 else 1
        requests = []
        for _ in range(size):
            count += 1
            amount = TOO_MUCH if random.random() < 0.05 else random.randint(1, 50)
            requests.append(
                wallet_service_pb2.DebitRequest(
                    name=random.choice(wallets), amount_units=amount, idempotency_key=f"{name}-{count}"
                )
            )
        for request in requests[:GROUP_SIZE] if size > 1 else []:
            request.name, request.group = requests[0].name, "group"
        while requests:
            answers = await (_one(client, requests[0]) if size == 1 else _batch(client, requests))
            pairs = list(zip(requests, answers, strict=True))
            check_groups(pairs)
            requests = [request for request, answer in pairs if not book.note(request, answer)]
            if requests:
                await asyncio.sleep(RETRY_SECONDS)


def check_groups(pairs: Sequence[tuple[wallet_service_pb2.DebitRequest, Answer]]) -> None:
    """Fail unless a group was debited whole or not at all."""
    done = {
        isinstance(answer, wallet_service_pb2.DebitResponse) for request, answer in pairs if request.group
    }
    assert len(done) <= 1, pairs


async def _one(client: Client, request: wallet_service_pb2.DebitRequest) -> list[Answer]:
    try:
        return [await client.wallets.Debit(request, timeout=CALL_SECONDS_MAX)]
    except grpc.aio.AioRpcError as error:
        return [_failure(error)]


async def _batch(client: Client, requests: Sequence[wallet_service_pb2.DebitRequest]) -> list[Answer]:
    request = wallet_service_pb2.BatchDebitRequest(requests=requests)
    try:
        response = await client.wallets.BatchDebit(request, timeout=CALL_SECONDS_MAX)
    except grpc.aio.AioRpcError as error:
        return [_failure(error)] * len(requests)
    return [
        result.response if result.HasField("response") else Refused(result.error)
        for result in response.results
    ]


def _failure(error: grpc.aio.AioRpcError) -> Refused:
    """Return the ledger's refusal, or what the channel itself says when there is no ledger."""
    if error.code() in AGAIN and not error.trailing_metadata():
        return Refused.by_channel(error)
    return refused_by(error)
