"""A wallet against a naive model of another shape.

The model keeps no lots, no order and no expiries: only the list of what was asked and accepted. At every check
it starts again from nothing, turns each grant into single units and lets each unit of each debit look through
all of them for the one to take.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from math import floor, inf
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger_service.application.ports import LoadedStream, StoredEvent
from ledger_service.application.stream_cache import restore, take_snapshot
from ledger_service.domain.commands import Debit, GrantCredits
from ledger_service.domain.refusals import InsufficientCredit, OverageLimitExceeded, Refusal
from ledger_service.domain.settle import settled
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.values import GrantCategory, ShortfallMode
from ledger_service.domain.wallet import posted_units
from tests.builders import (
    CONTRACT,
    NOW,
    WALLET,
    Book,
    book,
    create_rate_card,
    open_wallet,
    plan_phase,
    publish_phase,
    publish_plan,
    sign_contract,
)
from tests.property.ledger.domain.histories import (
    HOUR,
    SETTLE,
    Step,
    charged_debits,
    debit_offsets,
    debits,
    grant_offsets,
    grants,
    lifetimes,
    modes,
)

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)
RANK = ["PROMOTIONAL", "INCLUDED", "PAID"]


class Unit:
    """One unit of credit."""

    def __init__(self, granted: GrantCredits, index: int, now: datetime) -> None:
        self.granted = granted
        self.index = index
        self.begins = granted.effective_time or now
        self.used = False

    def ended(self, instant: datetime) -> bool:
        """Say whether it has expired by an instant."""
        return self.granted.expire_time is not None and instant >= self.granted.expire_time

    def serves(self, feature: str, instant: datetime, now: datetime) -> bool:
        """Say whether a debit may take it."""
        if self.used or self.ended(now) or self.ended(instant) or instant < self.begins:
            return False
        return self.granted.scope == () or feature in self.granted.scope

    def place(self) -> tuple[Any, ...]:
        """Return its place in the burn-down order."""
        granted = self.granted
        ends = inf if granted.expire_time is None else (granted.expire_time - NOW) / HOUR
        scoped_first = 0 if granted.scope else 1
        begins = self.begins - NOW
        return (granted.priority, ends, RANK.index(granted.category.value), scoped_first, begins, self.index)


class Totals(msgspec.Struct, frozen=True):
    """What can be said about a wallet at an instant."""

    granted: int
    posted: int
    drawn: int
    overage: int
    expired: int
    left: tuple[tuple[int, int], ...]


class NaiveWallet:
    """Everything that was accepted, in order, and the questions that can be asked about it."""

    def __init__(self, mode: ShortfallMode, limit: int) -> None:
        self.facts: list[tuple[datetime, GrantCredits | Debit]] = []
        self.policies: list[tuple[datetime, ShortfallMode, int]] = [(LONG_AGO, mode, limit)]

    def start_again(self) -> tuple[list[Unit], int, Fraction]:
        """Return all units, the overage and the exact sum of charges, from nothing."""
        units: list[Unit] = []
        overage, charged = 0, Fraction()
        for index, (now, fact) in enumerate(self.facts):
            if isinstance(fact, GrantCredits):
                units += [Unit(fact, index, now) for _ in range(fact.amount_units)]
                continue
            amount = self.amount(fact, charged)
            if fact.charge is not None:
                charged += Fraction(fact.charge.exact_units)
            overage += amount - self.take(units, fact, amount, now)
        return units, overage, charged

    @staticmethod
    def amount(fact: Debit, charged: Fraction) -> int:
        """Return the units that a debit takes when so much was charged before."""
        if fact.charge is None:
            return fact.amount_units
        return floor(charged + Fraction(fact.charge.exact_units)) - floor(charged)

    @staticmethod
    def take(units: list[Unit], fact: Debit, amount: int, now: datetime) -> int:
        """Use units up, one by one; return how many there were."""
        instant = fact.effective_time or now
        for taken in range(amount):
            usable = [unit for unit in units if unit.serves(fact.feature, instant, now)]
            if not usable:
                return taken
            min(usable, key=Unit.place).used = True
        return amount

    def refusal(self, asked: Debit, now: datetime) -> type[Refusal] | None:
        """Return how a debit must be refused, if it must."""
        units, overage, charged = self.start_again()
        amount = self.amount(asked, charged)
        missing = amount - self.take(units, asked, amount, now)
        if missing == 0 or asked.delivered:
            return None
        instant = asked.effective_time or now
        _, mode, limit = max(
            (each for each in self.policies if each[0] <= instant), key=lambda policy: policy[0]
        )
        if mode is ShortfallMode.HARD:
            return InsufficientCredit
        return OverageLimitExceeded if limit and overage + missing > limit else None

    def totals(self, now: datetime) -> Totals:
        """Return the totals at an instant."""
        units, overage, _ = self.start_again()
        live = [unit for unit in units if not unit.used and not unit.ended(now)]
        return Totals(
            granted=len(units),
            posted=len(live),
            drawn=sum(unit.used for unit in units),
            overage=overage,
            expired=sum(not unit.used and unit.ended(now) for unit in units),
            left=tuple(
                (index, sum(unit.index == index for unit in live))
                for index in sorted({u.index for u in live})
            ),
        )


class WalletMachine(RuleBasedStateMachine):
    """Drives a wallet and the model side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Book()
        self.model = NaiveWallet(ShortfallMode.HARD, 0)
        self.now = NOW
        self.grant_versions: dict[int, int] = {}
        self.signed = False

    @initialize(mode=modes, limit=st.sampled_from([0, 0, 5]))
    def open(self, mode: ShortfallMode, limit: int) -> None:
        """Open the wallet."""
        self.ledger = book(
            create_rate_card(),
            publish_phase(),
            publish_plan(
                plan_phase("first", duration="P1D", mode=ShortfallMode.SOFT),
                plan_phase("second", mode=ShortfallMode.HARD),
            ),
            open_wallet(mode=mode, overage_limit_units=limit),
        )
        self.model = NaiveWallet(mode, limit)

    @rule(step=st.sampled_from([timedelta(microseconds=1), HOUR, 2 * HOUR, 5 * HOUR, 24 * HOUR]))
    def time_passes(self, step: timedelta) -> None:
        """Let time pass."""
        self.now += step

    @rule(command=grants, offset=grant_offsets, lifetime=lifetimes)
    def grant(self, command: GrantCredits, offset: timedelta | None, lifetime: timedelta | None) -> None:
        """Grant credit; nothing here can refuse it."""
        asked = Step(timedelta(), command, offset, lifetime).at(self.now)
        assert isinstance(asked, GrantCredits)

        recorded = self.ledger.run(asked, self.now)

        self.grant_versions[recorded[-1].version] = len(self.model.facts)
        self.model.facts.append((self.now, asked))

    @rule(command=debits | charged_debits, offset=debit_offsets)
    def debit(self, command: Debit, offset: timedelta | None) -> None:
        """Debit; the model knows whether it is refused, and how."""
        asked = Step(timedelta(), command, offset).at(self.now)
        assert isinstance(asked, Debit)
        expected = self.model.refusal(asked, self.now)

        if expected is not None:
            with pytest.raises(expected):
                self.ledger.run(asked, self.now)
            return
        self.ledger.run(asked, self.now)
        self.model.facts.append((self.now, asked))

    @rule()
    def sweep(self) -> None:
        """Settle."""
        self.ledger.run(SETTLE, self.now)

    @precondition(lambda self: not self.signed)
    @rule(hours=st.integers(-30, 30))
    def sign(self, hours: int) -> None:
        """Sign a contract: SOFT without limit for a day, then HARD."""
        start = self.now + hours * HOUR

        self.ledger.run(sign_contract(contract=CONTRACT, start_time=start), self.now)

        self.model.policies.append((start, ShortfallMode.SOFT, 0))
        self.model.policies.append((start + 24 * HOUR, ShortfallMode.HARD, 0))
        self.signed = True

    @rule(with_snapshot=st.booleans())
    def restart(self, with_snapshot: bool) -> None:
        """Forget the state and fold it again from stored bytes."""
        stored = tuple(
            StoredEvent(1, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact))
            for each in self.ledger.log
            if each.stream == WALLET
        )
        entry = restore(WALLET, LoadedStream(None, stored))
        if with_snapshot:
            entry = restore(WALLET, LoadedStream(take_snapshot(WALLET, entry), ()))
        assert entry.state is not None
        self.ledger.states[WALLET] = entry.state

    @invariant()
    def the_wallet_is_what_the_model_says(self) -> None:
        """Compare all that can be said about the wallet now."""
        if not self.ledger.states:
            return
        wallet = settled(self.ledger.wallet(), self.now)
        left = sorted((self.grant_versions[lot.grant_version], lot.remaining_units) for lot in wallet.lots)

        assert self.model.totals(self.now) == Totals(
            granted=wallet.granted_units,
            posted=posted_units(wallet),
            drawn=wallet.drawn_units,
            overage=wallet.overage_units,
            expired=wallet.expired_units,
            left=tuple(left),
        )
        _, _, charged = self.model.start_again()
        assert Fraction(wallet.carried_fraction) == charged - floor(charged)


WalletMachine.TestCase.settings = settings(max_examples=settings().max_examples // 5, stateful_step_count=40)
TestWalletAgainstTheModel = WalletMachine.TestCase


def test_the_model_ranks_every_category() -> None:
    assert sorted(RANK) == sorted(category.value for category in GrantCategory)
