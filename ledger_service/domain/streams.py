"""Streams: which state a stream's events fold into, by the collection in its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ledger_service.domain.agreement import contract, plan, rate_card
from ledger_service.domain.events import Event, Fact
from ledger_service.domain.finance import entity_books, periods, pool
from ledger_service.domain.wallet import evolve, state

State = (
    state.Wallet
    | rate_card.RateCard
    | plan.Plan
    | contract.Contract
    | pool.BreakagePool
    | periods.AccountingPeriods
    | entity_books.EntityBooks
)
Evolve = Callable[[Any, Fact[Event], int], State]

EVOLVE: Final[dict[str, Evolve]] = {
    "wallets": evolve.evolve,
    "rateCards": rate_card.evolve,
    "plans": plan.evolve_plan,
    "contracts": contract.evolve_contract,
    "breakagePools": pool.evolve_pool,
    "accountingPeriods": periods.evolve_periods,
    "entities": entity_books.evolve_books,
}
STATE_TYPE: Final[dict[str, type[State]]] = {
    "wallets": state.Wallet,
    "rateCards": rate_card.RateCard,
    "plans": plan.Plan,
    "contracts": contract.Contract,
    "breakagePools": pool.BreakagePool,
    "accountingPeriods": periods.AccountingPeriods,
    "entities": entity_books.EntityBooks,
}


def collection_of(stream: str) -> str:
    """Return the collection in a stream's name: wallets for wallets/acme."""
    return stream.partition("/")[0]


def evolve_stream(stream: str, state: State | None, fact: Fact[Event], version: int) -> State:
    """Return the stream's state after one of its events."""
    return EVOLVE[collection_of(stream)](state, fact, version)
