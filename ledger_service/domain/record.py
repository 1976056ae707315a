"""The base of all that is stored."""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Immutable, and silent about defaults, so that a field may be added with one.

    Records never form cycles, so the garbage collector need not look at them.
    """
