"""What all benchmarks of one run share: one PostgreSQL server, one load client, and how servers are started."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString, Self

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from ledger_service.adapters import embedded_postgres
from ledger_service.adapters.migrate import migrate
from tests.benchmarks.jobs import AwaitServing, Done, SampleDebit
from tests.benchmarks.jobs import Sample as DebitSample
from tests.benchmarks.processes import LoadClient, Process, children_of, cpu_seconds, machine_cpu_seconds
from tests.benchmarks.sizes import Sizes

LEDGER_SCHEMA = "ledger"
FLOOR_SCHEMA = "floor"
"""Holds the same tables, made by the same migrations, for what the floors write."""


class Server:
    """A running server and where it is reached."""

    def __init__(self, process: Process, target: str) -> None:
        """Name the two."""
        self.process = process
        self.target = target


class CpuUsed(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds by who used them, and the time that went by."""

    server: float
    client: float
    postgres: float
    machine: float
    elapsed: float

    def since(self, before: CpuUsed) -> CpuUsed:
        """Return what was used between two readings."""
        names = self.__struct_fields__
        return CpuUsed(**{name: getattr(self, name) - getattr(before, name) for name in names})

    @property
    def other_cores(self) -> float:
        """Return how many cores were busy with what takes no part."""
        return max(0.0, self.machine - self.server - self.client - self.postgres) / self.elapsed


class Bench:
    """One run: started once, used by each benchmark in turn."""

    def __init__(self, directory: Path, logs: Path, sizes: Sizes, *, say: Callable[[str], None]) -> None:
        """Keep data in one directory and logs in another; `say` tells people what is being done."""
        self.sizes = sizes
        self.say = say
        self._directory = directory
        self._logs = logs
        self._numbers = itertools.count(1)
        self._stack = ExitStack()
        self._built: dict[str, str] = {}

    def __enter__(self) -> Self:
        self.say("starting PostgreSQL")
        self._postgres = embedded_postgres.start(self._directory / "postgres")
        self._stack.callback(self._postgres.stop)
        self.client = LoadClient(self.log_file("load_client"))
        self._stack.callback(self.client.stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def log_file(self, name: str) -> Path:
        """Return a new file for the log of a process."""
        return self._logs / f"{next(self._numbers):03d}_{name}.log"

    def database(self, name: str, *, migrated: bool = True) -> str:
        """Create a database, with the ledger's schema and the floor's unless told, and return its URL."""
        self._execute("CREATE DATABASE {}", name)
        url = self._url(name)
        if migrated:
            migrate(url, schema=LEDGER_SCHEMA)
            migrate(url, schema=FLOOR_SCHEMA)
        return url

    def copy_database(self, original: str, name: str) -> str:
        """Create a database that is a copy of another one, which nobody may be using, and return its URL."""
        self._execute("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy", name, original)
        return self._url(name)

    def once(self, name: str, build: Callable[[], str]) -> str:
        """Return what `build` returns, called only the first time that the name is asked for."""
        if name not in self._built:
            self._built[name] = build()
        return self._built[name]

    def _url(self, database: str) -> str:
        return make_conninfo("", **{**conninfo_to_dict(self._postgres.url), "dbname": database})

    def _execute(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self._postgres.url, autocommit=True) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))

    def key(self, name: str) -> str:
        """Return a beginning for idempotency keys that no other job uses."""
        return f"{name}-{next(self._numbers):03d}"

    @contextmanager
    def ledger(self, url: str, **settings: object) -> Iterator[Server]:
        """Run a ledger on a database until left, with its defaults but for `settings`."""
        environment = {"LEDGER_DATABASE_URL": url, "LEDGER_LISTEN": "127.0.0.1:0"}
        environment |= {f"LEDGER_{name.upper()}": str(value) for name, value in settings.items()}
        with Process(
            "ledger_service", "serve", log_file=self.log_file("ledger"), environment=environment
        ) as process:
            yield self._serving(process)

    @contextmanager
    def rating(self, url: str, ledger: Server, **settings: object) -> Iterator[Server]:
        """Run a rating service on a database and a ledger until left, with its defaults but for `settings`."""
        environment = {
            "RATING_DATABASE_URL": url,
            "RATING_LISTEN": "127.0.0.1:0",
            "RATING_LEDGER_ADDRESS": ledger.target,
        } | {f"RATING_{name.upper()}": str(value) for name, value in settings.items()}
        with Process(
            "rating_service", "serve", log_file=self.log_file("rating"), environment=environment
        ) as process:
            yield self._serving(process)

    @contextmanager
    def echo(self, ledger: Server, *, inserting_url: str = "") -> Iterator[Server]:
        """Run an echo of the ledger's own answer until left; with a URL it inserts a row each time."""
        sample = self.client.run(
            SampleDebit(target=ledger.target, wallet=0, key=self.key("sample")), DebitSample
        )
        arguments = [sample.response.hex()]
        if inserting_url:
            arguments += [inserting_url, LEDGER_SCHEMA, FLOOR_SCHEMA]
        with Process("tests.benchmarks.echo_server", *arguments, log_file=self.log_file("echo")) as process:
            yield self._serving(process)

    def cpu_used(self, server: Server) -> CpuUsed:
        """Return the CPU seconds used so far by those that take part, and by the whole machine."""
        return CpuUsed(
            server=cpu_seconds([server.process.pid]),
            client=cpu_seconds([self.client.pid]),
            postgres=cpu_seconds(children_of(self._postmaster_pid())),
            machine=machine_cpu_seconds(),
            elapsed=time.monotonic(),
        )

    def _postmaster_pid(self) -> int:
        return int((self._directory / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])

    def _serving(self, process: Process) -> Server:
        server = Server(process, f"127.0.0.1:{process.wait_for_line(_listening_port)}")
        self.client.run(AwaitServing(target=server.target), Done)
        process.check_running()
        return server


def peak_memory_mb(server: Server) -> float:
    """Return the most memory that a server has taken so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _listening_port(line: dict[str, Any]) -> int | None:
    if line.get("event") != "listening":
        return None
    if "port" in line:
        return int(line["port"])
    return int(str(line["address"]).rpartition(":")[2])
