"""Builds what takes usage in from its parts. Beside `bootstrap`, which knows every other concrete class."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import NamedTuple

import grpc

from rating_service.adapters.clocks import SystemClock
from rating_service.adapters.ledger.ledger_client import LedgerClient
from rating_service.adapters.ledger.ledger_holds import LedgerHolds
from rating_service.adapters.ledger.ledger_messages import charge_message
from rating_service.adapters.ledger.wallet_client import WalletClient
from rating_service.adapters.memory_limits import MemoryLimiter
from rating_service.adapters.postgres.postgres_pool import Pool
from rating_service.adapters.postgres.quarantine_store import PostgresQuarantineStore, PostgresRecordedUsage
from rating_service.adapters.postgres.stream_store import PostgresStreamStore
from rating_service.adapters.redis_limits import RedisLimiter
from rating_service.application.authorizing.authorization_ports import Limiter
from rating_service.application.authorizing.authorize import Authorizing
from rating_service.application.authorizing.settle import Settling
from rating_service.application.metering.intake import UsageIntake
from rating_service.application.metering.quarantine import Quarantine
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.metering.stream_usage import StreamMetering
from rating_service.projections.follower import Follower
from rating_service.rpc.causes import cause_of
from rating_service.rpc.rating_servicer import RatingServicer
from rating_service.rpc.usage_messages import read_stored
from rating_service.settings import Settings


class UsageParts(NamedTuple):
    """What takes usage in."""

    servicer: RatingServicer
    streams: StreamMetering


def build_usage(
    settings: Settings,
    pool: Pool,
    channel: grpc.aio.Channel,
    ledger: LedgerClient,
    follower: Follower,
    limiter: Limiter,
) -> UsageParts:
    """Return the parts that take usage in."""
    clock = ledger if settings.sandbox else SystemClock()
    rating = UsageRating(ledger=ledger, history=follower)
    entries = PostgresQuarantineStore(pool)
    intake = UsageIntake(
        rating=rating,
        store=entries,
        ledger=ledger,
        history=follower,
        clock=clock,
        max_lateness=settings.max_lateness,
        cause_of=cause_of,
    )
    streams = StreamMetering(
        rating=rating,
        intake=intake,
        store=PostgresStreamStore(pool),
        holds=LedgerHolds(channel),
        clock=clock,
        read=read_stored,
        cause_of=cause_of,
    )
    wallets = WalletClient(channel)
    servicer = RatingServicer(
        rating,
        authorizing=Authorizing(
            wallets=wallets, history=follower, limiter=limiter, clock=clock, rating=rating
        ),
        settling=Settling(
            ledger=ledger,
            wallets=wallets,
            limiter=limiter,
            clock=clock,
            rating=rating,
        ),
        intake=intake,
        quarantine=Quarantine(
            rating=rating,
            store=entries,
            recorded=PostgresRecordedUsage(pool),
            ledger=ledger,
            history=follower,
            read=read_stored,
            cause_of=cause_of,
        ),
        streams=streams,
        charge_message=charge_message,
    )
    return UsageParts(servicer, streams)


def open_limiter(settings: Settings, stack: AsyncExitStack) -> Limiter:
    """Return what counts rate limits: Redis if several instances share them, else this process."""
    if settings.limits_url is None:
        return MemoryLimiter()
    limiter = RedisLimiter.at(settings.limits_url)
    stack.push_async_callback(limiter.close)
    return limiter
