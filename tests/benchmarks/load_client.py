"""The load client, a process of its own: `python -m tests.benchmarks.load_client`.

It reads one job a line and answers with one line. The same code loads the servers that are measured and
their floors, over channels that stay open between jobs. It ends when its input does.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any, Final, NoReturn

import grpc
import msgspec
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc

from credits.ledger.v1 import (
    history_service_pb2,
    history_service_pb2_grpc,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
from tests.benchmarks import jobs, row_jobs, usage_jobs
from tests.benchmarks.jobs import AnyJob, Done, Failed, Latencies, LedgerJob, Sample, Throughput, wallet_name

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
)

_channels: Final[dict[str, grpc.aio.Channel]] = {}


def channel_to(target: str) -> grpc.aio.Channel:
    """Return the channel to a server, opened by the first job that needs it."""
    if target not in _channels:
        _channels[target] = grpc.aio.insecure_channel(target, options=OPTIONS)
    return _channels[target]


def wallets_at(target: str) -> Any:
    """Return a stub whose calls may be awaited."""
    return wallet_service_pb2_grpc.WalletServiceStub(channel_to(target))


async def await_serving(job: jobs.AwaitServing) -> Done:
    """Ask until the answer is SERVING. Raises TimeoutError."""
    stub: Any = health_pb2_grpc.HealthStub(channel_to(job.target))
    async with asyncio.timeout(job.seconds_max):
        while True:
            try:
                answer = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    raise
            else:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return Done()
            await asyncio.sleep(0.02)


async def sample_debit(job: jobs.SampleDebit) -> Sample:
    """Debit once."""
    request = wallet_service_pb2.DebitRequest(
        name=wallet_name(job.wallet), idempotency_key=job.key, amount_units=1
    )
    return Sample(response=(await wallets_at(job.target).Debit(request)).SerializeToString())


async def unary_debits(job: jobs.UnaryDebits) -> Latencies:
    """Run the callers until the time is over; calls that began in time are finished and counted."""
    stub = wallets_at(job.target)
    names = [wallet_name(index) for index in range(job.wallets)]
    seconds: list[float] = []
    begun = time.perf_counter()
    end = begun + job.seconds

    async def call_until_end(caller: int) -> None:
        random = Random(f"{job.key}-{caller}").random
        number = 0
        while (call_begun := time.perf_counter()) < end:
            number += 1
            await stub.Debit(
                wallet_service_pb2.DebitRequest(
                    name=names[int(random() * job.wallets)],
                    idempotency_key=f"{job.key}-{caller:03d}-{number:06d}",
                    amount_units=1,
                )
            )
            seconds.append(time.perf_counter() - call_begun)

    await asyncio.gather(*(call_until_end(caller) for caller in range(job.callers)))
    return summary(seconds, time.perf_counter() - begun)


async def batch_debits(job: jobs.BatchDebits) -> Throughput:
    """Send batches that were made before the clock starts; every item must succeed."""
    stub = wallets_at(job.target)
    return await send_batches(list(debit_batches(job)), stub.BatchDebit, job.in_flight)


def debit_batches(job: jobs.BatchDebits) -> Iterator[wallet_service_pb2.BatchDebitRequest]:
    """Yield the job's requests."""
    random = Random(job.key).random
    number = 0
    for _ in range(job.batches):
        requests = []
        for _ in range(job.batch_size):
            index = number % job.wallets if job.in_order else int(random() * job.wallets)
            number += 1
            requests.append(
                wallet_service_pb2.DebitRequest(
                    name=wallet_name(index), idempotency_key=f"{job.key}-{number:08d}", amount_units=1
                )
            )
        yield wallet_service_pb2.BatchDebitRequest(requests=requests)


async def send_batches(
    batches: list[Any], send: Callable[[Any], Awaitable[Any]], in_flight: int
) -> Throughput:
    """Send batches, so many at once, and count their items. Raises RuntimeError if an item was refused."""
    remaining = iter(batches)
    responses: list[Any] = []

    async def send_remaining() -> None:
        # One iterator for all senders, so that each takes the next batch that nobody has sent.
        for batch in remaining:
            response = await send(batch)
            responses.append(response)

    begun = time.perf_counter()
    await asyncio.gather(*(send_remaining() for _ in range(in_flight)))
    seconds = time.perf_counter() - begun
    for response in responses:
        for result in response.results:
            if result.WhichOneof("outcome") != "response":
                raise RuntimeError(f"an item was refused: {result.error.message}")
    return Throughput(items=sum(len(response.results) for response in responses), seconds=seconds)


async def alternate_debits(job: jobs.AlternateDebits) -> list[Latencies]:
    """Debit on each side in turn, a random wallet of that side."""
    stubs = [wallets_at(side.target) for side in job.sides]
    seconds: list[list[float]] = [[] for _ in job.sides]
    random = Random(job.key).random
    for number in range(job.calls):
        for side, stub, side_seconds in zip(job.sides, stubs, seconds, strict=True):
            request = wallet_service_pb2.DebitRequest(
                name=wallet_name(side.first_wallet + int(random() * side.wallet_count)),
                idempotency_key=f"{job.key}-{number:06d}",
                amount_units=1,
            )
            begun = time.perf_counter()
            await stub.Debit(request)
            side_seconds.append(time.perf_counter() - begun)
    return [summary(side_seconds, sum(side_seconds)) for side_seconds in seconds]


async def follow_events(job: jobs.FollowEvents) -> Throughput:
    """Follow from the beginning."""
    stub: Any = history_service_pb2_grpc.HistoryServiceStub(channel_to(job.target))
    items = 0
    begun = time.perf_counter()
    call = stub.FollowEvents(history_service_pb2.FollowEventsRequest())
    async for message in call:
        items += len(message.events)
        if message.position >= job.through:
            break
    seconds = time.perf_counter() - begun
    call.cancel()
    return Throughput(items=items, seconds=seconds)


def summary(seconds: list[float], total_seconds: float) -> Latencies:
    """Return rate and percentiles (nearest rank) of the calls."""
    ranked = sorted(seconds)
    count = len(ranked)
    return Latencies(
        calls=count,
        seconds=total_seconds,
        mean_ms=sum(ranked) / count * 1000,
        p50_ms=ranked[(count - 1) // 2] * 1000,
        p99_ms=ranked[-(-count * 99 // 100) - 1] * 1000,
    )


async def perform(job: AnyJob) -> object:
    """Do one job."""
    match job:
        case jobs.InsertRows():
            return row_jobs.insert_rows(job)
        case jobs.StreamRows():
            return row_jobs.stream_rows(job)
        case jobs.Agree():
            return await usage_jobs.agree(job, channel_to(job.target))
        case jobs.RunBilling():
            return await usage_jobs.run_billing(channel_to(job.target))
        case jobs.Rerate():
            return await usage_jobs.rerate(job, channel_to(job.ledger_target), channel_to(job.target))
        case jobs.BatchUsage():
            batches, send = usage_jobs.usage_batches(job, channel_to(job.target))
            return await send_batches(batches, send, job.in_flight)
        case _:
            return await perform_on_ledger(job)


async def perform_on_ledger(job: LedgerJob) -> object:
    """Do a job that calls the ledger."""
    match job:
        case jobs.AwaitServing():
            return await await_serving(job)
        case jobs.SampleDebit():
            return await sample_debit(job)
        case jobs.UnaryDebits():
            return await unary_debits(job)
        case jobs.BatchDebits():
            return await batch_debits(job)
        case jobs.AlternateDebits():
            return await alternate_debits(job)
        case jobs.FollowEvents():
            return await follow_events(job)


async def serve_jobs() -> NoReturn:
    """Do the jobs of standard input, one after the other."""
    decoder = msgspec.json.Decoder[AnyJob](AnyJob)
    while line := await asyncio.to_thread(sys.stdin.buffer.readline):
        try:
            answer = await perform(decoder.decode(line))
        except (grpc.aio.AioRpcError, RuntimeError, TimeoutError, OSError) as error:
            answer = Failed(failure=f"{type(error).__name__}: {error}")
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()
    sys.exit(0)


if __name__ == "__main__":
    uvloop.run(serve_jobs())
