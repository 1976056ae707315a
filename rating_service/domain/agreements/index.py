"""A persistent index: a map by name that is never changed in place.

`put` copies one of 1,024 buckets and the tuple that holds them, so following a log with 100,000 contracts
costs microseconds an event where copying one large dict would cost milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeVar

T = TypeVar("T")
Index = tuple[dict[str, T], ...]

_BUCKETS: Final = 1_024


def empty_index() -> Index[T]:
    """Return an index with nothing in it."""
    return ({},) * _BUCKETS


def find(index: Index[T], name: str) -> T | None:
    """Return what is kept under a name, or None."""
    return index[hash(name) % _BUCKETS].get(name)


def values(index: Index[T]) -> Iterator[T]:
    """Yield all that is kept, in no order."""
    for bucket in index:
        yield from bucket.values()


def put(index: Index[T], name: str, value: T) -> Index[T]:
    """Return the index with a value under a name, in place of what was there."""
    place = hash(name) % _BUCKETS
    return (*index[:place], {**index[place], name: value}, *index[place + 1 :])


def names(index: Index[T]) -> list[str]:
    """Return every name, in no order that means anything."""
    return [name for bucket in index for name in bucket]
