"""`make demo` from end to end: a small made-up month, a small trace, bad input, an interruption."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from tests.postgres import PostgresServer, postgres_server

__all__ = ["postgres_server"]

WAIT_SECONDS = 240
"""Longest run of a small demo, on a machine that is busy with other tests."""
ROWS = [(4808, 10), (3180, 8), (110, 27), (7433, 14), (34, 12), (0, 0), (1, 1899), (1800, 5)]


class Place:
    """Where demos run: a temporary directory of their own, which must be empty afterwards."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("LEDGER_", "RATING_"))
        } | {"TMPDIR": str(directory)}

    def command(self, *options: str) -> list[str]:
        """Return the command line of a demo."""
        return [sys.executable, "-m", "deploy.demo", *options]

    def run(self, *options: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a demo to its end."""
        return subprocess.run(
            self.command(*options),
            env=self.environment | settings,
            capture_output=True,
            text=True,
            timeout=WAIT_SECONDS,
            check=False,
        )

    def left_behind(self) -> list[str]:
        """Return files and processes of demos that are still there."""
        commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
        processes = [" ".join(each) for each in commands if any(str(self.directory) in word for word in each)]
        return [path.name for path in self.directory.iterdir()] + processes


@pytest.fixture
def place() -> Iterator[Place]:
    """A place for demos, outside pytest's own directory, which each start of pytest closes to other users."""
    with tempfile.TemporaryDirectory(prefix="demo-tests-") as directory:
        yield Place(Path(directory))


def databases(server: PostgresServer) -> list[str]:
    """Return the names of the databases of a server."""
    with psycopg.connect(server.url) as connection:
        return [name for (name,) in connection.execute("SELECT datname FROM pg_database ORDER BY datname")]


def passed_checks(report: dict[str, Any]) -> list[str]:
    """Return the names of the checks, failing with the details of those that did not pass."""
    assert [check for check in report["checks"] if not check["passed"]] == []
    return [check["name"] for check in report["checks"]]


def test_a_made_up_month_passes_every_check_and_leaves_nothing_behind(
    place: Place, postgres_server: PostgresServer
) -> None:
    before = databases(postgres_server)

    done = place.run("--usages", "500", "--json", LEDGER_DATABASE_URL=postgres_server.url)

    assert (done.returncode, place.left_behind()) == (0, []), done.stderr
    assert databases(postgres_server) == before
    report = json.loads(done.stdout)
    assert len(passed_checks(report)) == 16
    usage = report["usage"]
    assert usage["sent"] == usage["recorded"] + usage["refused_when_short"] == 500
    assert [phase["usages"] > 100 for phase in usage["phases"]] == [True, True]
    assert report["customers_by_plan"] == {"sandbox": 12, "starter": 12, "pro": 12}
    assert {invoice["plan"] for invoice in report["invoices"]} == {
        "plans/sandbox",
        "plans/starter",
        "plans/pro",
    }
    assert len(report["invoices"]) == 36
    correction = report["correction"]
    assert [step["same_bytes"] for step in correction["steps"]] == [True] * 4
    [issued] = [each["hash"] for each in report["invoices"] if each["name"] == correction["invoice"]]
    assert {step[side] for step in correction["steps"] for side in ("hash_before", "hash_after")} == {issued}
    adjustments = [line for line in correction["next_invoice"]["lines"] if line["kind"] == "ADJUSTMENT"]
    assert {line["adjusted_invoice"] for line in adjustments} == {correction["invoice"]}
    assert sum(line["amount_nanos"] for line in adjustments) == correction["overage_nanos"] > 0
    assert correction["repriced_units"] > 0
    assert report["verification"]["findings"] == []
    assert {projection["lag_events"] for projection in report["projections"]} == {0}
    row = report["roll_forward"]
    recognised = row["recognised_usage_nanos"] + row["recognised_breakage_nanos"]
    assert (row["billings_nanos"], row["recognised_breakage_nanos"]) == (289_000_000_000, 9_000_000_000)
    assert row["closing_nanos"] == row["opening_nanos"] + row["billings_nanos"] - recognised


def test_every_row_of_a_trace_is_recorded_with_its_tokens_twice_alike(place: Place, tmp_path: Path) -> None:
    rows = [(second, *ROWS[second % len(ROWS)]) for second in range(20)]
    lines = [f"2023-11-16 18:17:{second:02d}.1234567,{context},{output}" for second, context, output in rows]
    trace = tmp_path / "trace.csv"
    trace.write_text("\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *lines]))

    reports = [json.loads(place.run("--trace", str(trace), "--json").stdout) for _ in range(2)]

    for report in reports:
        passed_checks(report)
        usage = report["usage"]
        assert (usage["sent"], usage["recorded"], usage["refused_when_short"]) == (20, 20, 0)
        phases = usage["phases"]
        assert [phase["usages"] for phase in phases] == [10, 10]
        assert sum(phase["input_tokens"] for phase in phases) == sum(context for _, context, _ in rows)
        assert sum(phase["output_tokens"] for phase in phases) == sum(output for _, _, output in rows)
        assert all(phase["reckoned_units"] == phase["charged_units"] for phase in phases)
        assert sum(Decimal(phase["charged_units"]) for phase in phases) > 0
    assert reports[0]["usage"] == reports[1]["usage"]
    assert place.left_behind() == []


def test_a_bad_trace_starts_nothing(place: Place, tmp_path: Path) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:1"
    )

    done = place.run("--trace", str(trace))

    assert (done.returncode, done.stdout, place.left_behind()) == (2, "", [])
    assert done.stderr == (
        f"demo: {trace}:3: ContextTokens: the field is missing: 1 fields, the header has 3\n"
    )


def test_a_database_that_is_down_is_named_without_its_password(place: Place) -> None:
    done = place.run(LEDGER_DATABASE_URL="postgresql://u:hidden@127.0.0.1:1/ledger")

    assert (done.returncode, place.left_behind()) == (1, [])
    assert done.stderr.startswith("demo: LEDGER_DATABASE_URL: the database cannot be reached: ")
    assert "Connection refused" in done.stderr
    assert "hidden" not in done.stderr


def test_an_interrupted_demo_leaves_nothing_behind(place: Place) -> None:
    with subprocess.Popen(
        place.command("--usages", "20000"), env=place.environment, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr is not None
        while not demo.stderr.readline().startswith("prices, plans"):
            assert demo.poll() is None
        time.sleep(0.5)
        demo.send_signal(signal.SIGINT)
        time.sleep(0.2)
        demo.send_signal(signal.SIGINT)

        assert demo.wait(WAIT_SECONDS) == 128 + signal.SIGINT
        assert "interrupted" in demo.stderr.read()
    assert place.left_behind() == []
