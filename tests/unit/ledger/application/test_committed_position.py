"""Watchers are woken for their own stream, for all on doubt, and are bounded."""

from __future__ import annotations

import contextlib

import pytest

from ledger_service.application.writing.committed_position import WATCHERS_MAX, CommittedPosition
from ledger_service.domain.refusals.service import WatchersFull


def test_a_commit_wakes_the_watchers_of_the_streams_it_touched() -> None:
    committed = CommittedPosition()
    with (
        committed.watch("wallets/a") as first,
        committed.watch("wallets/a") as second,
        committed.watch("wallets/b") as other,
    ):
        committed.move(7, {"wallets/a", "wallets/c"})

        assert (first.is_set(), second.is_set(), other.is_set()) == (True, True, False)
    assert committed.value == 7


def test_a_move_for_reasons_unknown_wakes_every_watcher() -> None:
    committed = CommittedPosition()
    with committed.watch("wallets/a") as first, committed.watch("wallets/b") as second:
        committed.move(7)

        assert (first.is_set(), second.is_set()) == (True, True)


def test_watchers_are_bounded_and_one_that_ends_makes_room() -> None:
    committed = CommittedPosition()
    with contextlib.ExitStack() as stack:
        for number in range(WATCHERS_MAX - 1):
            stack.enter_context(committed.watch(f"wallets/w-{number % 10}"))
        with committed.watch("wallets/last"), pytest.raises(WatchersFull), committed.watch("wallets/more"):
            pass
        with committed.watch("wallets/more"):
            pass
