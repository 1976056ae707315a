"""Spend caps and budgets over the wire: debits, batches, streams, holds, reversals, and how caps are shown."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import wallet_caps_pb2, wallet_pb2, wallet_rules_pb2, wallet_service_pb2
from tests.integration.ledger.client import (
    CALL_SECONDS,
    Client,
    Refused,
    instant_of,
    key,
    refusal,
    refused_by,
)
from tests.integration.ledger.holds.calls import capture, hold, reverse

KEY = {"api_key": "key-7"}
MICROSECOND = timedelta(microseconds=1)


def cap(amount_units: int, period: str = "P1M") -> wallet_rules_pb2.SpendCap:
    """Return a spend cap."""
    return wallet_rules_pb2.SpendCap(amount_units=amount_units, period=period)


def budget(name: str, amount_units: int, **fields: Any) -> wallet_rules_pb2.Budget:
    """Return a budget."""
    return wallet_rules_pb2.Budget(budget_id=name, amount_units=amount_units, **fields)


async def set_rules(client: Client, wallet: str, **rules: Any) -> None:
    """Replace the caps of a wallet."""
    request = wallet_service_pb2.UpdateWalletRequest(
        wallet=wallet_pb2.Wallet(name=wallet, rules=wallet_rules_pb2.WalletRules(**rules)),
        update_mask=FieldMask(paths=["rules.spend_cap", "rules.budgets"]),
        idempotency_key=key(),
    )
    await client.wallets.UpdateWallet(request, timeout=CALL_SECONDS)


async def capped(client: Client, *, granted_units: int = 1_000, **rules: Any) -> str:
    """Open a wallet with credit and caps."""
    wallet = await client.open_wallet(granted_units=granted_units)
    await set_rules(client, wallet, **rules)
    return wallet


async def cap_uses(client: Client, wallet: str) -> list[wallet_caps_pb2.CapUse]:
    """Return how the caps stand."""
    request = wallet_service_pb2.GetWalletRequest(name=wallet)
    return list((await client.wallets.GetWallet(request, timeout=CALL_SECONDS)).cap_uses)


def debit_request(wallet: str, amount_units: int, **fields: Any) -> wallet_service_pb2.DebitRequest:
    """Return a debit with a fresh key."""
    return wallet_service_pb2.DebitRequest(
        name=wallet, amount_units=amount_units, **({"idempotency_key": key()} | fields)
    )


async def test_a_debit_above_a_budget_is_refused_with_what_was_used(ledger: Client) -> None:
    wallet = await capped(ledger, budgets=[budget("bots", 10, api_key="key-7")])
    await ledger.debit(wallet, 4, **KEY)

    refused = await refusal(ledger.debit(wallet, 7, **KEY))
    await ledger.debit(wallet, 6, **KEY)

    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "BUDGET_EXCEEDED")
    assert refused.metadata == {
        "budget_id": "bots",
        "amount_units": "7",
        "used_units": "4",
        "held_units": "0",
        "limit_units": "10",
    }


async def test_a_spend_cap_says_when_its_period_ends_and_is_whole_again_there(sandbox: Client) -> None:
    wallet = await capped(sandbox, spend_cap=cap(10, "P1D"))
    await sandbox.debit(wallet, 10)

    refused = await refusal(sandbox.debit(wallet, 1))
    (use,) = await cap_uses(sandbox, wallet)
    end = instant_of(use.period_end_time)
    await sandbox.advance(end - MICROSECOND)
    still_refused = await refusal(sandbox.debit(wallet, 1))
    await sandbox.advance(end)
    await sandbox.debit(wallet, 3)

    assert refused.reason == still_refused.reason == "SPEND_CAP_EXCEEDED"
    assert refused.metadata["period_end_time"] == end.isoformat()
    (use,) = await cap_uses(sandbox, wallet)
    assert (use.used_units, use.remaining_units) == (3, 7)
    assert instant_of(use.period_end_time) == end + timedelta(days=1)


async def test_the_items_of_a_batch_share_what_a_budget_leaves(ledger: Client) -> None:
    wallet = await capped(ledger, budgets=[budget("ann", 10, user="ann")])
    request = wallet_service_pb2.BatchDebitRequest(
        requests=[debit_request(wallet, 4, user=user) for user in ("ann", "ann", "ann", "bob", "ann")]
    )

    results = (await ledger.wallets.BatchDebit(request, timeout=CALL_SECONDS)).results

    reasons = [Refused(each.error).reason if each.HasField("error") else "" for each in results]
    assert reasons == ["", "", "BUDGET_EXCEEDED", "", "BUDGET_EXCEEDED"]
    assert [each.response.debit.user for each in results] == ["ann", "ann", "", "bob", ""]


async def test_the_debits_of_a_stream_are_refused_one_by_one(ledger: Client) -> None:
    wallet = await capped(ledger, budgets=[budget("bots", 5, api_key="key-7")])

    async def requests() -> AsyncIterator[wallet_service_pb2.StreamDebitsRequest]:
        for sequence, units in enumerate((3, 3, 2, 1)):
            debit = debit_request(wallet, units, **KEY)
            yield wallet_service_pb2.StreamDebitsRequest(sequence=sequence, debit=debit)

    answers = [each async for each in ledger.wallets.StreamDebits(requests(), timeout=CALL_SECONDS)]

    reasons = [Refused(each.error).reason if each.HasField("error") else "" for each in answers]
    assert reasons == ["", "BUDGET_EXCEEDED", "", "BUDGET_EXCEEDED"]


async def test_holds_captures_and_reversals_are_counted_for_the_key_of_the_hold(ledger: Client) -> None:
    wallet = await capped(ledger, budgets=[budget("bots", 10, api_key="key-7")])
    held = (await hold(ledger, wallet, 8, api_key="key-7", user="ann")).hold
    assert (held.api_key, held.user) == ("key-7", "ann")
    assert (await refusal(hold(ledger, wallet, 3, api_key="key-7"))).reason == "BUDGET_EXCEEDED"
    assert (await refusal(capture(ledger, held.name, 11))).reason == "BUDGET_EXCEEDED"
    (listed,) = (await ledger.balance(wallet)).holds
    assert (listed.api_key, listed.user) == ("key-7", "ann")

    captured = (await capture(ledger, held.name, 8)).debit
    assert (captured.api_key, captured.user) == ("key-7", "ann")
    assert [use.used_units for use in await cap_uses(ledger, wallet)] == [8]
    await reverse(ledger, captured.name, amount_units=5)

    (use,) = await cap_uses(ledger, wallet)
    assert (use.budget_id, use.api_key, use.used_units, use.held_units) == ("bots", "key-7", 3, 0)
    assert (use.limit_units, use.remaining_units, use.HasField("period_end_time")) == (10, 7, False)


async def test_a_late_capture_counts_for_the_key_of_its_hold(sandbox: Client) -> None:
    wallet = await capped(sandbox, budgets=[budget("bots", 10, api_key="key-7")])
    held = (await hold(sandbox, wallet, 8, ttl=timedelta(seconds=1), api_key="key-7")).hold
    await sandbox.advance(instant_of(held.expire_time))
    idempotency_key = key()
    request = {"allow_late": True, "idempotency_key": idempotency_key}

    assert (await refusal(capture(sandbox, held.name, 11, allow_late=True))).reason == "BUDGET_EXCEEDED"
    late = await capture(sandbox, held.name, 9, **request)
    again = await capture(sandbox, held.name, 9, **request)
    await reverse(sandbox, late.debit.name, amount_units=2)

    assert (late.debit.late, late.debit.api_key, again.replayed) == (True, "key-7", True)
    assert [use.used_units for use in await cap_uses(sandbox, wallet)] == [7]


async def test_caps_are_shown_the_spend_cap_first(ledger: Client) -> None:
    wallet = await capped(
        ledger,
        spend_cap=cap(100),
        budgets=[
            budget("by-feature", 30, feature="chat"),
            budget("by-user", 20, user="ann"),
            budget("by-key", 10, api_key="key-7"),
        ],
    )
    await ledger.debit(wallet, 5, api_key="key-7", user="ann", feature="chat")

    found = await cap_uses(ledger, wallet)

    assert [(use.budget_id, use.WhichOneof("selector"), use.remaining_units) for use in found] == [
        ("", None, 95),
        ("by-key", "api_key", 5),
        ("by-user", "user", 15),
        ("by-feature", "feature", 25),
    ]
    assert [use.HasField("period_end_time") for use in found] == [True, False, False, False]


async def test_a_lowered_cap_refuses_and_a_raised_one_lets_through(ledger: Client) -> None:
    wallet = await capped(ledger, spend_cap=cap(10))
    await ledger.debit(wallet, 8)

    await set_rules(ledger, wallet, spend_cap=cap(5))
    assert (await refusal(ledger.debit(wallet, 1))).reason == "SPEND_CAP_EXCEEDED"
    assert (await ledger.debit(wallet, 1, delivered=True)).debit.amount_units == 1
    await set_rules(ledger, wallet, spend_cap=cap(12))
    taken = await ledger.debit(wallet, 9, take_available=True)

    assert taken.debit.amount_units == 3


async def test_a_refused_debit_may_be_sent_again_once_there_is_room(ledger: Client) -> None:
    wallet = await capped(ledger, spend_cap=cap(5))
    request = debit_request(wallet, 6, **KEY)
    assert (await refusal(ledger.wallets.Debit(request))).reason == "SPEND_CAP_EXCEEDED"

    await set_rules(ledger, wallet, spend_cap=cap(6))
    first = await ledger.wallets.Debit(request, timeout=CALL_SECONDS)
    await set_rules(ledger, wallet, spend_cap=cap(0))
    again = await ledger.wallets.Debit(request, timeout=CALL_SECONDS)

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.debit.name, again.debit.api_key) == (first.debit.name, "key-7")


@pytest.mark.parametrize("field", ["api_key", "user"])
async def test_a_key_or_user_that_is_no_identifier_is_refused_and_another_one_is_another_call(
    ledger: Client, field: str
) -> None:
    wallet = await ledger.open_wallet(granted_units=100)
    for wrong in ("x" * 101, "a b", "-a"):
        by_debit = await refusal(ledger.debit(wallet, 1, **{field: wrong}))
        named: dict[str, Any] = {field: wrong}
        by_hold = await refusal(hold(ledger, wallet, 1, **named))
        assert by_debit.reason == by_hold.reason == "FIELD_MALFORMED"
        assert by_debit.field == by_hold.field == field
    await ledger.debit(wallet, 1, idempotency_key="k", **{field: "x" * 100})

    refused = await refusal(ledger.debit(wallet, 1, idempotency_key="k", **{field: "other"}))

    assert (refused.reason, refused.metadata["differing_field"]) == ("IDEMPOTENCY_KEY_REUSED", field)


async def test_the_statement_names_key_and_user(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100)
    await ledger.debit(wallet, 1, api_key="key-7", user="ann", feature="chat")
    held = (await hold(ledger, wallet, 2, user="bob")).hold
    await capture(ledger, held.name, 2)
    request = wallet_service_pb2.ListStatementLinesRequest(name=wallet)

    lines = (await ledger.wallets.ListStatementLines(request, timeout=CALL_SECONDS)).lines

    debited, placed, captured = (line.description for line in lines[-3:])
    assert debited == "Debit for chat, key key-7, user ann"
    assert placed.endswith(", user bob")
    assert captured.endswith(", user bob")


async def outcome(client: Client, wallet: str, amount_units: int, **fields: Any) -> str:
    """Return "debited" or the reason of the refusal."""
    try:
        await client.debit(wallet, amount_units, **fields)
    except grpc.aio.AioRpcError as error:
        return refused_by(error).reason
    return "debited"


@pytest.mark.parametrize("covered", [0, 1, 37, 99, 100])
async def test_of_a_hundred_callers_exactly_those_that_the_budget_has_room_for_succeed(
    ledger: Client, covered: int
) -> None:
    # One unit short of one more debit.
    wallet = await capped(
        ledger, granted_units=10_000, budgets=[budget("bots", covered * 7 + 6, api_key="key-7")]
    )

    outcomes = await asyncio.gather(*(outcome(ledger, wallet, 7, **KEY) for _ in range(100)))
    others = await asyncio.gather(*(outcome(ledger, wallet, 7, api_key="key-8") for _ in range(10)))

    assert Counter(outcomes) == Counter({"debited": covered, "BUDGET_EXCEEDED": 100 - covered})
    assert set(others) == {"debited"}
    assert [use.used_units for use in await cap_uses(ledger, wallet)] == [covered * 7]
    assert (await ledger.balance(wallet)).debited_units == covered * 7 + 70


async def test_holds_and_debits_of_many_callers_share_one_cap(ledger: Client) -> None:
    wallet = await capped(ledger, granted_units=10_000, spend_cap=cap(200))

    async def hold_and_capture() -> str:
        try:
            held = (await hold(ledger, wallet, 5)).hold
        except grpc.aio.AioRpcError as error:
            return refused_by(error).reason
        await capture(ledger, held.name, 5)
        return "captured"

    outcomes = Counter(
        await asyncio.gather(
            *(hold_and_capture() for _ in range(30)), *(outcome(ledger, wallet, 5) for _ in range(30))
        )
    )

    assert outcomes["captured"] + outcomes["debited"] == 40
    assert outcomes["SPEND_CAP_EXCEEDED"] == 20
    (use,) = await cap_uses(ledger, wallet)
    assert (use.used_units, use.held_units, use.remaining_units) == (200, 0, 0)
