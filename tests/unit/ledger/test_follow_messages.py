"""Events are sent in messages that stay below what a server may send."""

import pytest

from ledger_service.application.ports import StoredEvent
from ledger_service.rpc.history import history_service
from ledger_service.rpc.history.history_service import split_by_size


def events(*sizes: int) -> list[StoredEvent]:
    """Return events whose states have these sizes."""
    return [StoredEvent(place + 1, "s", place + 1, "t", b"x" * size) for place, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([], [0]),
        ([10], [1]),
        ([4, 6], [2]),
        ([4, 7], [1, 1]),
        ([11, 1, 9, 1], [1, 2, 1]),
        ([11, 11], [1, 1]),
    ],
)
def test_a_part_holds_at_most_ten_bytes_or_one_event(
    monkeypatch: pytest.MonkeyPatch, sizes: list[int], parts: list[int]
) -> None:
    monkeypatch.setattr(history_service, "STATE_BYTES_PER_MESSAGE_MAX", 10)
    found = events(*sizes)

    split = split_by_size(found)

    assert [len(part) for part in split] == parts
    assert [event for part in split for event in part] == found
