"""A database a test, and a ledger on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import database_url, postgres_server
from tests.servers import LedgerServer

__all__ = ["database_url", "postgres_server"]


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[LedgerServer]:
    """A ledger on a fresh database, without a projector."""
    with LedgerServer(tmp_path / "ledger.log", database_url=database_url) as running:
        running.wait_for_line("serving")
        yield running
