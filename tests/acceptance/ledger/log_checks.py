"""Checks of a log as any auditor could make them: from the answers of ReadEvents and the protos alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from credits.ledger.v1.history_service_pb2 import Event
from tests.integration.ledger.client import DEBITED

GENESIS_HASH = "0" * 64


def state_of(event: Event) -> dict[str, Any]:
    """Return an event's JSON text as data."""
    state: dict[str, Any] = msgspec.json.decode(event.state)
    return state


def check_order_and_hashes(log: Sequence[Event]) -> None:
    """Fail unless positions and versions have no gap and each event holds the hash of the one before it."""
    assert [event.position for event in log] == list(range(1, len(log) + 1))
    heads: dict[str, tuple[int, str]] = {}
    for event in log:
        version, head_hash = heads.get(event.stream, (0, GENESIS_HASH))
        assert event.version == version + 1, event
        assert state_of(event)["previous_hash"] == head_hash, event
        prefix = f"{event.stream}\n{event.version}\n{event.topic}\n".encode()
        heads[event.stream] = (event.version, sha256(prefix + event.state).hexdigest())


def debits_by_key(log: Sequence[Event]) -> dict[str, int]:
    """Return the units of each debit by its key. Fails if a key was used twice."""
    debits = [state_of(event) for event in log if event.topic == DEBITED]
    count = Counter(state["idempotency_key"] for state in debits)
    assert not [key for key, times in count.items() if times > 1]
    return {state["idempotency_key"]: int(state["event"]["amount_units"]) for state in debits}
