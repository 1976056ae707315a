"""Following the ledger's log: exactly once, whatever happens, and the catalogue with it."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, LiteralString

import msgspec
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from rating_service.adapters.ledger.ledger_channel import open_channel
from rating_service.adapters.ledger.ledger_client import LedgerClient
from rating_service.adapters.migrations import migrate
from rating_service.adapters.postgres.billing_store import BEGINNING_OF_TIME, PostgresBillingStore
from rating_service.adapters.postgres.history_store import PostgresHistoryStore
from rating_service.adapters.postgres.postgres_pool import open_pool
from rating_service.application.ports import Effect, HistoryPage, LedgerEvent, StoreUnavailableError
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.projections import follower as following
from rating_service.projections.facts import UnreadableHistoryError
from rating_service.projections.follower import Follower
from tests.fakes import fake_ledger
from tests.fakes.fake_ledger import FakeLedger, start_fake_ledger
from tests.integration.rating.harness import (
    CARD,
    CONTRACT,
    START,
    WALLET,
    Service,
    agreed_ledger,
    publish_card,
    running_service,
    until,
)

EVENTS = 4_000
KILLS = 12


async def publish_debits(ledger: FakeLedger, count: int) -> None:
    """Append debits, every third with a charge, mixed with grants of both kinds and card phases."""
    charge = {
        "contract": CONTRACT,
        "contract_phase": "main",
        "rate_card_phase": f"{CARD}/phases/1",
        "phase_hash": "1" * 64,
        "lines": [],
        "exact_units": "7",
    }
    for number in range(count):
        event: dict[str, Any] = {"amount_units": 7, "draws": [[1, 7]], "burn_down_order": "default/1"}
        if number % 3 == 0:
            event["charge"] = charge
        ledger._append(WALLET, "wallet.CreditsDebited.v1", event, START, f"u-{number}")
        if number % 500 == 0:
            included: dict[str, Any] = {"category": "INCLUDED", "contract": CONTRACT}
            await ledger.grant(WALLET, 5, **(included if number % 1_000 == 0 else {}))
            ledger._append("plans/other", "plan.PlanPublished.v1", plan(number), START, "")
    await ledger.notify()


def plan(number: int) -> dict[str, Any]:
    """Return a version of a plan that nobody has."""
    terms = {"key": "main", "rate_card": CARD, "shortfall_mode": "HARD"}
    return {"plan_version": number + 1, "asset": {"code": "CREDIT", "scale": 6}, "phases": [terms]}


def stored(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return everything that following has written."""
    tables: dict[str, LiteralString] = {
        "tracking": "position",
        "agreement_events": "position, stream, version, topic, state",
        "debits": "position, wallet, version, effective_time, usage, amount_units, overage_units, draws,"
        " contract, contract_phase, rate_card_phase, charge",
        "included_grants": "position, wallet, version, contract, effective_time, amount_units",
    }
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(
                SQL("SELECT {} FROM rating.{} ORDER BY 1").format(SQL(columns), Identifier(table))
            ).fetchall()
            for table, columns in tables.items()
        }


def moved_on(url: str, position: int) -> bool:
    """Return whether more than a position is stored."""
    with psycopg.connect(url) as connection:
        row: Any = connection.execute("SELECT position FROM rating.tracking").fetchone()
    return bool(row[0] > position)


async def follow_until(url: str, address: str, position: int) -> Follower:
    """Follow in this process until a position is stored, and return the follower."""
    pool = await open_pool(url)
    channel = open_channel(address, ca_file=None, certificate_file=None, key_file=None)
    follower = Follower(ledger=LedgerClient(channel), store=PostgresHistoryStore(pool))
    task = asyncio.create_task(follower.run())
    await follower.wait_for(position)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await channel.close()
    await pool.close()
    return follower


async def test_a_follower_killed_at_any_moment_counts_everything_exactly_once(
    rating_url: str, monkeypatch: pytest.MonkeyPatch, postgres_server: Any
) -> None:
    monkeypatch.setattr(fake_ledger, "PAGE_EVENTS_MAX", 40)
    ledger = await agreed_ledger()
    await publish_debits(ledger, EVENTS)
    server, address = await start_fake_ledger(ledger)
    migrate(rating_url)
    chance = random.Random(7)
    kills = 0
    while kills < KILLS:
        before = stored(rating_url)["tracking"][0][0]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.rating.following_process", rating_url, address
        )
        await until(partial(moved_on, rating_url, before))
        await asyncio.sleep(chance.uniform(0, 0.03))
        process.kill()
        await process.wait()
        kills += 1
        await publish_debits(ledger, 100)
    await follow_until(rating_url, address, len(ledger.events))

    undisturbed = postgres_server.create_database(migrated=False)
    migrate(undisturbed)
    await follow_until(undisturbed, address, len(ledger.events))
    await server.stop(None)
    assert stored(rating_url) == stored(undisturbed)
    assert len(stored(rating_url)["debits"]) == EVENTS + 100 * KILLS
    postgres_server.drop_database(undisturbed)


async def test_two_followers_of_one_database_count_everything_once_and_both_know_it(
    rating_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fake_ledger, "PAGE_EVENTS_MAX", 40)
    monkeypatch.setattr(following, "BACKOFF_SECONDS_MIN", 0.001)
    ledger = await agreed_ledger()
    server, address = await start_fake_ledger(ledger)
    migrate(rating_url)
    await publish_debits(ledger, EVENTS)
    followers = await asyncio.gather(
        *[follow_until(rating_url, address, len(ledger.events)) for _ in range(2)]
    )
    await server.stop(None)

    assert len(stored(rating_url)["debits"]) == EVENTS
    for follower in followers:
        assert catalogues.contract(follower.catalogue, CONTRACT).wallet == WALLET
        assert catalogues.plan(follower.catalogue, "plans/other") is not None


async def test_following_resumes_when_the_ledger_comes_back(rating_url: str) -> None:
    ledger = await agreed_ledger()
    migrate(rating_url)
    server, address = await start_fake_ledger(ledger)
    pool = await open_pool(rating_url)
    channel = open_channel(address, ca_file=None, certificate_file=None, key_file=None)
    follower = Follower(ledger=LedgerClient(channel), store=PostgresHistoryStore(pool))
    task = asyncio.create_task(follower.run())
    await follower.wait_for(len(ledger.events))
    await server.stop(None)
    await until(lambda: not follower.is_ready)
    await publish_debits(ledger, 10)
    server, _ = await start_fake_ledger(ledger, address)
    await follower.wait_for(len(ledger.events))

    assert len(stored(rating_url)["debits"]) == 10
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await channel.close()
    await pool.close()
    await server.stop(None)


class AmbiguousStore:
    """A store whose connection breaks once after the commit: the effect is stored, the answer is lost."""

    def __init__(self, store: PostgresHistoryStore) -> None:
        self._store = store
        self.breaks = 1

    async def position(self) -> int:
        return await self._store.position()

    async def agreements_after(self, position: int) -> list[LedgerEvent]:
        return await self._store.agreements_after(position)

    async def write(self, effect: Effect) -> None:
        await self._store.write(effect)
        if self.breaks:
            self.breaks -= 1
            raise StoreUnavailableError("the connection broke")


async def test_a_commit_whose_answer_was_lost_is_neither_repeated_nor_forgotten(rating_url: str) -> None:
    ledger = await agreed_ledger()
    await publish_debits(ledger, 10)
    server, address = await start_fake_ledger(ledger)
    migrate(rating_url)
    pool = await open_pool(rating_url)
    channel = open_channel(address, ca_file=None, certificate_file=None, key_file=None)
    follower = Follower(ledger=LedgerClient(channel), store=AmbiguousStore(PostgresHistoryStore(pool)))
    task = asyncio.create_task(follower.run())
    await follower.wait_for(len(ledger.events))

    assert len(stored(rating_url)["debits"]) == 10
    assert catalogues.contract(follower.catalogue, CONTRACT).wallet == WALLET
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await channel.close()
    await pool.close()
    await server.stop(None)


async def test_the_catalogue_after_a_restart_is_the_one_before(rating_url: str) -> None:
    ledger = await agreed_ledger()
    await publish_card(ledger, phase=2, input_price="2")
    async with running_service(rating_url, ledger) as first:
        before = first.follower.catalogue
    async with running_service(rating_url, ledger) as second:
        assert second.follower.catalogue == before


async def test_a_contract_that_changes_is_due_from_the_page_that_says_so(rating_url: str) -> None:
    migrate(rating_url)
    pool = await open_pool(rating_url)
    history, billing = PostgresHistoryStore(pool), PostgresBillingStore(pool, rating_url)
    await history.write(Effect(0, 5, contracts=[CONTRACT]))
    signed = await billing.change([CONTRACT], lambda before: msgspec.structs.replace(before, due_time=START))
    await history.write(Effect(5, 9, contracts=["contracts/other"]))
    other = await billing.page(after="", limit=1, contract=CONTRACT)
    await history.write(Effect(9, 12, contracts=[CONTRACT]))
    changed = await billing.page(after="", limit=1, contract=CONTRACT)
    await pool.close()

    assert [(each.change_position, each.due_time) for each in [*signed, *other]] == [(5, START)] * 2
    assert [(each.change_position, each.due_time) for each in changed] == [(12, BEGINNING_OF_TIME)]


async def test_the_store_keeps_draws_and_charge_as_the_ledger_wrote_them(
    service: Service, rating_url: str
) -> None:
    await publish_debits(service.ledger, 2)
    await service.caught_up()
    events = [event for event in service.ledger.events if event.topic == "wallet.CreditsDebited.v1"]
    charged = msgspec.json.decode(events[0].state)["event"]["charge"]
    rows = stored(rating_url)["debits"]

    assert msgspec.json.decode(rows[0][-1]) == charged
    assert (rows[0][7], rows[1][-1], rows[1][8]) == ("[[1,7]]", None, "")


@pytest.mark.parametrize(
    ("topic", "state"),
    [
        ("wallet.CreditsDebited.v1", b"{"),
        ("wallet.CreditsDebited.v1", b'{"event":{}}'),
        ("contract.ContractSigned.v1", b'{"event":{},"effective_time":"2026-01-01T00:00:00Z"}'),
        ("contract.ContractEnded.v9", b"{}"),
        ("wallet.SomethingNew.v1", b"{}"),
    ],
)
async def test_following_stops_at_what_it_cannot_read(rating_url: str, topic: str, state: bytes) -> None:
    ledger = await agreed_ledger()
    service_ends = await ended_by(rating_url, ledger, topic, state)

    assert isinstance(service_ends, UnreadableHistoryError)
    assert len(stored(rating_url)["agreement_events"]) == 3


async def ended_by(url: str, ledger: FakeLedger, topic: str, state: bytes) -> BaseException | None:
    """Return what ends a follower that meets an event."""
    async with running_service(url, ledger) as service:
        follower = Follower(
            ledger=OnePage(ledger, topic, state), store=PostgresHistoryStore(pool_of(service))
        )
        async with asyncio.timeout(20):
            [outcome] = await asyncio.gather(follower.run(), return_exceptions=True)
    return outcome


def pool_of(service: Service) -> Any:
    """Return the pool of a running service."""
    return service.follower._store._pool  # type: ignore[attr-defined]


class OnePage:
    """A ledger whose log goes on with one event."""

    def __init__(self, ledger: FakeLedger, topic: str, state: bytes) -> None:
        self._head = len(ledger.events) + 1
        self._events: Sequence[LedgerEvent] = [LedgerEvent(self._head, "contracts/x", 1, topic, state)]

    async def follow(self, after: int) -> Any:
        yield HistoryPage(self._events, self._head, self._head)

    async def debit(self, order: Any, *, delivered: bool) -> Any:
        raise NotImplementedError

    async def debit_many(self, orders: Any, *, delivered: bool) -> Any:
        raise NotImplementedError

    async def meter_totals(self, wallet: str) -> Any:
        raise NotImplementedError

    async def head_position(self) -> int:
        return self._head


async def test_following_stops_at_a_log_that_is_shorter_than_what_was_followed(rating_url: str) -> None:
    ledger = await agreed_ledger()
    async with running_service(rating_url, ledger) as service:
        restored = FakeLedger()
        server, address = await start_fake_ledger(restored)
        channel = open_channel(address, ca_file=None, certificate_file=None, key_file=None)
        follower = Follower(ledger=LedgerClient(channel), store=PostgresHistoryStore(pool_of(service)))
        with pytest.raises(UnreadableHistoryError):
            await follower.run()
        await channel.close()
        await server.stop(None)
