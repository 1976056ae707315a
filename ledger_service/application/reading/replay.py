"""Replay: folding a wallet's stream up to an instant on either clock ("what did we know then?")."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.application.ports import LogReader
from ledger_service.application.reading.balance import Balance, balance_at
from ledger_service.domain.events import (
    Event,
    Fact,
    GrantActivated,
    GrantChargedBack,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    ReceivableLowered,
    WalletOpened,
)
from ledger_service.domain.refusals import AsOfOverdrawn, WalletNotFound
from ledger_service.domain.topics import decode_fact
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.state import Wallet

EVENTS_PER_READ = 1_000
ABOUT_A_GRANT = (
    GrantActivated | GrantRevoked | GrantRefunded | GrantExpiryExtended | GrantChargedBack | ReceivableLowered
)


class Replay(msgspec.Struct, frozen=True):
    """What a replay gave, and how many events it folded."""

    balance: Balance
    event_count: int


async def replay_wallet(
    reader: LogReader, name: str, *, effective_until: datetime, recorded_until: datetime, feature: str = ""
) -> Replay:
    """Fold what is effective at or before one instant and was recorded at or before another.

    Draws are stored with each debit, so leaving later facts out changes nothing about earlier ones.
    Raises WalletNotFound if the wallet had not been opened by then, AsOfOverdrawn.
    """
    wallet: Wallet | None = None
    version = event_count = 0
    left_out: set[int] = set()
    while True:
        events = await reader.read_stream(name, after=version, limit=EVENTS_PER_READ)
        for stored in events:
            version = stored.version
            fact = decode_fact(stored.topic, stored.state)
            if fact.record_time > recorded_until:
                continue
            if _counts(fact, effective_until, left_out):
                wallet = _fold(wallet, fact, stored.version, left_out)
                event_count += 1
            else:
                left_out.add(stored.version)
        if len(events) < EVENTS_PER_READ:
            break
    if wallet is None:
        raise WalletNotFound(f"{name} does not exist at {recorded_until.isoformat()}", field="name")
    return Replay(balance_at(name, wallet, effective_until, feature=feature), event_count)


def _fold(wallet: Wallet | None, fact: Fact[Event], version: int, left_out: set[int]) -> Wallet:
    try:
        return evolve(wallet, fact, version)
    except AssertionError as error:
        # The whole history folds; part of it may not, where a backdated fact used what came free only later.
        if not left_out:
            raise
        raise AsOfOverdrawn(
            f"event {version} is backdated and uses credit that was held or spent at that instant; "
            "ask for an instant on the record clock instead",
            field="as_of_time",
            version=version,
        ) from error


def _counts(fact: Fact[Event], effective_until: datetime, left_out: set[int]) -> bool:
    """Say whether a fact counts; what concerns a grant that is not yet effective waits with it."""
    event = fact.event
    if isinstance(event, ABOUT_A_GRANT):
        return fact.effective_time <= effective_until and event.grant_version not in left_out
    return fact.effective_time <= effective_until or isinstance(event, WalletOpened)
