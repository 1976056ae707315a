"""Running totals over a real channel: a stale debit is refused with the true totals, and what is counted is read."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import grpc

from credits.ledger.v1 import meter_totals_pb2, price_model_pb2, wallet_pb2, wallet_service_pb2
from tests.integration.ledger.client import Client, key, refusal, send, timestamp
from tests.integration.ledger.test_command_line import CommandLine
from tests.servers import LedgerServer

DAY = timedelta(days=1)
METER = "rateCards/c:calls{}"


def metered(
    wallet: str, now: datetime, quantity: int, before: tuple[int, int], *, idempotency_key: str = ""
) -> wallet_service_pb2.DebitRequest:
    """Return a debit of as many units, priced after a (quantity, usages) of today's cycle."""
    total = price_model_pb2.RunningTotal(
        meter=METER,
        quantity=before[0],
        usages=before[1],
        cycle_start_time=timestamp(now - DAY),
        cycle_end_time=timestamp(now + DAY),
    )
    line = wallet_pb2.ChargeLine(
        dimension="calls", quantity=quantity, model="graduated", exact_units=str(quantity), total_before=total
    )
    charge = wallet_pb2.Charge(
        rate_card_phase="rateCards/c/phases/1", lines=[line], exact_units=str(quantity)
    )
    return wallet_service_pb2.DebitRequest(
        name=wallet,
        idempotency_key=idempotency_key or key(),
        delivered=True,
        charge=charge,
        effective_time=timestamp(now),
    )


async def read(client: Client, wallet: str, contract: str = "") -> list[price_model_pb2.RunningTotal]:
    """Return what a wallet has counted."""
    request = meter_totals_pb2.GetMeterTotalsRequest(name=wallet, contract=contract)
    return [each.total for each in (await send(client.wallets.GetMeterTotals, request)).totals]


async def test_a_stale_debit_is_told_the_true_totals_and_a_retry_its_first_answer(sandbox: Client) -> None:
    wallet, now = await sandbox.open_wallet(), await sandbox.clock()
    first_key = key()
    first = await send(sandbox.wallets.Debit, metered(wallet, now, 5, (0, 0), idempotency_key=first_key))

    told = await refusal(send(sandbox.wallets.Debit, metered(wallet, now, 2, (0, 0))))
    # Priced on the totals of today, the usage is the same call and gets its first answer.
    again = await send(sandbox.wallets.Debit, metered(wallet, now, 5, (5, 1), idempotency_key=first_key))

    assert (told.code, told.reason) == (grpc.StatusCode.ABORTED, "TOTALS_STALE")
    assert [(each.meter, each.quantity, each.usages) for each in told.true_totals] == [(METER, 5, 1)]
    assert (again.replayed, again.debit.name) == (True, first.debit.name)
    assert again.debit.charge.lines[0].total_before.quantity == 0
    assert await read(sandbox, wallet) == told.true_totals
    assert await read(sandbox, wallet, "contracts/none") == []


async def test_of_debits_on_one_total_just_one_is_taken(sandbox: Client) -> None:
    wallet, now = await sandbox.open_wallet(), await sandbox.clock()

    outcomes = await asyncio.gather(
        *(sandbox.wallets.Debit(metered(wallet, now, 1, (0, 0))) for _ in range(20)), return_exceptions=True
    )

    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert [(each.quantity, each.usages) for each in await read(sandbox, wallet)] == [(1, 1)]


async def test_a_batch_counts_in_its_sequence(sandbox: Client) -> None:
    wallet, now = await sandbox.open_wallet(), await sandbox.clock()
    requests = [metered(wallet, now, 2, (2 * place, place)) for place in range(50)]

    answer = await send(sandbox.wallets.BatchDebit, wallet_service_pb2.BatchDebitRequest(requests=requests))

    assert [result.response.debit.amount_units for result in answer.results] == [2] * 50
    assert [(each.quantity, each.usages) for each in await read(sandbox, wallet)] == [(100, 50)]


async def test_totals_of_a_wallet_that_does_not_exist_are_refused(sandbox: Client) -> None:
    refused = await refusal(read(sandbox, "wallets/none"))

    assert refused.reason == "WALLET_NOT_FOUND"


async def test_the_command_line_shows_what_was_counted(
    sandbox: Client, running_sandbox: LedgerServer
) -> None:
    wallet, now = await sandbox.open_wallet(), await sandbox.clock()
    await send(sandbox.wallets.Debit, metered(wallet, now, 7, (0, 0)))
    command = CommandLine(running_sandbox, wallet, "")

    [told] = await asyncio.to_thread(command.json, "totals", wallet)
    shown = await asyncio.to_thread(command.run, "totals", wallet, COLUMNS="200")
    none = await asyncio.to_thread(command.json, "totals", wallet, "--contract", "contracts/none")

    assert (told["total"]["meter"], told["total"]["quantity"], told["total"]["usages"]) == (METER, "7", "1")
    assert "rateCards/c:calls" in shown.stdout.replace("\n", "")
    assert none == []
