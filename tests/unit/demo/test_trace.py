"""Reading a trace: what is taken, and what is refused by file, line and column before anything is recorded."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.demo import trace
from deploy.demo.scene import traced
from deploy.demo.trace import Request, TraceRefused, read_trace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROW = "2023-11-16 18:17:03.9799600,4808,10\n"


def written(directory: Path, content: str | bytes) -> Path:
    """Return a file with this content."""
    path = directory / "trace.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(directory: Path, content: str | bytes) -> str:
    """Return why a file is refused, its directory left out."""
    with pytest.raises(TraceRefused) as refused:
        read_trace(written(directory, content))
    return str(refused.value).removeprefix(f"{directory}/")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-11-16 18:17:03.9799609", datetime(2023, 11, 16, 18, 17, 3, 979960, UTC)),
        ("2024-05-10 00:00:00.009930+00:00", datetime(2024, 5, 10, 0, 0, 0, 9930, UTC)),
        ("2024-05-10 01:30:00+02:00", datetime(2024, 5, 9, 23, 30, tzinfo=UTC)),
        ("2024-05-10T00:00:00Z", datetime(2024, 5, 10, tzinfo=UTC)),
        ("2024-05-10 00:00:00", datetime(2024, 5, 10, tzinfo=UTC)),
    ],
)
def test_an_instant_without_offset_is_utc_and_cut_to_microseconds(
    tmp_path: Path, text: str, expected: datetime
) -> None:
    assert read_trace(written(tmp_path, f"{HEADER}{text},1,2\n")) == [Request(expected, 1, 2)]


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n\n"])
def test_the_last_line_may_end_as_it_likes(tmp_path: Path, ending: str) -> None:
    assert len(read_trace(written(tmp_path, HEADER + ROW + ROW.strip() + ending))) == 2


def test_columns_come_in_any_order_and_others_are_ignored(tmp_path: Path) -> None:
    content = "GeneratedTokens,kind,TIMESTAMP,ContextTokens\n10,chat,2023-11-16 18:17:03,4808\n"

    requests = read_trace(written(tmp_path, content))

    assert requests == [Request(datetime(2023, 11, 16, 18, 17, 3, tzinfo=UTC), 4808, 10)]


def test_a_byte_order_mark_is_let_pass(tmp_path: Path) -> None:
    assert len(read_trace(written(tmp_path, b"\xef\xbb\xbf" + (HEADER + ROW).encode()))) == 1


def test_rows_are_replayed_in_the_order_of_time(tmp_path: Path) -> None:
    content = f"{HEADER}2023-11-16 18:00:02,3,0\n2023-11-16 18:00:01,2,0\n2023-11-16 18:00:01,1,0\n"

    assert [request.context_tokens for request in read_trace(written(tmp_path, content))] == [2, 1, 3]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("2023-11-16 18:17:03,4808", "GeneratedTokens: the field is missing: 2 fields, the header has 3"),
        ("2023-11-16 18:17:03", "ContextTokens: the field is missing: 1 fields, the header has 3"),
        ("2023-11-16 18:17:03,4808,10,7", "4 fields, the header has 3: '7' is extra"),
        ("2023-11-16 18:17:03,,10", "ContextTokens: the field is empty"),
        ("2023-11-16 18:17:03,4808,", "GeneratedTokens: the field is empty"),
        (",4808,10", "TIMESTAMP: the field is empty"),
        ("2023-11-16 18:17:03,48.5,10", "ContextTokens: '48.5' is not a whole number"),
        ("2023-11-16 18:17:03,4808,ten", "GeneratedTokens: 'ten' is not a whole number"),
        ("2023-11-16 18:17:03,1e3,10", "ContextTokens: '1e3' is not a whole number"),
        ("2023-11-16 18:17:03,٣,10", "ContextTokens: '٣' is not a whole number"),
        ("2023-11-16 18:17:03,-1,10", "ContextTokens: '-1' is negative"),
        ("2023-11-16 18:17:03,100000001,1", "ContextTokens: '100000001' is more than 100,000,000 tokens"),
        ("2023-11-16 18:17,1,1", "TIMESTAMP: '2023-11-16 18:17' is not an instant such as"),
        ("1700158623,1,1", "TIMESTAMP: '1700158623' is not an instant such as"),
        ("2023-11-31 18:17:03,1,1", "TIMESTAMP: '2023-11-31 18:17:03' is no instant of the calendar"),
        ("1969-12-31 23:59:59,1,1", "TIMESTAMP: '1969-12-31 23:59:59' lies outside 1970 to 2199"),
        ("0001-01-01 00:00:00+23:00,1,1", "TIMESTAMP: '0001-01-01 00:00:00+23:00' is no instant"),
        ('"2023-11-16 18:17:03,1,1', "not readable as CSV: unexpected end of data"),
    ],
)
def test_a_malformed_row_is_refused_by_line_and_column(tmp_path: Path, row: str, why: str) -> None:
    assert refusal(tmp_path, f"{HEADER}{ROW}{row}").startswith(f"trace.csv:3: {why}")


def test_a_line_without_fields_is_refused_between_rows(tmp_path: Path) -> None:
    assert refusal(tmp_path, f"{HEADER}{ROW}\n{ROW}") == "trace.csv:3: the row is empty; TIMESTAMP is missing"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "trace.csv:1: the file is empty; expected the header TIMESTAMP,ContextTokens,GeneratedTokens"),
        (HEADER, "trace.csv:2: no row follows the header"),
        (ROW, "trace.csv:1: TIMESTAMP: the column is not in the header"),
        ("TIMESTAMP,ContextTokens\n" + ROW, "trace.csv:1: GeneratedTokens: the column is not in the header"),
        (
            "TIMESTAMP,TIMESTAMP,ContextTokens,GeneratedTokens\n",
            "trace.csv:1: TIMESTAMP: the column is named twice",
        ),
        (HEADER.encode() + b"\xff\xfe", "trace.csv:"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str | bytes, why: str) -> None:
    assert refusal(tmp_path, content).startswith(why)


def test_a_file_that_cannot_be_read_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(TraceRefused, match=r"nowhere\.csv: No such file or directory"):
        read_trace(tmp_path / "nowhere.csv")
    with pytest.raises(TraceRefused, match="Is a directory"):
        read_trace(tmp_path)


def test_a_trace_has_a_largest_number_of_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "ROWS_MAX", 2)

    assert len(read_trace(written(tmp_path, HEADER + ROW * 2))) == 2
    assert refusal(tmp_path, HEADER + ROW * 3) == "trace.csv:4: a trace holds at most 2 rows"


def test_a_trace_may_lie_in_twelve_months_and_no_more(tmp_path: Path) -> None:
    within = f"{HEADER}2023-01-31 00:00:00,1,1\n2023-12-31 23:59:59,1,1\n"
    beyond = f"{HEADER}2023-01-31 00:00:00,1,1\n2024-01-01 00:00:00,1,1\n"

    assert len(traced(written(tmp_path, within), seed=1).timeline.cycle_starts) == 13
    with pytest.raises(TraceRefused, match="TIMESTAMP: the rows lie in 13 months; at most 12 are played"):
        traced(written(tmp_path, beyond), seed=1)
