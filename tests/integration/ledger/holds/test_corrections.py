"""Reversals, refunds, extensions, recurring grants and debts over a real channel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_service_pb2
from tests.integration.ledger.client import CALL_SECONDS, PROMOTIONAL, Client, key, refusal, timestamp
from tests.integration.ledger.holds.calls import (
    MICROSECOND,
    capture,
    extend,
    hold,
    refund,
    release,
    reverse,
    revoke,
)

MINUTE = timedelta(minutes=1)
ADVANCE = wallet_pb2.SHORTFALL_MODE_ADVANCE


async def test_a_reversal_returns_the_last_draw_first_and_never_more_than_was_debited(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    first = (await ledger.grant(wallet, 4)).grant.name
    second = (await ledger.grant(wallet, 6)).grant.name
    debit = (await ledger.debit(wallet, 10)).debit.name
    reverse_key = key()

    part = await reverse(ledger, debit, amount_units=7, idempotency_key=reverse_key)
    again = await reverse(ledger, debit, amount_units=7, idempotency_key=reverse_key)

    returned = [(each.grant, each.amount_units) for each in part.reversal.returned]
    assert returned == [(second, 6), (first, 1)]
    assert (again.reversal, again.replayed) == (part.reversal, True)
    refused = await refusal(reverse(ledger, debit, amount_units=4))
    assert (refused.reason, refused.metadata["left_units"]) == ("REVERSAL_EXCEEDS_DEBIT", "3")
    assert (await reverse(ledger, debit)).reversal.amount_units == 3
    assert (await refusal(reverse(ledger, debit))).reason == "REVERSAL_EXCEEDS_DEBIT"
    assert (await ledger.balance(wallet)).available_units == 10


async def test_a_capture_is_reversed_like_any_debit(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    name = (await hold(ledger, wallet, 6)).hold.name
    debit = (await capture(ledger, name, 8)).debit.name

    assert (await reverse(ledger, debit)).reversal.amount_units == 8
    assert (await ledger.balance(wallet)).available_units == 10


async def test_what_is_reversed_after_its_lot_expired_expires_at_once(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    end = await sandbox.clock() + MINUTE
    await sandbox.grant(wallet, 10, expire_time=timestamp(end))
    debit = (await sandbox.debit(wallet, 6)).debit.name
    await sandbox.advance(end)

    await reverse(sandbox, debit)

    balance = await sandbox.balance(wallet)
    assert (balance.available_units, balance.debited_units, balance.expired_units) == (0, 0, 10)


async def test_what_is_no_debit_cannot_be_reversed(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)

    for number in (2, 3):
        refused = await refusal(reverse(ledger, f"{wallet}/debits/{number}"))
        assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "DEBIT_NOT_FOUND")


async def test_refunds_are_rounded_down_cumulatively_and_claw_the_bonus_back(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    paid = money_pb2.Money(currency_code="USD", nanos=100)
    purchase = (await ledger.grant(wallet, 3, consideration=paid)).grant.name
    bonus = (await ledger.grant(wallet, 30, category=PROMOTIONAL, purchase=purchase)).grant
    refund_key = key()

    first = await refund(ledger, purchase, amount_units=1, idempotency_key=refund_key)
    again = await refund(ledger, purchase, amount_units=1, idempotency_key=refund_key)

    assert (first.refund.nanos, again.refund.nanos, again.replayed) == (33, 33, True)
    assert (await ledger.balance(wallet)).available_units == 2 + 20
    assert bonus.purchase == purchase
    assert (await refusal(refund(ledger, purchase, amount_units=3))).reason == "REFUND_EXCEEDS_GRANT"
    assert (await refusal(refund(ledger, bonus.name))).reason == "GRANT_NOT_REFUNDABLE"
    last = await refund(ledger, purchase)
    assert (last.refunded_units, last.refund.nanos) == (2, 67)
    balance = await ledger.balance(wallet)
    assert (balance.available_units, balance.revoked_units) == (0, 33)


async def test_a_grant_is_extended_until_its_last_microsecond(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    end = await sandbox.clock() + MINUTE
    kept = (await sandbox.grant(wallet, 1, expire_time=timestamp(end))).grant.name
    lost = (await sandbox.grant(wallet, 2, expire_time=timestamp(end))).grant.name

    await sandbox.advance(end - MICROSECOND)
    assert (await refusal(extend(sandbox, kept, expire_time=timestamp(end)))).reason == "EXTENSION_NOT_LATER"
    await extend(sandbox, kept, expire_time=timestamp(end + MICROSECOND))
    await sandbox.advance(end)

    assert (await refusal(extend(sandbox, lost))).reason == "GRANT_NOT_ACTIVE"
    assert (await sandbox.balance(wallet)).available_units == 1
    await sandbox.advance(end + MICROSECOND)
    assert (await sandbox.balance(wallet)).available_units == 0


async def test_an_extension_is_replayed_also_after_its_end_and_refused_with_another_one(
    sandbox: Client,
) -> None:
    wallet = await sandbox.open_wallet()
    end = await sandbox.clock() + MINUTE
    grant = (await sandbox.grant(wallet, 5, expire_time=timestamp(end))).grant.name
    extend_key = key()
    later = timestamp(end + MINUTE)
    first = await extend(sandbox, grant, expire_time=later, idempotency_key=extend_key)

    again = await extend(sandbox, grant, expire_time=later, idempotency_key=extend_key)
    other = timestamp(end + MINUTE + MICROSECOND)
    refused = await refusal(extend(sandbox, grant, expire_time=other, idempotency_key=extend_key))
    await sandbox.advance(end + MINUTE)
    much_later = await extend(sandbox, grant, expire_time=later, idempotency_key=extend_key)

    assert [each.replayed for each in (first, again, much_later)] == [False, True, True]
    assert {each.position for each in (first, again, much_later)} == {first.position}
    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
    assert refused.metadata == {"differing_field": "expire_time"}
    assert (await sandbox.balance(wallet)).expired_units == 5


async def test_a_grant_is_revoked_once(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    grant = (await ledger.grant(wallet, 10)).grant.name
    revoke_key = key()

    first = await revoke(ledger, grant, idempotency_key=revoke_key)
    again = await revoke(ledger, grant, idempotency_key=revoke_key)

    assert (first.revoked_units, again.revoked_units, again.replayed) == (10, 10, True)
    assert (await refusal(revoke(ledger, grant))).reason == "GRANT_NOT_ACTIVE"


async def test_an_idle_year_of_a_recurring_grant_settles_in_one_call(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    begin = await sandbox.clock()
    recurrence = wallet_pb2.Recurrence(
        period="P1D",
        period_count=400,
        roll_over=wallet_pb2.RollOver(percent="50", times=1, cap_units=30),
    )
    await sandbox.grant(wallet, 100, recurrence=recurrence)

    await sandbox.advance(begin + timedelta(days=365, hours=1))

    debit = await sandbox.debit(wallet, 1)
    assert debit.debit.amount_units == 1
    balance = await sandbox.balance(wallet)
    assert (balance.available_units, balance.expired_units) == (129, 365 * 100 - 30)


async def test_debts_are_repaid_oldest_first_and_may_be_reversed(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10, mode=ADVANCE)
    first = await ledger.debit(wallet, 15)
    second = await ledger.debit(wallet, 7)
    assert (first.debit.debt_units, second.debit.debt_units) == (5, 7)

    await ledger.grant(wallet, 8)
    balance = await ledger.balance(wallet)
    assert (balance.debt_units, balance.available_units, balance.debited_units) == (4, 0, 22)

    reversal = (await reverse(ledger, second.debit.name)).reversal
    assert (reversal.amount_units, reversal.debt_units) == (7, 4)
    assert (await ledger.balance(wallet)).available_units == 3


async def test_a_reversed_debt_leaves_the_draws_to_be_reversed(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10, mode=ADVANCE)
    debit = (await ledger.debit(wallet, 15)).debit.name

    await reverse(ledger, debit, amount_units=5)

    assert (await reverse(ledger, debit)).reversal.amount_units == 10


async def test_a_debit_may_take_what_there_is(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    debit_key = key()

    first = await ledger.debit(wallet, 15, take_available=True, idempotency_key=debit_key)
    again = await ledger.debit(wallet, 15, take_available=True, idempotency_key=debit_key)

    assert (first.debit.amount_units, again.debit, again.replayed) == (10, first.debit, True)
    assert (await refusal(ledger.debit(wallet, 1, take_available=True))).reason == "INSUFFICIENT_CREDIT"


async def test_a_balance_is_read_as_of_an_instant_on_either_clock(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet(granted_units=10)
    begin = await sandbox.clock()
    await sandbox.advance(begin + MINUTE)
    await sandbox.debit(wallet, 4, effective_time=timestamp(begin))

    async def available(**fields: Any) -> int:
        request = wallet_service_pb2.GetBalanceRequest(name=wallet, **fields)
        return (await sandbox.wallets.GetBalance(request, timeout=CALL_SECONDS)).balance.available_units

    assert await available(as_of_time=timestamp(begin)) == 6
    assert await available(as_of_record_time=timestamp(begin)) == 10


async def test_an_instant_at_which_a_backdated_debit_used_held_credit_is_refused_by_name(
    sandbox: Client,
) -> None:
    wallet = await sandbox.open_wallet(granted_units=10)
    held = (await hold(sandbox, wallet, 10)).hold.name
    begin = await sandbox.clock()
    await sandbox.advance(begin + MINUTE)
    await release(sandbox, held)
    await sandbox.debit(wallet, 4, effective_time=timestamp(begin))

    request = wallet_service_pb2.GetBalanceRequest(name=wallet, as_of_time=timestamp(begin))
    refused = await refusal(sandbox.wallets.GetBalance(request, timeout=CALL_SECONDS))
    assert refused.reason == "AS_OF_OVERDRAWN"
    assert (await sandbox.balance(wallet)).available_units == 6


async def test_before_a_grant_begins_its_revocation_does_not_count(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    begin = await sandbox.clock()
    grant = (await sandbox.grant(wallet, 10, effective_time=timestamp(begin + MINUTE))).grant.name
    await revoke(sandbox, grant)

    request = wallet_service_pb2.GetBalanceRequest(name=wallet, as_of_time=timestamp(begin))
    balance = (await sandbox.wallets.GetBalance(request, timeout=CALL_SECONDS)).balance
    assert (balance.posted_units, balance.revoked_units) == (0, 0)


async def test_the_statement_ends_with_what_is_posted(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10, mode=ADVANCE)
    name = (await hold(ledger, wallet, 6)).hold.name
    debit = (await capture(ledger, name, 8)).debit.name
    await reverse(ledger, debit, amount_units=3)
    await ledger.debit(wallet, 9)
    grant = (await ledger.grant(wallet, 20)).grant.name
    await extend_and_revoke(ledger, wallet, grant)

    request = wallet_service_pb2.ListStatementLinesRequest(name=wallet)
    lines = (await ledger.wallets.ListStatementLines(request, timeout=CALL_SECONDS)).lines
    changes = [line.change_units for line in lines]
    balance = await ledger.balance(wallet)
    assert changes == [0, 10, 0, -8, 3, -5, 20, -4, -16]
    assert lines[-1].posted_units == balance.posted_units == 0


async def extend_and_revoke(ledger: Client, wallet: str, grant: str) -> None:
    """Try to extend a grant that never expires, which is refused, and revoke it."""
    refused = await refusal(extend(ledger, grant))
    assert refused.reason == "EXTENSION_NOT_LATER"
    await revoke(ledger, grant)
