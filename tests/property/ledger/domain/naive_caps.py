"""Caps of a naive wallet: no counters, only what is left of every debit, looked through at each question.

A debit counts in the period in which it was recorded. Periods are walked one by one from the anchor.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

import msgspec
from hypothesis import strategies as st

from ledger_service.domain.calendar import add_period
from ledger_service.domain.events import Budget, SpendCap, WalletRules
from ledger_service.domain.refusals import BudgetExceeded, SpendCapExceeded
from tests.builders import NOW

Who = tuple[str, str, str]
"""API key, user and feature."""
KEYS, USERS = ("key-1", "key-2"), ("ann",)


class Spending(Protocol):
    """A debit or a hold, as a cap sees it."""

    who: Who
    recorded: datetime
    version: int

    def left(self) -> int:
        """Return what of it was not given back."""


class NaiveCap(msgspec.Struct):
    """A cap that the wallet was given at a version."""

    terms: SpendCap | Budget
    since: int

    @property
    def name(self) -> str:
        """Return the budget's name, nothing for the spend cap."""
        return self.terms.budget if isinstance(self.terms, Budget) else ""

    def is_for(self, who: Who) -> bool:
        """Say whether it counts what somebody spends."""
        if isinstance(self.terms, SpendCap):
            return True
        chosen = (self.terms.api_key, self.terms.user, self.terms.feature)
        return any(mine and mine == theirs for mine, theirs in zip(chosen, who, strict=True))

    def begins(self, now: datetime) -> datetime | None:
        """Return where the present period begins, None if it always was."""
        if not self.terms.period:
            return None
        number = 0
        while self._boundary(number) > now:
            number -= 1
        while self._boundary(number + 1) <= now:
            number += 1
        return self._boundary(number)

    def _boundary(self, number: int) -> datetime:
        return add_period(self.terms.anchor_time, self.terms.period, self.terms.zone, times=number)

    def used(self, debits: Iterable[Spending], now: datetime) -> int:
        """Return what is left of the debits of the present period."""
        begins = self.begins(now)
        return sum(
            each.left()
            for each in debits
            if self.is_for(each.who)
            and each.version > self.since
            and (begins is None or begins <= each.recorded)
        )


class NaiveCaps:
    """The caps of a wallet."""

    def __init__(self) -> None:
        self.caps: list[NaiveCap] = []

    def give(self, rules: WalletRules, version: int) -> None:
        """Put caps in the place of those there are; where only the amount differs, the old one goes on."""
        before = {cap.name: cap for cap in self.caps}
        self.caps = []
        asked: list[SpendCap | Budget] = [rules.spend_cap] if rules.spend_cap else []
        for terms in (*asked, *rules.budgets):
            cap = NaiveCap(terms, version)
            old = before.get(cap.name)
            if old is not None and msgspec.structs.replace(old.terms, amount_units=0) == (
                msgspec.structs.replace(terms, amount_units=0)
            ):
                cap.since = old.since
            self.caps.append(cap)

    def rooms(
        self, who: Who, debits: list[Spending], held: list[tuple[Who, int]], now: datetime
    ) -> list[tuple[int, str]]:
        """Return the room that each cap leaves somebody, with its name, in the order of refusal."""
        order = ("spend", "api_key", "user", "feature")

        def rank(cap: NaiveCap) -> int:
            if isinstance(cap.terms, SpendCap):
                return 0
            return next(index for index, name in enumerate(order) if index and getattr(cap.terms, name))

        return [
            (
                cap.terms.amount_units
                - cap.used(debits, now)
                - sum(units for holder, units in held if cap.is_for(holder)),
                cap.name,
            )
            for cap in sorted(self.caps, key=rank)
            if cap.is_for(who)
        ]


def refuse_beyond(rooms: list[tuple[int, str]], amount: int) -> None:
    """Refuse what does not fit into every room."""
    for room, name in rooms:
        if amount > max(room, 0):
            raise (BudgetExceeded if name else SpendCapExceeded)("")


limits = st.integers(0, 25)
periods = st.sampled_from(["PT1H", "PT5H", "P1D", "P1M"])
anchors = st.sampled_from(
    [NOW, datetime(2026, 1, 31, tzinfo=NOW.tzinfo), datetime(2026, 4, 1, tzinfo=NOW.tzinfo)]
)
zones = st.sampled_from(["UTC", "Europe/Berlin"])
spend_caps = st.builds(SpendCap, limits, periods, anchors, zones)
budgets = st.lists(
    st.builds(
        lambda selector, limit, anchor, period, zone: Budget(
            selector[1].replace("-", "_"),
            limit,
            anchor,
            period=period,
            zone=zone,
            **{selector[0]: selector[1]},
        ),
        st.sampled_from(
            [*(("api_key", each) for each in KEYS), *(("user", each) for each in USERS), ("feature", "chat")]
        ),
        limits,
        anchors,
        st.just("") | periods,
        zones,
    ),
    max_size=3,
    unique_by=lambda budget: budget.budget,
).map(tuple)
cap_rules = st.builds(
    lambda cap, budgets: WalletRules(spend_cap=cap, budgets=budgets), st.none() | spend_caps, budgets
)
