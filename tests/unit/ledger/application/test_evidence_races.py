"""Commands whose evidence is read before they are decided, beside commands that change it: nothing is left out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, cast

import pytest

from ledger_service.application.ports import LogReader, StoredEvent
from ledger_service.application.procedures.reversals import reverse
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import AnyCommand, GrantCredits
from ledger_service.domain.events import DebitReversed
from ledger_service.domain.refusals import ReversalExceedsDebit
from ledger_service.domain.topics import decode_fact
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.state import debt_units, posted_units
from tests.breaks import Steps, Turns, in_every_order, stepped
from tests.builders import WALLET, debit, grant, open_wallet, recurring
from tests.unit.ledger.application.scenario import Shard, outcome, request


class StreamReader:
    """Reads the streams of a shard."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    async def read_stream(
        self, stream: str, *, after: int, limit: int, topics: Sequence[str] = ()
    ) -> list[StoredEvent]:
        found = [each for each in self._shard.events if each.stream == stream and each.version > after]
        return [each for each in found if not topics or each.topic in topics][:limit]

    async def read_versions(self, stream: str, versions: Sequence[int]) -> list[StoredEvent]:
        return [each for each in self._shard.events if each.stream == stream and each.version in versions]


async def take_back(writer: Writer, shard: Shard, version: int, units: int, steps: Steps) -> None:
    """Reverse a debit in a process of its own, unless nothing is left of it."""
    with suppress(ReversalExceedsDebit):
        await reverse(
            stepped(writer, steps),
            cast("LogReader", stepped(StreamReader(shard), steps)),
            wallet=WALLET,
            debit_version=version,
            amount_units=units,
            key=f"take back {units}",
            actor="tests",
        )


async def played(
    turns: Turns, units: int, *others: Callable[[Writer, Shard, int, Steps], Awaitable[object]]
) -> Shard:
    """Take back so much of a debit of 25 of which 10 were paid for, beside others who use the wallet."""
    shard = Shard()
    await shard.prepared(open_wallet(mode=ShortfallMode.ADVANCE), grant(10))
    async with shard.serving() as writer:
        version = outcome(await writer.submit(request(debit(25)))).version

        async def taking(steps: Steps) -> None:
            await take_back(writer, shard, version, units, steps)

        def beside(other: Callable[..., Awaitable[object]]) -> Any:
            return lambda steps: other(writer, shard, version, steps)

        await turns.run(taking, *map(beside, others))
    return shard


def given(command: AnyCommand) -> Callable[..., Awaitable[object]]:
    """Return a process that sends one command."""

    async def give(writer: Writer, shard: Shard, version: int, steps: Steps) -> None:
        del shard, version
        await stepped(writer, steps).submit(request(command))

    return give


@pytest.mark.parametrize("units", [0, 25])
@pytest.mark.parametrize("granted", [grant(6), grant(20), grant(5, recurrence=recurring("P1D", count=2))])
async def test_a_debit_is_taken_back_whole_while_a_grant_repays_its_debt(
    units: int, granted: GrantCredits
) -> None:
    async def play(turns: Turns) -> None:
        shard = await played(turns, units, given(granted))

        assert debt_units(shard.wallet()) == 0
        assert posted_units(shard.wallet()) == 10 + granted.amount_units

    await in_every_order(play)


async def test_of_two_who_take_all_of_a_debit_back_at_once_one_does() -> None:
    async def other(writer: Writer, shard: Shard, version: int, steps: Steps) -> None:
        await take_back(writer, shard, version, 25, steps)

    async def play(turns: Turns) -> None:
        shard = await played(turns, 0, other)

        assert (debt_units(shard.wallet()), posted_units(shard.wallet())) == (0, 10)
        facts = [decode_fact(each.topic, each.state) for each in shard.events]
        assert sum(isinstance(fact.event, DebitReversed) for fact in facts) == 1

    await in_every_order(play, switches_max=1)
