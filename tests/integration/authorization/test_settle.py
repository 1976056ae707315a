"""Settle and cancel: the estimate gives way to what was used, once."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest

from credits.ledger.v1 import wallet_service_pb2
from tests.integration.authorization.gateway import Gateway, refusal
from tests.integration.ledger.client import SOFT

MICROSECOND = timedelta(microseconds=1)
FAILED = grpc.StatusCode.FAILED_PRECONDITION


@pytest.mark.parametrize("tokens", [0, 9, 10, 11])
async def test_the_actual_charge_is_debited_and_the_rest_comes_back(gateway: Gateway, tokens: int) -> None:
    signed = await gateway.sign(units=100)
    answer = await gateway.authorize(signed, tokens=10)

    settled = await gateway.settle(answer.authorization, tokens=tokens)

    assert settled.debit.amount_units == tokens
    assert settled.debit.hold == answer.hold
    assert (settled.charge.exact_units, settled.charge.contract) == (str(tokens), signed.contract)
    assert await gateway.available(signed) == 100 - tokens


async def test_what_is_settled_is_what_was_authorized_unless_it_says_otherwise(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100)
    answer = await gateway.authorize(signed, properties={"model": "m", "tier": "fast"})

    settled = await gateway.settle(answer.authorization, properties={"tier": "slow"})

    assert dict(settled.charge.properties) == {"model": "m", "tier": "slow"}


async def test_settling_again_is_replayed_and_with_other_usage_refused(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100)
    answer = await gateway.authorize(signed)
    first = await gateway.settle(answer.authorization, tokens=7)

    again = await gateway.settle(answer.authorization, tokens=7)
    other = await refusal(gateway.settle(answer.authorization, tokens=8))
    cancelled = await refusal(gateway.cancel(answer.authorization))

    assert (first.replayed, again.replayed, again.debit.name) == (False, True, first.debit.name)
    assert (other.code, other.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
    assert (cancelled.code, cancelled.reason) == (FAILED, "HOLD_ALREADY_CAPTURED")
    assert await gateway.available(signed) == 93


async def test_an_authorization_without_a_hold_is_settled_once_too(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100)
    answer = await gateway.authorize(signed, holds=False, idempotency_key="", user="ann")

    first = await gateway.settle(answer.authorization, tokens=101)
    again = await gateway.settle(answer.authorization, tokens=101)
    other = await refusal(gateway.settle(answer.authorization, tokens=1))

    assert (first.debit.overage_units, first.debit.user) == (1, "ann")
    assert (again.replayed, again.debit.name) == (True, first.debit.name)
    assert other.reason == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(("late", "code"), [(-MICROSECOND, ""), (timedelta(), "HOLD_EXPIRED")])
async def test_a_hold_is_captured_up_to_its_last_instant(
    gateway: Gateway, late: timedelta, code: str
) -> None:
    signed = await gateway.sign(units=100)
    answer = await gateway.authorize(signed, hold_ttl={"seconds": 5})
    await gateway.pass_time(timedelta(seconds=5) + late)

    if not code:
        assert not (await gateway.settle(answer.authorization)).debit.late
        return
    assert (await refusal(gateway.settle(answer.authorization))).reason == code
    settled = await gateway.settle(answer.authorization, allow_late=True)
    assert (settled.debit.late, settled.debit.amount_units) == (True, 10)


async def test_what_exceeds_the_hold_is_refused_whole_if_credit_lacks_or_the_caller_says_so(
    gateway: Gateway,
) -> None:
    signed = await gateway.sign(units=20)
    answer = await gateway.authorize(signed, tokens=10)

    short = await refusal(gateway.settle(answer.authorization, tokens=21))
    over = await refusal(
        gateway.settle(answer.authorization, tokens=11, over_hold=wallet_service_pb2.OVER_HOLD_REJECT)
    )
    settled = await gateway.settle(answer.authorization, tokens=20)

    assert (short.reason, over.reason) == ("INSUFFICIENT_CREDIT", "CAPTURE_EXCEEDS_HOLD")
    assert settled.debit.amount_units == 20


@pytest.mark.parametrize(("used", "left"), [(0, 100), (60, 40), (70, 30), (150, 0)])
async def test_tokens_per_minute_count_what_was_used(gateway: Gateway, used: int, left: int) -> None:
    signed = await gateway.sign(mode=SOFT, tokens_per_minute=100, key_tokens_per_minute=100)
    answer = await gateway.authorize(signed, tokens=60, api_key="a")
    await gateway.settle(answer.authorization, tokens=used)
    await gateway.settle(answer.authorization, tokens=used)

    read = await gateway.authorize(signed, tokens=1_000, api_key="a")

    assert [limit.remaining for limit in read.limits] == [left, left]
    assert not read.allowed


async def test_a_cancelled_request_gives_back_its_hold_and_its_place(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100, requests_per_minute=1, tokens_per_minute=10)
    answer = await gateway.authorize(signed)

    cancelled = await gateway.cancel(answer.authorization)
    again = await gateway.cancel(answer.authorization)
    settled = await refusal(gateway.settle(answer.authorization))
    next_one = await gateway.authorize(signed)

    assert (cancelled.released_units, cancelled.replayed) == (10, False)
    assert (again.released_units, again.replayed) == (10, True)
    assert (settled.code, settled.reason) == (FAILED, "HOLD_ALREADY_RELEASED")
    assert next_one.allowed


async def test_a_cancelled_request_without_a_hold_gives_back_its_place(gateway: Gateway) -> None:
    signed = await gateway.sign(requests_per_minute=1)
    answer = await gateway.authorize(signed, holds=False)

    assert (await gateway.cancel(answer.authorization)).released_units == 0
    assert (await gateway.authorize(signed)).allowed


@pytest.mark.parametrize("text", ["", "x", "e30=", "a" * 2_001])
async def test_what_is_no_authorization_is_refused_by_name(gateway: Gateway, text: str) -> None:
    for call in (gateway.settle, gateway.cancel):
        refused = await refusal(call(text))
        assert refused.reason == ("FIELD_MALFORMED" if text else "FIELD_REQUIRED")
        assert refused.field == "authorization"


async def test_usage_that_cannot_be_priced_leaves_the_hold(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100)
    answer = await gateway.authorize(signed)

    refused = await refusal(gateway.settle(answer.authorization, properties={}, tokens=-1))
    settled = await gateway.settle(answer.authorization)

    assert refused.reason == "NEGATIVE_QUANTITY"
    assert settled.debit.amount_units == 10
