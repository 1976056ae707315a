"""TraceDebit over a real channel: from the usage over the price and the lots to the money, and what followed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import (
    agreement_pb2,
    debit_trace_pb2,
    money_pb2,
    price_model_pb2,
    rate_card_service_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import (
    CALL_SECONDS,
    PROMOTIONAL,
    Client,
    key,
    refusal,
    send,
    timestamp,
)
from tests.integration.ledger.holds.calls import capture, hold, reverse
from tests.integration.ledger.test_agreement_refusals import Agreements, rate
from tests.integration.ledger.test_late_usage import GRACE, MICROSECOND, MINUTE, graced
from tests.servers import LedgerServer

ADVANCE = wallet_pb2.SHORTFALL_MODE_ADVANCE
QUANTITY = price_model_pb2.CHARGE_PART_KIND_QUANTITY
Line = wallet_pb2.ChargeLine
USD = "USD"


async def traced(client: Client, debit: str) -> debit_trace_pb2.DebitTrace:
    """Return the trace of a debit."""
    request = debit_trace_pb2.TraceDebitRequest(name=debit)
    return (await client.history.TraceDebit(request, timeout=CALL_SECONDS)).trace


async def paid(client: Client, wallet: str, units: int, nanos: int, **fields: Any) -> str:
    """Grant paid credit and return the grant's name."""
    consideration = money_pb2.Money(currency_code=USD, nanos=nanos)
    return str((await client.grant(wallet, units, consideration=consideration, **fields)).grant.name)


async def priced(client: Client) -> tuple[str, wallet_pb2.Charge]:
    """Publish a phase of two prices and return a wallet and a charge under it."""
    agreements = Agreements(client)
    card = await agreements.card()
    tiers = [
        price_model_pb2.PriceTier(up_to=5, unit_price="0.3"),
        price_model_pb2.PriceTier(unit_price="0.1"),
    ]
    calls = agreement_pb2.Rate(dimension="calls", graduated=price_model_pb2.GraduatedModel(tiers=tiers))
    tokens = rate("0.0000005", model="large")
    steps = [
        agreement_pb2.MultiplierTier(up_to=8, factor="1"),
        agreement_pb2.MultiplierTier(up_to=32, factor="1.8"),
    ]
    context = agreement_pb2.Multiplier(
        property="context",
        tiers=steps,
        dimensions=["tokens"],
        beyond_last_tier=agreement_pb2.BEYOND_LAST_TIER_REFUSE,
    )
    await agreements.phase(card, rates=[tokens, calls], multipliers=[context])
    request = rate_card_service_pb2.GetRateCardRequest(name=card)
    (phase,) = (await send(client.rate_cards.GetRateCard, request)).rate_card.phases
    part = price_model_pb2.ChargePart
    charge = wallet_pb2.Charge(
        rate_card_phase=phase.name,
        phase_hash=phase.hash,
        properties={"model": "large", "context": "9"},
        lines=[
            Line(dimension="tokens", quantity=3, unit_price="0.0000005", multiplier="1.8", exact_units="2.7"),
            Line(
                dimension="calls",
                quantity=8,
                model="graduated",
                parts=[
                    part(kind=QUANTITY, tier=1, quantity=5, price="0.3", exact_units="1500000"),
                    part(kind=QUANTITY, tier=2, quantity=3, price="0.1", exact_units="300000"),
                ],
                total_before=price_model_pb2.RunningTotal(
                    meter=f"{card}:calls{{}}",
                    cycle_start_time=Timestamp(),
                    cycle_end_time=Timestamp(seconds=2**34),
                ),
                exact_units="1800000",
            ),
        ],
        exact_units="1800002.7",
    )
    return await client.open_wallet(), charge


def continued(charge: wallet_pb2.Charge) -> wallet_pb2.Charge:
    """Return the same usage once more: its calls are all beyond the first tier."""
    again = wallet_pb2.Charge()
    again.CopyFrom(charge)
    calls = again.lines[1]
    calls.total_before.quantity, calls.total_before.usages = 8, 1
    del calls.parts[0]
    calls.parts[0].quantity, calls.parts[0].exact_units = 8, "800000"
    calls.exact_units, again.exact_units = "800000", "800002.7"
    return again


async def charged(client: Client, wallet: str, charge: wallet_pb2.Charge) -> str:
    """Debit a charge and return the debit's name."""
    request = wallet_service_pb2.DebitRequest(name=wallet, charge=charge, idempotency_key=key())
    return str((await client.wallets.Debit(request, timeout=CALL_SECONDS)).debit.name)


async def test_every_line_is_written_out_and_leads_to_its_rate(sandbox: Client) -> None:
    wallet, charge = await priced(sandbox)
    await sandbox.grant(wallet, 5_000_000)

    trace = await traced(sandbox, await charged(sandbox, wallet, charge))

    tokens, calls = trace.lines
    assert trace.phase.name == charge.rate_card_phase
    assert trace.phase.phase_hash == charge.phase_hash
    assert not trace.phase.HasField("to_time")
    assert dict(trace.debit.charge.properties) == dict(charge.properties)
    assert (tokens.agrees, calls.agrees, trace.difference) == (True, True, "")
    assert tokens.rate.match == {"model": "large"}
    assert [(each.property, each.factor) for each in tokens.multipliers] == [("context", "1.8")]
    assert tokens.arithmetic == "3 / 1 x 0.0000005 x 1.8 = 0.0000027 = 2.7 units"
    assert calls.arithmetic == "1,500,000 + 300,000 = 1,800,000 units"
    assert [(part.arithmetic, part.running_units) for part in calls.parts] == [
        ("5 / 1 x 0.3 = 1.5 = 1,500,000 units", "1500000"),
        ("3 / 1 x 0.1 = 0.3 = 300,000 units", "1800000"),
    ]
    assert (calls.total_before.quantity, calls.total_after.quantity, calls.total_after.usages) == (0, 8, 1)
    assert not calls.multipliers


async def test_the_fraction_that_is_carried_is_told_before_and_after(sandbox: Client) -> None:
    wallet, charge = await priced(sandbox)
    await sandbox.grant(wallet, 5_000_000)

    first = (await traced(sandbox, await charged(sandbox, wallet, charge))).units
    second = (await traced(sandbox, await charged(sandbox, wallet, continued(charge)))).units

    assert (first.fraction_before, first.exact_units, first.whole_units, first.fraction_after) == (
        "0",
        "1800002.7",
        1_800_002,
        "0.7",
    )
    assert (second.fraction_before, second.whole_units, second.fraction_after) == ("0.7", 800_003, "0.4")


async def test_a_line_that_the_phase_does_not_give_is_said(sandbox: Client) -> None:
    wallet, charge = await priced(sandbox)
    await sandbox.grant(wallet, 5_000_000)
    charge.lines[0].quantity = 4

    trace = await traced(sandbox, await charged(sandbox, wallet, charge))

    assert [line.agrees for line in trace.lines] == [False, True]
    assert trace.difference == "tokens come to something else"


async def test_a_charge_without_a_published_phase_is_traced_without_it(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=10)
    line = Line(dimension="tokens", quantity=2, unit_price="1", exact_units="2")
    charge = wallet_pb2.Charge(rate_card_phase="list price", lines=[line], exact_units="2")

    trace = await traced(ledger, await charged(ledger, wallet, charge))

    assert not trace.HasField("phase")
    assert [(each.dimension, each.HasField("rate"), each.agrees) for each in trace.lines] == [
        ("tokens", False, False)
    ]
    assert trace.units.whole_units == 2


async def test_each_draw_turns_its_exact_share_into_revenue(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    free = (await ledger.grant(wallet, 1, category=PROMOTIONAL, priority=0)).grant.name
    lot = await paid(ledger, wallet, 3, 10, priority=1)

    names = [(await ledger.debit(wallet, units)).debit.name for units in (2, 1, 1)]
    first, second, third = [await traced(ledger, name) for name in names]

    assert [draw.grant for draw in first.draws] == [free, lot]
    assert not first.draws[0].HasField("cost_basis")
    assert [trace.draws[-1].cost_basis.nanos for trace in (first, second, third)] == [3, 4, 3]
    assert [trace.draws[-1].drawn_units_before for trace in (first, second, third)] == [0, 1, 2]
    assert (third.draws[0].recognised_after.nanos, third.draws[0].consideration.nanos) == (10, 10)


async def test_a_reversal_takes_back_what_its_debit_had_recognised(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    await paid(ledger, wallet, 3, 10)
    debit = (await ledger.debit(wallet, 2)).debit.name
    await ledger.debit(wallet, 1)
    await reverse(ledger, debit, amount_units=1)
    await reverse(ledger, debit)

    trace = await traced(ledger, debit)

    assert [later.amount_units for later in trace.reversals] == [1, 1]
    assert [later.draws[0].amount_units for later in trace.reversals] == [-1, -1]
    assert [later.draws[0].cost_basis.nanos for later in trace.reversals] == [-3, -4]


async def test_debt_leads_to_the_grants_that_repaid_it(ledger: Client) -> None:
    wallet = await ledger.open_wallet(mode=ADVANCE)
    earlier = (await ledger.debit(wallet, 2)).debit.name
    debit = (await ledger.debit(wallet, 4)).debit.name
    lot = await paid(ledger, wallet, 3, 10)
    await paid(ledger, wallet, 30, 10)

    first, second = await traced(ledger, earlier), await traced(ledger, debit)

    assert second.debit.debt_units == 4
    assert [later.amount_units for later in second.repayments] == [1, 3]
    assert second.repayments[0].draws[0].grant == lot
    shares = [trace.repayments[0].draws[0].cost_basis.nanos for trace in (first, second)]
    assert shares == [7, 3]


async def test_a_capture_tells_what_was_held(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    await paid(ledger, wallet, 10, 100)
    held = (await hold(ledger, wallet, 4)).hold.name
    debit = (await capture(ledger, held, 6)).debit.name

    trace = await traced(ledger, debit)

    assert trace.debit.hold == held
    assert [(draw.amount_units, draw.held_units, draw.cost_basis.nanos) for draw in trace.draws] == [
        (6, 4, 60)
    ]


async def test_a_late_draw_is_said_and_turns_breakage_into_revenue_from_use(sandbox: Client) -> None:
    wallet = await graced(sandbox, GRACE)
    end = await sandbox.clock() + MINUTE
    await paid(sandbox, wallet, 10, 100, expire_time=timestamp(end))
    await sandbox.advance(end + MINUTE)
    debit = (await sandbox.debit(wallet, 4, effective_time=timestamp(end - MICROSECOND))).debit.name

    (draw,) = (await traced(sandbox, debit)).draws

    assert (draw.late, draw.amount_units, draw.cost_basis.nanos) == (True, 4, 40)
    assert draw.expire_time == timestamp(end)


@pytest.mark.parametrize(
    ("version", "code", "reason"),
    [
        ("2", grpc.StatusCode.NOT_FOUND, "DEBIT_NOT_FOUND"),
        ("99", grpc.StatusCode.NOT_FOUND, "DEBIT_NOT_FOUND"),
        ("0", grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MALFORMED"),
    ],
)
async def test_what_is_no_debit_is_refused(
    ledger: Client, version: str, code: grpc.StatusCode, reason: str
) -> None:
    wallet = await ledger.open_wallet(granted_units=5)
    request = debit_trace_pb2.TraceDebitRequest(name=f"{wallet}/debits/{version}")

    refused = await refusal(ledger.history.TraceDebit(request, timeout=CALL_SECONDS))

    assert (refused.code, refused.reason) == (code, reason)


def run(server: LedgerServer, *arguments: str) -> str:
    """Return what the command line prints."""
    ended = subprocess.run(
        [sys.executable, "-m", "ledger_service", "trace", *arguments],
        env={**os.environ, "LEDGER_ADDRESS": server.address, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout


def lines_with(text: str, words: Sequence[str]) -> bool:
    """Say whether some line holds all words."""
    return any(all(word in line for word in words) for line in text.splitlines())


async def test_the_command_shows_the_whole_way(sandbox: Client, running_sandbox: LedgerServer) -> None:
    wallet, charge = await priced(sandbox)
    await paid(sandbox, wallet, 5_000_000, 1_000_000_000)
    debit = await charged(sandbox, wallet, charge)
    await reverse(sandbox, debit, amount_units=2)

    shown = run(running_sandbox, debit)

    for words in (
        [debit, "1.800002 CREDIT"],
        ["context", "9"],
        ["Phase", charge.rate_card_phase],
        ["tokens", "3 / 1 x 0.0000005 x 1.8", "the same"],
        ["quantity", "3 / 1 x 0.1", "1800000"],
        ["0 carried + 1800002.7 = 1,800,002 debited + 0.7 carried on"],
        ["paid", "for 1.00 USD", "0.3600004 USD"],
        ["Reversed", "0.000002 CREDIT"],
    ):
        assert lines_with(shown, words), (words, shown)


async def test_the_command_prints_the_trace_as_json(ledger: Client, running_ledger: LedgerServer) -> None:
    wallet = await ledger.open_wallet()
    await paid(ledger, wallet, 3, 10)
    debit = (await ledger.debit(wallet, 2)).debit.name

    printed = ParseDict(json.loads(run(running_ledger, debit, "--json")), debit_trace_pb2.DebitTrace())

    assert printed == await traced(ledger, debit)
