"""Lists of contracts and plans, by name, folded from the log: what was committed when the page is read.

A call looks at SCAN_MAX streams at most, so a page may be short, even empty, and still not the last.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Final, Generic, TypeVar

import msgspec

from ledger_service.application.ports import LogReader
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.phase_cards import cards_of
from ledger_service.domain.agreement.plan import Plan
from ledger_service.domain.events import PlanPhase
from ledger_service.domain.streams import State, evolve_stream
from ledger_service.domain.topics import decode_fact

SCAN_MAX: Final = 1_000
"""Streams that one call looks at: a few thousand events."""

S = TypeVar("S", Contract, Plan)


class ContractFilter(msgspec.Struct, frozen=True):
    """Which contracts are listed; empty: all. A card counts if a phase names it that is in force or ahead."""

    customer: str = ""
    wallet: str = ""
    plan: str = ""
    rate_card: str = ""


class AgreementPage(msgspec.Struct, Generic[S], frozen=True):
    """Names with their states, and the name after which to go on, empty at the end."""

    items: list[tuple[str, S]]
    next_after: str


async def list_contracts(
    reader: LogReader, wanted: ContractFilter, *, after: str, limit: int, now: datetime
) -> AgreementPage[Contract]:
    """Return contracts after a name. Raises StoreUnavailableError."""

    def is_wanted(contract: Contract) -> bool:
        signed = contract.signed
        ahead = (phase for phase in contract.phases if phase.to_time is None or phase.to_time > now)
        return (
            wanted.customer in ("", signed.customer)
            and wanted.wallet in ("", signed.wallet)
            and wanted.plan in ("", contract.plan)
            and (not wanted.rate_card or any(names_card(phase.terms, wanted.rate_card) for phase in ahead))
        )

    return await _page(reader, "contracts", Contract, is_wanted, after=after, limit=limit)


async def list_plans(reader: LogReader, rate_card: str, *, after: str, limit: int) -> AgreementPage[Plan]:
    """Return plans after a name; of a card only those whose newest version names it. Raises StoreUnavailableError."""

    def is_wanted(plan: Plan) -> bool:
        return not rate_card or any(names_card(phase, rate_card) for phase in plan.versions[-1].phases)

    return await _page(reader, "plans", Plan, is_wanted, after=after, limit=limit)


def names_card(phase: PlanPhase, rate_card: str) -> bool:
    """Say whether a phase prices anything by a card."""
    return any(name == rate_card for _, name in cards_of(phase))


async def _page(
    reader: LogReader,
    collection: str,
    kind: type[S],
    is_wanted: Callable[[S], bool],
    *,
    after: str,
    limit: int,
) -> AgreementPage[S]:
    found: list[tuple[str, S]] = []
    events = await reader.read_collection(collection, after=after, limit=SCAN_MAX)
    count, last = 0, ""
    for stream, group in groupby(events, key=lambda event: event.stream):
        if len(found) == limit:
            return AgreementPage(found, last)
        count, last = count + 1, stream
        state: State | None = None
        for event in group:
            fact = decode_fact(event.topic, event.state)
            state = evolve_stream(stream, state, fact, event.version)
        assert isinstance(state, kind), f"{stream} folds into a {kind.__name__}"
        if is_wanted(state):
            found.append((stream, state))
    return AgreementPage(found, last if count == SCAN_MAX else "")
