"""Transfers, chargebacks and goodwill over a real channel."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import grpc
import pytest

from credits.ledger.v1 import (
    finance_service_pb2,
    money_pb2,
    transfer_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import (
    CALL_SECONDS,
    PROMOTIONAL,
    Client,
    key,
    refusal,
    refused_by,
    timestamp,
)
from tests.integration.ledger.holds.calls import hold, refund, release

SETTLED = transfer_pb2.TRANSFER_STATE_SETTLED
RETURNED = transfer_pb2.TRANSFER_STATE_RETURNED
UNITS_MAX = 2**63 - 1


def eur(nanos: int) -> money_pb2.Money:
    """Return an amount in EUR."""
    return money_pb2.Money(currency_code="EUR", nanos=nanos)


async def transfer(
    client: Client, source: str, destination: str, units: int, *, idempotency_key: str = ""
) -> transfer_pb2.TransferCreditsResponse:
    """Move credit."""
    request = transfer_pb2.TransferCreditsRequest(
        name=source,
        destination=destination,
        amount_units=units,
        idempotency_key=idempotency_key or key(),
    )
    return await client.wallets.TransferCredits(request, timeout=CALL_SECONDS)


async def charge_back(client: Client, grant: str, **fields: Any) -> transfer_pb2.ChargeBackGrantResponse:
    """Charge a grant back."""
    request = transfer_pb2.ChargeBackGrantRequest(**{"name": grant, "idempotency_key": key()} | fields)
    return await client.wallets.ChargeBackGrant(request, timeout=CALL_SECONDS)


async def grants_of(client: Client, wallet: str, position: int) -> list[wallet_pb2.Grant]:
    """Return a wallet's grants once the view has seen a position."""
    request = wallet_service_pb2.ListGrantsRequest(name=wallet, min_position=position)
    return list((await client.wallets.ListGrants(request, timeout=CALL_SECONDS)).grants)


async def lines_of(client: Client, wallet: str) -> list[tuple[int, int, str]]:
    """Return the change, the balance and the text of each line of a statement."""
    request = wallet_service_pb2.ListStatementLinesRequest(name=wallet)
    response = await client.wallets.ListStatementLines(request, timeout=CALL_SECONDS)
    return [(line.change_units, line.posted_units, line.description) for line in response.lines]


# Transfers


async def test_a_transfer_arrives_with_its_terms_and_its_cost_basis(ledger: Client) -> None:
    source, destination = await ledger.open_wallet(), await ledger.open_wallet()
    bought = await ledger.grant(source, 3, consideration=eur(100), priority=4, scope=["chat"])

    answer = await transfer(ledger, source, destination, 2)

    moved = answer.transfer
    assert (moved.destination, moved.amount_units, moved.state) == (destination, 2, SETTLED)
    assert moved.name.startswith(f"{source}/transfers/")
    [part] = moved.slices
    assert (part.grant, part.amount_units, part.consideration) == (bought.grant.name, 2, eur(66))
    here, there = await ledger.balance(source), await ledger.balance(destination)
    assert (here.available_units, here.in_transit_units, there.available_units) == (1, 0, 2)
    head = (await ledger.grant(destination, 1)).position
    [arrived, _] = await grants_of(ledger, destination, head)
    assert (arrived.priority, list(arrived.scope), arrived.consideration) == (4, ["chat"], eur(66))
    assert arrived.transfer == moved.name
    [left] = await grants_of(ledger, source, head)
    assert (left.remaining_units, left.transferred_units) == (1, 2)


async def test_a_retry_gives_the_first_answer_and_moves_nothing(ledger: Client) -> None:
    source, destination = await ledger.open_wallet(granted_units=10), await ledger.open_wallet()
    first = await transfer(ledger, source, destination, 4, idempotency_key="t")

    again = await transfer(ledger, source, destination, 4, idempotency_key="t")
    other = await refusal(transfer(ledger, source, destination, 5, idempotency_key="t"))

    assert (again.transfer, again.replayed, again.position) == (first.transfer, True, first.position)
    assert (other.code, other.metadata["differing_field"]) == (
        grpc.StatusCode.ALREADY_EXISTS,
        "amount_units",
    )
    assert (await ledger.balance(destination)).available_units == 4


async def test_transfers_that_may_not_be_are_refused_by_name(ledger: Client) -> None:
    source, held = await ledger.open_wallet(granted_units=10), await ledger.open_wallet(granted_units=10)
    stranger = await ledger.open_wallet(customer="customers/other")
    await hold(ledger, held, 1)
    request = wallet_service_pb2.OpenWalletRequest(
        wallet_id=f"t-{key()}",
        wallet=wallet_pb2.Wallet(customer="customers/acme", asset=money_pb2.Asset(code="TOKEN", scale=0)),
        idempotency_key="open",
    )
    tokens = (await ledger.wallets.OpenWallet(request, timeout=CALL_SECONDS)).wallet.name

    refused = [
        await refusal(transfer(ledger, *arguments))
        for arguments in (
            (source, source, 1),
            (source, stranger, 1),
            (source, tokens, 1),
            (source, "wallets/nobody", 1),
            ("wallets/nobody", source, 1),
            (source, held, 11),
            (held, source, 10),
            (source, held, 0),
        )
    ]

    assert [(each.reason, each.field) for each in refused] == [
        ("TRANSFER_TO_ITSELF", "destination"),
        ("CUSTOMER_MISMATCH", "destination"),
        ("ASSET_MISMATCH", "destination"),
        ("WALLET_NOT_FOUND", "destination"),
        ("WALLET_NOT_FOUND", "name"),
        ("INSUFFICIENT_CREDIT", "amount_units"),
        ("INSUFFICIENT_CREDIT", "amount_units"),
        ("AMOUNT_NOT_POSITIVE", "amount_units"),
    ]
    assert (await ledger.balance(source)).available_units == 10


async def test_what_the_destination_refuses_for_good_comes_back(ledger: Client) -> None:
    source, destination = await ledger.open_wallet(granted_units=10), await ledger.open_wallet()
    await ledger.grant(destination, UNITS_MAX - 9)

    answer = await transfer(ledger, source, destination, 10, idempotency_key="t")
    again = await transfer(ledger, source, destination, 10, idempotency_key="t")

    assert (answer.transfer.state, again.transfer.state, again.replayed) == (RETURNED, RETURNED, True)
    balance = await ledger.balance(source)
    assert (balance.available_units, balance.in_transit_units) == (10, 0)
    assert [line[2] for line in await lines_of(ledger, source)][-1] == (
        "Transfer 3 returned (AMOUNT_OUT_OF_RANGE)"
    )


async def test_both_statements_say_what_moved(ledger: Client) -> None:
    source, destination = await ledger.open_wallet(granted_units=10), await ledger.open_wallet()

    await transfer(ledger, source, destination, 4)

    assert (await lines_of(ledger, source))[-2:] == [
        (-4, 6, f"Transferred to {destination}"),
        (0, 6, "Transfer 3 arrived"),
    ]
    assert (await lines_of(ledger, destination))[-1] == (4, 4, f"Transferred from {source}, transfer 3 there")


@pytest.mark.parametrize("covered", [0, 17, 50])
async def test_fifty_concurrent_transfers_move_exactly_what_there_is(ledger: Client, covered: int) -> None:
    source, destination = await ledger.open_wallet(granted_units=covered * 7 + 6), await ledger.open_wallet()

    async def outcome(number: int) -> str:
        try:
            answer = await transfer(ledger, source, destination, 7, idempotency_key=f"t-{number}")
        except grpc.aio.AioRpcError as error:
            return refused_by(error).reason
        return transfer_pb2.TransferState.Name(answer.transfer.state)

    outcomes = await asyncio.gather(*(outcome(number) for number in range(50)))

    assert Counter(outcomes) == Counter(
        {"TRANSFER_STATE_SETTLED": covered, "INSUFFICIENT_CREDIT": 50 - covered}
    )
    here, there = await ledger.balance(source), await ledger.balance(destination)
    assert (here.available_units, here.in_transit_units) == (6, 0)
    assert there.available_units == covered * 7


async def test_transfers_both_ways_at_once_lose_nothing(ledger: Client) -> None:
    one, other = await ledger.open_wallet(granted_units=100), await ledger.open_wallet(granted_units=100)

    await asyncio.gather(
        *(transfer(ledger, *pair, 3) for pair in [(one, other), (other, one)] for _ in range(20))
    )

    balances = [await ledger.balance(wallet) for wallet in (one, other)]
    assert [balance.available_units for balance in balances] == [100, 100]


# Chargebacks


async def test_a_chargeback_withdraws_the_rest_and_notes_what_is_owed(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    bought = (await ledger.grant(wallet, 100, consideration=eur(1_000))).grant.name
    await ledger.debit(wallet, 40)
    held = (await hold(ledger, wallet, 10)).hold.name

    answer = await charge_back(ledger, bought, reference="case-7", idempotency_key="c")
    again = await charge_back(ledger, bought, reference="case-7", idempotency_key="c")
    second = await refusal(charge_back(ledger, bought))
    balance = await ledger.balance(wallet)
    returned = await release(ledger, held)

    assert (answer.amount, answer.revoked_units, answer.receivable) == (eur(1_000), 50, eur(500))
    assert (again.replayed, again.receivable) == (True, eur(500))
    assert (second.reason, second.code) == ("GRANT_CHARGED_BACK", grpc.StatusCode.FAILED_PRECONDITION)
    assert (balance.available_units, list(balance.receivables)) == (0, [eur(500)])
    [grant] = await grants_of(ledger, wallet, returned.position)
    assert (grant.receivable, grant.revoked_units) == (eur(400), 60)
    assert [each[2] for each in await lines_of(ledger, wallet)][-3::2] == [
        "Grant 2 charged back: EUR 0.000001, of which EUR 0.0000005 are owed (case-7)",
        "Returned to charged back grant 2: EUR 0.0000001 less owed",
    ]


async def test_a_grant_that_is_used_up_is_charged_back(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    bought = (await ledger.grant(wallet, 100, consideration=eur(1_000))).grant.name
    debit = (await ledger.debit(wallet, 100)).debit.name

    answer = await charge_back(ledger, bought, amount=eur(300))
    no_grant = await refusal(charge_back(ledger, debit.replace("debits", "grants")))

    assert (answer.revoked_units, answer.receivable) == (0, eur(300))
    assert (no_grant.reason, no_grant.code) == ("GRANT_NOT_FOUND", grpc.StatusCode.NOT_FOUND)


async def test_chargebacks_that_may_not_be_are_refused_by_name(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    bought = (await ledger.grant(wallet, 100, consideration=eur(1_000))).grant.name
    given = (await ledger.grant(wallet, 1, category=PROMOTIONAL)).grant.name

    refused = [
        await refusal(charge_back(ledger, bought, amount=eur(1_001))),
        await refusal(charge_back(ledger, bought, amount=eur(0))),
        await refusal(charge_back(ledger, bought, amount=money_pb2.Money(currency_code="USD", nanos=1))),
        await refusal(charge_back(ledger, given)),
    ]

    assert [each.reason for each in refused] == [
        "CHARGEBACK_EXCEEDS_GRANT",
        "AMOUNT_NOT_POSITIVE",
        "FIELD_MALFORMED",
        "GRANT_NOT_REFUNDABLE",
    ]


async def test_the_roll_forward_ties_with_transfers_and_chargebacks(sandbox: Client) -> None:
    now = await sandbox.clock()
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    request = finance_service_pb2.GetRollForwardRequest(from_time=timestamp(day), currency_code="CHF")
    request.to_time.FromDatetime(day.replace(year=day.year + 1))
    source, destination = await sandbox.open_wallet(), await sandbox.open_wallet()
    paid = money_pb2.Money(currency_code="CHF", nanos=1_000)
    bought = (await sandbox.grant(source, 100, consideration=paid)).grant.name
    await sandbox.debit(source, 10)
    await transfer(sandbox, source, destination, 30)
    await sandbox.debit(destination, 5)
    await refund(sandbox, bought, amount_units=20)

    request.min_position = (await charge_back(sandbox, bought)).position
    total = (await sandbox.finance.GetRollForward(request, timeout=CALL_SECONDS)).total

    # 10 + 5 used; 20 refunded; 40 charged back and 10 owed, which was revenue; 25 are in the other wallet.
    assert (total.opening.nanos, total.billings.nanos) == (0, 1_000)
    assert (total.recognised_usage.nanos, total.recognised_breakage.nanos) == (150, 0)
    assert (total.refunds.nanos, total.closing.nanos) == (600, 250)


# Goodwill


async def test_goodwill_names_the_debit_it_makes_up_for(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    debit = (await ledger.debit(wallet, 4)).debit.name

    answer = await ledger.grant(wallet, 4, category=PROMOTIONAL, compensates=debit)

    assert answer.grant.compensates == debit
    assert (await grants_of(ledger, wallet, answer.position))[-1].compensates == debit
    version = debit.rpartition("/")[2]
    assert (await lines_of(ledger, wallet))[-1][2] == (
        f"Promotional credit granted as goodwill for debit {version}"
    )


async def test_goodwill_for_what_was_no_debit_is_refused(ledger: Client) -> None:
    wallet, other = await ledger.open_wallet(granted_units=10), await ledger.open_wallet(granted_units=10)
    debit = (await ledger.debit(wallet, 4)).debit.name
    there = (await ledger.debit(other, 4)).debit.name

    refused = [
        await refusal(ledger.grant(wallet, 4, category=PROMOTIONAL, compensates=f"{wallet}/debits/2")),
        await refusal(ledger.grant(wallet, 4, category=PROMOTIONAL, compensates=f"{wallet}/debits/9")),
        await refusal(ledger.grant(wallet, 4, category=PROMOTIONAL, compensates=there)),
        await refusal(ledger.grant(wallet, 4, compensates=debit)),
        await refusal(ledger.grant("wallets/nobody", 4, category=PROMOTIONAL, compensates=debit)),
    ]

    assert [(each.reason, each.field) for each in refused] == [
        ("DEBIT_NOT_FOUND", "grant.compensates"),
        ("DEBIT_NOT_FOUND", "grant.compensates"),
        ("FIELD_MALFORMED", "grant.compensates"),
        ("FIELD_NOT_ALLOWED", "grant.category"),
        ("FIELD_MALFORMED", "grant.compensates"),
    ]
