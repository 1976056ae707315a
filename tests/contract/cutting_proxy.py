"""A proxy before PostgreSQL that breaks a connection between a commit and its answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_SELECT_DONE = b"SELECT 1\0"
"""The command tag that follows the commit of an autocommit statement that returns a row."""


class CuttingProxy:
    """Listens on a Unix socket in a directory and passes bytes on until told to cut."""

    def __init__(self, url: str, directory: Path) -> None:
        parts = conninfo_to_dict(url)
        self._target = f"{parts['host']}/.s.PGSQL.5432"
        self._path = directory / ".s.PGSQL.5432"
        self.url = make_conninfo("", **{**parts, "host": str(directory)})
        self._cut = False
        self._served: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def cut_at_next_commit(self) -> None:
        """Close both ends when the server next reports a statement done, and keep its answer back."""
        self._cut = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.gather(*self._served)

    async def _serve(self, client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._served.add(task)
        server, request = await asyncio.open_unix_connection(self._target)
        await asyncio.gather(self._pass_requests(client, request), self._pass_answers(server, answer))
        for end in (request, answer):
            end.close()

    async def _pass_requests(self, client: asyncio.StreamReader, request: asyncio.StreamWriter) -> None:
        while data := await client.read(65_536):
            request.write(data)
        request.close()

    async def _pass_answers(self, server: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        while data := await server.read(65_536):
            if self._cut and _SELECT_DONE in data:
                self._cut = False
                break
            answer.write(data)
        answer.close()
