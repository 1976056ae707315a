"""A tape: a wallet on which a decision is being made, with what was decided so far."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import Event, Fact
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.state import Wallet


class Tape:
    """Collects drafts; `wallet` is the state after those added. The wallet given is never changed."""

    __slots__ = ("drafts", "name", "wallet")

    def __init__(self, name: str, wallet: Wallet) -> None:
        """Begin with a wallet and nothing decided."""
        self.name = name
        self.wallet = wallet
        self.drafts: list[Draft] = []

    def add(self, event: Event, effective_time: datetime, *, answers: bool = False) -> None:
        """Add an event and fold it in."""
        self.drafts.append(Draft(self.name, event, effective_time, answers))
        fact = Fact(event, effective_time, effective_time, "")
        self.wallet = evolve(self.wallet, fact, self.wallet.version + 1)

    def end(self, event: Event, effective_time: datetime) -> list[Draft]:
        """Add the event that answers the command, after which nothing is decided, and return all drafts."""
        self.drafts.append(Draft(self.name, event, effective_time, answers=True))
        return self.drafts
