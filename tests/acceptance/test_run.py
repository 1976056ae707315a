"""`make run`: what it starts, that it all goes away again, and what it says when it cannot start."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.stack.databases import check_url
from deploy.stack.embedded_server import check_directory
from deploy.stack.interruption import Interrupted, Interruption
from deploy.stack.processes import Child, Program, StackError
from deploy.stack.supervisor import check_port, free_address, lock_directory

WAIT_SECONDS = 60
"""Longest start or stop, on a machine that is busy with other tests."""


class Run:
    """A running `python -m deploy.run`, which has said that it serves."""

    def __init__(self, process: subprocess.Popen[str], ledger: str, rating: str) -> None:
        self.process = process
        self.addresses = {"ledger": ledger, "rating": rating}
        self.family = psutil.Process(process.pid).children(recursive=True)

    def health(self, service: str) -> int:
        """Return what a service says about its health."""
        with grpc.insecure_channel(self.addresses[service]) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            status: int = stub.Check(health_pb2.HealthCheckRequest(), timeout=5).status
            return status

    def survivors(self) -> list[psutil.Process]:
        """Return the processes that it started and that still live, after a while for them to go."""
        _, alive = psutil.wait_procs(self.family, timeout=WAIT_SECONDS)
        return alive


@contextmanager
def running(directory: Path) -> Iterator[Run]:
    """Start everything in a data directory; kill it if the test did not end it."""
    ledger, rating = free_address(), free_address()
    with started(directory, ledger=ledger, rating=rating) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line.startswith("Serving"):
                break
        assert process.poll() is None, "".join(lines)
        try:
            yield Run(process, ledger, rating)
        finally:
            process.kill()


def started(directory: Path, *, ledger: str, rating: str) -> "subprocess.Popen[str]":
    """Start `python -m deploy.run`."""
    environment = {name: value for name, value in os.environ.items() if "DATABASE_URL" not in name}
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.run", "--data-directory", str(directory)],
        env=environment | {"LEDGER_LISTEN": ledger, "RATING_LISTEN": rating},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory outside pytest's own, which each start of pytest closes to other users."""
    with tempfile.TemporaryDirectory(prefix="run-tests-") as directory:
        yield Path(directory)


def test_it_serves_until_interrupted_and_a_second_run_finds_the_data(open_directory: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with running(open_directory / "data") as run:
            serving = health_pb2.HealthCheckResponse.SERVING
            assert (run.health("ledger"), run.health("rating")) == (serving, serving)
            assert len(run.family) > 4

            run.process.send_signal(number)

            assert run.process.wait(WAIT_SECONDS) == 0
            assert run.survivors() == []
            assert not (open_directory / "data" / "postgres" / "postmaster.pid").exists()


def test_nothing_survives_a_supervisor_that_is_killed(open_directory: Path) -> None:
    with running(open_directory / "data") as run:
        run.process.kill()

        assert run.process.wait(WAIT_SECONDS) == -signal.SIGKILL
        assert run.survivors() == []


def test_a_process_that_ends_by_itself_stops_everything_and_is_named(open_directory: Path) -> None:
    with running(open_directory / "data") as run:
        children = psutil.Process(run.process.pid).children()
        rating = next(each for each in children if "rating_service" in each.cmdline())
        rating.kill()

        assert run.process.wait(WAIT_SECONDS) == 1
        assert run.survivors() == []
        assert run.process.stdout is not None
        assert "rating was ended by SIGKILL" in run.process.stdout.read()


def test_a_port_in_use_is_named_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with started(tmp_path / "data", ledger=address, rating=free_address()) as process:
            output, _ = process.communicate(timeout=WAIT_SECONDS)

    assert process.returncode == 1
    assert output == (
        f"run: LEDGER_LISTEN={address}: the port is in use by another program; choose another by LEDGER_LISTEN\n"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("address", ["7401", ":7401", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "x:y"])
def test_an_address_must_be_host_and_port(address: str) -> None:
    with pytest.raises(StackError, match=r"RATING_LISTEN=.*: expected host:port"):
        check_port(address, variable="RATING_LISTEN")


def test_a_data_directory_must_be_a_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(StackError, match="file is not a directory; choose another by CREDITS_DATA_DIRECTORY"):
        lock_directory(file)
    with pytest.raises(StackError, match="cannot be used: Not a directory"):
        lock_directory(file / "below")


def test_a_data_directory_must_not_hold_the_files_of_others(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()

    with pytest.raises(StackError, match=r"files that are not of this project \(thesis\.txt\)"):
        lock_directory(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_data_directory_serves_one_run_at_a_time(tmp_path: Path) -> None:
    lock = lock_directory(tmp_path)

    with pytest.raises(StackError, match="is in use by another run"):
        lock_directory(tmp_path)
    os.close(lock)
    os.close(lock_directory(tmp_path))


def test_a_database_directory_must_be_of_the_servers_version(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("13\n")

    with pytest.raises(StackError, match="belongs to PostgreSQL 13, the embedded server is 18"):
        check_directory(tmp_path, major_version=18)


def test_a_database_directory_must_be_one_or_be_empty(tmp_path: Path) -> None:
    check_directory(tmp_path / "new", major_version=18)
    (tmp_path / "base").mkdir()

    with pytest.raises(StackError, match="neither empty nor a PostgreSQL data directory"):
        check_directory(tmp_path, major_version=18)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://u:hidden@127.0.0.1:1/x", "the database cannot be reached: .*Connection refused"),
        ("hidden", "this is not a PostgreSQL connection string"),
    ],
)
def test_a_database_url_that_will_not_do_is_named_without_its_password(url: str, why: str) -> None:
    with pytest.raises(StackError, match=f"RATING_DATABASE_URL: {why}") as refused:
        check_url(url, variable="RATING_DATABASE_URL")
    assert "hidden" not in str(refused.value)


def test_a_child_that_fails_is_reported_by_the_last_line_of_this_runs_log(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    log.write_text("of an earlier run\n")
    script = "import sys; print('first'); print('the cause'); sys.exit(3)"
    child = Child(Program(name="child", command=(sys.executable, "-c", script), log_file=log, environment={}))

    while child.is_running:
        time.sleep(0.01)

    with pytest.raises(StackError, match="child ended with exit code 3: the cause"):
        child.check_running()


def test_a_child_that_ignores_the_request_to_stop_is_killed(tmp_path: Path) -> None:
    script = "from signal import *; signal(SIGTERM, SIG_IGN); print('up', flush=True); pause()"
    log = tmp_path / "child.log"
    child = Child(
        Program(
            name="child",
            command=(sys.executable, "-c", script),
            log_file=log,
            environment={},
            stop_seconds_max=1,
        )
    )
    while "up" not in log.read_text():
        child.check_running()

    child.stop(hurry=lambda: False)

    assert not child.is_running


def test_the_first_signal_raises_once_and_later_ones_only_hurry() -> None:
    with Interruption() as interruption:
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        assert not interruption.hurry
        signal.raise_signal(signal.SIGTERM)
        assert interruption.hurry


def test_a_signal_in_a_deferred_step_raises_at_its_end() -> None:
    steps = []

    def step(interruption: Interruption) -> None:
        with interruption.deferred():
            signal.raise_signal(signal.SIGINT)
            steps.append("whole")
        steps.append("next")

    with Interruption() as interruption:
        with pytest.raises(Interrupted):
            step(interruption)
        assert steps == ["whole"]
