"""What a page of events touches: the lots, pools and wallets that the journal must know before it takes them up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from ledger_service.domain.events import FinanceTerms
from ledger_service.projections.bookkeeping.books import LotKey
from ledger_service.projections.bookkeeping.exchange import BillName
from ledger_service.projections.events.book_events import (
    BookEvent,
    Credited,
    Invoiced,
    PageEvents,
    PoolEstimated,
    Signed,
)
from ledger_service.projections.events.estimate_events import Escheated, Estimated, RefundPaid, Remote
from ledger_service.projections.events.movement_events import ChargedBack, Lowered, Received, Returned, Sent
from ledger_service.projections.events.payment_events import Activated
from ledger_service.projections.events.wallet_events import (
    Captured,
    Change,
    Debited,
    Expired,
    Extended,
    Granted,
    Held,
    Opened,
    Refunded,
    Released,
    Repaid,
    Reversed,
    Revoked,
    RolledOver,
    WalletEvent,
)


class Bill(NamedTuple):
    """A contract that is billed in a currency."""

    contract: str
    currency_code: str


class Priced(NamedTuple):
    """A wallet whose overage is priced in a currency."""

    wallet: str
    currency_code: str


class Span(NamedTuple):
    """The first and the last instant of something."""

    first: datetime
    last: datetime


class Touched(msgspec.Struct):
    """What a page touches. Mutable: filled by one pass over the page."""

    lots: set[LotKey] = set()
    pools: set[str] = set()
    priced_wallets: set[str] = set()
    """Wallets with overage."""
    opened: dict[str, str] = {}
    """Wallets that are opened, with the entity of each."""
    priced: dict[Priced, Span] = {}
    """Overage, and when it counts."""
    billed: dict[Bill, Span] = {}
    """Bills, and when they were issued."""
    credited: set[BillName] = set()
    """Invoices of which something is taken back."""
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
        if isinstance(change, Debited | Captured | Reversed):
            if change.overage_units:
                _note_overage(touched, event, change)
        elif isinstance(change, Opened):
            touched.opened[event.wallet] = change.entity
    for other in events.others:
        _note_other(touched, other)
    return touched


def _note_other(touched: Touched, event: BookEvent) -> None:
    match event.change:
        case Invoiced() | Credited() as issued:
            bill = Bill(event.stream, issued.currency_code)
            touched.billed[bill] = _with(touched.billed.get(bill), issued.issue_time)
            if isinstance(issued, Credited):
                touched.credited.add(BillName(event.stream, issued.invoice))
        case Signed(wallet=wallet):
            touched.signed[event.stream] = wallet
        case PoolEstimated():
            touched.pools.add(event.stream)
        case _:
            pass


def _note_overage(touched: Touched, event: WalletEvent, change: Debited | Captured | Reversed) -> None:
    touched.priced_wallets.add(event.wallet)
    priced = change if isinstance(change, Reversed) else change.charge
    if priced is not None and priced.overage_price is not None:
        overage = Priced(event.wallet, priced.overage_price.currency_code)
        touched.priced[overage] = _with(touched.priced.get(overage), event.effective_time)


def _with(span: Span | None, instant: datetime) -> Span:
    if span is None:
        return Span(instant, instant)
    return Span(min(span.first, instant), max(span.last, instant))


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
