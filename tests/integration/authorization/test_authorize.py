"""Authorize: who may run, to the unit and to the microsecond, and what is held for it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import grpc
import pytest

from credits.ledger.v1 import wallet_rules_pb2, wallet_service_pb2
from tests.integration.authorization.gateway import Gateway, reasons, refusal, running_gateway
from tests.integration.ledger.client import NO_ALERTS, SOFT
from tests.servers import LedgerServer

MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


def capped(*, cap: int = -1, key_budget: int = -1) -> wallet_rules_pb2.WalletRules:
    """Return rules with a monthly cap, and a budget of key-7."""
    rules = wallet_rules_pb2.WalletRules(alerts=wallet_rules_pb2.AlertRules())
    if cap >= 0:
        rules.spend_cap.CopyFrom(wallet_rules_pb2.SpendCap(amount_units=cap, period="P1M"))
    if key_budget >= 0:
        rules.budgets.add(budget_id="bots", amount_units=key_budget, api_key="key-7", period="P1M")
    return rules


async def test_a_request_that_may_run_has_its_charge_held(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100)

    answer = await gateway.authorize(signed, tokens=30)

    assert (answer.allowed, answer.estimated_units, answer.estimated_charge.exact_units) == (True, 30, "30")
    assert answer.hold.startswith(f"{signed.wallet}/holds/")
    assert not answer.credit_is_advisory
    assert not answer.HasField("retry_after")
    assert await gateway.available(signed) == 70


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize(("tokens", "allowed"), [(99, True), (100, True), (101, False)])
async def test_credit_is_enough_to_the_unit(
    gateway: Gateway, tokens: int, allowed: bool, holds: bool
) -> None:
    signed = await gateway.sign(units=100)

    answer = await gateway.authorize(signed, tokens=tokens, holds=holds)

    assert answer.allowed is allowed
    assert reasons(answer) == ([] if allowed else ["INSUFFICIENT_CREDIT"])
    assert not answer.HasField("retry_after")
    assert answer.credit_is_advisory is (allowed and not holds)
    assert await gateway.available(signed) == (100 - tokens if allowed and holds else 100)


@pytest.mark.parametrize("holds", [True, False])
async def test_a_phase_with_overage_lets_a_request_go_on_without_credit(
    gateway: Gateway, holds: bool
) -> None:
    signed = await gateway.sign(units=100, mode=SOFT)

    answer = await gateway.authorize(signed, tokens=101, holds=holds)
    settled = await gateway.settle(answer.authorization, tokens=101)

    assert (answer.allowed, answer.hold, answer.credit_is_advisory) == (True, "", True)
    assert (settled.debit.amount_units, settled.debit.overage_units) == (101, 1)


async def test_a_feature_that_the_phase_does_not_list_is_not_entitled(gateway: Gateway) -> None:
    signed = await gateway.sign(features=["chat"], upgrade_hint="plans/team")

    outcomes = [await gateway.authorize(signed, feature=feature) for feature in ("chat", "code", "")]

    assert [reasons(answer) for answer in outcomes] == [[], ["NOT_ENTITLED"], ["NOT_ENTITLED"]]
    assert [answer.upgrade_hint for answer in outcomes] == ["", "plans/team", "plans/team"]


async def test_all_reasons_that_rating_finds_are_told_at_once_and_take_nothing(gateway: Gateway) -> None:
    signed = await gateway.sign(features=["chat"], requests_per_minute=1, tokens_per_minute=10)

    answer = await gateway.authorize(
        signed, feature="code", quantities={"input_tokens": 11, "unknown_tokens": 1}
    )
    later = await gateway.authorize(signed, feature="chat", tokens=10)

    assert reasons(answer) == ["NOT_ENTITLED", "UNRATEABLE", "RATE_LIMITED_TOKENS"]
    assert not answer.HasField("estimated_charge")
    assert not answer.HasField("retry_after")
    assert later.allowed


async def test_a_contract_is_in_force_from_its_first_instant(gateway: Gateway) -> None:
    signed = await gateway.sign(starts_after=MINUTE)

    early = await gateway.authorize(signed)
    await gateway.pass_time(MINUTE - MICROSECOND)
    last = await gateway.authorize(signed)
    await gateway.pass_time(MICROSECOND)

    assert reasons(early) == reasons(last) == ["CONTRACT_NOT_IN_FORCE"]
    assert early.retry_after.ToTimedelta() == MINUTE
    assert last.retry_after.ToTimedelta() == MICROSECOND
    assert (await gateway.authorize(signed)).allowed


async def test_requests_are_limited_in_any_minute(gateway: Gateway) -> None:
    signed = await gateway.sign(requests_per_minute=2)
    first = await gateway.authorize(signed)
    await gateway.pass_time(timedelta(seconds=20))
    second = await gateway.authorize(signed)
    third = await gateway.authorize(signed)
    await gateway.pass_time(timedelta(seconds=40) - MICROSECOND)
    too_early = await gateway.authorize(signed)
    await gateway.pass_time(MICROSECOND)
    in_time = await gateway.authorize(signed)
    again = await gateway.authorize(signed)

    assert [each.allowed for each in (first, second, third)] == [True, True, False]
    assert [each.allowed for each in (too_early, in_time, again)] == [False, True, False]
    assert reasons(third) == ["RATE_LIMITED_REQUESTS"]
    assert third.retry_after.ToTimedelta() == timedelta(seconds=40)
    assert too_early.retry_after.ToTimedelta() == MICROSECOND
    assert [each.limits[0].remaining for each in (first, second, third)] == [1, 0, 0]


@pytest.mark.parametrize(("tokens", "allowed"), [(39, True), (40, True), (41, False)])
async def test_tokens_are_limited_to_the_token(gateway: Gateway, tokens: int, allowed: bool) -> None:
    signed = await gateway.sign(tokens_per_minute=100)
    await gateway.authorize(signed, quantities={"input_tokens": 50, "output_tokens": 10, "calls": 1_000})

    answer = await gateway.authorize(signed, tokens=tokens)

    assert reasons(answer) == ([] if allowed else ["RATE_LIMITED_TOKENS"])
    assert answer.limits[0].remaining == (40 - tokens if allowed else 40)
    assert answer.HasField("retry_after") is not allowed


async def test_a_request_larger_than_the_limit_is_not_told_to_wait(gateway: Gateway) -> None:
    signed = await gateway.sign(tokens_per_minute=100)

    answer = await gateway.authorize(signed, tokens=101)

    assert reasons(answer) == ["RATE_LIMITED_TOKENS"]
    assert not answer.HasField("retry_after")


async def test_each_key_has_limits_of_its_own_and_one_limit_takes_nothing_of_another(
    gateway: Gateway,
) -> None:
    signed = await gateway.sign(requests_per_minute=3, key_requests_per_minute=1)

    allowed = [
        (await gateway.authorize(signed, api_key=api_key)).allowed
        for api_key in ("a", "a", "a", "a", "b", "c", "d")
    ]

    assert allowed == [True, False, False, False, True, True, False]


async def test_a_refusal_of_the_ledger_gives_back_what_the_limits_took(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100, requests_per_minute=1, tokens_per_minute=200)

    refused = await gateway.authorize(signed, tokens=101)
    allowed = await gateway.authorize(signed, tokens=100)

    assert reasons(refused) == ["INSUFFICIENT_CREDIT"]
    assert allowed.allowed
    assert [each.remaining for each in allowed.limits] == [0, 100]


@pytest.mark.parametrize("holds", [True, False])
@pytest.mark.parametrize(("rules", "reason"), [({"cap": 50}, "SPEND_CAP"), ({"key_budget": 50}, "BUDGET")])
async def test_caps_and_budgets_hold_to_the_unit(
    gateway: Gateway, rules: dict[str, int], reason: str, holds: bool
) -> None:
    signed = await gateway.sign(rules=capped(**rules))

    over = await gateway.authorize(signed, tokens=51, api_key="key-7", holds=holds)
    never = await gateway.authorize(signed, tokens=50, api_key="key-7", holds=holds)

    assert reasons(over) == [reason]
    assert not over.HasField("retry_after"), "a whole cap has no room for it either"
    assert never.allowed


async def test_a_cap_that_is_used_up_says_when_it_is_whole_again(gateway: Gateway) -> None:
    signed = await gateway.sign(spend_cap_units=50, spend_cap_period="P1D")
    await gateway.authorize(signed, tokens=50, hold_ttl={"seconds": 1})
    await gateway.pass_time(timedelta(hours=1))
    first = await gateway.authorize(signed, tokens=50)
    await gateway.settle(first.authorization, tokens=50)

    refused = await gateway.authorize(signed, tokens=1)
    await gateway.pass_time(refused.retry_after.ToTimedelta() - MICROSECOND)
    early = await gateway.authorize(signed, tokens=1)
    await gateway.pass_time(MICROSECOND)
    late = await gateway.authorize(signed, tokens=1)

    assert reasons(refused) == reasons(early) == ["SPEND_CAP"]
    assert refused.retry_after.ToTimedelta() == timedelta(hours=23)
    assert late.allowed


@pytest.mark.parametrize(("used", "delay_ms"), [(79, 0), (80, 0), (81, 50), (90, 500), (99, 950)])
async def test_a_customer_is_slowed_down_as_the_cap_nears(gateway: Gateway, used: int, delay_ms: int) -> None:
    signed = await gateway.sign(
        spend_cap_units=100,
        slow_down_from_percent=80,
        slow_down_max_delay_ms=1_000,
        upgrade_hint="plans/team",
    )
    first = await gateway.authorize(signed, tokens=used)
    await gateway.settle(first.authorization, tokens=used)

    answer = await gateway.authorize(signed, tokens=1, holds=False)

    assert answer.allowed
    assert answer.slow_down.ToTimedelta() == timedelta(milliseconds=delay_ms)
    assert answer.upgrade_hint == ("plans/team" if delay_ms else "")


@pytest.mark.parametrize(("used", "delay_ms"), [(80, 0), (90, 500)])
async def test_a_customer_is_slowed_down_as_the_entitlement_runs_out(
    gateway: Gateway, used: int, delay_ms: int
) -> None:
    signed = await gateway.sign(units=100, slow_down_from_percent=80, slow_down_max_delay_ms=1_000)
    first = await gateway.authorize(signed, tokens=used)
    await gateway.settle(first.authorization, tokens=used)

    answer = await gateway.authorize(signed, tokens=1, holds=False)

    assert answer.slow_down.ToTimedelta() == timedelta(milliseconds=delay_ms)


async def test_a_request_with_a_hold_is_slowed_down_too(gateway: Gateway) -> None:
    signed = await gateway.sign(spend_cap_units=100, slow_down_from_percent=50, slow_down_max_delay_ms=1_000)
    first = await gateway.authorize(signed, tokens=75)
    await gateway.settle(first.authorization, tokens=75)

    answer = await gateway.authorize(signed, tokens=1)

    assert answer.hold
    # The caps are read beside the hold, which may count already.
    assert answer.slow_down.ToTimedelta() in (timedelta(milliseconds=500), timedelta(milliseconds=520))


async def test_a_retry_takes_no_second_hold_and_no_second_place(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100, requests_per_minute=2)

    first = await gateway.authorize(signed, idempotency_key="once")
    again = await gateway.authorize(signed, idempotency_key="once")
    other = await gateway.authorize(signed)
    last = await gateway.authorize(signed)

    assert (again.hold, again.authorization) == (first.hold, first.authorization)
    assert await gateway.available(signed) == 80
    assert (other.allowed, last.allowed) == (True, False)


async def test_a_key_with_another_request_is_refused_and_leaves_the_first_ones_place(
    gateway: Gateway,
) -> None:
    signed = await gateway.sign(requests_per_minute=1)
    await gateway.authorize(signed, idempotency_key="once")

    refused = await refusal(gateway.authorize(signed, idempotency_key="once", tokens=11))

    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
    assert not (await gateway.authorize(signed)).allowed


async def test_what_makes_no_sense_is_an_error_and_no_answer(gateway: Gateway) -> None:
    signed = await gateway.sign()
    missing = type(signed)(signed.wallet, "contracts/none", signed.position)

    unknown = await refusal(gateway.authorize(missing))
    keyless = await refusal(gateway.authorize(signed, idempotency_key=""))
    empty = await refusal(gateway.authorize(signed, quantities={}))
    long = await refusal(gateway.authorize(signed, idempotency_key="k" * 181))

    assert unknown.reason == "UNKNOWN_CONTRACT"
    assert (keyless.reason, empty.reason, long.reason) == (
        "FIELD_REQUIRED",
        "NO_QUANTITIES",
        "FIELD_TOO_LONG",
    )
    assert (await gateway.authorize(signed, idempotency_key="k" * 180)).allowed


async def test_a_thousand_calls_at_once_never_pass_a_limit_nor_the_credit(gateway: Gateway) -> None:
    signed = await gateway.sign(units=3_000, requests_per_minute=400, key_requests_per_minute=150)
    poor = await gateway.sign(units=1_000, rules=NO_ALERTS)

    answers = await asyncio.gather(
        *(gateway.authorize(signed, api_key=f"key-{at % 3}", tokens=1) for at in range(700)),
        *(gateway.authorize(poor) for _ in range(300)),
    )

    assert sum(answer.allowed for answer in answers[:700]) == 400
    assert sum(answer.allowed for answer in answers[700:]) == 100
    assert await gateway.available(signed) == 2_600
    assert await gateway.available(poor) == 0
    balance = await gateway.ledger.balance(signed.wallet)
    assert balance.held_units == 400


async def test_after_a_restart_holds_are_settled_and_limits_begin_anew(
    ledger_server: LedgerServer, rating_url: str
) -> None:
    async with running_gateway(ledger_server, rating_url) as gateway:
        signed = await gateway.sign(units=100, requests_per_minute=1)
        first = await gateway.authorize(signed, idempotency_key="once")
    async with running_gateway(ledger_server, rating_url) as gateway:
        again = await gateway.authorize(signed, idempotency_key="once")
        settled = await gateway.settle(first.authorization, tokens=8)

        assert again.authorization == first.authorization
        assert settled.debit.amount_units == 8
        assert await gateway.available(signed) == 92


async def test_a_hold_lasts_as_long_as_it_was_asked_for(gateway: Gateway) -> None:
    signed = await gateway.sign(units=100)
    await gateway.authorize(signed, tokens=100, hold_ttl={"seconds": 5})

    await gateway.pass_time(timedelta(seconds=5) - MICROSECOND)
    before = await gateway.available(signed)
    await gateway.pass_time(MICROSECOND)

    assert (before, await gateway.available(signed)) == (0, 100)
    refused = await refusal(gateway.authorize(signed, hold_ttl={"seconds": 0}))
    assert (refused.reason, refused.code) == ("NUMBER_OUT_OF_RANGE", grpc.StatusCode.INVALID_ARGUMENT)


async def test_the_ledger_refuses_beyond_the_phases_cap_on_the_request_path_too(gateway: Gateway) -> None:
    signed = await gateway.sign(spend_cap_units=50)
    request = wallet_service_pb2.DebitRequest(name=signed.wallet, idempotency_key="d", amount_units=51)

    refused = await refusal(gateway.ledger.wallets.Debit(request))
    request.amount_units = 50
    await gateway.ledger.wallets.Debit(request)

    assert (refused.reason, refused.metadata["contract_phase"]) == ("SPEND_CAP_EXCEEDED", "main")
    read = await gateway.ledger.wallets.GetWallet(wallet_service_pb2.GetWalletRequest(name=signed.wallet))
    assert [(use.contract_phase, use.remaining_units) for use in read.cap_uses] == [("main", 0)]
