"""Alerts over a real channel: to watchers, none left out and none twice, and in the statement."""

from __future__ import annotations

import asyncio

from credits.ledger.v1 import wallet_alerts_pb2, wallet_rules_pb2, wallet_service_pb2
from ledger_service.application.reading.alerts import ALERTS_PER_READ
from tests.integration.ledger.client import CALL_SECONDS, Client
from tests.integration.ledger.test_watch_balance import is_quiet, messages_through, watching

Rules = wallet_rules_pb2.WalletRules
CROSSED = "wallet.ThresholdCrossed.v1"
RISING = wallet_alerts_pb2.CROSSING_DIRECTION_RISING
FALLING = wallet_alerts_pb2.CROSSING_DIRECTION_FALLING
PERCENT = wallet_alerts_pb2.ALERT_KIND_ENTITLEMENT
LOW = wallet_alerts_pb2.ALERT_KIND_LOW_BALANCE
MANY_PERCENTS = list(range(5, 101, 5))
"""As many thresholds as a wallet may have: each debit of all and each reversal crosses every one of them."""


def rules(*percents: int, low: tuple[int, ...] = ()) -> Rules:
    """Return rules with alerts."""
    return Rules(alerts=wallet_rules_pb2.AlertRules(entitlement_percents=percents, low_balance_units=low))


async def reverse(ledger: Client, debit: str) -> None:
    """Take a debit back."""
    request = wallet_service_pb2.ReverseDebitRequest(name=debit, idempotency_key="back-" + debit)
    await ledger.wallets.ReverseDebit(request, timeout=CALL_SECONDS)


async def test_a_watcher_is_told_of_a_crossing_with_the_state_that_it_brought(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100, rules=rules(50, low=(20,)))

    async with watching(ledger, wallet) as call:
        first = await call.read()
        await ledger.debit(wallet, 49)
        below = (await messages_through(call, first.version + 1))[-1]
        await ledger.debit(wallet, 31)
        above = (await messages_through(call, below.version + 3))[-1]

    # The opening grant recovered from an empty balance before anybody watched.
    assert not first.alerts
    assert not below.alerts
    assert [
        (each.kind, each.threshold, each.direction, each.available_units, each.entitlement_units)
        for each in above.alerts
    ] == [(PERCENT, 50, RISING, 20, 100), (LOW, 20, FALLING, 20, 100)]
    assert [each.version for each in above.alerts] == [above.version - 1, above.version]
    assert above.balance.available_units == 20


async def test_a_watch_that_resumes_is_given_every_alert_it_missed_and_none_twice(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100, rules=rules(50))
    used = await ledger.debit(wallet, 60)
    await reverse(ledger, used.debit.name)
    await ledger.debit(wallet, 60)
    versions = [event.version for event in await ledger.events(stream=wallet, topics=(CROSSED,))]

    async with watching(ledger, wallet, after_version=2) as call:
        missed = await call.read()
    async with watching(ledger, wallet, after_version=versions[1]) as call:
        rest = await call.read()
    async with watching(ledger, wallet, after_version=rest.version) as call:
        reading = asyncio.ensure_future(call.read())
        assert await is_quiet(reading)
        reading.cancel()

    assert len(versions) == 3
    assert [each.version for each in missed.alerts] == versions
    assert [each.direction for each in missed.alerts] == [RISING, FALLING, RISING]
    assert [each.version for each in rest.alerts] == versions[2:]
    assert rest.version == versions[-1]


async def test_more_alerts_than_a_message_holds_come_in_several_without_a_gap(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100, rules=rules(*MANY_PERCENTS))
    for _ in range(4):
        used = await ledger.debit(wallet, 100)
        await reverse(ledger, used.debit.name)
    versions = [event.version for event in await ledger.events(stream=wallet, topics=(CROSSED,))]

    async with watching(ledger, wallet, after_version=1) as call:
        messages = await messages_through(call, versions[-1])

    assert len(versions) == 8 * len(MANY_PERCENTS) > ALERTS_PER_READ
    assert [len(message.alerts) for message in messages] == [ALERTS_PER_READ, 160 - ALERTS_PER_READ]
    assert [each.version for message in messages for each in message.alerts] == versions
    # Resuming after the first message gives what the second had.
    assert messages[0].version == messages[0].alerts[-1].version


async def test_a_busy_watch_skips_states_but_no_alert(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=1_000, rules=rules(*MANY_PERCENTS))

    async with watching(ledger, wallet) as call:
        seen = [await call.read()]
        await asyncio.gather(*(ledger.debit(wallet, 10) for _ in range(100)))
        seen += await messages_through(call, 2 + 100 + len(MANY_PERCENTS))

    alerts = [each for message in seen for each in message.alerts]
    assert [each.threshold for each in alerts] == MANY_PERCENTS
    assert [each.version for each in alerts] == [
        event.version for event in await ledger.events(stream=wallet, topics=(CROSSED,))
    ]


async def test_a_wallet_has_the_default_alerts_unless_it_is_told(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100, rules=Rules())

    await ledger.debit(wallet, 100)

    request = wallet_service_pb2.ListStatementLinesRequest(name=wallet)
    page = await ledger.wallets.ListStatementLines(request, timeout=CALL_SECONDS)
    assert [(line.description, line.change_units, line.posted_units) for line in page.lines[-3:]] == [
        ("Alert: 50 % of the entitlement used", 0, 0),
        ("Alert: 80 % of the entitlement used", 0, 0),
        ("Alert: 100 % of the entitlement used", 0, 0),
    ]


async def test_a_debit_sent_again_crosses_nothing_again(ledger: Client) -> None:
    wallet = await ledger.open_wallet(granted_units=100, rules=rules(50))

    first = await ledger.debit(wallet, 60, idempotency_key="once")
    again = await ledger.debit(wallet, 60, idempotency_key="once")

    assert (again.replayed, again.debit.name) == (True, first.debit.name)
    assert len(await ledger.events(stream=wallet, topics=(CROSSED,))) == 1
