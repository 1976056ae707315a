"""Laws of a wallet that hold after every step of any history."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.ports import LoadedStream, StoredEvent
from ledger_service.application.writing.stream_cache import Entry, restore, take_snapshot
from ledger_service.domain.events import (
    CreditsDebited,
    CreditsGranted,
    DebitReversed,
    DebtRepaid,
    Event,
    GrantRefunded,
    HoldCaptured,
)
from ledger_service.domain.invariants import broken_invariants, is_conserved
from ledger_service.domain.streams import evolve_stream
from ledger_service.domain.topics import GENESIS_HASH, TOPIC_OF, decode_fact, encode_fact, hash_event
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.burn_down import default_order, is_drawable
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.reversed import reversed_units
from ledger_service.domain.wallet.settle import settled
from ledger_service.domain.wallet.state import Debt, Wallet, debt_units, posted_units
from tests.builders import NO_ALERTS, NOW, WALLET, Book, Recorded, capture, debit, hold, release
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

HARD, SOFT, ADVANCE = ShortfallMode.HARD, ShortfallMode.SOFT, ShortfallMode.ADVANCE


@given(modes, histories)
def test_every_invariant_holds_after_every_event(mode: ShortfallMode, history: list[Step]) -> None:
    ledger, _ = replayed(mode, history)

    wallet: Wallet | None = None
    for each in ledger.log:
        wallet = evolve(wallet, each.fact, each.version)
        gone = wallet.drawn_units + wallet.expired_units + wallet.revoked_units
        assert wallet.granted_units == posted_units(wallet) + gone
        assert is_conserved(wallet)
        assert list(broken_invariants(wallet, each.fact)) == []
        assert wallet.version == each.version
    assert wallet == ledger.wallet()


@given(modes, histories)
def test_debits_are_what_was_drawn_owed_and_overage_but_for_what_was_reversed(
    mode: ShortfallMode, history: list[Step]
) -> None:
    ledger, _ = replayed(mode, history)

    events = [each.fact.event for each in ledger.log]
    debited = [event for event in events if isinstance(event, CreditsDebited | HoldCaptured)]
    reversed_units = sum(event.amount_units for event in events if isinstance(event, DebitReversed))
    wallet = ledger.wallet()
    assert sum(event.amount_units for event in debited) - reversed_units == (
        wallet.drawn_units + wallet.overage_units + debt_units(wallet)
    )


@given(histories)
def test_a_hard_wallet_is_never_negative(history: list[Step]) -> None:
    ledger, _ = replayed(HARD, history)

    for each in ledger.log:
        event = each.fact.event
        if isinstance(event, HoldCaptured) or (isinstance(event, CreditsDebited) and not event.delivered):
            assert (event.overage_units, event.debt_units) == (0, 0)
    assert all(lot.remaining_units >= 0 <= lot.held_units for lot in ledger.wallet().lots)


@given(st.sampled_from([SOFT, ADVANCE]), histories, st.integers(1, 10))
def test_overage_and_debt_stay_within_their_limit(
    mode: ShortfallMode, history: list[Step], limit_units: int
) -> None:
    ledger, now = opened(mode, overage_limit_units=limit_units), NOW
    for step in history:
        now += step.wait
        for each in try_to_run(ledger, step.at(now, ledger), now):
            event = each.fact.event
            if isinstance(event, HoldCaptured) or (isinstance(event, CreditsDebited) and not event.delivered):
                short_units = event.overage_units + event.debt_units
                wallet = evolve_all(ledger, each.version)
                assert not short_units or wallet.overage_units + debt_units(wallet) <= limit_units


def evolve_all(ledger: Book, version: int) -> Wallet:
    """Return the wallet as it was after one of its events."""
    wallet: Wallet | None = None
    for each in ledger.log[:version]:
        wallet = evolve(wallet, each.fact, each.version)
    assert wallet is not None
    return wallet


@given(modes, histories)
def test_lots_stand_in_burn_down_order_and_hold_something(mode: ShortfallMode, history: list[Step]) -> None:
    wallet = replayed(mode, history)[0].wallet()

    assert list(wallet.lots) == sorted(wallet.lots, key=default_order)
    assert all(lot.remaining_units or lot.held_units for lot in wallet.lots)
    due = [lot.expire_time for lot in wallet.lots if lot.expire_time is not None and lot.remaining_units]
    due += [hold.expire_time for hold in wallet.holds] + [each.next_time for each in wallet.series]
    assert wallet.next_due_time == min(due, default=None)


@given(histories)
def test_nothing_is_owed_while_drawable_credit_in_scope_is_left(history: list[Step]) -> None:
    ledger, now = replayed(ADVANCE, history)
    wallet = settled(ledger.wallet(), now)

    for debt in wallet.debts:
        for lot in wallet.lots:
            instant = max(debt.effective_time, lot.effective_time)
            payable = instant <= now and is_drawable(lot, effective_time=instant, feature=debt.feature)
            assert not (payable and lot.remaining_units)


@given(modes, histories, st.integers(1, 30), st.data())
def test_a_debit_in_two_parts_leaves_the_wallet_as_one_debit_does(
    mode: ShortfallMode, history: list[Step], amount_units: int, data: st.DataObject
) -> None:
    feature = data.draw(st.sampled_from(["", *FEATURES]))
    parts = data.draw(st.lists(st.integers(1, amount_units), max_size=4).map(sorted))
    cuts = [0, *sorted(set(parts) - {amount_units}), amount_units]
    # Parts may cross what the whole does at once, so alerts are left out: what they remember is how it came about.
    whole, now = replayed(mode, history, alerts=NO_ALERTS)
    split, _ = replayed(mode, history, alerts=NO_ALERTS)

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
        try_to_run(swept, step.at(now, swept), now)
    for ledger in (lazy, swept):
        ledger.run(SETTLE, end + 100 * HOUR)

    assert swept.wallet() == lazy.wallet()
    assert contents(swept) == contents(lazy)


@given(modes, histories, st.integers(1, 12), st.sampled_from(["", *FEATURES]))
def test_a_hold_that_is_released_changes_nothing_but_history(
    mode: ShortfallMode, history: list[Step], units: int, feature: str
) -> None:
    ledger, now = replayed(mode, history, alerts=NO_ALERTS)
    ledger.run(SETTLE, now)
    before = ledger.wallet()

    if placed := try_to_run(ledger, hold(units, feature=feature), now):
        ledger.run(release(placed[-1].version), now)

    assert msgspec.structs.replace(ledger.wallet(), version=before.version) == before


@given(modes, histories, st.integers(1, 12), st.integers(0, 15), st.data())
def test_a_capture_in_parts_leaves_the_wallet_as_one_capture_does(
    mode: ShortfallMode, history: list[Step], held_units: int, units: int, data: st.DataObject
) -> None:
    whole, now = replayed(mode, history, alerts=NO_ALERTS)
    split, _ = replayed(mode, history, alerts=NO_ALERTS)
    # What is captured to the end is over, so parts that are not final leave at least one unit held.
    parts = data.draw(st.lists(st.integers(0, min(units, held_units - 1)), max_size=4).map(sorted))
    placed = try_to_run(whole, hold(held_units), now)
    if not placed:
        return
    try_to_run(split, hold(held_units), now)
    version = placed[-1].version

    one = try_to_run(whole, capture(version, units), now)
    for start, end in pairwise([0, *parts]):
        split.run(capture(version, end - start, final=False), now)
    last = try_to_run(split, capture(version, units - max(parts, default=0)), now)

    assert bool(one) == bool(last)
    if one:
        assert without_debit_versions(split.wallet()) == without_debit_versions(whole.wallet())


@given(modes, histories, st.integers(1, 30), st.sampled_from(["", *FEATURES]), st.data())
def test_reversing_a_debit_whole_in_any_parts_restores_every_lot(
    mode: ShortfallMode, history: list[Step], units: int, feature: str, data: st.DataObject
) -> None:
    ledger, now = replayed(mode, history)
    ledger.run(SETTLE, now)
    before = ledger.wallet()
    debited = try_to_run(ledger, debit(units, feature=feature, delivered=True), now)
    if not debited or any(isinstance(each.fact.event, DebtRepaid) for each in debited):
        return
    version = debited[0].version

    for part in data.draw(st.lists(st.integers(1, units), max_size=3)):
        try_to_run(ledger, ledger.reversal(version, part), now)
    try_to_run(ledger, ledger.reversal(version), now)

    after_all = ledger.wallet()
    assert after_all.lots == before.lots
    assert after_all.debts == before.debts
    assert (after_all.drawn_units, after_all.overage_units) == (before.drawn_units, before.overage_units)
    assert reversed_units(after_all.reversed, version) + debt_units_of(debited[0]) == units


def debt_units_of(recorded: Recorded) -> int:
    """Return what a debit owed when it was recorded."""
    event = recorded.fact.event
    assert isinstance(event, CreditsDebited)
    return event.debt_units


@given(modes, histories)
def test_refunds_of_a_grant_are_the_floor_of_its_cost_and_never_exceed_what_was_paid(
    mode: ShortfallMode, history: list[Step]
) -> None:
    ledger, _ = replayed(mode, history)
    granted = {
        each.version: each.fact.event for each in ledger.log if isinstance(each.fact.event, CreditsGranted)
    }
    units, nanos = Counter[int](), Counter[int]()
    for each in ledger.log:
        if isinstance(each.fact.event, GrantRefunded):
            version = each.fact.event.grant_version
            units[version] += each.fact.event.amount_units
            nanos[version] += each.fact.event.refund.nanos

    for version, refunded in units.items():
        paid = granted[version].consideration
        assert paid is not None
        assert nanos[version] == paid.nanos * refunded // granted[version].amount_units <= paid.nanos


@given(modes, histories, histories, st.lists(st.booleans(), min_size=50, max_size=50))
def test_the_order_of_two_wallets_commands_does_not_matter(
    mode: ShortfallMode, one: list[Step], other: list[Step], first_goes: list[bool]
) -> None:
    logs = (replayed(mode, one)[0].log, replayed(mode, other)[0].log)
    together = (opened(mode), opened(mode))
    waiting, clocks = [list(one), list(other)], [NOW, NOW]
    for goes in [*first_goes, *[True] * 25, *[False] * 25]:
        turn = 0 if goes else 1
        if waiting[turn]:
            step = waiting[turn].pop(0)
            clocks[turn] += step.wait
            try_to_run(together[turn], step.at(clocks[turn], together[turn]), clocks[turn])

    assert tuple(ledger.log for ledger in together) == logs


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


@given(modes, histories)
def test_every_state_survives_its_snapshot(mode: ShortfallMode, history: list[Step]) -> None:
    ledger, _ = replayed(mode, history)

    entry = Entry()
    for event in as_stored(ledger.log):
        fact = decode_fact(event.topic, event.state)
        head = hash_event(event.stream, event.version, event.topic, event.state)
        entry = Entry(evolve_stream(WALLET, entry.state, fact, event.version), event.version, head)
        snapshot = take_snapshot(WALLET, entry)
        entry.snapshot_version, entry.snapshot_bytes = event.version, len(snapshot.state)
        assert restore(WALLET, LoadedStream(snapshot, ())) == entry


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
        prefix.state, prefix.version, prefix.head_hash, prefix.version, len(snapshot.state)
    )
