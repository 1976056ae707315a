"""What a page of events touches: the lots, pools and wallets that the journal must know before it takes them up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from ledger_service.domain.events import FinanceTerms
from ledger_service.projections.book_events import Credited, Invoiced, PageEvents, PoolEstimated, Signed
from ledger_service.projections.books import LotKey
from ledger_service.projections.estimate_events import Escheated, Estimated, RefundPaid, Remote
from ledger_service.projections.movement_events import ChargedBack, Lowered, Received, Returned, Sent
from ledger_service.projections.payment_events import Activated
from ledger_service.projections.wallet_events import (
    Captured,
    Change,
    Debited,
    Expired,
    Extended,
    Granted,
    Held,
    Refunded,
    Released,
    Repaid,
    Reversed,
    Revoked,
    RolledOver,
)


class Bill(NamedTuple):
    """A contract that is billed in a currency."""

    contract: str
    currency_code: str


class Touched(msgspec.Struct):
    """What a page touches. Mutable: filled by one pass over the page."""

    lots: set[LotKey] = set()
    pools: set[str] = set()
    priced_wallets: set[str] = set()
    """Wallets with overage."""
    billed: set[Bill] = set()
    signed: dict[str, str] = {}
    """By contract, the wallet that it binds."""


def touched_by(events: PageEvents) -> Touched:
    """Return what the events of a page touch."""
    touched = Touched()
    lots = touched.lots
    for event in events.wallets:
        change = event.change
        if type(change) is Debited:
            for draw in change.draws:
                lots.add(LotKey(event.wallet, draw.grant_version))
        else:
            lots.update(LotKey(event.wallet, version) for version in _versions(change))
            terms = _terms(change)
            if terms is not None and terms.pool:
                touched.pools.add(terms.pool)
        if isinstance(change, Debited | Captured | Reversed) and change.overage_units:
            touched.priced_wallets.add(event.wallet)
    for other in events.others:
        if isinstance(other.change, Invoiced | Credited):
            touched.billed.add(Bill(other.stream, other.change.currency_code))
        elif isinstance(other.change, Signed):
            touched.signed[other.stream] = other.change.wallet
    touched.pools.update(each.stream for each in events.others if isinstance(each.change, PoolEstimated))
    return touched


def _versions(change: Change) -> Iterator[int]:
    match change:
        case Granted(purchase_version=purchase) if purchase:
            yield purchase
        case Expired() | Repaid() | Revoked() | Refunded() | Extended() | RolledOver():
            yield change.grant_version
        case ChargedBack() | Lowered() | Escheated() | RefundPaid():
            yield change.grant_version
        case Estimated(grant_versions=versions) | Remote(grant_versions=versions):
            yield from versions
        case Held(slices=slices):
            yield from (each.grant_version for each in slices)
        case Sent(slices=sent) | Returned(slices=sent):
            yield from (each.grant_version for each in sent)
        case Released(returned=returned):
            yield from (each.grant_version for each in returned)
        case Reversed(returned=given_back):
            yield from (each.grant_version for each in given_back)
        case Captured():
            yield from (draw.grant_version for draw in (*change.held_draws, *change.draws, *change.returned))
        case _:
            pass


def _terms(change: Change) -> FinanceTerms | None:
    match change:
        case Granted():
            return change.finance
        case Activated(lot=terms) | Received(lot=terms):
            return terms.finance
        case _:
            return None
