"""Laws of caps, in a wallet that never lacks credit so that only caps refuse."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.ports import LoadedStream, StoredEvent
from ledger_service.application.writing.stream_cache import restore, take_snapshot
from ledger_service.domain.commands import AnyCommand
from ledger_service.domain.events import (
    Budget,
    CreditsDebited,
    DebitReversed,
    HoldCaptured,
    SpendCap,
    WalletRules,
)
from ledger_service.domain.refusals import BudgetExceeded, Refusal, SpendCapExceeded
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.values import ShortfallMode
from ledger_service.domain.wallet.room import CapUse, cap_uses
from ledger_service.domain.wallet.settle import settled
from tests.builders import NOW, WALLET, Book, book, capture, debit, grant, hold, open_wallet, release, settle
from tests.property.ledger.domain.naive_caps import NaiveCaps

HOUR = timedelta(hours=1)
RULES = WalletRules(
    spend_cap=SpendCap(14, "PT3H", NOW),
    budgets=(
        Budget("key", 9, NOW + HOUR, api_key="key-1", period="PT5H"),
        Budget("chat", 11, NOW, feature="chat"),
    ),
)
DELIVERED = "delivered"


class Deed(msgspec.Struct, frozen=True):
    """What is done so long after the deed before it."""

    kind: str
    wait: timedelta
    units: int
    pick: int
    api_key: str
    feature: str
    final: bool


deeds = st.lists(
    st.builds(
        Deed,
        st.sampled_from(
            ["debit", "debit", "take", DELIVERED, "hold", "hold", "capture", "capture", "release"]
        )
        | st.sampled_from(["reverse", "reverse", "late"]),
        st.sampled_from([0, 0, 0, 1, 2]).map(lambda hours: hours * HOUR),
        st.integers(1, 8),
        st.integers(0, 2),
        st.sampled_from(["", "key-1"]),
        st.sampled_from(["", "chat"]),
        st.booleans(),
    ),
    min_size=8,
    max_size=25,
)


def command_of(deed: Deed, ledger: Book, now: datetime) -> AnyCommand:
    """Return what is asked; a version of 1 where there is nothing to refer to."""
    holds = [each.hold_version for each in settled(ledger.wallet(), now).holds] or [1]
    kinds = CreditsDebited | HoldCaptured
    debits = [each.version for each in ledger.log[::-1] if isinstance(each.fact.event, kinds)] or [1]
    hold_version, debit_version = holds[deed.pick % len(holds)], debits[deed.pick % len(debits)]
    match deed.kind:
        case "hold":
            return hold(deed.units, ttl=4 * HOUR, api_key=deed.api_key, feature=deed.feature)
        case "capture":
            return capture(hold_version, deed.units, final=deed.final)
        case "release":
            return release(hold_version)
        case "reverse":
            return ledger.reversal(debit_version, 0 if deed.final else deed.units)
        case _:
            return debit(
                deed.units,
                delivered=deed.kind == DELIVERED,
                take_available=deed.kind == "take",
                effective_time=now - 4 * HOUR if deed.kind == "late" else None,
                api_key=deed.api_key,
                feature=deed.feature,
            )


def capped() -> Book:
    """Return a book with a wallet that has caps and all the credit that it can want."""
    ledger = book(open_wallet(mode=ShortfallMode.SOFT, rules=RULES))
    ledger.run(grant(100_000))
    return ledger


def played(history: list[Deed], *, swept: bool = False, restarted: bool = False) -> tuple[Book, datetime]:
    """Return a book after a history, and its last instant."""
    ledger, now = capped(), NOW
    for deed in history:
        now += deed.wait
        if swept:
            ledger.run(settle(), now)
        with suppress(Refusal):
            ledger.run(command_of(deed, ledger, now), now)
        if restarted:
            restart(ledger)
    return ledger, now


def restart(ledger: Book) -> None:
    """Forget the wallet, fold it from stored bytes, and once more from its snapshot."""
    stored = tuple(
        StoredEvent(1, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact))
        for each in ledger.log
    )
    entry = restore(WALLET, LoadedStream(None, stored))
    entry = restore(WALLET, LoadedStream(take_snapshot(WALLET, entry), ()))
    assert entry.state == ledger.wallet()
    ledger.states[WALLET] = entry.state


def uses(ledger: Book, now: datetime) -> list[CapUse]:
    """Return how the caps stand."""
    return cap_uses(settled(ledger.wallet(), now), now)


@given(deeds)
def test_no_more_is_used_and_held_than_the_limit_unless_it_was_delivered(history: list[Deed]) -> None:
    undelivered = [deed for deed in history if deed.kind != DELIVERED]
    ledger, now = capped(), NOW
    for deed in undelivered:
        now += deed.wait
        with suppress(Refusal):
            ledger.run(command_of(deed, ledger, now), now)
        for use in uses(ledger, now):
            assert use.used_units >= 0
            assert use.used_units + use.held_units <= use.terms.amount_units


class Spent:
    """A debit and what is left of it."""

    def __init__(self, version: int, recorded: datetime, who: tuple[str, str, str], units: int) -> None:
        self.version, self.recorded, self.who, self.units = version, recorded, who, units

    def left(self) -> int:
        """Return what of it was not given back."""
        return self.units


@given(deeds)
def test_what_is_used_is_what_is_left_of_the_debits_recorded_in_the_period(history: list[Deed]) -> None:
    ledger, now = played(history)
    naive = NaiveCaps()
    naive.give(RULES, 1)
    debits: dict[int, Spent] = {}
    for each in ledger.log:
        event = each.fact.event
        if isinstance(event, CreditsDebited | HoldCaptured):
            spender = (event.api_key, event.user, event.feature)
            debits[each.version] = Spent(each.version, each.fact.record_time, spender, event.amount_units)
        elif isinstance(event, DebitReversed):
            debits[event.debit_version].units -= event.amount_units

    expected = [cap.used(debits.values(), now) for cap in naive.caps]

    assert [use.used_units for use in uses(ledger, now)] == expected


@given(deeds)
def test_a_refusal_by_a_cap_is_right_to_the_unit(history: list[Deed]) -> None:
    ledger, now = played(history)
    wallet = settled(ledger.wallet(), now)
    spend_cap, of_key, of_chat = (use.remaining_units for use in cap_uses(wallet, now))
    room = min(spend_cap, of_key, of_chat)

    if room:
        taken = ledger.debit(debit(10_000, api_key="key-1", feature="chat", take_available=True), now)
        assert taken.amount_units == room
    before = ledger.wallet()
    with pytest.raises((SpendCapExceeded, BudgetExceeded)):
        ledger.run(debit(1, api_key="key-1", feature="chat"), now)
    assert ledger.wallet() is before


@given(deeds)
def test_sweeps_and_restarts_change_nothing(history: list[Deed]) -> None:
    plain, now = played(history)
    restarted, _ = played(history, restarted=True)
    swept, _ = played(history, swept=True)

    assert restarted.wallet() == plain.wallet()
    # A sweep may record a timeout earlier in the stream, so versions may differ, but no figure does.
    shown = [[(use.used_units, use.held_units) for use in uses(each, now)] for each in (plain, swept)]
    assert shown[0] == shown[1]
