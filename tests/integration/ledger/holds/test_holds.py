"""Holds over a real channel: races, the exact end of their time, captures, releases and their lots' fate."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest

from credits.ledger.v1 import wallet_service_pb2
from tests.integration.ledger.client import Client, key, refusal, timestamp
from tests.integration.ledger.holds.calls import MICROSECOND, capture, hold, release, revoke

MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("callers", [20, 100])
async def test_of_simultaneous_holds_of_75_on_500_exactly_six_pass(ledger: Client, callers: int) -> None:
    wallet = await ledger.open_wallet(granted_units=500)

    answers = await asyncio.gather(
        *(hold(ledger, wallet, 75) for _ in range(callers)), return_exceptions=True
    )

    passed = [answer for answer in answers if isinstance(answer, wallet_service_pb2.HoldResponse)]
    refused = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (len(passed), len(refused)) == (6, callers - 6)
    balance = await ledger.balance(wallet)
    assert (balance.posted_units, balance.held_units, balance.available_units) == (500, 450, 50)
    assert [each.name for each in balance.holds] == sorted(each.hold.name for each in passed)


async def test_a_hold_for_an_estimate_is_told_again_whatever_the_estimate_has_become(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    asked: dict[str, Any] = {"idempotency_key": "once", "estimate_of": "request 1"}

    first = await hold(ledger, wallet, 4, **asked)
    again = await hold(ledger, wallet, 60, **asked)
    other = await refusal(hold(ledger, wallet, 4, **asked | {"estimate_of": "request 2"}))
    long = await refusal(hold(ledger, wallet, 4, estimate_of="x" * 201))

    assert (again.replayed, again.hold) == (True, first.hold)
    assert (await ledger.balance(wallet)).held_units == 4
    assert (other.reason, other.metadata["differing_field"]) == ("IDEMPOTENCY_KEY_REUSED", "estimate_of")
    assert (long.reason, long.metadata.get("field", "estimate_of")) == ("FIELD_TOO_LONG", "estimate_of")


async def test_a_hold_ends_exactly_when_its_time_is_over(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet(granted_units=10)
    names = [(await hold(sandbox, wallet, 2, ttl=MINUTE)).hold.name for _ in range(2)]
    end = await sandbox.clock() + MINUTE

    await sandbox.advance(end - MICROSECOND)
    assert (await capture(sandbox, names[0], 2)).debit.amount_units == 2
    assert (await sandbox.balance(wallet)).held_units == 2
    await sandbox.advance(end)

    assert (await sandbox.balance(wallet)).held_units == 0
    assert (await refusal(capture(sandbox, names[1], 2))).reason == "HOLD_EXPIRED"
    assert (await refusal(release(sandbox, names[1]))).reason == "HOLD_EXPIRED"


async def test_a_late_capture_is_an_ordinary_debit_and_its_retry_the_same_one(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet(granted_units=10)
    name = (await hold(sandbox, wallet, 4, ttl=MINUTE)).hold.name
    other = (await hold(sandbox, wallet, 4, ttl=MINUTE)).hold.name
    await sandbox.advance(await sandbox.clock() + MINUTE)

    late_key = key()
    first = await capture(sandbox, name, 7, allow_late=True, idempotency_key=late_key)
    again = await capture(sandbox, name, 7, allow_late=True, idempotency_key=late_key)

    assert (first.debit.late, first.debit.hold, first.replayed) == (True, name, False)
    assert (again.debit, again.replayed) == (first.debit, True)
    assert (await sandbox.balance(wallet)).available_units == 3
    for attempt in (
        capture(sandbox, name, 6, allow_late=True, idempotency_key=late_key),
        capture(sandbox, other, 7, allow_late=True, idempotency_key=late_key),
        sandbox.debit(wallet, 7, idempotency_key=late_key),
    ):
        assert (await refusal(attempt)).reason == "IDEMPOTENCY_KEY_REUSED"
    assert (await refusal(capture(sandbox, name, 4, allow_late=True))).reason == "INSUFFICIENT_CREDIT"


async def test_a_final_capture_returns_the_rest_and_ends_the_hold(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100)
    name = (await hold(ledger, wallet, 60)).hold.name
    capture_key = key()

    first = await capture(ledger, name, 13, idempotency_key=capture_key)
    again = await capture(ledger, name, 13, idempotency_key=capture_key)

    assert (again.debit.name, again.replayed) == (first.debit.name, True)
    balance = await ledger.balance(wallet)
    assert (balance.posted_units, balance.held_units, balance.debited_units) == (87, 0, 13)
    assert (await refusal(capture(ledger, name, 1))).reason == "HOLD_ALREADY_CAPTURED"
    assert (await refusal(release(ledger, name))).reason == "HOLD_ALREADY_CAPTURED"


async def test_a_hold_kept_open_is_captured_until_nothing_is_left(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=1_000)
    name = (await hold(ledger, wallet, 100)).hold.name
    reject: dict[str, Any] = {"keep_open": True, "over_hold": wallet_service_pb2.OVER_HOLD_REJECT}

    await capture(ledger, name, 50, **reject)
    exceeding = await refusal(capture(ledger, name, 51, **reject))
    await capture(ledger, name, 50, **reject)

    assert (exceeding.reason, exceeding.metadata["held_units"]) == ("CAPTURE_EXCEEDS_HOLD", "50")
    assert (await refusal(capture(ledger, name, 10, **reject))).reason == "HOLD_ALREADY_CAPTURED"
    assert (await ledger.balance(wallet)).available_units == 900


async def test_what_exceeds_a_hold_is_debited_if_it_is_there(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=15)
    name = (await hold(ledger, wallet, 8)).hold.name

    assert (await refusal(capture(ledger, name, 16))).reason == "INSUFFICIENT_CREDIT"
    assert (await ledger.balance(wallet)).held_units == 8
    assert (await capture(ledger, name, 15)).debit.amount_units == 15


async def test_a_release_gives_back_once(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    name = (await hold(ledger, wallet, 8)).hold.name
    release_key = key()

    first = await release(ledger, name, idempotency_key=release_key)
    again = await release(ledger, name, idempotency_key=release_key)

    assert [each.amount_units for each in first.returned] == [8]
    assert (again.returned, again.replayed) == (first.returned, True)
    assert (await refusal(release(ledger, name))).reason == "HOLD_ALREADY_RELEASED"
    assert (await refusal(capture(ledger, name, 8))).reason == "HOLD_ALREADY_RELEASED"


async def test_a_release_is_replayed_when_the_hold_would_have_timed_out_meanwhile(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet(granted_units=10)
    name = (await hold(sandbox, wallet, 8, ttl=MINUTE)).hold.name
    release_key = key()
    first = await release(sandbox, name, idempotency_key=release_key)
    await sandbox.advance(await sandbox.clock() + MINUTE)

    again = await release(sandbox, name, idempotency_key=release_key)

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.returned, again.position) == (first.returned, first.position)
    assert (await refusal(release(sandbox, name))).reason == "HOLD_ALREADY_RELEASED"


async def test_a_release_of_a_hold_that_timed_out_is_refused_however_often_and_leaves_its_key_free(
    sandbox: Client,
) -> None:
    wallet = await sandbox.open_wallet(granted_units=10)
    late = (await hold(sandbox, wallet, 8, ttl=MINUTE)).hold.name
    await sandbox.advance(await sandbox.clock() + MINUTE)
    release_key = key()

    for _ in range(2):
        refused = await refusal(release(sandbox, late, idempotency_key=release_key))
        assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "HOLD_EXPIRED")

    other = (await hold(sandbox, wallet, 8)).hold.name
    assert not (await release(sandbox, other, idempotency_key=release_key)).replayed
    assert (
        await refusal(release(sandbox, late, idempotency_key=release_key))
    ).reason == "IDEMPOTENCY_KEY_REUSED"
    assert (await sandbox.balance(wallet)).available_units == 10


async def test_a_hold_that_never_was_is_not_found(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)

    for number in (2, 3):
        refused = await refusal(capture(ledger, f"{wallet}/holds/{number}", 1))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "HOLD_NOT_FOUND")
    for malformed in ("0", "01", "-1", "x", str(2**63), ""):
        assert (await refusal(release(ledger, f"{wallet}/holds/{malformed}"))).reason == "FIELD_MALFORMED"


async def test_a_hold_is_replayed_and_another_request_with_its_key_refused(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    hold_key = key()
    first = await hold(ledger, wallet, 8, idempotency_key=hold_key)
    again = await hold(ledger, wallet, 8, idempotency_key=hold_key, ttl=timedelta(minutes=10))

    assert (again.hold, again.replayed) == (first.hold, True)
    refused = await refusal(hold(ledger, wallet, 7, idempotency_key=hold_key))
    assert (refused.reason, refused.metadata["differing_field"]) == ("IDEMPOTENCY_KEY_REUSED", "amount_units")


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(hours=24) + MICROSECOND])
async def test_a_time_of_nothing_or_beyond_a_day_is_refused(ledger: Client, ttl: timedelta) -> None:
    wallet = await ledger.open_wallet(granted_units=10)

    assert (await refusal(hold(ledger, wallet, 1, ttl=ttl))).reason == "NUMBER_OUT_OF_RANGE"


async def test_held_slices_outlive_their_lot_and_what_comes_back_expires(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    end = await sandbox.clock() + MINUTE
    await sandbox.grant(wallet, 10, expire_time=timestamp(end))
    name = (await hold(sandbox, wallet, 6, ttl=2 * MINUTE)).hold.name

    await sandbox.advance(end)
    balance = await sandbox.balance(wallet)
    assert (balance.posted_units, balance.held_units, balance.expired_units) == (6, 6, 4)
    await capture(sandbox, name, 5)

    balance = await sandbox.balance(wallet)
    assert (balance.posted_units, balance.debited_units, balance.expired_units) == (0, 5, 5)


async def test_what_returns_to_a_revoked_lot_is_revoked(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    grant = (await ledger.grant(wallet, 10)).grant.name
    name = (await hold(ledger, wallet, 6)).hold.name

    assert (await revoke(ledger, grant)).revoked_units == 4
    await release(ledger, name)

    balance = await ledger.balance(wallet)
    assert (balance.posted_units, balance.revoked_units) == (0, 10)
