"""Histories of one wallet: commands at instants, small and close together so that boundaries are met often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

import msgspec
from hypothesis import strategies as st

from ledger_service.domain.commands import (
    AnyCommand,
    Debit,
    GrantCredits,
    OverHold,
    SettleWallet,
    UpdateWallet,
)
from ledger_service.domain.events import AlertRules, CreditsDebited, CreditsHeld, FastRise, HoldCaptured
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.domain.wallet.settle import settled
from tests.builders import (
    NOW,
    WALLET,
    Book,
    Recorded,
    capture,
    charge,
    debit,
    extend,
    grant,
    hold,
    open_wallet,
    recurring,
    refund,
    release,
    revoke,
)
from tests.property.ledger.domain.naive_caps import KEYS, USERS, cap_rules

HOUR = timedelta(hours=1)
FEATURES = ("chat", "code")
SETTLE = SettleWallet(WALLET)

ALERTS = AlertRules((10, 50, 80, 100), (20, 7, 0), FastRise("PT1H", 2, "1.5"))
"""Close together, so that nearly everything crosses something."""

modes = st.sampled_from(list(ShortfallMode))
figures = st.decimals(min_value=0, max_value=9, places=3).map(str)


class Kind(Enum):
    """What a follow-up does."""

    CAPTURE = "capture"
    RELEASE = "release"
    REVERSE = "reverse"
    REVOKE = "revoke"
    REFUND = "refund"
    EXTEND = "extend"
    BONUS = "bonus"


class FollowUp(msgspec.Struct, frozen=True):
    """A command about something earlier, chosen by `pick` from what there is when it is sent."""

    kind: Kind
    pick: int
    units: int
    whole: bool

    def on(self, ledger: Book, now: datetime) -> AnyCommand:
        """Return the command as it is sent; a version of 1 where there is nothing to refer to."""
        match self.kind:
            case Kind.CAPTURE:
                over_hold = OverHold.EXTRA_IF_AVAILABLE if self.units % 2 else OverHold.REJECT
                return capture(self._hold(ledger, now), self.units, final=self.whole, over_hold=over_hold)
            case Kind.RELEASE:
                return release(self._hold(ledger, now))
            case Kind.REVERSE:
                return ledger.reversal(self._debit(ledger), 0 if self.whole else self.units)
            case Kind.REVOKE:
                return revoke(self._lot(ledger, now))
            case Kind.REFUND:
                return refund(self._lot(ledger, now, paid=True), 0 if self.whole else self.units)
            case Kind.EXTEND:
                return extend(self._lot(ledger, now), None if self.whole else now + self.units * HOUR)
            case Kind.BONUS:
                purchase = self._lot(ledger, now, paid=True)
                return grant(self.units + 1, category=GrantCategory.PROMOTIONAL, purchase_version=purchase)

    def _chosen(self, versions: Sequence[int]) -> int:
        return versions[self.pick % len(versions)] if versions else 1

    def _hold(self, ledger: Book, now: datetime) -> int:
        active = [each.hold_version for each in settled(ledger.wallet(), now).holds]
        ended = [each.version for each in ledger.log if isinstance(each.fact.event, CreditsHeld)][-1:]
        return self._chosen(active or ended)

    def _debit(self, ledger: Book) -> int:
        kinds = CreditsDebited | HoldCaptured
        return self._chosen([each.version for each in ledger.log[::-1] if isinstance(each.fact.event, kinds)])

    def _lot(self, ledger: Book, now: datetime, *, paid: bool = False) -> int:
        # Whether somebody swept the wallet must not change the choice.
        lots = settled(ledger.wallet(), now).lots
        if self.kind is Kind.EXTEND:
            lots = (
                tuple(lot for lot in lots if lot.recurrence is None and lot.expire_time is not None) or lots
            )
        sold = tuple(lot for lot in lots if lot.consideration is not None)
        return self._chosen(sorted(lot.grant_version for lot in (sold if paid and sold else lots)))


class Step(msgspec.Struct, frozen=True):
    """A command, so long after the step before it; its own times are offsets from when it is run."""

    wait: timedelta
    command: AnyCommand | FollowUp
    effective_offset: timedelta | None = None
    lifetime: timedelta | None = None

    def at(self, now: datetime, ledger: Book) -> AnyCommand:
        """Return the command as it is sent at an instant."""
        effective_time = None if self.effective_offset is None else now + self.effective_offset
        match self.command:
            case FollowUp() as follow_up:
                return follow_up.on(ledger, now)
            case Debit() as asked:
                return msgspec.structs.replace(asked, effective_time=effective_time)
            case GrantCredits() as asked:
                begins = effective_time or now
                lasts = self.lifetime is not None and asked.recurrence is None
                return msgspec.structs.replace(
                    asked,
                    effective_time=effective_time,
                    expire_time=begins + self.lifetime if lasts and self.lifetime else None,
                )
            case asked:
                return asked


waits = st.sampled_from([0, 0, 0, 0, 0, 1, 2, 5]).map(lambda hours: hours * HOUR)
grants = st.builds(
    grant,
    st.integers(4, 20),
    category=st.sampled_from(list(GrantCategory)),
    priority=st.integers(0, 1),
    scope=st.sampled_from([(), (), ("chat",), FEATURES]),
)
purchases = st.builds(grant, st.integers(4, 20), paid_nanos=st.integers(0, 40))
recurring_grants = st.builds(
    grant,
    st.integers(4, 20),
    priority=st.integers(0, 1),
    scope=st.sampled_from([(), (), ("chat",)]),
    recurrence=st.builds(
        recurring,
        st.sampled_from(["PT1H", "PT2H", "PT5H"]),
        count=st.sampled_from([1, 2, 3, 40]),
        percent=st.sampled_from(["", "50", "100", "33.3"]),
        cap_units=st.sampled_from([None, None, 3]),
        times=st.integers(1, 2),
    ),
)
debits = st.builds(
    debit,
    st.integers(1, 15),
    feature=st.sampled_from(["", *FEATURES]),
    delivered=st.sampled_from([False, False, False, True]),
    take_available=st.sampled_from([False, False, False, True]),
    api_key=st.sampled_from(["", *KEYS]),
    user=st.sampled_from(["", *USERS]),
)
charged_debits = st.builds(
    lambda parts, feature, user: debit(charge=charge(*parts), feature=feature, user=user),
    st.lists(figures, min_size=1, max_size=3),
    st.sampled_from(["", *FEATURES]),
    st.sampled_from(["", *USERS]),
)
holds = st.builds(
    hold,
    st.integers(1, 9),
    ttl=st.sampled_from([None, HOUR, 2 * HOUR, 7 * HOUR]),
    feature=st.sampled_from(["", *FEATURES]),
    api_key=st.sampled_from(["", *KEYS]),
    user=st.sampled_from(["", *USERS]),
)
cap_updates = cap_rules.map(
    lambda rules: UpdateWallet(WALLET, ("rules.budgets", "rules.spend_cap"), rules=rules)
)


def about(kind: Kind) -> st.SearchStrategy[FollowUp]:
    """Return follow-ups of one kind."""
    return st.builds(FollowUp, st.just(kind), st.integers(0, 3), st.integers(0, 9), st.booleans())


grant_offsets = st.none() | st.integers(-4, 4).map(lambda hours: hours * HOUR)
debit_offsets = st.none() | st.sampled_from(
    [-5 * HOUR, -HOUR, -timedelta(microseconds=1), timedelta(), timedelta(minutes=5)]
)
lifetimes = st.none() | st.integers(1, 6).map(lambda hours: hours * HOUR)
steps = st.one_of(
    st.builds(Step, waits, grants, grant_offsets, lifetimes),
    st.builds(Step, waits, purchases, grant_offsets, lifetimes),
    st.builds(Step, waits, recurring_grants, grant_offsets),
    st.builds(Step, waits, debits, debit_offsets),
    st.builds(Step, waits, charged_debits, debit_offsets),
    st.builds(Step, waits, holds),
    st.builds(Step, waits, holds),
    st.builds(Step, waits, cap_updates),
    *(st.builds(Step, waits, about(kind)) for kind in Kind),
)
# Enough steps that there is something to capture, reverse or refund.
histories = st.lists(steps, min_size=10, max_size=25)


def opened(mode: ShortfallMode, *, overage_limit_units: int = 0, alerts: AlertRules = ALERTS) -> Book:
    """Return a book with one empty wallet, which has alerts unless told."""
    ledger = Book()
    ledger.run(open_wallet(mode=mode, overage_limit_units=overage_limit_units, alerts=alerts))
    return ledger


def try_to_run(ledger: Book, command: AnyCommand, now: datetime) -> list[Recorded]:
    """Run a command; a refusal records nothing."""
    try:
        return ledger.run(command, now)
    except Refusal:
        return []


def replayed(
    mode: ShortfallMode, history: Sequence[Step], *, alerts: AlertRules = ALERTS
) -> tuple[Book, datetime]:
    """Return a book after a history, and the instant of its last step."""
    ledger, now = opened(mode, alerts=alerts), NOW
    for step in history:
        now += step.wait
        try_to_run(ledger, step.at(now, ledger), now)
    return ledger, now
