"""Rate limits in Redis, for several instances of the service: the same windows, each decision one script.

Amounts beyond 2^53 lose their last digits, because scripts count in doubles. When Redis is away, nothing is let
through: LIMITS_UNAVAILABLE.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.authorizing.rate_windows import Decision, Share, Standing, surplus_entry

CALL_SECONDS_MAX: Final = 2.0
"""How long Redis may take to answer."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class RedisLimiter:
    """Limiter on a Redis server or cluster of one contract a slot."""

    def __init__(self, redis: Redis) -> None:
        """Use a connected client."""
        self._redis = redis
        self._decide = redis.register_script(_text("redis_limits.lua"))
        self._change = redis.register_script(_text("redis_limits_change.lua"))

    @classmethod
    def at(cls, url: str) -> RedisLimiter:
        """Return a limiter at redis://host:port/database, rediss:// or unix://. Nothing is called yet."""
        return cls(
            Redis.from_url(url, socket_timeout=CALL_SECONDS_MAX, socket_connect_timeout=CALL_SECONDS_MAX)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def decide(self, shares: Sequence[Share], *, entry: str, now: datetime, takes: bool) -> Decision:
        """Take the shares if every window has room and `takes`. Refuses LIMITS_UNAVAILABLE."""
        if not shares:
            return Decision((), is_fresh=False)
        arguments: list[str | int] = [_microseconds(now), entry, int(takes)]
        for share in shares:
            arguments += [share.limit, share.amount]
        keys = [key for share in shares for key in _keys(share.window)]
        is_fresh, *figures = await self._run(self._decide, keys, arguments)
        standings = tuple(
            Standing(bool(fits), used, None if wait < 0 else timedelta(microseconds=wait))
            for fits, used, wait in zip(*[iter(figures)] * 3, strict=True)
        )
        return Decision(standings, bool(is_fresh))

    async def give_back(self, names: Iterable[str], *, entry: str) -> None:
        """Forget what an entry took. Refuses LIMITS_UNAVAILABLE."""
        for name in names:
            await self._run(self._change, _keys(name), [entry, 0, "give_back"])

    async def correct(self, name: str, *, entry: str, estimated: int, actual: int, now: datetime) -> None:
        """Put the actual amount in place of the estimate, once. Refuses LIMITS_UNAVAILABLE."""
        arguments: list[str | int] = [
            entry,
            _microseconds(now),
            "correct",
            estimated,
            actual,
            surplus_entry(entry),
        ]
        await self._run(self._change, _keys(name), arguments)

    async def _run(self, script: AsyncScript, keys: list[str], arguments: Sequence[str | int]) -> Any:
        try:
            return await script(keys=keys, args=arguments)
        except (RedisError, OSError) as cause:
            raise RequestRefused(
                RequestReason.LIMITS_UNAVAILABLE, "the store of rate limits cannot be reached; try again"
            ) from cause


def _keys(window: str) -> list[str]:
    return [f"{window}/{part}" for part in ("order", "amounts", "sum")]


def _microseconds(now: datetime) -> int:
    return (now - _EPOCH) // _MICROSECOND


def _text(name: str) -> str:
    return (files("rating_service.adapters") / name).read_text("utf-8")
