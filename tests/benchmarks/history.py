"""Benchmarks of the log's readers: the projector, a follower, and full verification."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Final

import msgspec
import psycopg

from ledger_service.application.auditing.verification import VerificationProgress
from tests.benchmarks.bench import LEDGER_SCHEMA, Bench
from tests.benchmarks.debits import batch_debits_per_second, ledger_with_wallets
from tests.benchmarks.figures import Figure, Round, figure
from tests.benchmarks.jobs import FollowEvents, StreamRows, Throughput
from tests.benchmarks.prebuild import build_wallets
from tests.benchmarks.processes import REPOSITORY, BenchmarkError, Process, clean_environment

Figures = dict[str, Figure]
PROJECTION_SECONDS_MAX: Final = 300.0
POLL_SECONDS: Final = 0.005

_SLOWEST: Final = "SELECT coalesce(min(notification_id), 0) FROM ledger.notification_tracking"
_HEAD: Final = "SELECT max(notification_id) FROM ledger.stored_events"


class Progress(msgspec.Struct, frozen=True):
    """Where something was at a time."""

    position: int
    seconds: float


def project(bench: Bench) -> Figures:
    """Let the projector catch up with a backlog of debits."""
    backlog(bench)
    rounds: list[Round] = []
    with ledger_with_wallets(bench, "project_floor") as (_, ledger):
        batch_debits_per_second(bench, ledger)
        for number in range(bench.sizes.history_rounds):
            bench.say(f"round {number + 1} of {bench.sizes.history_rounds}")
            floor = batch_debits_per_second(bench, ledger)
            url = bench.copy_database("history", f"projected_{number}")
            rounds.append(Round(projected_per_second(bench, url), floor))
    note = f"{bench.sizes.history_events:,} debits"
    return {"project": figure("project", rounds, note=note)}


def follow(bench: Bench) -> Figures:
    """Follow the log through the service, and read the same rows with a streaming cursor."""
    url = backlog(bench)
    rounds: list[Round] = []
    with bench.ledger(url) as ledger:
        through = position_at(url, _HEAD)
        for number in range(bench.sizes.history_rounds + 1):
            bench.say(f"round {number} of {bench.sizes.history_rounds}")
            value = bench.client.run(FollowEvents(target=ledger.target, through=through), Throughput)
            floor = bench.client.run(StreamRows(url=url, schema=LEDGER_SCHEMA), Throughput)
            if value.items != floor.items:
                raise BenchmarkError(f"followed {value.items} events, and {floor.items} are stored")
            if number:
                rounds.append(Round(value.per_second, floor.per_second))
    return {"follow": figure("follow", rounds, note=f"{through:,} events")}


def verify(bench: Bench) -> Figures:
    """Verify the whole log and its projections in a process of its own."""
    backlog(bench)
    url = bench.once("projected", lambda: bench.copy_database("history", "projected"))
    projected_per_second(bench, url)
    rounds: list[Round] = []
    with ledger_with_wallets(bench, "verify_floor") as (_, ledger):
        batch_debits_per_second(bench, ledger)
        for number in range(bench.sizes.history_rounds):
            bench.say(f"round {number + 1} of {bench.sizes.history_rounds}")
            floor = batch_debits_per_second(bench, ledger)
            rounds.append(Round(verified_per_second(url), floor))
    return {"verify": figure("verify", rounds, note=f"{position_at(url, _HEAD):,} events")}


def backlog(bench: Bench) -> str:
    """Return the URL of a log with many debits that nothing has projected, which three benchmarks use."""

    def build() -> str:
        bench.say(f"storing {bench.sizes.history_events:,} debits")
        url = bench.database("history")
        build_wallets(url, bench.sizes.wallets, events=bench.sizes.history_events)
        return url

    return bench.once("history", build)


def projected_per_second(bench: Bench, url: str) -> float:
    """Run the projector over a backlog and return its rate after its first run, which its start delays."""
    head = position_at(url, _HEAD)
    begun = time.perf_counter()
    seen = [Progress(0, 0.0)]
    log_file = bench.log_file("projector")
    with (
        Process(
            "ledger_service", "project", log_file=log_file, environment={"LEDGER_DATABASE_URL": url}
        ) as projector,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        while seen[-1].position < head:
            projector.check_running()
            row = connection.execute(_SLOWEST).fetchone()
            assert row is not None
            now = time.perf_counter() - begun
            if row[0] > seen[-1].position:
                seen.append(Progress(row[0], now))
            if now > PROJECTION_SECONDS_MAX:
                raise BenchmarkError(f"the projector is at {row[0]} of {head} after {now:.0f} s")
            time.sleep(POLL_SECONDS)
    return _rate(seen)


def verified_per_second(url: str) -> float:
    """Run a verification and return its rate after its first report, projections compared included."""
    begun = time.perf_counter()
    seen = [Progress(0, 0.0)]
    # Its errors go to the terminal: there are none unless something is broken.
    with subprocess.Popen(
        (sys.executable, "-m", "ledger_service", "check-history", "--json"),
        stdout=subprocess.PIPE,
        env=clean_environment({"LEDGER_DATABASE_URL": url, "LEDGER_LOG_LEVEL": "error"}),
        cwd=REPOSITORY,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            progress = msgspec.json.decode(line, type=VerificationProgress)
            seen.append(Progress(progress.checked_events, time.perf_counter() - begun))
    if process.returncode != 0 or not progress.done:
        raise BenchmarkError(f"the verification ended with {process.returncode}: {progress.findings[:3]}")
    return _rate([*seen[:-1], Progress(progress.total_events, time.perf_counter() - begun)])


def position_at(url: str, statement: str) -> int:
    """Return the position that a statement asks for."""
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode()).fetchone()
    assert row is not None
    return int(row[0])


def _rate(seen: list[Progress]) -> float:
    """Return events a second from the first sign of life on; from the start where that was the end already."""
    first = seen[1] if seen[1].position < seen[-1].position else seen[0]
    return (seen[-1].position - first.position) / (seen[-1].seconds - first.seconds)
