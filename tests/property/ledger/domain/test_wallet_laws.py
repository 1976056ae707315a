"""Laws of a wallet that hold after every step of any history."""

from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.ports import LoadedStream, StoredEvent
from ledger_service.application.stream_cache import Entry, restore, take_snapshot
from ledger_service.domain.burn_down import default_order
from ledger_service.domain.events import CreditsDebited, Event
from ledger_service.domain.invariants import broken_invariants, is_conserved, is_covered
from ledger_service.domain.settle import settled
from ledger_service.domain.topics import GENESIS_HASH, TOPIC_OF, decode_fact, encode_fact, hash_event
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet import Debt, Wallet, debt_units, posted_units
from tests.builders import NOW, WALLET, Book, Recorded, debit
from tests.property.ledger.domain.histories import (
    FEATURES,
    HOUR,
    SETTLE,
    Step,
    histories,
    modes,
    opened,
    replayed,
    try_to_run,
)

HARD, SOFT = ShortfallMode.HARD, ShortfallMode.SOFT


@given(modes, histories)
def test_credit_is_conserved_at_every_step(mode: ShortfallMode, history: list[Step]) -> None:
    ledger, now = opened(mode), NOW
    for step in history:
        now += step.wait
        recorded = try_to_run(ledger, step.at(now), now)

        wallet = ledger.wallet()
        assert wallet.granted_units == posted_units(wallet) + wallet.drawn_units + wallet.expired_units
        assert is_conserved(wallet)
        for each in recorded:
            assert list(broken_invariants(wallet, each.fact)) == []


@given(modes, histories)
def test_debits_are_what_was_drawn_and_what_was_overage(mode: ShortfallMode, history: list[Step]) -> None:
    ledger, _ = replayed(mode, history)

    debited = [each.fact.event for each in ledger.log if isinstance(each.fact.event, CreditsDebited)]

    wallet = ledger.wallet()
    assert all(is_covered(event) for event in debited)
    assert sum(event.amount_units for event in debited) == (
        wallet.drawn_units + wallet.overage_units + debt_units(wallet)
    )
    assert sum(event.overage_units for event in debited) == wallet.overage_units


@given(histories)
def test_a_hard_wallet_is_never_negative(history: list[Step]) -> None:
    ledger, _ = replayed(HARD, history)

    for each in ledger.log:
        if isinstance(each.fact.event, CreditsDebited) and not each.fact.event.delivered:
            assert each.fact.event.overage_units == 0
    assert posted_units(ledger.wallet()) >= 0


@given(histories, st.integers(0, 9))
def test_a_soft_wallet_stays_within_its_overage_limit(history: list[Step], limit_units: int) -> None:
    ledger, now = opened(SOFT, overage_limit_units=limit_units + 1), NOW
    for step in history:
        now += step.wait
        before = ledger.wallet().overage_units
        recorded = try_to_run(ledger, step.at(now), now)

        undelivered = any(
            isinstance(each.fact.event, CreditsDebited) and not each.fact.event.delivered for each in recorded
        )
        if undelivered and ledger.wallet().overage_units > before:
            assert ledger.wallet().overage_units <= limit_units + 1


@given(modes, histories)
def test_lots_stand_in_burn_down_order_and_hold_something(mode: ShortfallMode, history: list[Step]) -> None:
    wallet = replayed(mode, history)[0].wallet()

    assert list(wallet.lots) == sorted(wallet.lots, key=default_order)
    assert all(lot.remaining_units > 0 for lot in wallet.lots)
    expiries = [lot.expire_time for lot in wallet.lots if lot.expire_time is not None]
    assert wallet.next_due_time == min(expiries, default=None)


@given(modes, histories, st.integers(1, 30), st.data())
def test_a_debit_in_two_parts_leaves_the_wallet_as_one_debit_does(
    mode: ShortfallMode, history: list[Step], amount_units: int, data: st.DataObject
) -> None:
    feature = data.draw(st.sampled_from(["", *FEATURES]))
    parts = data.draw(st.lists(st.integers(1, amount_units), max_size=4).map(sorted))
    cuts = [0, *sorted(set(parts) - {amount_units}), amount_units]
    whole, now = replayed(mode, history)
    split, _ = replayed(mode, history)

    try_to_run(whole, debit(amount_units, feature=feature, delivered=True), now)
    for start, end in pairwise(cuts):
        try_to_run(split, debit(end - start, feature=feature, delivered=True), now)

    assert without_debit_versions(split.wallet()) == without_debit_versions(whole.wallet())


@given(modes, histories, st.lists(st.tuples(st.integers(0, 24), st.integers(0, 6)), max_size=12))
def test_settling_at_any_instants_changes_no_answer(
    mode: ShortfallMode, history: list[Step], sweeps: list[tuple[int, int]]
) -> None:
    lazy, end = replayed(mode, history)
    swept, now = opened(mode), NOW
    for index, step in enumerate(history):
        for hours in sorted(hours for at, hours in sweeps if at == index):
            swept.run(SETTLE, min(now + hours * HOUR, now + step.wait))
        now += step.wait
        try_to_run(swept, step.at(now), now)
    for ledger in (lazy, swept):
        ledger.run(SETTLE, end + 100 * HOUR)

    assert swept.wallet() == lazy.wallet()
    assert contents(swept) == contents(lazy)


def without_debit_versions(wallet: Wallet) -> Wallet:
    """Return a wallet in which all debt is one and nobody counted the events."""
    owed = sum(debt.amount_units for debt in wallet.debts)
    debts = (Debt(0, owed, "", NOW),) if owed else ()
    return msgspec.structs.replace(wallet, version=0, debts=debts)


def contents(ledger: Book) -> list[tuple[str, int, Event, datetime]]:
    """Return what a log says, without when it was learned."""
    return [(each.stream, each.version, each.fact.event, each.fact.effective_time) for each in ledger.log]


@given(modes, histories, st.integers(0, 40))
def test_looking_ahead_equals_settling_then(mode: ShortfallMode, history: list[Step], hours: int) -> None:
    ledger, end = replayed(mode, history)
    then = end + timedelta(hours=hours)
    looked_at = settled(ledger.wallet(), then)

    ledger.run(SETTLE, then)

    assert ledger.wallet() == looked_at


def as_stored(log: list[Recorded]) -> list[StoredEvent]:
    """Return a log as the store holds it."""
    return [
        StoredEvent(
            position, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact)
        )
        for position, each in enumerate(log, start=1)
    ]


@given(modes, histories)
def test_replaying_stored_bytes_gives_the_same_state(mode: ShortfallMode, history: list[Step]) -> None:
    ledger, _ = replayed(mode, history)

    entry = restore(WALLET, LoadedStream(None, tuple(as_stored(ledger.log))))

    assert entry.state == ledger.wallet()
    assert entry.version == len(ledger.log)


@given(modes, histories)
def test_each_event_holds_the_hash_of_the_one_before_it(mode: ShortfallMode, history: list[Step]) -> None:
    ledger, _ = replayed(mode, history)

    head = GENESIS_HASH
    for event in as_stored(ledger.log):
        fact = decode_fact(event.topic, event.state)
        assert fact.previous_hash == head
        assert encode_fact(fact) == event.state
        head = hash_event(event.stream, event.version, event.topic, event.state)


@given(modes, histories, st.data())
def test_a_snapshot_at_any_version_changes_no_state(
    mode: ShortfallMode, history: list[Step], data: st.DataObject
) -> None:
    ledger, _ = replayed(mode, history)
    stored = as_stored(ledger.log)
    cut = data.draw(st.integers(1, len(stored)))
    prefix = restore(WALLET, LoadedStream(None, tuple(stored[:cut])))

    snapshot = take_snapshot(WALLET, prefix)
    with_snapshot = restore(WALLET, LoadedStream(snapshot, tuple(stored[cut:])))
    without = restore(WALLET, LoadedStream(None, tuple(stored)))

    assert with_snapshot.state == without.state == ledger.wallet()
    assert (with_snapshot.version, with_snapshot.head_hash) == (without.version, without.head_hash)
    assert restore(WALLET, LoadedStream(snapshot, ())) == Entry(
        prefix.state, prefix.version, prefix.head_hash, prefix.version
    )
