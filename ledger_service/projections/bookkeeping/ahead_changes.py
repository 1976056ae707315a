"""What an event puts ahead in contract liability beside lots, and on which days that is earned.

Bundles, fees and prepaid commitments post all their days at once, when they are sold or billed. What of the event's
liability is theirs follows from what they earn: the days of a fee add up to what was billed ahead of it, and a
commitment is what is breakage at its end and what is drawn down. A draw-down takes off both, so it adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final, NamedTuple, TypeVar

from ledger_service.domain.finance.accounts import Account
from ledger_service.domain.finance.booked import AheadChange
from ledger_service.domain.finance.journal import Movement, Posting
from ledger_service.projections.events.book_events import BookEvent, Credited, Invoiced
from ledger_service.projections.events.wallet_events import WalletEvent

Place = TypeVar("Place", bound=tuple[date, date, str])
BILLED: Final = frozenset({Movement.SALE, Movement.INVOICE, Movement.CREDIT_NOTE})
"""Movements by which liability begins, or is taken back."""
COMMITTED: Final = frozenset({Movement.BREAKAGE, Movement.DRAW_DOWN})
"""Movements of commitments; breakage of lots is no bill's."""


class _Part(NamedTuple):
    name: str
    currency_code: str


def ahead_changes(
    event: WalletEvent | BookEvent, by_place: Mapping[Place, Sequence[Posting]]
) -> dict[Place, tuple[AheadChange, ...]]:
    """Return what the postings of an event did to what is billed ahead, by the place of each."""
    earned: dict[Place, dict[_Part, int]] = {}
    billed: dict[_Part, int] = {}
    for place, postings in by_place.items():
        for key, nanos in postings:
            name = _part_of(event, key.flow.movement) if key.flow.debit is Account.CONTRACT_LIABILITY else ""
            if name:
                part = _Part(name, key.currency_code)
                found = earned.setdefault(place, {})
                found[part] = found.get(part, 0) + nanos
                billed[part] = billed.get(part, 0) + nanos
    if not earned:
        return {}
    begun = {part: (_begins(part, by_place), nanos) for part, nanos in billed.items() if nanos}
    changes: dict[Place, tuple[AheadChange, ...]] = {}
    for place in by_place:
        now = earned.get(place, {})
        here = {part: nanos for part, (begin, nanos) in begun.items() if begin == place}
        changes[place] = tuple(
            AheadChange(*part, here.get(part, 0) - now.get(part, 0), now.get(part, 0))
            for part in sorted(here.keys() | now.keys())
        )
    return changes


def _part_of(event: WalletEvent | BookEvent, movement: Movement) -> str:
    if isinstance(event, WalletEvent):
        return f"{event.wallet} {event.version}" if movement is Movement.PLAN else ""
    if movement in COMMITTED:
        return f"{event.stream} commitments"
    if movement is Movement.PLAN and isinstance(event.change, Invoiced | Credited):
        return f"{event.stream} {event.change.invoice}"
    return ""


def _begins(part: _Part, by_place: Mapping[Place, Sequence[Posting]]) -> Place:
    """Return the first place at which the event moved liability in; what a part earns comes after it."""
    for place, postings in sorted(by_place.items()):
        for key, _ in postings:
            touches = Account.CONTRACT_LIABILITY in (key.flow.debit, key.flow.credit)
            if touches and key.currency_code == part.currency_code and key.flow.movement in BILLED:
                return place
    return min(by_place)
