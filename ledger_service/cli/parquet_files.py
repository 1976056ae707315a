"""Parquet files, by pyarrow: the only part of the project that needs it, and loads it only when a file is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from ledger_service.cli.client import fail
from ledger_service.cli.money import MONEY_SCALE

ROWS_PER_GROUP: Final = 100_000
"""Rows that are held until they are written."""
DIGITS_MAX: Final = 38


class Type(Enum):
    """What a column holds. Money is given in integer nanos and stored as an exact decimal, days in ISO 8601."""

    TEXT = "TEXT"
    INTEGER = "INTEGER"
    MONEY = "MONEY"
    DAY = "DAY"
    TIME = "TIME"


class Field(msgspec.Struct, frozen=True):
    """A column."""

    name: str
    type: Type


class ParquetFile(AbstractContextManager["ParquetFile"]):
    """A file that is written row by row; it is whole when it is left."""

    def __init__(self, path: Path, fields: Sequence[Field]) -> None:
        """Begin a file. Ends the command if pyarrow is not there, or the file cannot be written."""
        self._arrow = _load()
        self._fields = fields
        self._schema = self._arrow.schema([(field.name, self._type(field.type)) for field in fields])
        try:
            self._writer = self._arrow.parquet.ParquetWriter(str(path), self._schema, compression="zstd")
        except OSError as error:
            fail(f"{path}: {error.strerror or error}")
        self._rows: list[Sequence[Any]] = []

    def __enter__(self) -> Self:
        """Give the file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is left, and the end of the file."""
        if kind is None:
            self._flush()
        self._writer.close()

    def add(self, row: Sequence[Any]) -> None:
        """Add a row."""
        self._rows.append(row)
        if len(self._rows) >= ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = [
            self._arrow.array([_value(field.type, row[place]) for row in self._rows], self._type(field.type))
            for place, field in enumerate(self._fields)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(columns, schema=self._schema))
        self._rows.clear()

    def _type(self, kind: Type) -> Any:
        arrow = self._arrow
        match kind:
            case Type.TEXT:
                return arrow.string()
            case Type.INTEGER:
                return arrow.int64()
            case Type.MONEY:
                return arrow.decimal128(DIGITS_MAX, MONEY_SCALE)
            case Type.DAY:
                return arrow.date32()
            case Type.TIME:
                return arrow.timestamp("us", tz="UTC")


def write(path: Path, fields: Sequence[Field], rows: Iterable[Sequence[Any]]) -> None:
    """Write a file of rows."""
    with ParquetFile(path, fields) as file:
        for row in rows:
            file.add(row)


def _value(kind: Type, value: Any) -> Any:
    if kind is Type.MONEY:
        return Decimal(value).scaleb(-MONEY_SCALE)
    if kind in {Type.DAY, Type.TIME}:
        time = datetime.fromisoformat(value)
        return time.date() if kind is Type.DAY else time
    return value


def _load() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        fail("--parquet needs pyarrow: pip install 'credit-ledger[parquet]'")
    return pyarrow
