"""The base of all that is stored."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """Immutable, and silent about defaults, so that a field may be added with one."""
