"""Reading a trace of LLM requests: a CSV file with the columns TIMESTAMP, ContextTokens and GeneratedTokens.

The form is that of Azure's public LLM inference traces. The whole file is read and checked before anything is
recorded; the first thing that is wrong is refused by file, line and column. Columns may come in any order,
others are ignored. A TIMESTAMP without an offset is UTC; what is finer than a microsecond is cut off.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, TextIO

TIMESTAMP: Final = "TIMESTAMP"
CONTEXT_TOKENS: Final = "ContextTokens"
GENERATED_TOKENS: Final = "GeneratedTokens"
COLUMNS: Final = (TIMESTAMP, CONTEXT_TOKENS, GENERATED_TOKENS)

ROWS_MAX: Final = 1_000_000
"""Rows of one trace: they are held in memory, about 300 bytes each."""
TOKENS_MAX: Final = 100_000_000
"""Tokens of one row, far above any context window: ROWS_MAX such rows still cost less than int64 units."""
YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2199
SHOWN_LENGTH_MAX: Final = 60

_INSTANT: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)
_COUNT: Final = re.compile(r"\d{1,18}", re.ASCII)


class TraceRefused(Exception):
    """The trace cannot be replayed; the text names file, line, column and cause."""


class Request(NamedTuple):
    """One row: when a request was made, and its tokens."""

    time: datetime
    context_tokens: int
    generated_tokens: int


class Place(NamedTuple):
    """A line of a file, counted from 1."""

    file: str
    line: int

    def refuse(self, cause: str, *, column: str = "") -> TraceRefused:
        """Return the refusal of what is wrong here."""
        return TraceRefused(f"{self.file}:{self.line}: {column + ': ' if column else ''}{cause}")


def read_trace(path: Path) -> list[Request]:
    """Return the requests of a file, by time. Raises TraceRefused."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            requests = list(parse_trace(file, name=str(path)))
    except OSError as cause:
        raise TraceRefused(f"{path}: {cause.strerror}") from None
    return sorted(requests, key=lambda request: request.time)


def parse_trace(file: TextIO, *, name: str) -> Iterator[Request]:
    """Yield the requests of an open file, in its order. Raises TraceRefused."""
    rows = _rows(file, name)
    first, header = next(rows, (Place(name, 1), []))
    if not header:
        raise first.refuse(f"the file is empty; expected the header {','.join(COLUMNS)}")
    places = _places(header, first)
    count = 0
    for place, row in rows:
        count += 1
        if count > ROWS_MAX:
            raise place.refuse(f"a trace holds at most {ROWS_MAX:,} rows")
        yield _request(row, place, header, places)
    if count == 0:
        raise Place(name, first.line + 1).refuse("no row follows the header")


def _rows(file: TextIO, name: str) -> Iterator[tuple[Place, list[str]]]:
    """Yield each line's fields; lines without any are let pass only at the end."""
    reader = csv.reader(file, strict=True)
    empty: Place | None = None
    while True:
        # A field in quotes may span lines: a row's place is its last line.
        try:
            row = next(reader, None)
        except csv.Error as cause:
            raise Place(name, max(1, reader.line_num)).refuse(f"not readable as CSV: {cause}") from None
        except UnicodeDecodeError:
            raise Place(name, reader.line_num + 1).refuse("not UTF-8 text (at or after this line)") from None
        if row is None:
            return
        if not row:
            empty = empty or Place(name, reader.line_num)
            continue
        if empty is not None:
            raise empty.refuse(f"the row is empty; {TIMESTAMP} is missing")
        yield Place(name, reader.line_num), row


def _places(header: Sequence[str], place: Place) -> dict[str, int]:
    """Return where each column stands."""
    names = [column.strip() for column in header]
    for column in COLUMNS:
        if names.count(column) != 1:
            how = "named twice" if column in names else "not in the header"
            raise place.refuse(f"the column is {how}; expected {','.join(COLUMNS)}", column=column)
    return {column: names.index(column) for column in COLUMNS}


def _request(row: list[str], place: Place, header: Sequence[str], places: dict[str, int]) -> Request:
    if len(row) < len(header):
        raise place.refuse(
            f"the field is missing: {len(row)} fields, the header has {len(header)}",
            column=header[len(row)].strip(),
        )
    if len(row) > len(header):
        raise place.refuse(
            f"{len(row)} fields, the header has {len(header)}: {_shown(row[len(header)])} is extra"
        )
    return Request(
        _instant(row[places[TIMESTAMP]], place),
        _count(row[places[CONTEXT_TOKENS]], place, CONTEXT_TOKENS),
        _count(row[places[GENERATED_TOKENS]], place, GENERATED_TOKENS),
    )


def _instant(field: str, place: Place) -> datetime:
    text = field.strip()
    if not text:
        raise place.refuse("the field is empty", column=TIMESTAMP)
    if _INSTANT.fullmatch(text) is None:
        raise place.refuse(
            f"{_shown(text)} is not an instant such as 2023-11-16 18:17:03.979960", column=TIMESTAMP
        )
    try:
        instant = datetime.fromisoformat(text)
        utc = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError) as cause:
        raise place.refuse(
            f"{_shown(text)} is no instant of the calendar: {cause}", column=TIMESTAMP
        ) from None
    if not YEAR_MIN <= utc.year <= YEAR_MAX:
        raise place.refuse(f"{_shown(text)} lies outside {YEAR_MIN} to {YEAR_MAX}", column=TIMESTAMP)
    return utc


def _count(field: str, place: Place, column: str) -> int:
    text = field.strip()
    if not text:
        raise place.refuse("the field is empty", column=column)
    if text.startswith("-") and _COUNT.fullmatch(text[1:]):
        raise place.refuse(f"{_shown(text)} is negative", column=column)
    if _COUNT.fullmatch(text) is None:
        raise place.refuse(f"{_shown(text)} is not a whole number", column=column)
    if int(text) > TOKENS_MAX:
        raise place.refuse(f"{_shown(text)} is more than {TOKENS_MAX:,} tokens", column=column)
    return int(text)


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_LENGTH_MAX else text[:SHOWN_LENGTH_MAX] + "…")
