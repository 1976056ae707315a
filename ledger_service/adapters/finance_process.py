"""Long work of finance in a process of its own: the request path must not wait for it.

The process is started by `subprocess`, which spawns without running anything in a copy of this one (see
verification_process). It ends when its answers are not wanted any more.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final, TypeVar

import msgspec

from ledger_service.application.exporting.export_ports import ExportPart, ExportRequest
from ledger_service.application.reporting.report_ports import (
    EntriesPage,
    EntriesRequest,
    FoldProgress,
    FoldRequest,
    PositionsPage,
    PositionsRequest,
    ReconcileProgress,
    ReconcileRequest,
)
from ledger_service.domain.refusals.service import QueueFull

JOBS_MAX: Final = 4
"""Processes at a time; more would only share the same cores."""
COMMAND: Final = (sys.executable, "-m", "ledger_service.projections.finance_process")

Job = ExportRequest | FoldRequest | EntriesRequest | PositionsRequest | ReconcileRequest
Answer = TypeVar("Answer", ExportPart, FoldProgress, EntriesPage, PositionsPage, ReconcileProgress)


class _Asked(msgspec.Struct, frozen=True):
    url: str
    schema: str
    job: Job


class FinanceProcesses:
    """Implements report_ports.FinanceJobs for one shard. Methods raise QueueFull, RuntimeError."""

    def __init__(self, url: str, *, schema: str) -> None:
        """Work on a database."""
        self._url = url
        self._schema = schema
        self._running = 0

    def export(self, request: ExportRequest) -> AsyncGenerator[ExportPart, None]:
        """Yield the parts of an export."""
        return self._run(request, ExportPart)

    def fold(self, request: FoldRequest) -> AsyncGenerator[FoldProgress, None]:
        """Yield how far a report is, and its figures last."""
        return self._run(request, FoldProgress)

    def reconcile(self, request: ReconcileRequest) -> AsyncGenerator[ReconcileProgress, None]:
        """Yield how far a reconciliation is, and its checks last."""
        return self._run(request, ReconcileProgress)

    async def entries(self, request: EntriesRequest) -> EntriesPage:
        """Return a page of entries."""
        return await self._one(request, EntriesPage)

    async def positions(self, request: PositionsRequest) -> PositionsPage:
        """Return a page of positions by contract."""
        return await self._one(request, PositionsPage)

    async def _one(self, job: Job, kind: type[Answer]) -> Answer:
        async with aclosing(self._run(job, kind)) as answers:
            async for answer in answers:
                return answer
        raise AssertionError("a process that ends well has answered")

    async def _run(self, job: Job, kind: type[Answer]) -> AsyncGenerator[Answer, None]:
        if self._running == JOBS_MAX:
            raise QueueFull(f"{JOBS_MAX} exports and reports are being made; try again shortly")
        self._running += 1
        process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(msgspec.json.encode(_Asked(self._url, self._schema, job)) + b"\n")
            process.stdin.flush()
            while line := await asyncio.to_thread(process.stdout.readline):
                yield msgspec.json.decode(line, type=kind)
            code = await asyncio.to_thread(process.wait)
            if code != 0:
                raise RuntimeError(f"a process of finance ended with {code}")
        finally:
            self._running -= 1
            if process.poll() is None:
                process.kill()
            # Waited for here and not in a thread: a cancelled task may no longer await, and the process is gone.
            process.wait()
            process.stdin.close()
            process.stdout.close()
