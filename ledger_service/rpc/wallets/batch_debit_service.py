"""The method of WalletService that takes a batch of debits, single ones and groups that are all or nothing."""

from __future__ import annotations

from bisect import bisect_left
from typing import Final

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.application.writing.calls import Result
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import Request
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.refusals.service import BatchTooLarge, GroupRefused
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.refusal_status import status_of
from ledger_service.rpc.wallets.debit_groups import read_groups
from ledger_service.rpc.wallets.debit_messages import write_debit_response
from ledger_service.rpc.wallets.wallet_requests import read_batched_debit

BATCH_SIZE_MAX: Final = 5_000
"""Debits in one BatchDebit, about 2 MB with charges."""


class BatchDebitMethods:
    """Part of the WalletServicer."""

    _writer: Writer

    async def BatchDebit(
        self, request: wallet_service_pb2.BatchDebitRequest, context: Context
    ) -> wallet_service_pb2.BatchDebitResponse:
        """Consume credit for many usages."""
        items = request.requests
        if not 1 <= len(items) <= BATCH_SIZE_MAX:
            raise BatchTooLarge(
                f"requests must hold 1 to {BATCH_SIZE_MAX} debits, not {len(items)}", field="requests"
            )
        groups = read_groups(items)
        actor = actor_of(context)
        answers: list[Result] = [None] * len(items)
        places: list[int] = []
        requests: list[Request] = []
        for place, item in enumerate(items):
            try:
                requests.append(Request(read_batched_debit(item), item.idempotency_key, actor))
            except Refusal as refusal:
                answers[place] = refusal
            else:
                places.append(place)
        if groups:
            await self._submit_groups(requests, places, groups, answers)
        else:
            for place, answer in zip(places, await self._writer.submit_many(requests), strict=True):
                answers[place] = answer
        # Results are written in place: a message that is handed to a constructor is copied once more.
        response = wallet_service_pb2.BatchDebitResponse()
        add_result = response.results.add
        for result in answers:
            _fill_result(add_result(), result)
        return response

    async def _submit_groups(
        self, requests: list[Request], places: list[int], groups: list[range], answers: list[Result]
    ) -> None:
        """Submit the requests of the items at `places`, but no group of which an item could not be read."""
        whole = [group for group in groups if not _refuse_if_unreadable(group, answers)]
        kept = [index for index, place in enumerate(places) if answers[place] is None]
        requests, places = [requests[index] for index in kept], [places[index] for index in kept]
        starts = [bisect_left(places, group.start) for group in whole]
        atomic = [range(start, start + len(group)) for start, group in zip(starts, whole, strict=True)]
        for place, answer in zip(places, await self._writer.submit_many(requests, atomic), strict=True):
            # The writer counts what it was given, the caller what it sent.
            answers[place] = (
                GroupRefused(places[answer.failed_index]) if isinstance(answer, GroupRefused) else answer
            )


def _refuse_if_unreadable(group: range, answers: list[Result]) -> bool:
    """Refuse a group's other items if one could not be read; say if so."""
    failed = next((place for place in group if answers[place] is not None), None)
    if failed is None:
        return False
    for place in group:
        if place != failed:
            answers[place] = GroupRefused(failed)
    return True


def _fill_result(result: wallet_service_pb2.BatchDebitResult, answer: Result) -> None:
    if isinstance(answer, Refusal):
        result.error.CopyFrom(status_of(answer))
    else:
        assert answer is not None, "a debit records something"
        write_debit_response(answer, result.response)
