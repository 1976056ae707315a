"""Groups in a batch over a real channel: all or nothing, what each item is told, and what cannot be a group."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from credits.ledger.v1 import wallet_service_pb2
from tests.integration.ledger.client import DEBITED, Client, Refused, key, refusal, send

Request = wallet_service_pb2.DebitRequest
Result = wallet_service_pb2.BatchDebitResult


def item(wallet: str, amount_units: int, group: str = "", *, idempotency_key: str = "") -> Request:
    """Return an item under a key of its own unless told."""
    return Request(
        name=wallet, amount_units=amount_units, group=group, idempotency_key=idempotency_key or key()
    )


async def batch(client: Client, *items: Request) -> list[Result]:
    """Send a batch and return its results."""
    request = wallet_service_pb2.BatchDebitRequest(requests=items)
    return list((await send(client.wallets.BatchDebit, request)).results)


def told(results: list[Result]) -> list[str]:
    """Return what each item is told: a reason, `done` or `replayed`."""
    return [
        Refused(result.error).reason
        if result.HasField("error")
        else "replayed"
        if result.response.replayed
        else "done"
        for result in results
    ]


def of_one_group(wallet: str, count: int) -> list[Request]:
    """Return so many items of a unit each."""
    return [item(wallet, 1, "g") for _ in range(count)]


async def test_a_group_is_debited_in_order_and_answered_item_by_item(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    items = [item(wallet, 5, "a"), item(wallet, 4, "a"), item(wallet, 1)]

    first = await batch(ledger, *items)
    again = await batch(ledger, *items)

    assert (told(first), told(again)) == (["done"] * 3, ["replayed"] * 3)
    assert [each.response.debit for each in again] == [each.response.debit for each in first]
    versions = [int(each.response.debit.name.rpartition("/")[2]) for each in first]
    assert versions == sorted(versions)
    assert len(await ledger.events(stream=wallet, topics=(DEBITED,))) == 3


async def test_a_refused_item_refuses_its_group_and_nothing_else(ledger: Client) -> None:
    wallet, other = [await ledger.open_wallet(granted_units=10) for _ in range(2)]
    items = [
        item(wallet, 4),
        item(wallet, 4, "a"),
        item(wallet, 3, "a"),
        item(other, 6, "b"),
        item(other, 4, "b"),
        item(wallet, 6, "c"),
    ]

    results = await batch(ledger, *items)

    assert told(results) == ["done", "GROUP_REFUSED", "INSUFFICIENT_CREDIT", "done", "done", "done"]
    refused = Refused(results[1].error)
    assert (refused.code, refused.metadata) == (grpc.StatusCode.FAILED_PRECONDITION, {"failed_index": "2"})
    assert [(await ledger.balance(name)).available_units for name in (wallet, other)] == [0, 0]


async def test_an_item_that_cannot_be_read_refuses_its_group_too(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    unreadable = item(wallet, 1, "b")
    unreadable.feature = "f" * 101
    items = [Request(), item(wallet, 1, "a"), item(wallet, 1, "b"), unreadable]
    items += [item(wallet, 1, "b"), item(wallet, 9, "c"), item(wallet, 1, "c")]

    results = await batch(ledger, *items)

    assert told(results) == [
        "FIELD_REQUIRED",
        "done",
        "GROUP_REFUSED",
        "FIELD_MALFORMED",
        "GROUP_REFUSED",
        "GROUP_REFUSED",
        "INSUFFICIENT_CREDIT",
    ]
    named = [Refused(results[place].error).metadata["failed_index"] for place in (2, 4, 5)]
    assert named == ["3", "3", "6"]
    assert (await ledger.balance(wallet)).available_units == 9


async def test_a_key_that_was_used_alone_refuses_the_group_and_names_the_item(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    items = [item(wallet, 1, "a"), item(wallet, 2, "a")]
    await ledger.debit(wallet, 2, idempotency_key=items[1].idempotency_key)

    results = await batch(ledger, *items)

    assert told(results) == ["GROUP_REFUSED", "IDEMPOTENCY_KEY_REUSED"]
    assert Refused(results[1].error).code is grpc.StatusCode.ALREADY_EXISTS
    assert (await ledger.balance(wallet)).available_units == 8


async def test_of_overlapping_groups_with_credit_for_one_just_one_is_debited(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    groups = [[item(wallet, 3, "g"), item(wallet, 3, "g")] for _ in range(20)]

    outcomes = [told(each) for each in await asyncio.gather(*(batch(ledger, *group) for group in groups))]

    assert outcomes.count(["done", "done"]) == 1
    assert outcomes.count(["GROUP_REFUSED", "INSUFFICIENT_CREDIT"]) == 19
    assert (await ledger.balance(wallet)).available_units == 4
    assert len(await ledger.events(stream=wallet, topics=(DEBITED,))) == 2


async def test_of_groups_with_a_key_in_common_just_one_is_debited(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100)
    shared = key()
    groups = [
        [item(wallet, 3, "g"), item(wallet, 3, "g", idempotency_key=shared), item(wallet, 3, "g")]
        for _ in range(20)
    ]

    outcomes = [told(each) for each in await asyncio.gather(*(batch(ledger, *group) for group in groups))]

    assert outcomes.count(["done"] * 3) == 1
    assert outcomes.count(["GROUP_REFUSED", "IDEMPOTENCY_KEY_REUSED", "GROUP_REFUSED"]) == 19
    assert (await ledger.balance(wallet)).available_units == 91


@pytest.mark.parametrize(("size", "reason"), [(1, ""), (100, ""), (101, "GROUP_MALFORMED")])
async def test_a_group_holds_one_to_a_hundred_items(ledger: Client, size: int, reason: str) -> None:
    wallet = await ledger.open_wallet(granted_units=200)
    call = batch(ledger, *of_one_group(wallet, size))

    if not reason:
        assert told(await call) == ["done"] * size
        return
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refused.field == "requests[100].group"
    assert (await ledger.balance(wallet)).available_units == 200


@pytest.mark.parametrize(("length", "reason"), [(64, ""), (65, "FIELD_TOO_LONG")])
async def test_a_group_has_a_name_of_at_most_64_characters(ledger: Client, length: int, reason: str) -> None:
    wallet = await ledger.open_wallet(granted_units=1)
    call = batch(ledger, item(wallet, 1, "g" * length))

    if not reason:
        assert told(await call) == ["done"]
        return
    refused = await refusal(call)
    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refused.field == "requests[0].group"


@pytest.mark.parametrize("between", ["", "other"])
async def test_a_group_in_two_places_refuses_the_whole_call(ledger: Client, between: str) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    items = [item(wallet, 1), item(wallet, 1, "g"), item(wallet, 1, between), item(wallet, 1, "g")]

    refused = await refusal(batch(ledger, *items))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "GROUP_MALFORMED")
    assert refused.field == "requests[3].group"
    assert (await ledger.balance(wallet)).available_units == 10


async def test_another_wallet_inside_a_group_refuses_the_whole_call(ledger: Client) -> None:
    wallet, other = [await ledger.open_wallet(granted_units=10) for _ in range(2)]

    refused = await refusal(batch(ledger, item(wallet, 1, "g"), item(other, 1, "g")))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "GROUP_MALFORMED")
    assert refused.field == "requests[1].group"


async def test_a_key_twice_inside_a_group_refuses_the_whole_call(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    items = [item(wallet, 1, "g", idempotency_key=each) for each in ("k", "other", "k")]

    refused = await refusal(batch(ledger, *items))

    assert (refused.code, refused.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "GROUP_MALFORMED")
    assert refused.field == "requests[2].group"


async def test_a_debit_on_its_own_has_no_group(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    message = wallet_service_pb2.StreamDebitsRequest(sequence=1, debit=item(wallet, 1, "g"))
    stream = ledger.wallets.StreamDebits(iter([message]))

    single = await refusal(send(ledger.wallets.Debit, item(wallet, 1, "g")))
    [streamed] = [answer async for answer in stream]

    for refused in (single, Refused(streamed.error)):
        assert (refused.reason, refused.field) == ("FIELD_NOT_ALLOWED", "group")
    assert (await ledger.balance(wallet)).available_units == 10
