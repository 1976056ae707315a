"""Answers metered while they are given, against the real ledger, with rating killed in their midst."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio

from credits.ledger.v1 import wallet_pb2
from credits.rating.v1 import rating_service_pb2, rating_service_pb2_grpc
from tests.integration.rating.harness import reason
from tests.integration.rating.real_services import World, world
from tests.postgres import PostgresServer

HARD = wallet_pb2.SHORTFALL_MODE_HARD
CREDIT_UNITS = 10_000


@pytest_asyncio.fixture
async def hard(postgres_server: PostgresServer, tmp_path: Path) -> AsyncIterator[World]:
    """A wallet with 10,000 units and no shortfall, on a card of 2 units a token."""
    async with world(postgres_server, tmp_path, credit_units=CREDIT_UNITS, mode=HARD) as running:
        yield running


async def settled(playing: World, debited_units: int, *, seconds: float = 20) -> wallet_pb2.Balance:
    """Return the balance once this much is debited and nothing is held."""
    balance = wallet_pb2.Balance()
    try:
        async with asyncio.timeout(seconds):
            while (balance.debited_units, balance.held_units) != (debited_units, 0):
                balance = await playing.balance()
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"after {seconds} s: {balance}")
    return balance


async def test_a_stream_holds_what_it_costs_and_is_one_debit_in_the_end(hard: World) -> None:
    first, second = await hard.send(hard.chunk("s", 1, 100), hard.chunk("s", 2, 400))
    held = await hard.balance()
    last, again = await hard.send(hard.chunk("s", 3, 500, final=True), hard.chunk("s", 3, 500, final=True))

    assert (first.open.held_units, second.open.held_units) == (250, 1_000)
    assert (held.held_units, held.available_units) == (1_000, CREDIT_UNITS - 1_000)
    assert (last.settled.debit.amount_units, last.settled.replayed) == (1_000, False)
    assert (again.settled.debit.name, again.settled.replayed) == (last.settled.debit.name, True)
    assert last.settled.debit.hold
    balance = await hard.balance()
    assert (balance.debited_units, balance.held_units, balance.overage_units) == (1_000, 0, 0)


async def test_any_order_and_any_number_of_chunks_is_one_usage_like_one_recorded_directly(
    hard: World,
) -> None:
    rng = random.Random(7)
    totals = [10, 35, 35, 80, 81]
    for number in range(3):
        chunks = [
            hard.chunk(f"s-{number}", sequence, tokens, final=sequence == len(totals))
            for sequence, tokens in enumerate(totals, 1)
        ]
        sent = chunks * 2
        rng.shuffle(sent)
        answers = await hard.send(*sent)
        assert not [answer for answer in answers if answer.HasField("error")]
    async with grpc.aio.insecure_channel(hard.rating.address) as channel:
        direct = await rating_service_pb2_grpc.RatingServiceStub(channel).RecordUsage(
            rating_service_pb2.RecordUsageRequest(usage=hard.usage("direct", 81))
        )
        again = await rating_service_pb2_grpc.RatingServiceStub(channel).RecordUsage(
            rating_service_pb2.RecordUsageRequest(usage=hard.usage("direct", 81))
        )

    assert (direct.debit.amount_units, again.replayed) == (162, True)
    await settled(hard, 4 * 162)


async def test_a_stream_without_credit_goes_on_and_is_charged_as_delivered(hard: World) -> None:
    covered, short, last = await hard.send(
        hard.chunk("s", 1, 4_500), hard.chunk("s", 2, 5_001), hard.chunk("s", 3, 6_000, final=True)
    )

    # 9,000 units and a quarter are more than there is, so that only the price itself is held.
    assert (covered.open.held_units, covered.open.credit_short) == (9_000, False)
    assert (short.open.held_units, short.open.credit_short) == (9_000, True)
    assert last.settled.debit.amount_units == 12_000
    balance = await settled(hard, 12_000)
    assert balance.posted_units == 0


async def test_a_caller_that_vanishes_is_charged_by_its_last_chunk(hard: World) -> None:
    [answer] = await hard.send(hard.chunk("s", 1, 100, ttl=1))
    assert answer.open.held_units == 250
    await settled(hard, 200)
    [late, old] = await hard.send(hard.chunk("s", 2, 300), hard.chunk("s", 1, 100))

    assert reason(late.error) == ("rating.credits", "STREAM_ENDED")
    assert old.settled.debit.amount_units == 200


async def test_streams_survive_a_kill_and_each_is_charged_once(hard: World) -> None:
    async def stream(name: str) -> None:
        try:
            await hard.send(*[hard.chunk(name, n, 10 * n, final=n == 20, ttl=2) for n in range(1, 21)])
        except grpc.aio.AioRpcError:
            return

    names = [f"s-{number}" for number in range(8)]
    running = [asyncio.create_task(stream(name)) for name in names]
    await asyncio.sleep(0.4)
    hard.rating.kill()
    await asyncio.gather(*running)
    await hard.rating.start()
    # Half of the callers come back and send the whole answer again; the rest never do.
    for name in names[::2]:
        answers = await hard.send(*[hard.chunk(name, n, 10 * n, final=n == 20, ttl=2) for n in (1, 7, 20)])
        outcome = answers[-1]
        assert outcome.HasField("settled") or reason(outcome.error)[1] == "STREAM_ENDED", outcome
    async with asyncio.timeout(30):
        while (await hard.balance()).held_units:  # noqa: ASYNC110, it is the state of another process
            await asyncio.sleep(0.1)
    debits = [
        event
        for event in await hard.ledger.events(stream=hard.wallet)
        if event.topic in ("wallet.CreditsDebited.v1", "wallet.HoldCaptured.v1")
    ]

    keys = [event.state.decode().partition('"idempotency_key":"')[2].partition('"')[0] for event in debits]
    assert len(keys) == len(set(keys))
    assert set(names[::2]) <= set(keys) <= set(names)


async def test_a_kill_at_any_moment_between_hold_and_capture_loses_nothing(hard: World) -> None:
    for number in range(4):
        name = f"k-{number}"
        sending = asyncio.create_task(
            hard.send(*[hard.chunk(name, n, 100 * n, final=n == 3) for n in (1, 2, 3)])
        )
        await asyncio.sleep(0.01 + 0.012 * number)
        hard.rating.kill()
        await asyncio.gather(sending, return_exceptions=True)
        await hard.rating.start()
        [last] = await hard.send(hard.chunk(name, 3, 300, final=True))
        assert last.settled.debit.amount_units == 600

    balance = await settled(hard, 4 * 600)
    assert balance.posted_units == CREDIT_UNITS - 4 * 600


async def test_an_answer_that_cannot_be_rated_is_quarantined_with_its_totals(hard: World) -> None:
    chunk = hard.chunk("s", 1, 100, final=True)
    chunk.usage.quantities["voice_seconds"] = 5
    answers = await hard.send(chunk, chunk)

    assert [each.quarantined.reason for each in answers] == ["UNKNOWN_DIMENSION"] * 2
    assert answers[0].quarantined.name == answers[1].quarantined.name
    assert (await hard.balance()).debited_units == 0


async def test_an_answer_that_arrives_too_late_waits_for_a_person(hard: World) -> None:
    chunk = hard.chunk("s", 1, 100, final=True)
    chunk.usage.effective_time.seconds -= 35 * 24 * 3600 + 60
    [answer] = await hard.send(chunk)

    assert answer.quarantined.reason == "TOO_LATE"


async def test_chunks_out_of_bounds_are_refused_and_the_others_are_not(hard: World) -> None:
    moved = hard.chunk("s", 2, 20)
    moved.usage.effective_time.seconds -= 1
    nameless = hard.chunk("", 1, 10)
    answers = await hard.send(
        hard.chunk("s", 1, 10),
        hard.chunk("s", 0, 10),
        hard.chunk("s", 1, 11),
        moved,
        nameless,
        hard.chunk("t", 1, 10, ttl=0),
        hard.chunk("t", 1, 10, ttl=12 * 3600 + 0.000001),
        hard.chunk("t", 1, 10, ttl=12 * 3600),
        rating_service_pb2.StreamUsageRequest(sequence=1),
        hard.chunk("s", 2, 20, final=True),
        hard.chunk("s", 3, 30),
    )

    assert [each.WhichOneof("outcome") for each in answers] == (
        ["open", *["error"] * 6, "open", "error", "settled", "error"]
    )
    assert [reason(each.error)[1] for each in answers if each.HasField("error")] == [
        "NUMBER_OUT_OF_RANGE",
        "STREAM_CHUNK_CHANGED",
        "STREAM_CHUNK_CHANGED",
        "FIELD_REQUIRED",
        "NUMBER_OUT_OF_RANGE",
        "NUMBER_OUT_OF_RANGE",
        "FIELD_REQUIRED",
        "STREAM_ENDED",
    ]
