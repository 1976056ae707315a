"""Laws of late usage: a model that keeps no expiries, sweepers in between, and replays on the effective clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.commands import Debit, GrantCredits, OpenWallet, SettleWallet
from ledger_service.domain.events import CreditsDebited, CreditsGranted, Draw
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.streams import evolve_stream
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.domain.wallet.state import Wallet
from tests.builders import (
    CREDIT,
    MICROSECOND,
    NOW,
    WALLET,
    Book,
    after,
    grant,
    open_wallet,
    recurring,
    settle,
)
from tests.property.ledger.rule_histories import ACTS, MODES, Act, command_of, grace_of, play_acts
from tests.unit.ledger.domain.wallet_log import balance_as_of

HOUR = timedelta(hours=1)
GRACE_HOURS = 2


class Step(msgspec.Struct, frozen=True):
    """A grant, a debit or a reversal, some hours after the step before it and of usage some hours ago."""

    kind: str
    units: int
    hours_later: int
    hours_ago: int
    just_before: bool
    lasts_hours: int | None
    priority: int


STEPS = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(["grant", "grant", "debit", "debit", "debit", "reverse", "settle"]),
        units=st.integers(1, 12),
        hours_later=st.sampled_from([0, 0, 1, 2, 3]),
        hours_ago=st.sampled_from([0, 1, 2, 3, 4, 5]),
        just_before=st.booleans(),
        lasts_hours=st.sampled_from([None, 1, 2, 3, 4]),
        priority=st.integers(0, 1),
    ),
    max_size=30,
)


class NaiveLot(msgspec.Struct):
    """A grant and what was drawn on it: whatever has expired is known from the times alone."""

    version: int
    priority: int
    effective_time: datetime
    expire_time: datetime | None
    left_units: int


def naive_draws(lots: Sequence[NaiveLot], units: int, used_time: datetime, now: datetime) -> tuple[Draw, ...]:
    """Return what a debit draws by the rule's own words, one lot after the other."""
    never = datetime.max.replace(tzinfo=NOW.tzinfo)
    draws: list[Draw] = []
    for lot in sorted(
        lots, key=lambda lot: (lot.priority, lot.expire_time or never, lot.effective_time, lot.version)
    ):
        end = lot.expire_time
        drawable = lot.effective_time <= used_time and (
            end is None or (used_time < end and now < end + GRACE_HOURS * HOUR)
        )
        part = min(units, lot.left_units) if drawable else 0
        if part:
            draws.append(Draw(lot.version, part))
            lot.left_units -= part
            units -= part
    return tuple(draws)


def play(steps: Sequence[Step], check: bool = True) -> Book:
    """Return a book in which the steps ran, each debit held to the naive model."""
    ledger = Book()
    ledger.run(
        OpenWallet(WALLET, "customers/acme", CREDIT, ShortfallMode.SOFT, rules=grace_of(GRACE_HOURS)), NOW
    )
    lots: dict[int, NaiveLot] = {}
    now = NOW
    for step in steps:
        now += step.hours_later * HOUR
        used_time = now - step.hours_ago * HOUR - (MICROSECOND if step.just_before else 0 * HOUR)
        if step.kind == "grant":
            lasts = step.lasts_hours
            expire_time = None if lasts is None else used_time + lasts * HOUR
            command = GrantCredits(
                WALLET, step.units, GrantCategory.PAID, step.priority, (), used_time, expire_time
            )
            ledger.run(command, now)
            version = ledger.log[-1].version
            lots[version] = NaiveLot(version, step.priority, used_time, expire_time, step.units)
        elif step.kind == "debit":
            expected = naive_draws(tuple(lots.values()), step.units, used_time, now)
            debited = ledger.debit(Debit(WALLET, step.units, used_time), now)
            ended = {v for v, lot in lots.items() if lot.expire_time is not None and lot.expire_time <= now}
            if check:
                assert debited.draws == expected
                assert set(debited.late_grants) == {draw.grant_version for draw in expected} & ended
        elif step.kind == "reverse":
            _reverse(ledger, lots, step, now)
        else:
            ledger.run(SettleWallet(WALLET), now)
    return ledger


def _reverse(ledger: Book, lots: dict[int, NaiveLot], step: Step, now: datetime) -> None:
    debits = [each.version for each in ledger.log if isinstance(each.fact.event, CreditsDebited)]
    if not debits:
        return
    try:
        recorded = ledger.reverse(debits[-1 - step.priority % len(debits)], 0, now)
    except Refusal:
        return
    for each in recorded:
        for back in getattr(each.fact.event, "returned", ()):
            lots[back.grant_version].left_units += back.amount_units


@given(STEPS)
def test_debits_draw_what_a_model_without_expiries_says(steps: list[Step]) -> None:
    play(steps)


@given(STEPS)
def test_on_the_effective_clock_each_debit_counts_at_its_usage(steps: list[Step]) -> None:
    ledger = play([step for step in steps if step.kind != "reverse"], check=False)
    for until in {each.fact.effective_time for each in ledger.log if each.fact.effective_time >= NOW}:
        debits = [
            each.fact.event
            for each in ledger.log
            if isinstance(each.fact.event, CreditsDebited) and each.fact.effective_time <= until
        ]
        balance = asyncio.run(balance_as_of(ledger, effective_until=until))

        assert balance.debited_units == sum(event.amount_units for event in debits)
        assert balance.overage_units == sum(event.overage_units for event in debits)
        assert balance.posted_units == _alive_units(ledger, debits, until)


def _alive_units(ledger: Book, debits: Sequence[CreditsDebited], until: datetime) -> int:
    drawn: dict[int, int] = {}
    for debited in debits:
        for draw in debited.draws:
            drawn[draw.grant_version] = drawn.get(draw.grant_version, 0) + draw.amount_units
    alive = 0
    for each in ledger.log:
        event = each.fact.event
        if not isinstance(event, CreditsGranted) or each.fact.effective_time > until:
            continue
        if event.expire_time is None or until < event.expire_time:
            alive += event.amount_units - drawn.get(each.version, 0)
    return alive


@given(ACTS, MODES)
def test_every_event_leaves_the_invariants_and_a_snapshot_is_the_state(
    acts: list[Act], mode: ShortfallMode
) -> None:
    wallet: Wallet | None = None
    for each in play_acts(acts, mode).log:
        state = evolve_stream(WALLET, wallet, each.fact, each.version)
        assert isinstance(state, Wallet)
        assert list(broken_invariants(state, each.fact)) == []
        wallet = msgspec.json.decode(msgspec.json.encode(state), type=Wallet)
        assert wallet == state


@given(ACTS, MODES, st.randoms(use_true_random=False))
def test_sweepers_in_between_change_nothing(acts: list[Act], mode: ShortfallMode, random: Random) -> None:
    alone, swept = Book(), Book()
    opening = OpenWallet(WALLET, "customers/acme", CREDIT, mode, rules=grace_of(GRACE_HOURS))
    alone.run(opening, NOW)
    swept.run(opening, NOW)
    now = NOW
    for act in acts:
        for _ in range(random.randint(0, 2)):
            swept.run(SettleWallet(WALLET), now + random.random() * act.hours_later * HOUR)
        now += act.hours_later * HOUR
        # Both are brought to the instant, so that acts name the same events of the log.
        alone.run(SettleWallet(WALLET), now)
        swept.run(SettleWallet(WALLET), now)
        command = command_of(alone, act, now)
        if command is None:
            continue
        try:
            alone.run(command, now)
        except Refusal:
            continue
        swept.run(command, now)

    assert [(each.fact.event, each.fact.effective_time) for each in swept.log] == [
        (each.fact.event, each.fact.effective_time) for each in alone.log
    ]
    assert swept.wallet() == alone.wallet()


def test_a_year_of_an_idle_wallet_settles_at_once_to_what_many_sweeps_leave() -> None:
    opening = msgspec.structs.replace(open_wallet(), rules=grace_of(GRACE_HOURS))
    hourly = grant(
        7, category=GrantCategory.INCLUDED, recurrence=recurring("PT1H", percent="50", cap_units=3, times=2)
    )
    monthly = grant(
        1_000,
        category=GrantCategory.INCLUDED,
        recurrence=recurring("P1M", zone="Europe/Berlin", percent="100"),
    )
    at_once, swept = Book(), Book()
    for ledger in (at_once, swept):
        for command in (opening, hourly, monthly):
            ledger.run(command, NOW)
    random = Random(7)
    year = timedelta(days=365)
    at_once.run(settle(), after(days=365))
    for instant in sorted(NOW + random.random() * year for _ in range(50)):
        swept.run(settle(), instant)
    swept.run(settle(), after(days=365))

    assert len(at_once.log) > 8_760
    assert len(at_once.log) == len(swept.log)
    assert swept.wallet() == at_once.wallet()
