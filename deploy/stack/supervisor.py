"""Starts the whole system in order, watches it, and stops it in the reverse order.

Each step waits until what it started answers, so the next one finds it. Whatever goes wrong, what was started
is stopped again: by the context's exit, or by the kernel if this process is killed (see `tether`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc
import msgspec
from grpc_health.v1 import health_pb2, health_pb2_grpc

from deploy.stack.databases import check_url
from deploy.stack.embedded_server import EmbeddedServer
from deploy.stack.interruption import Interruption
from deploy.stack.processes import POLL_SECONDS, Child, StackError, module_program

SERVING_SECONDS_MAX: Final = 60
"""How long a service may take to answer: migrations and a cold start take a few seconds."""
HEALTH_SECONDS_MAX: Final = 2
DIRECTORY_CONTENT: Final = frozenset({"postgres", "logs", ".lock"})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to start and where. Addresses are host:port; no URL means a database of the embedded server."""

    data_directory: Path
    ledger_listen: str
    rating_listen: str
    ledger_database_url: str = ""
    rating_database_url: str = ""
    environment: dict[str, str] = {}


class Stack:
    """The running system, for as long as the context is open."""

    def __init__(
        self, plan: Plan, interruption: Interruption, *, on_step: Callable[[str], None] = lambda _: None
    ) -> None:
        """Start nothing yet. `on_step` is told what is being started or stopped."""
        self._plan = plan
        self._interruption = interruption
        self._on_step = on_step
        self._children: list[Child] = []
        self._server: EmbeddedServer | None = None
        self._lock: int | None = None

    def __enter__(self) -> Self:
        """Start everything. Raises StackError, having stopped what was started."""
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything that was started."""
        self._stop()

    @property
    def children(self) -> tuple[Child, ...]:
        """Return the processes, in the order in which they were started."""
        return (*([self._server.child] if self._server else []), *self._children)

    def check_running(self) -> None:
        """Raise StackError if a process has ended by itself."""
        for child in self.children:
            child.check_running()

    def last_words(self) -> str:
        """Return the last line of each process's log, for a failure whose cause is not known."""
        return "\n".join(f"{child.program.name}: {child.last_words}" for child in self.children)

    def _start(self) -> None:
        plan = self._plan
        refuse_tls(plan.environment)
        check_port(plan.ledger_listen, variable="LEDGER_LISTEN")
        check_port(plan.rating_listen, variable="RATING_LISTEN")
        self._lock = lock_directory(plan.data_directory)
        environment = self._environment()
        ledger = self._spawn("ledger", "ledger_service", "serve", environment=environment)
        self._wait_serving(ledger, plan.ledger_listen)
        self._spawn("projector", "ledger_service", "project", environment=environment)
        rating = self._spawn("rating", "rating_service", "serve", environment=environment)
        self._wait_serving(rating, plan.rating_listen)
        self.check_running()

    def _environment(self) -> dict[str, str]:
        """Return the environment of the services, once their databases answer."""
        plan = self._plan
        return {
            **plan.environment,
            "LEDGER_DATABASE_URL": self._database_url(plan.ledger_database_url, "ledger"),
            "RATING_DATABASE_URL": self._database_url(plan.rating_database_url, "rating"),
            "LEDGER_LISTEN": plan.ledger_listen,
            "RATING_LISTEN": plan.rating_listen,
            "RATING_LEDGER_ADDRESS": plan.ledger_listen,
            "PYTHONUNBUFFERED": "1",
        }

    def _database_url(self, url: str, database: str) -> str:
        if url:
            check_url(url, variable=f"{database.upper()}_DATABASE_URL")
            return url
        if self._server is None:
            self._on_step("starting PostgreSQL")
            with self._interruption.deferred():
                self._server = EmbeddedServer(
                    self._plan.data_directory / "postgres", log_file=self._log_file("postgres")
                )
            self._server.wait_ready()
        return self._server.ensure_database(database)

    def _spawn(self, name: str, *arguments: str, environment: dict[str, str]) -> Child:
        self._on_step(f"starting {name}")
        program = module_program(name, *arguments, log_file=self._log_file(name), environment=environment)
        with self._interruption.deferred():
            child = Child(program)
            self._children.append(child)
        return child

    def _log_file(self, name: str) -> Path:
        return self._plan.data_directory / "logs" / f"{name}.log"

    def _wait_serving(self, child: Child, address: str) -> None:
        """Return once a service says that it is SERVING. Raises StackError."""
        deadline = time.monotonic() + SERVING_SECONDS_MAX
        with grpc.insecure_channel(address) as channel:
            health: Any = health_pb2_grpc.HealthStub(channel)  # its stubs leave the calls out
            while not is_serving(health):
                self.check_running()
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{child.program.name} does not serve {address} after {SERVING_SECONDS_MAX} s; "
                        f"its log: {child.program.log_file}"
                    )
                time.sleep(POLL_SECONDS)

    def _stop(self) -> None:
        """Stop the services, last started first, then the server. Nothing can interrupt this."""
        hurry = lambda: self._interruption.hurry  # noqa: E731
        while self._children:
            child = self._children.pop()
            self._on_step(f"stopping {child.program.name}")
            child.stop(hurry=hurry)
        if self._server is not None:
            self._on_step("stopping PostgreSQL")
            self._server.stop(hurry=hurry)
            self._server = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def is_serving(health: Any) -> bool:
    """Return whether a service answers and says SERVING."""
    try:
        answer = health.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_SECONDS_MAX)
    except grpc.RpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def check_port(address: str, *, variable: str) -> None:
    """Raise StackError unless an address can be listened on."""
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        raise StackError(f"{variable}={address}: expected host:port, with a port of 1 to 65535")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as cause:
            why = (
                "the port is in use by another program"
                if cause.errno == errno.EADDRINUSE
                else cause.strerror or str(cause)
            )
            raise StackError(f"{variable}={address}: {why}; choose another by {variable}") from None


def free_address() -> str:
    """Return a loopback address that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def lock_directory(directory: Path) -> int:
    """Make the data directory if it is missing and claim it for this run. Raises StackError."""
    named = f"data directory {directory}"
    if directory.exists() and not directory.is_dir():
        raise StackError(f"{named} is not a directory; choose another by CREDITS_DATA_DIRECTORY")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        foreign = sorted({entry.name for entry in directory.iterdir()} - DIRECTORY_CONTENT)
        if foreign:
            raise StackError(
                f"{named} holds files that are not of this project ({foreign[0]}); "
                "choose an empty one by CREDITS_DATA_DIRECTORY"
            )
        lock = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as cause:
        raise StackError(f"{named} cannot be used: {cause.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise StackError(f"{named} is in use by another run; stop it, or choose another directory") from None
    return lock


def refuse_tls(environment: dict[str, str]) -> None:
    """Raise StackError if TLS is set up: this supervisor asks for health in plain text, on loopback."""
    for variable in ("LEDGER_TLS_CERTIFICATE_FILE", "RATING_TLS_CERTIFICATE_FILE"):
        if environment.get(variable):
            raise StackError(f"{variable}: this run is plain text on loopback; see deploy/README.md for TLS")
