"""Runs a simulation in a process of its own, so that pricing millions of usages slows no request."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

import msgspec

from rating_service.adapters.simulation_worker import LENGTH_BYTES, Frame, Task
from rating_service.application.ports import StoreUnavailableError
from rating_service.application.simulating.simulation_job import SimulationJob, Told
from rating_service.domain.simulation.outcome import Progress

SILENCE_SECONDS_MAX: Final = 0.9
"""After so long the last progress is told again: a caller hears something every second."""
ERROR_BYTES_MAX: Final = 4_096

_frames: Final = msgspec.json.Decoder(Frame)
_NOTHING_YET: Final = Progress(0, 0)


class WorkerDiedError(Exception):
    """The process of a simulation ended without a result; the text is the end of what it wrote."""


class SimulationProcess:
    """SimulationRunner by a process for each job."""

    def __init__(self, database_url: str) -> None:
        """Let workers read a database."""
        self._database_url = database_url

    async def run(self, job: SimulationJob) -> AsyncGenerator[Told, None]:
        """Tell what comes of a job; closing the generator ends the process.

        Raises Refusal, RequestRefused, StoreUnavailableError, WorkerDiedError.
        """
        module = "rating_service.adapters.simulation_worker"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, stderr=PIPE
        )
        # What it writes on its standard error is read all the time, or a full pipe would stop it.
        complaints = asyncio.create_task(_end_of_errors(process))
        try:
            await _send(process, Task(self._database_url, job))
            async with aclosing(_frames_of(process)) as frames:
                async for frame in frames:
                    yield _told(frame)
                    if frame.outcome is not None:
                        return
            raise WorkerDiedError(await complaints)
        finally:
            await _end(process, complaints)


def _told(frame: Frame) -> Told:
    """Return what a frame tells. Raises what it refuses."""
    if frame.refusal is not None:
        raise frame.refusal.error()
    if frame.is_store_away:
        raise StoreUnavailableError("the database cannot be reached from a simulation")
    told = frame.progress or frame.page or frame.outcome
    assert told is not None, "a frame tells something"
    return told


async def _send(process: Process, task: Task) -> None:
    assert process.stdin is not None, "it is a pipe"
    with suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(msgspec.json.encode(task))
        await process.stdin.drain()
    process.stdin.close()


async def _frames_of(process: Process) -> AsyncGenerator[Frame, None]:
    """Yield what a worker tells, and its last progress again while it says nothing."""
    last = Frame(progress=_NOTHING_YET)
    while True:
        reading = asyncio.ensure_future(_read_frame(process))
        try:
            while not (await asyncio.wait({reading}, timeout=SILENCE_SECONDS_MAX))[0]:
                yield last
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait({reading})
        content = reading.result()
        if content is None:
            return
        frame = _frames.decode(content)
        last = frame if frame.progress is not None else last
        yield frame


async def _read_frame(process: Process) -> bytes | None:
    """Return the content of a frame, None where the output ends."""
    assert process.stdout is not None, "it is a pipe"
    try:
        length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES))
        return await process.stdout.readexactly(length)
    except asyncio.IncompleteReadError:
        return None


async def _end_of_errors(process: Process) -> str:
    assert process.stderr is not None, "it is a pipe"
    kept = b""
    while chunk := await process.stderr.read(ERROR_BYTES_MAX):
        kept = (kept + chunk)[-ERROR_BYTES_MAX:]
    return kept.decode(errors="replace")


async def _end(process: Process, complaints: asyncio.Task[str]) -> None:
    """End the process whatever it does, and wait until it is gone with its pipes."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    await asyncio.shield(_gone(process, complaints))


async def _gone(process: Process, complaints: asyncio.Task[str]) -> None:
    assert process.stdout is not None, "it is a pipe"
    # What was still on its way is read to the end: a pipe that nobody reads is never closed.
    await process.stdout.read()
    await complaints
    await process.wait()
