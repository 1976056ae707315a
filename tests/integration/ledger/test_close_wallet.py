"""Closing a wallet over a real channel: refusals, what is shown afterwards, and retries."""

from __future__ import annotations

import grpc

from credits.ledger.v1 import wallet_closing_pb2, wallet_service_pb2
from tests.integration.ledger.client import CALL_SECONDS, Client, key, refusal

Code = grpc.StatusCode


async def close(
    ledger: Client, name: str, *, forfeit: bool = False, idempotency_key: str = ""
) -> wallet_closing_pb2.CloseWalletResponse:
    """Close a wallet."""
    request = wallet_closing_pb2.CloseWalletRequest(
        name=name, forfeit=forfeit, idempotency_key=idempotency_key or key()
    )
    return await ledger.wallets.CloseWallet(request, timeout=CALL_SECONDS)


async def test_a_closed_wallet_says_when_wherever_it_is_shown(ledger: Client) -> None:
    customer = f"customers/c-{key()}"
    name = await ledger.open_wallet(customer=customer)
    listing = wallet_service_pb2.ListWalletsRequest(customer=customer)
    before = await ledger.wallets.ListWallets(listing, timeout=CALL_SECONDS)

    closed = await close(ledger, name)

    listing.min_position = closed.position
    after = await ledger.wallets.ListWallets(listing, timeout=CALL_SECONDS)
    request = wallet_service_pb2.GetWalletRequest(name=name)
    wallet = (await ledger.wallets.GetWallet(request, timeout=CALL_SECONDS)).wallet
    assert not any(each.HasField("close_time") for each in before.wallets)
    assert [each.close_time for each in after.wallets] == [closed.close_time]
    assert wallet.close_time == closed.close_time
    assert (await ledger.balance(name)).close_time == closed.close_time


async def test_a_wallet_with_credit_is_closed_only_if_that_is_forfeited(ledger: Client) -> None:
    name = await ledger.open_wallet(granted_units=10)

    refused = await refusal(close(ledger, name))
    closed = await close(ledger, name, forfeit=True)

    assert (refused.code, refused.reason, refused.metadata) == (
        Code.FAILED_PRECONDITION,
        "WALLET_NOT_EMPTY",
        {"posted_units": "10"},
    )
    assert closed.forfeited_units == 10
    balance = await ledger.balance(name)
    assert (balance.posted_units, balance.revoked_units) == (0, 10)


async def test_a_wallet_with_a_hold_is_not_closed(ledger: Client) -> None:
    name = await ledger.open_wallet(granted_units=10)
    request = wallet_service_pb2.HoldRequest(name=name, amount_units=1, idempotency_key=key())
    await ledger.wallets.Hold(request, timeout=CALL_SECONDS)

    refused = await refusal(close(ledger, name, forfeit=True))

    assert (refused.code, refused.reason) == (Code.FAILED_PRECONDITION, "WALLET_IN_USE")


async def test_a_closed_wallet_refuses_credit_and_orders_and_records_what_was_delivered(
    ledger: Client,
) -> None:
    name = await ledger.open_wallet(granted_units=10)
    spent = await ledger.debit(name, 4)
    await close(ledger, name, forfeit=True)

    granting, using = await refusal(ledger.grant(name, 1)), await refusal(ledger.debit(name, 1))
    delivered = await ledger.debit(name, 3, delivered=True)
    back = wallet_service_pb2.ReverseDebitRequest(name=spent.debit.name, idempotency_key=key())
    await ledger.wallets.ReverseDebit(back, timeout=CALL_SECONDS)

    assert {(each.code, each.reason) for each in (granting, using)} == {
        (Code.FAILED_PRECONDITION, "WALLET_CLOSED")
    }
    assert delivered.debit.overage_units == 3
    balance = await ledger.balance(name)
    assert (balance.posted_units, balance.revoked_units, balance.debited_units) == (0, 10, 3)


async def test_closing_sent_again_is_answered_from_the_first_and_another_is_refused(ledger: Client) -> None:
    name = await ledger.open_wallet(granted_units=10)
    first = await close(ledger, name, forfeit=True, idempotency_key="once")

    again = await close(ledger, name, forfeit=True, idempotency_key="once")
    other = await refusal(close(ledger, name, idempotency_key="once"))
    anew = await refusal(close(ledger, name))

    assert (first.replayed, again.replayed) == (False, True)
    assert (again.close_time, again.forfeited_units, again.position) == (
        first.close_time,
        10,
        first.position,
    )
    assert (other.code, other.metadata) == (Code.ALREADY_EXISTS, {"differing_field": "forfeit"})
    assert anew.reason == "WALLET_CLOSED"


async def test_a_grant_that_was_sent_before_the_closing_is_answered_after_it(ledger: Client) -> None:
    name = await ledger.open_wallet()
    granted = await ledger.grant(name, 5, idempotency_key="grant")
    await close(ledger, name, forfeit=True)

    again = await ledger.grant(name, 5, idempotency_key="grant")

    assert (again.replayed, again.position) == (True, granted.position)
