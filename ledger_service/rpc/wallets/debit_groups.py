"""Groups of a batch as they come: which items belong together, and whether they can be one group.

A group that cannot be one refuses the whole call: its caller has mixed something up, and to debit a part of it
would be the very thing that a group is there to prevent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.domain.names import check_text
from ledger_service.domain.refusals.service import GroupMalformed

GROUP_SIZE_MAX: Final = 100
"""Items in one group: decided in a row, about 2 ms."""
GROUP_NAME_LENGTH_MAX: Final = 64

Items = Sequence[wallet_service_pb2.DebitRequest]


def read_groups(items: Items) -> list[range]:
    """Return the runs of items that name the same group, in order. Raises FieldTooLong, GroupMalformed."""
    names = [item.group for item in items]
    if not any(names):
        return []
    groups: dict[str, range] = {}
    start = 0
    for name, run in groupby(names):
        group = range(start, start + len(list(run)))
        start = group.stop
        if not name:
            continue
        check_text(name, field=_field(group.start), length_max=GROUP_NAME_LENGTH_MAX)
        if name in groups:
            raise _malformed(group.start, f"group {name!r} is named again after other items")
        _check_group(name, items, group)
        groups[name] = group
    return list(groups.values())


def _check_group(name: str, items: Items, group: range) -> None:
    if len(group) > GROUP_SIZE_MAX:
        raise _malformed(group[GROUP_SIZE_MAX], f"group {name!r} holds more than {GROUP_SIZE_MAX} items")
    wallet = items[group.start].name
    keys: set[str] = set()
    for place in group:
        item = items[place]
        if item.name != wallet:
            raise _malformed(place, f"group {name!r} is of {wallet} and cannot hold an item of {item.name}")
        if item.idempotency_key in keys:
            raise _malformed(place, f"group {name!r} uses idempotency_key {item.idempotency_key!r} twice")
        keys.add(item.idempotency_key)


def _malformed(place: int, what: str) -> GroupMalformed:
    return GroupMalformed(what, field=_field(place))


def _field(place: int) -> str:
    return f"requests[{place}].group"
