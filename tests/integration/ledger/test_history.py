"""The log over the wire: followed, read in pages, replayed to a microsecond, and summed into statements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from credits.ledger.v1 import (
    finance_service_pb2,
    history_service_pb2,
    money_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from tests.integration.ledger.client import (
    CALL_SECONDS,
    DEBITED,
    GRANTED,
    Client,
    instant_of,
    send,
    timestamp,
)
from tests.servers import LedgerServer, wait_until

MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
Message = history_service_pb2.FollowEventsResponse


@asynccontextmanager
async def following(
    client: Client, *, after: int = 0, topics: tuple[str, ...] = ()
) -> AsyncIterator[AsyncIterator[Message]]:
    """Yield what FollowEvents sends, and cancel the call in the end."""
    request = history_service_pb2.FollowEventsRequest(after_position=after, topics=topics)
    call: Any = client.history.FollowEvents(request, timeout=CALL_SECONDS)
    try:
        yield aiter(call)
    finally:
        call.cancel()


async def events_through(messages: AsyncIterator[Message], position: int) -> list[history_service_pb2.Event]:
    """Return the events sent until the stream says that it has passed a position."""
    events: list[history_service_pb2.Event] = []
    async for message in messages:
        events += message.events
        if message.position >= position:
            return events
    raise AssertionError("the stream ended")


async def test_following_begins_after_the_position_that_it_is_given(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    first, second, third = [await ledger.grant(wallet, units) for units in (1, 2, 3)]

    async with following(ledger, after=first.position) as messages:
        events = await events_through(messages, third.position)

    assert [event.position for event in events] == [second.position, third.position]
    assert [event.stream for event in events] == [wallet, wallet]


async def test_followed_events_have_their_topics_only_and_the_position_moves_past_the_others(
    ledger: Client,
) -> None:
    wallet = await ledger.open_wallet()
    granted = await ledger.grant(wallet, 10)
    debited = await ledger.debit(wallet, 4)
    last = await ledger.grant(wallet, 1)

    async with following(ledger, after=granted.position - 1, topics=(DEBITED,)) as messages:
        events = await events_through(messages, last.position)
        message = await anext(messages) if not events else None

    assert message is None
    assert [(event.position, event.topic) for event in events] == [(debited.position, DEBITED)]


async def test_an_idle_filtered_stream_tells_how_far_the_log_has_come(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    granted = await ledger.grant(wallet, 10)

    async with following(ledger, after=granted.position, topics=(DEBITED,)) as messages:
        first = await anext(messages)
        other = await ledger.grant(wallet, 1)
        second = await anext(messages)

    assert (first.position, list(first.events)) == (granted.position, [])
    assert (second.position, list(second.events)) == (other.position, [])
    assert second.head_position == other.position


async def test_a_follower_sees_the_order_of_the_log_while_eight_writers_write(ledger: Client) -> None:
    wallets = [await ledger.open_wallet(granted_units=1_000) for _ in range(8)]
    begin = (await ledger.grant(wallets[0], 1)).position

    async def write(wallet: str) -> int:
        return max([(await ledger.debit(wallet, 1)).position for _ in range(40)])

    async with following(ledger, after=begin) as messages:
        writing = asyncio.gather(*map(write, wallets))
        events = await events_through(messages, begin + 8 * 40)
        last = max(await writing)

    assert last == begin + 8 * 40
    assert [event.position for event in events] == list(range(begin + 1, last + 1))
    for wallet in wallets:
        versions = [event.version for event in events if event.stream == wallet]
        assert all(later == earlier + 1 for earlier, later in pairwise(versions))


async def test_an_idle_stream_shows_that_it_is_alive(ledger: Client) -> None:
    head = (await ledger.grant(await ledger.open_wallet(), 1)).position

    async with asyncio.timeout(CALL_SECONDS), following(ledger, after=head) as messages:
        first, second = await anext(messages), await anext(messages)

    assert list(first.events) == list(second.events) == []
    assert first.position == second.position == head


async def test_a_client_that_cancels_ends_its_stream_at_the_server(
    ledger: Client, running_ledger: LedgerServer
) -> None:
    def cancelled() -> int:
        return sum(
            line.get("method") == "HistoryService/FollowEvents" and line["code"] == "CANCELLED"
            for line in running_ledger.lines()
        )

    before = cancelled()
    async with following(ledger) as messages:
        await anext(messages)

    await asyncio.to_thread(wait_until, lambda: cancelled() == before + 1, "the end of the stream")
    assert await ledger.serves()


async def read(client: Client, **fields: Any) -> history_service_pb2.ReadEventsResponse:
    """Read a page of events."""
    response: history_service_pb2.ReadEventsResponse = await send(
        client.history.ReadEvents, history_service_pb2.ReadEventsRequest(**fields)
    )
    return response


async def test_pages_of_a_stream_meet_without_gap_or_overlap(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100)
    for _ in range(5):
        await ledger.debit(wallet, 1)
    pages = [
        [event.version for event in (await read(ledger, stream=wallet, after=after, page_size=3)).events]
        for after in (0, 3, 6, 7)
    ]

    assert pages == [[1, 2, 3], [4, 5, 6], [7], []]


async def test_pages_of_the_log_meet_without_gap_or_overlap(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    begin = (await ledger.grant(wallet, 100)).position
    for _ in range(4):
        await ledger.debit(wallet, 1)

    first = await read(ledger, after=begin, page_size=2)
    second = await read(ledger, after=begin + 2, page_size=2)

    assert [event.position for event in first.events] == [begin + 1, begin + 2]
    assert [event.position for event in second.events] == [begin + 3, begin + 4]
    assert first.head_position == second.head_position == begin + 4


async def test_a_page_of_topics_is_filled_from_behind_what_is_filtered_out(ledger: Client) -> None:
    wallet = await ledger.open_wallet()
    for _ in range(3):
        await ledger.grant(wallet, 1)
        await ledger.debit(wallet, 1)

    page = await read(ledger, stream=wallet, page_size=2, topics=[DEBITED])

    assert [event.version for event in page.events] == [3, 5]


async def replayed(client: Client, wallet: str, **times: datetime) -> tuple[int, int]:
    """Return the posted units and the number of events of a replay."""
    fields = {f"as_of_{clock}_time": timestamp(instant) for clock, instant in times.items()}
    request = history_service_pb2.ReplayWalletRequest(name=wallet, **fields)
    response = await send(client.history.ReplayWallet, request)
    return response.balance.posted_units, response.event_count


async def test_a_replay_counts_what_was_effective_and_known_at_its_instants_to_the_microsecond(
    sandbox: Client,
) -> None:
    begin = await sandbox.clock() + SECOND
    await sandbox.advance(begin)
    wallet = await sandbox.open_wallet(granted_units=100)
    used, learned = begin + 5 * SECOND, begin + 10 * SECOND
    await sandbox.advance(learned)
    await sandbox.debit(wallet, 30, effective_time=timestamp(used))

    assert await replayed(sandbox, wallet) == (70, 3)
    assert await replayed(sandbox, wallet, effective=used, record=learned) == (70, 3)
    assert await replayed(sandbox, wallet, effective=used - MICROSECOND) == (100, 2)
    assert await replayed(sandbox, wallet, record=learned - MICROSECOND) == (100, 2)
    assert await replayed(sandbox, wallet, effective=begin, record=begin) == (100, 2)
    assert await replayed(sandbox, wallet, effective=begin - MICROSECOND) == (0, 1)


async def test_a_replay_shows_a_lot_until_the_microsecond_of_its_expiry(sandbox: Client) -> None:
    begin = await sandbox.clock() + SECOND
    await sandbox.advance(begin)
    wallet = await sandbox.open_wallet()
    expiry = begin + SECOND
    await sandbox.grant(wallet, 40, expire_time=timestamp(expiry))
    await sandbox.advance(expiry + DAY)
    await sandbox.grant(wallet, 1)

    assert await replayed(sandbox, wallet, effective=expiry - MICROSECOND) == (40, 2)
    assert await replayed(sandbox, wallet, effective=expiry) == (0, 3)
    # Nobody had recorded the expiry yet, but it was known from the grant.
    assert await replayed(sandbox, wallet, effective=expiry, record=begin) == (0, 2)
    assert await replayed(sandbox, wallet) == (1, 4)


async def statement(
    client: Client, wallet: str, **fields: Any
) -> wallet_service_pb2.ListStatementLinesResponse:
    """Return a page of a statement."""
    request = wallet_service_pb2.ListStatementLinesRequest(name=wallet, **fields)
    response: wallet_service_pb2.ListStatementLinesResponse = await send(
        client.wallets.ListStatementLines, request
    )
    return response


async def test_pages_of_a_statement_carry_the_running_balance_on(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100)
    for units in (10, 20, 30):
        await ledger.debit(wallet, units)
    lines: list[wallet_pb2.StatementLine] = []
    sizes: list[int] = []
    token = ""
    while token or not sizes:
        page = await statement(ledger, wallet, page_size=2, page_token=token)
        lines += page.lines
        sizes.append(len(page.lines))
        token = page.next_page_token

    assert sizes == [2, 2, 1]
    assert [line.version for line in lines] == [1, 2, 3, 4, 5]
    assert [line.change_units for line in lines] == [0, 100, -10, -20, -30]
    assert [line.posted_units for line in lines] == [0, 100, 90, 70, 40]


async def test_the_last_page_of_a_statement_has_no_token_even_when_it_is_full(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100)

    assert len((await statement(ledger, wallet, page_size=2)).lines) == 2
    assert (await statement(ledger, wallet, page_size=2)).next_page_token == ""


async def test_a_statement_holds_its_first_instant_and_not_its_last(sandbox: Client) -> None:
    begin = await sandbox.clock() + SECOND
    await sandbox.advance(begin)
    wallet = await sandbox.open_wallet(granted_units=100)
    for number in range(1, 4):
        await sandbox.advance(begin + number * SECOND)
        await sandbox.debit(wallet, number)

    async def changes(from_time: datetime, to_time: datetime) -> list[int]:
        span = {"from_time": timestamp(from_time), "to_time": timestamp(to_time)}
        return [line.change_units for line in (await statement(sandbox, wallet, **span)).lines]

    assert await changes(begin + SECOND, begin + 3 * SECOND) == [-1, -2]
    assert await changes(begin + SECOND + MICROSECOND, begin + 3 * SECOND + MICROSECOND) == [-2, -3]
    assert await changes(begin + SECOND, begin + SECOND + MICROSECOND) == [-1]
    lines = (await statement(sandbox, wallet, from_time=timestamp(begin + 2 * SECOND))).lines
    assert lines[0].posted_units == 97, "the balance counts what lies before the span"


async def roll_forward(
    client: Client, first_day: datetime, days: int, currency_code: str, min_position: int
) -> finance_service_pb2.GetRollForwardResponse:
    """Return the roll-forward of some days."""
    request = finance_service_pb2.GetRollForwardRequest(
        from_time=timestamp(first_day),
        to_time=timestamp(first_day + days * DAY),
        currency_code=currency_code,
        min_position=min_position,
    )
    response: finance_service_pb2.GetRollForwardResponse = await send(client.finance.GetRollForward, request)
    return response


def figures(row: finance_service_pb2.RollForwardRow) -> tuple[int, int, int, int, int]:
    """Return opening, billings, usage, breakage and closing, which must tie."""
    amounts = (row.opening, row.billings, row.recognised_usage, row.recognised_breakage, row.closing)
    opening, billings, usage, breakage, closing = (amount.nanos for amount in amounts)
    assert opening + billings - usage - breakage == closing
    return opening, billings, usage, breakage, closing


async def test_a_roll_forward_ties_on_every_day_and_ends_at_zero_when_all_is_used_or_expired(
    sandbox: Client,
) -> None:
    clock = await sandbox.clock()
    first_day = clock.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
    await sandbox.advance(first_day)
    wallet = await sandbox.open_wallet()
    price = money_pb2.Money(currency_code="XTS", nanos=10_000_000_001)
    expiry = timestamp(first_day + 2 * DAY)
    await sandbox.grant(wallet, 3, consideration=price, expire_time=expiry)
    await sandbox.advance(first_day + DAY)
    await sandbox.debit(wallet, 2)
    await sandbox.advance(first_day + 3 * DAY)
    last = await sandbox.grant(wallet, 1, consideration=price)

    response = await roll_forward(sandbox, first_day, 4, "XTS", last.position)

    days = [figures(row) for row in response.days]
    usage = 10_000_000_001 * 2 // 3
    breakage = 10_000_000_001 - usage
    assert days == [
        (0, 10_000_000_001, 0, 0, 10_000_000_001),
        (10_000_000_001, 0, usage, 0, breakage),
        (breakage, 0, 0, breakage, 0),
        (0, 10_000_000_001, 0, 0, 10_000_000_001),
    ]
    assert figures(response.total) == (0, 20_000_000_002, usage, breakage, 10_000_000_001)
    assert [instant_of(row.from_time) for row in response.days] == [first_day + n * DAY for n in range(4)]
    assert response.position >= last.position


async def test_grants_are_listed_as_of_a_write_and_settled_up_to_now(sandbox: Client) -> None:
    begin = await sandbox.clock() + SECOND
    await sandbox.advance(begin)
    wallet = await sandbox.open_wallet()
    expiring = await sandbox.grant(wallet, 10, expire_time=timestamp(begin + SECOND))
    await sandbox.grant(wallet, 5)
    debited = await sandbox.debit(wallet, 4)

    async def listed() -> list[tuple[int, int, int]]:
        request = wallet_service_pb2.ListGrantsRequest(name=wallet, min_position=debited.position)
        response = await send(sandbox.wallets.ListGrants, request)
        assert response.position >= debited.position
        return [(each.drawn_units, each.expired_units, each.remaining_units) for each in response.grants]

    assert expiring.grant.remaining_units == 10
    assert await listed() == [(4, 0, 6), (0, 0, 5)]
    await sandbox.advance(begin + SECOND)
    assert await listed() == [(4, 6, 0), (0, 0, 5)]


async def test_the_first_events_of_a_wallet_are_told_in_its_statement(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=3)

    lines = (await statement(ledger, wallet)).lines

    assert [line.topic for line in lines] == ["wallet.WalletOpened.v1", GRANTED]
    assert all(line.description for line in lines)


async def test_without_certificates_the_actor_is_whom_the_caller_says_in_100_characters(
    ledger: Client,
) -> None:
    wallet = await ledger.open_wallet(granted_units=10)

    await ledger.debit_as("billing", wallet, 1, "k-1")
    await ledger.debit_as("b" * 101, wallet, 1, "k-2")

    assert await ledger.actors(wallet) == ["", "", "billing", "b" * 100]
