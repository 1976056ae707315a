"""Verification in a process of its own: the request path must not wait for it.

The process is started by `subprocess`, which spawns without running anything in a copy of this one. The event
loop's own way forks, and a fork of a process in which gRPC's threads run can crash before the new program begins.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import msgspec

from ledger_service.application.auditing.verification import VerificationProgress


async def verify_beside(url: str, *, schema: str) -> AsyncIterator[VerificationProgress]:
    """Yield what `ledger check-history` reports of a database. Raises RuntimeError if it ends early."""
    environment = {**os.environ, "LEDGER_DATABASE_URL": url, "LEDGER_SCHEMA": schema}
    command = [sys.executable, "-m", "ledger_service", "check-history", "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert process.stdout is not None
    done = False
    try:
        while line := await asyncio.to_thread(process.stdout.readline):
            progress = msgspec.json.decode(line, type=VerificationProgress)
            yield progress
            done = progress.done
        if not done:
            code = await asyncio.to_thread(process.wait)
            raise RuntimeError(f"the verification process ended early, with {code}")
    finally:
        if process.poll() is None:
            process.kill()
        # Waited for here and not in a thread: a cancelled task may no longer await, and the process is gone.
        process.wait()
        process.stdout.close()
