"""What is known about a projection's table."""

from __future__ import annotations

import msgspec


class Table(msgspec.Struct, frozen=True):
    """One table and its primary key."""

    name: str
    key: tuple[str, ...]


class RowMissingError(Exception):
    """A change met no row of what it changes: the projection does not hold the log before it."""


def expect_rows(changed: int, expected: int, what: str) -> None:
    """Check how many rows a change met. Raises RowMissingError."""
    if changed != expected:
        raise RowMissingError(f"changed {changed} of {expected} {what}")
