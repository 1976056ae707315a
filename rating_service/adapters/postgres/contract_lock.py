"""The lock under which the documents of one contract are issued one after the other."""

from __future__ import annotations

from typing import Any, Final

import psycopg

LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended(%(contract)s, %(purpose)s))"
PURPOSE: Final = 0x646F63
"""The letters of "doc": keeps these locks apart from those of other purposes."""


async def lock_contract(lent: psycopg.AsyncConnection[Any], contract: str) -> None:
    """Wait for the contract's lock and hold it until the transaction ends.

    Two contracts whose names share a hash wait for each other, which harms nothing.
    """
    await lent.execute(LOCK, {"contract": contract, "purpose": PURPOSE})
