"""Laws of a group: one that succeeds is the same debits one by one, one that fails is nothing."""

import asyncio
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.writing.calls import Outcome, Result
from ledger_service.domain.commands import Request
from ledger_service.domain.refusals.service import GroupRefused
from ledger_service.domain.values import ShortfallMode
from tests.builders import debit, grant, open_wallet
from tests.unit.ledger.application.scenario import Shard, request

Item = tuple[int, str, bool]
"""Units, feature, and whether it takes what there is."""

items = st.lists(
    st.tuples(st.integers(min_value=0, max_value=6), st.sampled_from(["", "chat"]), st.booleans()),
    min_size=1,
    max_size=6,
)


async def prepared(mode: ShortfallMode, lots: list[int]) -> Shard:
    """Return a shard with a wallet of some lots, every second one for a feature only."""
    shard = Shard()
    await shard.prepared(
        open_wallet(mode=mode, overage_limit_units=5),
        *(grant(units, scope=("chat",) if place % 2 else ()) for place, units in enumerate(lots)),
    )
    return shard


def copy_of(shard: Shard) -> Shard:
    """Return another shard with the same events, down to their keys."""
    other = Shard()
    other.events, other.keys = list(shard.events), dict(shard.keys)
    return other


def requests(chosen: list[Item]) -> list[Request]:
    """Return the debits, each under the key of its place."""
    numbers = count()
    return [
        request(debit(units, feature=feature, take_available=take), f"item-{next(numbers)}")
        for units, feature, take in chosen
    ]


async def one_by_one(shard: Shard, chosen: list[Item]) -> list[Result]:
    """Send the debits as single items."""
    async with shard.serving() as writer:
        return await writer.submit_many(requests(chosen))


async def as_group(shard: Shard, chosen: list[Item]) -> list[Result]:
    """Send the debits as one group."""
    async with shard.serving() as writer:
        return await writer.submit_many(requests(chosen), [range(len(chosen))])


@given(st.sampled_from(ShortfallMode), st.lists(st.integers(min_value=1, max_value=9), max_size=3), items)
def test_a_group_is_its_debits_one_by_one_or_nothing(
    mode: ShortfallMode, lots: list[int], chosen: list[Item]
) -> None:
    singly = asyncio.run(prepared(mode, lots))
    grouped = copy_of(singly)
    before = list(grouped.events)

    expected, got = asyncio.run(one_by_one(singly, chosen)), asyncio.run(as_group(grouped, chosen))

    if all(isinstance(answer, Outcome) for answer in expected):
        assert got == expected
        assert grouped.events == singly.events
        assert grouped.wallet() == singly.wallet()
    else:
        # The first that fails alone fails in the group: until there both have seen the same states.
        failed = next(place for place, answer in enumerate(expected) if not isinstance(answer, Outcome))
        assert [type(answer) for answer in got] == [
            type(expected[failed]) if place == failed else GroupRefused for place in range(len(chosen))
        ]
        assert grouped.events == before
