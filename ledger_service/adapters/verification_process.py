"""Verification in a process of its own: the request path must not wait for it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from typing import Final

import msgspec

from ledger_service.application.verification import VerificationProgress

LINE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest line that a verification may report."""


async def verify_beside(url: str, *, schema: str) -> AsyncIterator[VerificationProgress]:
    """Yield what `ledger check-history` reports of a database. Raises RuntimeError if it ends early."""
    environment = {**os.environ, "LEDGER_DATABASE_URL": url, "LEDGER_SCHEMA": schema}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ledger_service",
        "check-history",
        "--json",
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    assert process.stdout is not None
    done = False
    try:
        async for line in process.stdout:
            progress = msgspec.json.decode(line, type=VerificationProgress)
            yield progress
            done = progress.done
        if not done:
            raise RuntimeError(f"the verification process ended early, with {await process.wait()}")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
