"""Laws of a wallet that tops itself up, and of grants that wait for a payment, after every step of any history."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.ports import LoadedStream
from ledger_service.application.writing.stream_cache import Entry, restore, take_snapshot
from ledger_service.domain.commands import ActivateGrant, AnyCommand, RequestTopUp, SettleTopUp, UpdateWallet
from ledger_service.domain.events import (
    AutoTopUp,
    CreditsGranted,
    GrantActivated,
    TopUpOutcome,
    TopUpRequested,
    WalletRules,
)
from ledger_service.domain.invariants import broken_invariants
from ledger_service.domain.values import Money, ShortfallMode
from ledger_service.domain.wallet.auto_top_up import available_units
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.settle import settled
from ledger_service.domain.wallet.state import Wallet
from tests.builders import NOW, WALLET, Book, grant
from tests.property.ledger.domain.histories import (
    HOUR,
    SETTLE,
    Step,
    grant_offsets,
    lifetimes,
    modes,
    opened,
    steps,
    try_to_run,
    waits,
)

ZONE = "Europe/Berlin"
RULE = AutoTopUp(
    threshold_units=3,
    price=Money("EUR", 100),
    price_units=7,
    target_units=12,
    per_day_max=2,
    per_month_max=3,
    back_off_seconds=1800,
    back_off_max_seconds=3 * 3600,
    valid_for="PT9H",
    zone=ZONE,
)


class Payment(msgspec.Struct, frozen=True):
    """What a payer does next: settle the oldest open top-up, or activate a pending grant, whichever `pick` says."""

    activates: bool
    outcome: TopUpOutcome

    def on(self, ledger: Book, now: datetime) -> AnyCommand:
        """Return the command as it is sent; a version of 1 where there is nothing to refer to."""
        # Whether somebody swept the wallet must not change the choice.
        payments = settled(ledger.wallet(), now).payments
        if self.activates:
            pending = payments.pending_grants
            return ActivateGrant(WALLET, pending[0].grant_version if pending else 1)
        top_ups = payments.open_top_ups
        return SettleTopUp(WALLET, top_ups[0].top_up_version if top_ups else 1, self.outcome)


class Paying(msgspec.Struct, frozen=True):
    """A payer's step, so long after the step before it."""

    wait: timedelta
    payment: Payment | RequestTopUp | UpdateWallet


Act = Step | Paying


def give(rule: AutoTopUp) -> UpdateWallet:
    """Return the update that gives a rule."""
    return UpdateWallet(WALLET, ("rules.auto_top_up",), rules=WalletRules(auto_top_up=rule))


rules = st.builds(
    lambda threshold, amount: msgspec.structs.replace(
        RULE, threshold_units=threshold, amount_units=amount, target_units=0
    ),
    st.integers(0, 9),
    st.integers(1, 30),
)
pending_grants = st.builds(grant, st.integers(4, 20), paid_nanos=st.integers(0, 40), pending=st.just(True))
payments = st.builds(Payment, st.booleans(), st.sampled_from(list(TopUpOutcome)))
asked = st.builds(lambda units: RequestTopUp(WALLET, units, Money("EUR", units)), st.integers(1, 20))
acts = st.one_of(
    steps,
    st.builds(Step, waits, pending_grants, grant_offsets, lifetimes),
    st.builds(Paying, waits, payments),
    st.builds(Paying, waits, payments),
    st.builds(Paying, waits, asked | st.builds(give, rules)),
)
paid_histories = st.lists(acts, min_size=10, max_size=30)


def ruled(mode: ShortfallMode) -> Book:
    """Return a book with one wallet that has the rule."""
    ledger = opened(mode)
    ledger.run(give(RULE))
    return ledger


def command_of(act: Act, now: datetime, ledger: Book) -> AnyCommand:
    """Return the command as it is sent at an instant."""
    if isinstance(act, Step):
        return act.at(now, ledger)
    return act.payment.on(ledger, now) if isinstance(act.payment, Payment) else act.payment


def played(mode: ShortfallMode, history: Sequence[Act]) -> Book:
    """Return a book after a history."""
    ledger, now = ruled(mode), NOW
    for act in history:
        now += act.wait
        try_to_run(ledger, command_of(act, now, ledger), now)
    return ledger


@given(modes, paid_histories)
def test_every_invariant_holds_and_pending_grants_are_in_no_sum(
    mode: ShortfallMode, history: list[Act]
) -> None:
    ledger = played(mode, history)

    wallet: Wallet | None = None
    granted_units = 0
    for each in ledger.log:
        wallet = evolve(wallet, each.fact, each.version)
        match each.fact.event:
            case CreditsGranted(pending=False, amount_units=units):
                granted_units += units
            case GrantActivated(lot=lot):
                granted_units += lot.granted_units
            case _:
                pass
        assert wallet.granted_units == granted_units
        assert list(broken_invariants(wallet, each.fact)) == []
    assert wallet == ledger.wallet()


@given(modes, paid_histories)
def test_no_day_and_no_month_has_more_requests_than_its_limit(
    mode: ShortfallMode, history: list[Act]
) -> None:
    ledger = played(mode, history)
    ledger.run(SETTLE, NOW + 2000 * HOUR)

    days: Counter[object] = Counter()
    months: Counter[object] = Counter()
    for each in ledger.log:
        if isinstance(each.fact.event, TopUpRequested) and each.fact.event.automatic:
            local = each.fact.effective_time.astimezone(ZoneInfo(ZONE))
            days[local.date()] += 1
            months[local.year, local.month] += 1
    assert max(days.values(), default=0) <= RULE.per_day_max
    assert max(months.values(), default=0) <= RULE.per_month_max


@given(modes, paid_histories)
def test_at_most_one_automatic_top_up_is_open_and_none_is_missing(
    mode: ShortfallMode, history: list[Act]
) -> None:
    ledger, now = ruled(mode), NOW
    for act in history:
        now += act.wait
        ledger.run(SETTLE, now)
        try_to_run(ledger, command_of(act, now, ledger), now)
        wallet = ledger.wallet()
        rule, automatic = wallet.rules.auto_top_up, wallet.payments.automatic
        assert rule is not None
        count = sum(each.requested.automatic for each in wallet.payments.open_top_ups)
        low = available_units(wallet, now) <= rule.threshold_units
        free = (
            now >= automatic.retry_time
            and (automatic.day_count < rule.per_day_max or now >= automatic.day_end_time)
            and (automatic.month_count < rule.per_month_max or now >= automatic.month_end_time)
        )
        assert count <= 1
        assert count == 1 or not (low and free)


@given(modes, paid_histories, st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)), max_size=12))
def test_settling_at_any_instants_gives_the_same_events_and_state(
    mode: ShortfallMode, history: list[Act], sweeps: list[tuple[int, int]]
) -> None:
    lazy, swept, now = ruled(mode), ruled(mode), NOW
    for index, act in enumerate(history):
        for hours in sorted(hours for at, hours in sweeps if at == index):
            swept.run(SETTLE, min(now + hours * HOUR, now + act.wait))
        now += act.wait
        for ledger in (lazy, swept):
            try_to_run(ledger, command_of(act, now, ledger), now)
    for ledger in (lazy, swept):
        ledger.run(SETTLE, now + 900 * HOUR)

    assert [(each.fact.event, each.fact.effective_time) for each in swept.log] == [
        (each.fact.event, each.fact.effective_time) for each in lazy.log
    ]
    assert swept.wallet() == lazy.wallet()


@given(modes, paid_histories)
def test_a_snapshot_restores_the_very_wallet(mode: ShortfallMode, history: list[Act]) -> None:
    wallet = played(mode, history).wallet()

    snapshot = take_snapshot(WALLET, Entry(wallet, wallet.version))

    assert restore(WALLET, LoadedStream(snapshot, ())).state == wallet
