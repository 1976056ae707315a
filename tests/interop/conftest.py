"""The checks run on a real PostgreSQL, and on an hledger that is found or fetched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.postgres import postgres_server

__all__ = ["postgres_server"]


@pytest.fixture(scope="session")
def hledger() -> Path:
    """Where hledger is."""
    found = subprocess.run(
        ["sh", "deploy/get_hledger.sh"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return Path(found.stdout.strip())
