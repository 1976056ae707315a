"""A tape: a wallet on which a decision is being made, with what was decided so far.

Whatever changes a wallet goes through here, so here is where alerts are recorded: directly after the event
that crossed a threshold.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import CreditsDebited, Event, Fact
from ledger_service.domain.wallet.alerts import (
    alerts_in_force,
    crossings,
    crossings_of_debit,
    is_watched,
    measure,
)
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.state import Wallet


class Tape:
    """Collects drafts; `wallet` is the state after those added, `begun` the one that was given and never changes.

    `instant` is the one at which the next event happens to the wallet: `now`, the record time of all of them,
    or while settling when it fell due.
    """

    __slots__ = ("begun", "drafts", "instant", "name", "now", "wallet")

    def __init__(self, name: str, wallet: Wallet, now: datetime) -> None:
        """Begin with a wallet and nothing decided."""
        self.name = name
        self.begun = self.wallet = wallet
        self.now = now
        self.instant = now
        self.drafts: list[Draft] = []

    def add(self, event: Event, effective_time: datetime, *, answers: bool = False) -> None:
        """Add an event and fold it in, and after it the alerts that it causes."""
        before = self.wallet
        self._fold(event, effective_time, answers=answers)
        alerts = alerts_in_force(before, self.instant)
        if is_watched(alerts):
            figures = measure(before, self.instant), measure(self.wallet, self.instant)
            for crossing in crossings(before, event, alerts, *figures, record_time=self.now):
                self._fold(crossing, self.instant)

    def end(self, event: Event, effective_time: datetime) -> list[Draft]:
        """Add the event that answers the command, after which nothing is decided, and return all drafts."""
        alerts = alerts_in_force(self.wallet, self.instant)
        if not is_watched(alerts):
            self.drafts.append(Draft(self.name, event, effective_time, answers=True))
        elif isinstance(event, CreditsDebited) and not event.late_grants:
            # The path of every request: what a debit does to the figures is known without folding it.
            self.drafts.append(Draft(self.name, event, effective_time, answers=True))
            for crossing in crossings_of_debit(
                self.wallet, event, alerts, instant=self.instant, record_time=self.now
            ):
                self.drafts.append(Draft(self.name, crossing, self.instant))
        else:
            self.add(event, effective_time, answers=True)
        return self.drafts

    def _fold(self, event: Event, effective_time: datetime, *, answers: bool = False) -> None:
        self.drafts.append(Draft(self.name, event, effective_time, answers))
        fact = Fact(event, self.now, effective_time, "")
        self.wallet = evolve(self.wallet, fact, self.wallet.version + 1)
