"""One suite for every limiter: in memory, and in Redis with its scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from fakeredis import FakeAsyncRedis, FakeServer

from rating_service.adapters.memory_limits import MemoryLimiter
from rating_service.adapters.redis_limits import RedisLimiter
from rating_service.application.authorizing.authorization_ports import Limiter
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.authorizing.rate_windows import Share, Standing

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest_asyncio.fixture(params=["memory", "redis"])
async def limiter(request: pytest.FixtureRequest) -> AsyncIterator[Limiter]:
    """A limiter with nothing taken."""
    if request.param == "memory":
        yield MemoryLimiter()
        return
    redis = RedisLimiter(FakeAsyncRedis())
    yield redis
    await redis.close()


async def take(
    limiter: Limiter, *shares: Share, entry: str, now: datetime = NOW, takes: bool = True
) -> list[Standing]:
    """Return how the shares stand after a decision."""
    return list((await limiter.decide(shares, entry=entry, now=now, takes=takes)).standings)


async def used(limiter: Limiter, name: str = "w", now: datetime = NOW) -> int:
    """Return what is used of a window."""
    [standing] = await take(limiter, Share(name, 0, 0), entry="reader", now=now, takes=False)
    return standing.used


async def test_a_window_lets_through_its_limit_and_not_one_more(limiter: Limiter) -> None:
    for at in range(3):
        assert await take(limiter, Share("w", 3, 1), entry=f"r{at}") == [Standing(True, at + 1)]

    assert await take(limiter, Share("w", 3, 1), entry="r3") == [Standing(False, 3, MINUTE)]
    assert await used(limiter) == 3


@pytest.mark.parametrize(("amount", "fits"), [(39, True), (40, True), (41, False)])
async def test_amounts_count_to_the_unit(limiter: Limiter, amount: int, fits: bool) -> None:
    await take(limiter, Share("w", 100, 60), entry="first")

    [standing] = await take(limiter, Share("w", 100, amount), entry="second")

    assert standing.fits is fits
    assert await used(limiter) == (60 + amount if fits else 60)


async def test_what_was_taken_counts_for_a_minute_to_the_microsecond(limiter: Limiter) -> None:
    await take(limiter, Share("w", 1, 1), entry="first")

    last = NOW + MINUTE - MICROSECOND
    assert await take(limiter, Share("w", 1, 1), entry="second", now=last) == [
        Standing(False, 1, MICROSECOND)
    ]
    assert await take(limiter, Share("w", 1, 1), entry="third", now=NOW + MINUTE) == [Standing(True, 1)]


async def test_the_wait_is_until_enough_has_gone(limiter: Limiter) -> None:
    for at, amount in enumerate((10, 20, 30)):
        await take(limiter, Share("w", 60, amount), entry=f"r{at}", now=NOW + at * SECOND)
    now = NOW + 3 * SECOND

    waits = [
        (await take(limiter, Share("w", 60, amount), entry="asks", now=now))[0].wait
        for amount in (10, 11, 30, 31, 60, 61)
    ]

    assert waits == [57 * SECOND, 58 * SECOND, 58 * SECOND, 59 * SECOND, 59 * SECOND, None]


async def test_either_all_windows_give_or_none(limiter: Limiter) -> None:
    await take(limiter, Share("b", 1, 1), entry="first")

    standings = await take(limiter, Share("a", 5, 1), Share("b", 1, 1), Share("c", 5, 1), entry="second")

    assert [standing.fits for standing in standings] == [True, False, True]
    assert [await used(limiter, name) for name in "abc"] == [0, 1, 0]


async def test_looking_takes_nothing(limiter: Limiter) -> None:
    assert await take(limiter, Share("w", 1, 1), entry="first", takes=False) == [Standing(True, 0)]
    assert await used(limiter) == 0


async def test_a_retry_takes_nothing_again_and_always_fits(limiter: Limiter) -> None:
    first = await limiter.decide([Share("w", 1, 1)], entry="once", now=NOW, takes=True)
    again = await limiter.decide([Share("w", 1, 1)], entry="once", now=NOW, takes=True)

    assert (first.is_fresh, again.is_fresh) == (True, False)
    assert first.standings == again.standings == (Standing(True, 1),)


async def test_what_is_given_back_makes_room_once(limiter: Limiter) -> None:
    await take(limiter, Share("w", 10, 4), entry="first")
    await take(limiter, Share("w", 10, 5), entry="second")

    for _ in range(2):
        await limiter.give_back(["w", "never used"], entry="first")

    assert await used(limiter) == 5


@pytest.mark.parametrize(("actual", "left"), [(0, 0), (5, 5), (6, 6), (7, 7), (60, 60)])
async def test_the_actual_takes_the_place_of_the_estimate_once(
    limiter: Limiter, actual: int, left: int
) -> None:
    await take(limiter, Share("w", 10, 6), entry="first")

    for _ in range(2):
        await limiter.correct("w", entry="first", estimated=6, actual=actual, now=NOW)

    assert await used(limiter) == left


async def test_a_surplus_counts_from_when_it_was_told(limiter: Limiter) -> None:
    await take(limiter, Share("w", 10, 6), entry="first")
    later = NOW + 30 * SECOND

    await limiter.correct("w", entry="first", estimated=6, actual=8, now=later)

    assert await used(limiter, now=NOW + MINUTE - MICROSECOND) == 8
    assert await used(limiter, now=NOW + MINUTE) == 2
    assert await used(limiter, now=later + MINUTE) == 0


async def test_a_window_that_is_overdrawn_still_lets_nothing_through_for_nothing(limiter: Limiter) -> None:
    await limiter.correct("w", entry="first", estimated=0, actual=20, now=NOW)

    assert await take(limiter, Share("w", 10, 0), entry="free") == [Standing(True, 20)]
    assert await take(limiter, Share("w", 10, 1), entry="one") == [Standing(False, 20, MINUTE)]


async def test_no_limit_is_no_question(limiter: Limiter) -> None:
    assert await take(limiter, entry="first") == []


async def test_a_redis_that_is_away_lets_nothing_through() -> None:
    limiter = RedisLimiter.at("redis://127.0.0.1:1/0")

    with pytest.raises(RequestRefused) as refused:
        await limiter.decide([Share("w", 1, 1)], entry="first", now=NOW, takes=True)

    assert refused.value.reason is RequestReason.LIMITS_UNAVAILABLE
    await limiter.close()


async def test_instances_on_one_redis_share_their_limits() -> None:
    server = FakeServer()
    limiters = [RedisLimiter(FakeAsyncRedis(server=server)) for _ in range(3)]

    decisions = await asyncio.gather(
        *(
            limiters[at % 3].decide(
                [Share("a", 40, 1), Share("b", 1_000, 1)], entry=f"r{at}", now=NOW, takes=True
            )
            for at in range(200)
        )
    )

    assert sum(decision.is_fresh for decision in decisions) == 40
    assert [await used(limiters[0], name) for name in "ab"] == [40, 40]
    for limiter in limiters:
        await limiter.close()
