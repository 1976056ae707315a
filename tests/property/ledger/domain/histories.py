"""Histories of one wallet: commands at instants, small and close together so that boundaries are met often."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from hypothesis import strategies as st

from ledger_service.domain.commands import AnyCommand, Debit, GrantCredits, SettleWallet
from ledger_service.domain.refusals import Refusal
from ledger_service.domain.values import GrantCategory, ShortfallMode
from tests.builders import NOW, WALLET, Book, Recorded, charge, debit, grant, open_wallet

HOUR = timedelta(hours=1)
FEATURES = ("chat", "code")
SETTLE = SettleWallet(WALLET)

modes = st.sampled_from(list(ShortfallMode))
figures = st.decimals(min_value=0, max_value=9, places=3).map(str)


class Step(msgspec.Struct, frozen=True):
    """A command, so long after the step before it; its own times are offsets from when it is run."""

    wait: timedelta
    command: AnyCommand
    effective_offset: timedelta | None = None
    lifetime: timedelta | None = None

    def at(self, now: datetime) -> AnyCommand:
        """Return the command as it is sent at an instant."""
        effective_time = None if self.effective_offset is None else now + self.effective_offset
        if isinstance(self.command, Debit):
            return msgspec.structs.replace(self.command, effective_time=effective_time)
        if isinstance(self.command, GrantCredits):
            begins = effective_time or now
            expire_time = None if self.lifetime is None else begins + self.lifetime
            return msgspec.structs.replace(
                self.command, effective_time=effective_time, expire_time=expire_time
            )
        return self.command


waits = st.sampled_from([0, 0, 0, 1, 2, 5]).map(lambda hours: hours * HOUR)
grants = st.builds(
    grant,
    st.integers(1, 12),
    category=st.sampled_from(list(GrantCategory)),
    priority=st.integers(0, 1),
    scope=st.sampled_from([(), (), ("chat",), FEATURES]),
)
debits = st.builds(
    debit,
    st.integers(1, 15),
    feature=st.sampled_from(["", *FEATURES]),
    delivered=st.sampled_from([False, False, False, True]),
)
charged_debits = st.builds(
    lambda parts, feature: debit(charge=charge(*parts), feature=feature),
    st.lists(figures, min_size=1, max_size=3),
    st.sampled_from(["", *FEATURES]),
)
grant_offsets = st.none() | st.integers(-4, 4).map(lambda hours: hours * HOUR)
debit_offsets = st.none() | st.sampled_from(
    [-5 * HOUR, -HOUR, -timedelta(microseconds=1), timedelta(), timedelta(minutes=5)]
)
lifetimes = st.none() | st.integers(1, 6).map(lambda hours: hours * HOUR)
steps = st.one_of(
    st.builds(Step, waits, grants, grant_offsets, lifetimes),
    st.builds(Step, waits, debits, debit_offsets),
    st.builds(Step, waits, charged_debits, debit_offsets),
)
histories = st.lists(steps, min_size=1, max_size=25)


def opened(mode: ShortfallMode, *, overage_limit_units: int = 0) -> Book:
    """Return a book with one empty wallet."""
    ledger = Book()
    ledger.run(open_wallet(mode=mode, overage_limit_units=overage_limit_units))
    return ledger


def try_to_run(ledger: Book, command: AnyCommand, now: datetime) -> list[Recorded]:
    """Run a command; a refusal records nothing."""
    try:
        return ledger.run(command, now)
    except Refusal:
        return []


def replayed(mode: ShortfallMode, history: Sequence[Step]) -> tuple[Book, datetime]:
    """Return a book after a history, and the instant of its last step."""
    ledger, now = opened(mode), NOW
    for step in history:
        now += step.wait
        try_to_run(ledger, step.at(now), now)
    return ledger, now
