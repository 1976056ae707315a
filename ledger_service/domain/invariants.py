"""Invariants: what is true of every wallet after every event. Stated once; tests and the audit call these."""

from __future__ import annotations

from collections.abc import Iterator

from ledger_service.domain.events import CreditsDebited, Event, Fact
from ledger_service.domain.streams import State
from ledger_service.domain.wallet import Wallet, posted_units


def broken_invariants(state: State, fact: Fact[Event]) -> Iterator[tuple[str, str]]:
    """Yield (name, description) of each invariant that does not hold after an event."""
    if isinstance(state, Wallet):
        if not is_conserved(state):
            yield (
                "CONSERVATION",
                f"granted {state.granted_units} != posted {posted_units(state)} + drawn {state.drawn_units}"
                f" + expired {state.expired_units}",
            )
        if not 0 <= state.carried_fraction < 1:
            yield "CARRIED_FRACTION", f"the carried fraction {state.carried_fraction} is not in [0, 1)"
    if isinstance(fact.event, CreditsDebited) and not is_covered(fact.event):
        yield "DRAWS", "draws and overage do not add up to amount_units"


def is_conserved(wallet: Wallet) -> bool:
    """Say whether granted = posted + drawn + expired."""
    return wallet.granted_units == posted_units(wallet) + wallet.drawn_units + wallet.expired_units


def is_covered(debit: CreditsDebited) -> bool:
    """Say whether draws and overage add up to the debit, and none is negative."""
    drawn_units = sum(draw.amount_units for draw in debit.draws)
    return (
        drawn_units + debit.overage_units == debit.amount_units
        and debit.overage_units >= 0
        and all(draw.amount_units > 0 for draw in debit.draws)
    )
