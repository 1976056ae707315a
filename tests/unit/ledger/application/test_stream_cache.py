"""Streams in memory: what is dropped, what never is, and what a snapshot must bring back."""

from datetime import date

import pytest

from ledger_service.application.ports import LoadedStream, StoredEvent
from ledger_service.application.writing.stream_cache import (
    SNAPSHOT_BYTES_PER_EVENT_MAX,
    SNAPSHOT_INTERVAL_EVENTS,
    Entry,
    StreamCache,
    restore,
    take_snapshot,
)
from ledger_service.domain.commands import (
    CreateBreakagePool,
    LockAccountingPeriod,
    SaleTerms,
    SetExchangeRate,
    SetFunctionalCurrency,
)
from ledger_service.domain.events import Multiplier, MultiplierTier, Rate
from ledger_service.domain.streams import EVOLVE, STATE_TYPE, collection_of
from ledger_service.domain.topics import TOPICS
from ledger_service.domain.values import BreakageMethod, Money
from tests.builders import (
    CONTRACT,
    NOW,
    PLAN,
    RATE_CARD,
    WALLET,
    Book,
    after,
    agreed,
    charge,
    debit,
    end_contract,
    grant,
    plan_phase,
    publish_phase,
    refund,
    schedule_phase,
    sign_contract,
)
from tests.fakes.finance_log import PERIODS, POOL
from tests.sales import sale

ENTITY = "entities/acme-de"


def full_book() -> Book:
    """Return a book with a stream of each collection, none of them trivial."""
    ledger = agreed(plan_phase("trial", duration="P1M"), plan_phase())
    rates = publish_phase(Rate("input_tokens", "2", 10, {"model": "a*"}), from_time=after(days=1))
    tiers = (Multiplier("context", (MultiplierTier(9, "2"),), ("input_tokens",)),)
    ledger.run(type(rates)(RATE_CARD, after(days=1), rates.rates, tiers))
    ledger.run(sign_contract(zone="Europe/Berlin"))
    ledger.run(schedule_phase(from_time=after(days=3)))
    ledger.run(end_contract(after(days=40)))
    ledger.run(grant(10, scope=("chat",), expire_time=after(days=9)))
    ledger.run(grant(10))
    ledger.run(debit(charge=charge("1.25", "0." + "0" * 53 + "1"), feature="chat"))
    ledger.run(sale(10, terms=SaleTerms(expected_breakage="0.1", tax=Money("EUR", 2))))
    ledger.run(refund(ledger.wallet().version, 3))
    ledger.run(CreateBreakagePool(POOL, "EUR", BreakageMethod.REMOTE, escheat_fraction="0.5"))
    ledger.run(LockAccountingPeriod(PERIODS, date(2026, 1, 1), date(2026, 2, 1)))
    ledger.run(SetFunctionalCurrency(ENTITY, "USD"))
    ledger.run(SetExchangeRate(ENTITY, "EUR", "1.1", NOW))
    return ledger


@pytest.mark.parametrize("stream", [WALLET, RATE_CARD, PLAN, CONTRACT, POOL, PERIODS, ENTITY])
def test_a_snapshot_brings_every_kind_of_state_back(stream: str) -> None:
    state = full_book().states[stream]
    entry = Entry(state, 7, "ab" * 32, 3)

    snapshot = take_snapshot(stream, entry)
    restored = restore(stream, LoadedStream(snapshot, ()))

    assert restored == Entry(state, 7, "ab" * 32, 7, len(snapshot.state))
    assert take_snapshot(stream, restored) == snapshot


@pytest.mark.parametrize(
    ("size", "interval"),
    [
        (0, SNAPSHOT_INTERVAL_EVENTS),
        ((SNAPSHOT_INTERVAL_EVENTS + 1) * SNAPSHOT_BYTES_PER_EVENT_MAX - 1, SNAPSHOT_INTERVAL_EVENTS),
        ((SNAPSHOT_INTERVAL_EVENTS + 1) * SNAPSHOT_BYTES_PER_EVENT_MAX, SNAPSHOT_INTERVAL_EVENTS + 1),
    ],
)
def test_a_large_snapshot_is_written_anew_after_as_many_events_as_make_up_for_it(
    size: int, interval: int
) -> None:
    entry = Entry(version=1_000, snapshot_version=1_000 - interval, snapshot_bytes=size)

    assert entry.needs_snapshot
    entry.snapshot_version += 1
    assert not entry.needs_snapshot


def test_a_snapshot_is_known_for_every_collection() -> None:
    assert {collection_of(stream) for stream in full_book().states} == set(STATE_TYPE) == set(EVOLVE)


def test_a_stream_without_events_is_an_empty_entry() -> None:
    assert restore(WALLET, LoadedStream(None, ())) == Entry()


def test_an_event_that_cannot_be_read_is_never_skipped() -> None:
    unreadable = StoredEvent(1, WALLET, 1, next(iter(TOPICS)), b"{}")

    with pytest.raises(ValueError, match="event"):
        restore(WALLET, LoadedStream(None, (unreadable,)))


def held(cache: StreamCache, *streams: str) -> list[str]:
    """Return those of the streams that are in memory."""
    return [stream for stream in streams if cache.get(stream) is not None]


def test_the_least_recently_used_streams_go_first() -> None:
    cache = StreamCache(2)
    for stream in "abc":
        cache.put(stream, Entry())
    cache.get("a")

    cache.evict(lambda _: False)

    assert held(cache, "a", "b", "c") == ["a", "c"]


def test_at_the_bound_nothing_is_evicted() -> None:
    cache = StreamCache(3)
    for stream in "abc":
        cache.put(stream, Entry())

    cache.evict(lambda _: False)

    assert len(cache) == 3


def test_dirty_streams_stay_even_above_the_bound() -> None:
    cache = StreamCache(1)
    for stream in "abcd":
        cache.put(stream, Entry())

    cache.evict({"a", "b"}.__contains__)

    assert held(cache, "a", "b", "c", "d") == ["a", "b"]
