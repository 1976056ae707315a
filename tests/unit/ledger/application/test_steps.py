"""Commands of several steps whose caller's process ends at any of them, or that are sent twice at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from hashlib import sha256
from typing import Final, cast

import pytest

from ledger_service.application.ports import LogReader, StoredEvent
from ledger_service.application.procedures import top_ups
from ledger_service.application.procedures.accounting import close_period
from ledger_service.application.reporting.finance_ports import FinanceViews
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import RequestTopUp, SettleTopUp
from ledger_service.domain.events import (
    AccountingPeriodClosed,
    AccountingPeriodLocked,
    CreditsExpired,
    CreditsGranted,
    Event,
    TopUpOutcome,
)
from ledger_service.domain.refusals import PeriodAlreadyClosed, TopUpAlreadySettled
from ledger_service.domain.topics import decode_fact
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.state import posted_units
from tests.breaks import Breaks, Killed, Steps, Turns, at_every_break, in_every_order, stepped
from tests.builders import WALLET, after, grant, open_wallet
from tests.unit.ledger.application.scenario import Shard

PERIOD: Final = "accountingPeriods/default"
FROM_DAY, TO_DAY = date(2026, 3, 1), date(2026, 4, 1)
LOCKED: Final = AccountingPeriodLocked(FROM_DAY, TO_DAY)


class Log:
    """Reads a shard: its streams, and what a view would tell of its periods."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    async def read_stream(
        self, stream: str, *, after: int, limit: int, topics: Sequence[str] = ()
    ) -> list[StoredEvent]:
        found = [each for each in self._shard.events if each.stream == stream and each.version > after]
        return [each for each in found if not topics or each.topic in topics][:limit]

    async def due_wallets(
        self, *, before: date, entity: str, after: str = "", limit: int, min_position: int
    ) -> tuple[str, ...]:
        assert (before, entity) == (TO_DAY, "default")
        assert min_position <= len(self._shard.events)
        is_due = not _events(self._shard, CreditsExpired) and after < WALLET
        return (WALLET,)[:limit] if is_due else ()

    async def figures_hash(self, *, entity: str, from_day: date, to_day: date, min_position: int) -> str:
        assert (entity, from_day, to_day) == ("default", FROM_DAY, TO_DAY)
        fixed = [each.state for each in self._shard.events if each.position <= min_position]
        return sha256(b"".join(fixed)).hexdigest()


def _events(shard: Shard, kind: type[Event]) -> list[Event]:
    facts = (decode_fact(each.topic, each.state) for each in shard.events)
    return [fact.event for fact in facts if isinstance(fact.event, kind)]


async def close(shard: Shard, writer: Writer, key: str, steps: Steps) -> None:
    """Close March."""
    await close_period(
        stepped(writer, steps),
        cast("FinanceViews", stepped(Log(shard), steps)),
        period=PERIOD,
        from_day=FROM_DAY,
        to_day=TO_DAY,
        key=key,
        actor="tests",
    )


async def in_april() -> Shard:
    """Return a wallet whose credit ended in March and is not expired in the log."""
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10, expire_time=after(hours=1)))
    shard.clock.time = after(days=40)
    return shard


def check_closed(shard: Shard) -> None:
    """Check that March was locked once, with what had ended in it, and closed once with the hash of its figures."""
    assert len(_events(shard, CreditsExpired)) == 1
    [locked] = [each for each in shard.events if decode_fact(each.topic, each.state).event == LOCKED]
    [closed] = _events(shard, AccountingPeriodClosed)
    fixed = b"".join(each.state for each in shard.events if each.position <= locked.position)
    assert closed == AccountingPeriodClosed(FROM_DAY, TO_DAY, locked.position, sha256(fixed).hexdigest())


@pytest.mark.parametrize("key", ["first", "another"])
async def test_a_close_that_ends_at_any_step_goes_on_from_there(key: str) -> None:
    async def play(breaks: Breaks) -> None:
        shard = await in_april()
        async with shard.serving() as writer:
            with suppress(Killed):
                await close(shard, writer, "first", breaks)
            with suppress(PeriodAlreadyClosed):
                await close(shard, writer, key, Breaks(0, after=True))
                assert key == "first" or breaks.ended_at

        check_closed(shard)

    await at_every_break(play)


async def test_a_period_that_two_close_at_once_is_closed_once() -> None:
    async def play(turns: Turns) -> None:
        shard = await in_april()
        async with shard.serving() as writer:

            async def closing(key: str, steps: Steps) -> None:
                with suppress(PeriodAlreadyClosed):
                    await close(shard, writer, key, steps)

            await turns.run(partial(closing, "first"), partial(closing, "another"))

        check_closed(shard)

    await in_every_order(play, switches_max=1)


async def settle(shard: Shard, writer: Writer, key: str, result: TopUpOutcome, steps: Steps) -> None:
    """Tell how the payment of the top-up went."""
    await top_ups.settle(
        stepped(writer, steps),
        cast("LogReader", stepped(Log(shard), steps)),
        SettleTopUp(WALLET, 2, result, exchange_rate="0.9" if result is TopUpOutcome.SUCCEEDED else ""),
        functional_currency="EUR",
        key=key,
        actor="tests",
    )


async def asked_for() -> Shard:
    """Return a wallet for which credit was asked, at a price in a currency that is not that of the books."""
    shard = Shard()
    await shard.prepared(open_wallet(), RequestTopUp(WALLET, 10, Money("USD", 5 * 10**9)))
    return shard


@pytest.mark.parametrize("key", ["first", "another"])
async def test_a_top_up_whose_settling_ends_at_any_step_is_granted_once(key: str) -> None:
    async def play(breaks: Breaks) -> None:
        shard = await asked_for()
        async with shard.serving() as writer:
            with suppress(Killed):
                await settle(shard, writer, "first", TopUpOutcome.SUCCEEDED, breaks)
            await settle(shard, writer, key, TopUpOutcome.SUCCEEDED, Breaks(0, after=True))

        assert posted_units(shard.wallet()) == 10
        assert len(_events(shard, CreditsGranted)) == 1

    await at_every_break(play)


async def test_of_two_ends_of_a_top_up_that_are_told_at_once_one_counts() -> None:
    async def play(turns: Turns) -> None:
        shard = await asked_for()
        refused = []
        async with shard.serving() as writer:

            async def telling(result: TopUpOutcome, steps: Steps) -> None:
                try:
                    await settle(shard, writer, result.value, result, steps)
                except TopUpAlreadySettled:
                    refused.append(result)

            await turns.run(
                partial(telling, TopUpOutcome.SUCCEEDED),
                partial(telling, TopUpOutcome.FAILED),
                partial(telling, TopUpOutcome.SUCCEEDED),
            )

        granted = len(_events(shard, CreditsGranted))
        assert posted_units(shard.wallet()) == 10 * granted
        assert refused == ([TopUpOutcome.FAILED] if granted else [TopUpOutcome.SUCCEEDED] * 2)

    await in_every_order(play, switches_max=1)
