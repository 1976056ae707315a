"""What is known about a projection's table."""

from __future__ import annotations

import msgspec


class Table(msgspec.Struct, frozen=True):
    """One table and its primary key."""

    name: str
    key: tuple[str, ...]
