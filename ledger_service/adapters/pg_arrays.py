"""Arrays as statement parameters, in PostgreSQL's binary form.

Appending sends six arrays per call. psycopg would dump every element through a Python object of its own,
which costs more than everything else that the client does for a row; here an array is one joined buffer.
Format: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES and array_recv():
dimensions, null flag, element type, length, lower bound, then each element behind its length (-1 for NULL).
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct, pack
from typing import Final

from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

from ledger_service.application.ports import NewEvent, Snapshot

_header: Final = Struct("!5i").pack
_length: Final = Struct("!i").pack
_NULL: Final = _length(-1)
_EMPTY_DIMENSIONS: Final = Struct("!3i").pack

_TEXT_OID: Final = 25
_INT8_OID: Final = 20
_BYTEA_OID: Final = 17
_UUID_OID: Final = 2950
_UUID_LENGTH: Final = _length(16)


class _Array:
    """An encoded array; its class tells psycopg the type."""

    __slots__ = ("encoded",)

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded


class TextArray(_Array):
    """text[]"""


class BigintArray(_Array):
    """bigint[]"""


class ByteaArray(_Array):
    """bytea[]"""


class UuidArray(_Array):
    """uuid[], of 16 bytes each or NULL"""


def text_array(values: Sequence[str]) -> TextArray:
    """Encode texts."""
    return TextArray(_join(_TEXT_OID, [value.encode() for value in values]))


def bytea_array(values: Sequence[bytes]) -> ByteaArray:
    """Encode byte strings."""
    return ByteaArray(_join(_BYTEA_OID, values))


def bigint_array(values: Sequence[int]) -> BigintArray:
    """Encode integers."""
    if not values:
        return BigintArray(_EMPTY_DIMENSIONS(0, 0, _INT8_OID))
    elements = [8] * (2 * len(values))
    elements[1::2] = values
    return BigintArray(_header(1, 0, _INT8_OID, len(values), 1) + pack("!" + "iq" * len(values), *elements))


def uuid_array(values: Sequence[bytes | None]) -> UuidArray:
    """Encode 16-byte values, where None is NULL. Raises ValueError for another length."""
    if not values:
        return UuidArray(_EMPTY_DIMENSIONS(0, 0, _UUID_OID))
    if any(value is not None and len(value) != 16 for value in values):
        raise ValueError("a key hash has 16 bytes")
    elements = [_NULL if value is None else _UUID_LENGTH + value for value in values]
    return UuidArray(_header(1, int(None in values), _UUID_OID, len(values), 1) + b"".join(elements))


def _join(element_oid: int, values: Sequence[bytes]) -> bytes:
    if not values:
        return _EMPTY_DIMENSIONS(0, 0, element_oid)
    elements = [_length(len(value)) + value for value in values]
    return _header(1, 0, element_oid, len(values), 1) + b"".join(elements)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: _Array) -> bytes:
        """Return the buffer as it is."""
        return obj.encoded


class _TextArrayDumper(_ArrayDumper):
    oid = 1009


class _BigintArrayDumper(_ArrayDumper):
    oid = 1016


class _ByteaArrayDumper(_ArrayDumper):
    oid = 1001


class _UuidArrayDumper(_ArrayDumper):
    oid = 2951


def register_arrays(context: AdaptContext) -> None:
    """Teach a connection to send these arrays."""
    context.adapters.register_dumper(TextArray, _TextArrayDumper)
    context.adapters.register_dumper(BigintArray, _BigintArrayDumper)
    context.adapters.register_dumper(ByteaArray, _ByteaArrayDumper)
    context.adapters.register_dumper(UuidArray, _UuidArrayDumper)


def event_arrays(events: Sequence[NewEvent]) -> tuple[object, ...]:
    """Return the columns of events, as the append takes them."""
    return (
        text_array([event.stream for event in events]),
        bigint_array([event.version for event in events]),
        text_array([event.topic for event in events]),
        bytea_array([event.state for event in events]),
        bigint_array([event.position for event in events]),
        uuid_array([event.key_hash for event in events]),
    )


def snapshot_arrays(snapshots: Sequence[Snapshot]) -> tuple[object, ...]:
    """Return the columns of snapshots, as the append takes them."""
    return (
        text_array([snapshot.stream for snapshot in snapshots]),
        bigint_array([snapshot.version for snapshot in snapshots]),
        bigint_array([snapshot.format for snapshot in snapshots]),
        bytea_array([snapshot.state for snapshot in snapshots]),
    )
