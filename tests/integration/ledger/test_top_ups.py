"""Payments that credit waits for, over a real channel: pending grants, top-ups and automatic top-ups."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import msgspec
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import (
    finance_service_pb2,
    money_pb2,
    sale_terms_pb2,
    top_up_pb2,
    wallet_pb2,
    wallet_rules_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import SOFT, Client, instant_of, key, refusal, send, timestamp

SUCCEEDED = top_up_pb2.TOP_UP_OUTCOME_SUCCEEDED
FAILED = top_up_pb2.TOP_UP_OUTCOME_FAILED
REQUESTED = "wallet.TopUpRequested.v1"
PRICE = money_pb2.Money(currency_code="EUR", nanos=7_000)
CURRENCY_OF_ONE_TEST = "XPD"


async def ask(ledger: Client, wallet: str, units: int = 10, **fields: Any) -> top_up_pb2.TopUp:
    """Request a top-up."""
    request = top_up_pb2.RequestTopUpRequest(
        name=wallet,
        idempotency_key=key(),
        top_up=top_up_pb2.TopUp(amount_units=units, price=PRICE, **fields),
    )
    response: top_up_pb2.RequestTopUpResponse = await send(ledger.wallets.RequestTopUp, request)
    return response.top_up


async def end(
    ledger: Client, name: str, outcome: top_up_pb2.TopUpOutcome.ValueType, idempotency_key: str = ""
) -> top_up_pb2.SettleTopUpResponse:
    """Settle a top-up."""
    request = top_up_pb2.SettleTopUpRequest(
        name=name, idempotency_key=idempotency_key or key(), outcome=outcome, payment_reference="pay-1"
    )
    response: top_up_pb2.SettleTopUpResponse = await send(ledger.wallets.SettleTopUp, request)
    return response


async def activate(ledger: Client, name: str, idempotency_key: str = "") -> Any:
    """Activate a grant."""
    request = top_up_pb2.ActivateGrantRequest(name=name, idempotency_key=idempotency_key or key())
    return await send(ledger.wallets.ActivateGrant, request)


async def give_rule(ledger: Client, wallet: str, **fields: Any) -> None:
    """Give a wallet a rule for automatic top-ups."""
    usual: dict[str, Any] = {"threshold_units": 10, "amount_units": 50, "price": PRICE, "price_units": 100}
    rule = wallet_rules_pb2.AutoTopUp(**usual | fields)
    request = wallet_service_pb2.UpdateWalletRequest(
        wallet=wallet_pb2.Wallet(name=wallet, rules=wallet_rules_pb2.WalletRules(auto_top_up=rule)),
        update_mask=FieldMask(paths=["rules.auto_top_up"]),
        idempotency_key=key(),
    )
    await send(ledger.wallets.UpdateWallet, request)


async def grants(ledger: Client, wallet: str, position: int) -> list[wallet_pb2.Grant]:
    """Return a wallet's grants, a position of the log included."""
    request = wallet_service_pb2.ListGrantsRequest(name=wallet, min_position=position)
    response: wallet_service_pb2.ListGrantsResponse = await send(ledger.wallets.ListGrants, request)
    return list(response.grants)


async def test_a_pending_grant_is_shown_apart_until_it_is_activated(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    granted = await ledger.grant(wallet, 10, pending=True)
    before = await ledger.balance(wallet)
    (listed,) = await grants(ledger, wallet, granted.position)
    refused = await refusal(ledger.debit(wallet, 1))

    activated = await activate(ledger, granted.grant.name, "a")
    again = await activate(ledger, granted.grant.name, "a")
    twice = await refusal(activate(ledger, granted.grant.name))
    after = await ledger.balance(wallet)
    (issued,) = await grants(ledger, wallet, activated.position)

    assert (before.posted_units, before.pending_units, before.awaiting_payment_units) == (0, 0, 10)
    assert (listed.state, listed.remaining_units) == (wallet_pb2.GRANT_STATE_PENDING, 0)
    assert refused.reason == "INSUFFICIENT_CREDIT"
    assert (activated.granted_units, activated.replayed, again.replayed) == (10, False, True)
    assert twice.reason == "GRANT_NOT_PENDING"
    assert (after.available_units, after.awaiting_payment_units) == (10, 0)
    assert (issued.state, issued.remaining_units) == (wallet_pb2.GRANT_STATE_ISSUED, 10)
    assert issued.effective_time == activated.effective_time


async def test_a_debit_paid_by_an_activated_grant_is_taken_back(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    granted = await ledger.grant(wallet, 10, pending=True)
    await activate(ledger, granted.grant.name)
    debited = await ledger.debit(wallet, 4)

    request = wallet_service_pb2.ReverseDebitRequest(name=debited.debit.name, idempotency_key=key())
    await send(ledger.wallets.ReverseDebit, request)

    assert (await ledger.balance(wallet)).available_units == 10


async def test_a_settled_top_up_grants_and_names_its_grant_and_the_grant_names_it(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    top_up = await ask(ledger, wallet, scope=["chat"], reference="order-1")
    (shown,) = (await ledger.balance(wallet)).open_top_ups

    settled = await end(ledger, top_up.name, SUCCEEDED)
    (grant,) = await grants(ledger, wallet, settled.position + 1)

    assert shown == top_up
    assert settled.grant == grant.name
    assert (grant.top_up, grant.consideration, grant.amount_units) == (top_up.name, PRICE, 10)
    assert list(grant.scope) == ["chat"]
    assert not (await ledger.balance(wallet)).open_top_ups


async def test_the_same_outcome_again_is_the_first_answer_and_another_one_is_refused(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    top_up = await ask(ledger, wallet)
    first = await end(ledger, top_up.name, SUCCEEDED, "one")

    same_key = await end(ledger, top_up.name, SUCCEEDED, "one")
    other_key = await end(ledger, top_up.name, SUCCEEDED, "two")
    refused = await refusal(end(ledger, top_up.name, FAILED))

    assert same_key.replayed
    assert other_key.replayed
    assert (same_key.grant, other_key.grant) == (first.grant, first.grant)
    assert other_key.position == first.position
    assert (refused.code, refused.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TOP_UP_ALREADY_SETTLED")
    assert refused.metadata["outcome"] == "SUCCEEDED"
    assert (await ledger.balance(wallet)).available_units == 10


async def test_a_top_up_is_sold_on_the_terms_of_its_request_and_of_its_payment(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    stated = sale_terms_pb2.SaleTerms(
        product="packs", expected_breakage="0.1", functional_currency_code="USD", exchange_rate="1.5"
    )
    top_up = await ask(ledger, wallet, finance=stated)
    tax = money_pb2.Money(currency_code="EUR", nanos=1_330)
    request = top_up_pb2.SettleTopUpRequest(
        name=top_up.name, idempotency_key=key(), outcome=SUCCEEDED, tax=tax, exchange_rate="1.1"
    )
    settled: top_up_pb2.SettleTopUpResponse = await send(ledger.wallets.SettleTopUp, request)
    (grant,) = await grants(ledger, wallet, settled.position + 1)

    assert top_up.finance == stated
    assert grant.finance == sale_terms_pb2.SaleTerms(
        product="packs", expected_breakage="0.1", functional_currency_code="USD", exchange_rate="1.1", tax=tax
    )


async def test_a_foreign_top_up_needs_its_rate_when_it_is_paid_and_stays_open_without(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    top_up = await ask(ledger, wallet, finance=sale_terms_pb2.SaleTerms(functional_currency_code="USD"))

    refused = await refusal(end(ledger, top_up.name, SUCCEEDED))

    assert (refused.reason, refused.field) == ("EXCHANGE_RATE_REQUIRED", "exchange_rate")
    assert (await ledger.balance(wallet)).open_top_ups == [top_up]


async def test_the_terms_of_a_rule_are_read_back_and_checked(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    terms = sale_terms_pb2.SaleTerms(product="packs", tax=PRICE)
    await give_rule(ledger, wallet, finance=terms)
    (asked,) = (await ledger.balance(wallet)).open_top_ups
    request = wallet_service_pb2.GetWalletRequest(name=wallet)
    found: wallet_service_pb2.GetWalletResponse = await send(ledger.wallets.GetWallet, request)
    wrong = sale_terms_pb2.SaleTerms(pool="breakagePools/none")

    refused = await refusal(give_rule(ledger, wallet, finance=wrong))

    assert found.wallet.rules.auto_top_up.finance == terms
    assert asked.finance.tax.nanos == PRICE.nanos // 2
    assert (refused.reason, refused.field) == (
        "BREAKAGE_POOL_NOT_FOUND",
        "wallet.rules.auto_top_up.finance.pool",
    )


async def test_what_is_no_top_up_is_not_settled(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=5)

    refused = await refusal(end(ledger, f"{wallet}/topUps/2", SUCCEEDED))
    unsaid = await refusal(end(ledger, f"{wallet}/topUps/2", top_up_pb2.TOP_UP_OUTCOME_UNSPECIFIED))

    assert (refused.code, refused.reason) == (grpc.StatusCode.NOT_FOUND, "TOP_UP_NOT_FOUND")
    assert (unsaid.reason, unsaid.field) == ("VALUE_UNSPECIFIED", "outcome")


async def test_a_hundred_debits_at_once_request_one_top_up(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100, mode=SOFT)
    await give_rule(ledger, wallet, per_day_max=100, per_month_max=100)

    await asyncio.gather(*[ledger.debit(wallet, 1) for _ in range(100)])
    requested = await ledger.events(stream=wallet, topics=(REQUESTED,))
    events = await ledger.events(stream=wallet)

    assert len(requested) == 1
    # Open, grant, rule, ninety debits, and at the ninetieth the request.
    assert events[93].topic == REQUESTED
    (shown,) = (await ledger.balance(wallet)).open_top_ups
    assert (shown.automatic, shown.amount_units, shown.price.nanos) == (True, 50, 3_500)


async def test_the_sweeper_or_the_next_call_requests_when_the_wait_ends(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet(granted_units=100)
    await give_rule(sandbox, wallet, per_day_max=5, back_off=Duration(seconds=60))
    await sandbox.debit(wallet, 95)
    (shown,) = (await sandbox.balance(wallet)).open_top_ups
    failed = await end(sandbox, shown.name, FAILED)
    retry_time = instant_of(failed.retry_time)

    await sandbox.advance(retry_time - timedelta(microseconds=1))
    before = await sandbox.balance(wallet)
    await sandbox.advance(retry_time)
    (again,) = (await sandbox.balance(wallet)).open_top_ups

    assert retry_time == instant_of(failed.settle_time) + timedelta(seconds=60)
    assert not before.open_top_ups
    assert instant_of(again.request_time) == retry_time
    await sandbox.debit(wallet, 1)
    requested = await sandbox.events(stream=wallet, topics=(REQUESTED,))
    assert [msgspec.json.decode(each.state)["effective_time"][:19] for each in requested[1:]] == [
        retry_time.isoformat()[:19]
    ]


async def test_a_retried_debit_requests_nothing_more(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=20)
    await give_rule(ledger, wallet)
    first = await ledger.debit(wallet, 15, idempotency_key="d")

    again = await ledger.debit(wallet, 15, idempotency_key="d")

    assert (again.replayed, again.position) == (True, first.position)
    assert len(await ledger.events(stream=wallet, topics=(REQUESTED,))) == 1


@pytest.mark.parametrize("field", ["recurrence", "purchase"])
async def test_what_is_no_purchase_waits_for_no_payment(ledger: Client, field: str) -> None:
    wallet = await ledger.open_wallet(granted_units=5)
    fields: dict[str, Any] = {"recurrence": wallet_pb2.Recurrence(period="P1M")}
    if field == "purchase":
        bought = await ledger.grant(wallet, 5, consideration=PRICE)
        fields = {"purchase": bought.grant.name, "category": wallet_pb2.GRANT_CATEGORY_PROMOTIONAL}

    refused = await refusal(ledger.grant(wallet, 5, pending=True, **fields))

    assert (refused.reason, refused.field) == ("FIELD_NOT_ALLOWED", "grant.pending")


async def test_liability_begins_when_the_payment_came(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    money = money_pb2.Money(currency_code=CURRENCY_OF_ONE_TEST, nanos=900)
    granted = await sandbox.grant(wallet, 10, pending=True, consideration=money)
    before = await billings(sandbox, granted.position)

    activated = await activate(sandbox, granted.grant.name)

    assert (before, await billings(sandbox, activated.position)) == (0, 900)


async def billings(sandbox: Client, position: int) -> int:
    """Return what was billed around now in the currency that no other test sells in."""
    day = (await sandbox.clock()).replace(hour=0, minute=0, second=0, microsecond=0)
    request = finance_service_pb2.GetRollForwardRequest(
        from_time=timestamp(day - timedelta(days=2)),
        to_time=timestamp(day + timedelta(days=2)),
        currency_code=CURRENCY_OF_ONE_TEST,
        min_position=position,
    )
    response = await send(sandbox.finance.GetRollForward, request)
    return int(response.total.billings.nanos)


async def test_a_balance_of_the_past_knows_a_grant_from_its_activation_on(sandbox: Client) -> None:
    wallet = await sandbox.open_wallet()
    granted = await sandbox.grant(wallet, 10, pending=True)
    await sandbox.advance(await sandbox.clock() + timedelta(hours=1))
    activated = await activate(sandbox, granted.grant.name)
    begin = instant_of(activated.effective_time)

    found = []
    for instant in (begin - timedelta(microseconds=1), begin):
        request = wallet_service_pb2.GetBalanceRequest(name=wallet, as_of_time=timestamp(instant))
        balance = (await send(sandbox.wallets.GetBalance, request)).balance
        found.append((balance.available_units, balance.awaiting_payment_units))

    assert found == [(0, 10), (10, 0)]
