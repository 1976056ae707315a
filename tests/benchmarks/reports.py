"""The benchmark of reports that fold the log: how many events a second, and in how much memory."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import msgspec

from ledger_service.application.reporting.report_ports import FoldedReport, FoldProgress, FoldRequest
from ledger_service.application.reporting.report_scope import ReportScope
from ledger_service.projections.finance_process import Asked
from tests.benchmarks.bench import LEDGER_SCHEMA, Bench
from tests.benchmarks.figures import Figure, Round, figure
from tests.benchmarks.history import projected_per_second
from tests.benchmarks.prebuild import build_books
from tests.benchmarks.processes import REPOSITORY, BenchmarkError, clean_environment

EVENTS_PER_SECOND: Final = 1_000_000 / 60
"""A million events a minute: a year of a busy ledger while its reader waits."""
KB_PER_MB: Final = 1_024


class _Made(NamedTuple):
    events_per_second: float
    peak_mb: float


def report(bench: Bench) -> dict[str, Figure]:
    """Make every report that folds the log once, and the slowest of them some times more."""
    events, wallets = bench.sizes.report_events, bench.sizes.report_events // 100
    bench.say(f"storing {events:,} priced debits")
    url = bench.database("books")
    build_books(url, wallets, events=events)
    projected_per_second(bench, url)
    found: dict[FoldedReport, _Made] = {}
    for each in list(FoldedReport)[: bench.sizes.report_kinds]:
        bench.say(f"making {each.value}")
        found[each] = _made(url, each)
    slowest = min(found, key=lambda each: found[each].events_per_second)
    again = [_made(url, slowest) for _ in range(bench.sizes.history_rounds - 1)]
    peak_mb = max(each.peak_mb for each in (*found.values(), *again))
    rounds = [Round(each.events_per_second, EVENTS_PER_SECOND) for each in (found[slowest], *again)]
    note = f"{slowest.value} of {events:,} events, at most {peak_mb:.0f} MB"
    details = {"peak_mb": peak_mb} | {each.value: made.events_per_second for each, made in found.items()}
    return {"report": figure("report", rounds, note=note, details=details)}


def _made(url: str, kind: FoldedReport) -> _Made:
    """Make a report in a process of its own, as the server does; by the process's own CPU time."""
    now = datetime.now(UTC)
    scope = ReportScope(now.date() - timedelta(days=180), now.date(), now)
    asked = msgspec.json.encode(Asked(url, LEDGER_SCHEMA, FoldRequest(kind, scope)))
    process = subprocess.Popen(
        (sys.executable, "-m", "ledger_service.projections.finance_process"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment({}),
        cwd=REPOSITORY,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        process.stdin.write(asked + b"\n")
        process.stdin.flush()
        lines = process.stdout.readlines()
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    last = msgspec.json.decode(lines[-1], type=FoldProgress) if lines else None
    if process.returncode or last is None or not last.done:
        raise BenchmarkError(f"the report {kind.value} ended with {process.returncode}")
    return _Made(last.event_count / (used.ru_utime + used.ru_stime), used.ru_maxrss / KB_PER_MB)
