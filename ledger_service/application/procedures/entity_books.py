"""Which books a sale goes into: that of the entity that it names, or else of its wallet.

An entity of a wallet never changes, a functional currency is set once, and so is what a top-up was asked for with: all
are looked up before a sale is decided. The rate is the decision's own to find: it reads the entity's stream in the same
commit. A sale to come (a top-up that is asked for, a rule) is told only in which currency its books are.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import (
    ActivateGrant,
    GrantCredits,
    OpenWallet,
    RequestTopUp,
    SaleTerms,
    SettleTopUp,
    UpdateWallet,
)
from ledger_service.domain.events import TopUpRequested
from ledger_service.domain.finance.entity_books import COLLECTION, EntityBooks
from ledger_service.domain.names import check_id
from ledger_service.domain.values import DEFAULT_ENTITY
from ledger_service.domain.wallet.payments import find_open, find_pending
from ledger_service.domain.wallet.sales import sale_of
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.top_up_terms import stated_terms

C = TypeVar("C", GrantCredits, SettleTopUp)
L = TypeVar("L", RequestTopUp, OpenWallet, UpdateWallet)


async def in_entity_books(writer: Writer, command: C, *, functional_currency: str = "") -> C:
    """Return a sale that names the books that decide its rate. Raises Refusal.

    `functional_currency` is that of entities that have set none themselves.
    """
    if isinstance(command, GrantCredits):
        paid = command.consideration
    else:
        requested = _asked_for((await writer.read(command.wallet)).state, command)
        paid = requested.price if requested is not None else None
        if requested is not None:
            command = msgspec.structs.replace(command, finance=stated_terms(requested, command))
    if paid is None:
        return command
    terms = command.finance or SaleTerms()
    entity = terms.entity
    if entity:
        check_id(entity, field="grant.finance.entity")
    else:
        wallet = (await writer.read(command.wallet)).state
        if not isinstance(wallet, Wallet):
            return command
        entity = wallet.entity
    if (await writer.read(f"{COLLECTION}{entity}")).state is not None:
        return msgspec.structs.replace(command, books=f"{COLLECTION}{entity}")
    if functional_currency in ("", paid.currency_code) or terms.functional_currency:
        return command
    terms = msgspec.structs.replace(terms, functional_currency=functional_currency)
    return msgspec.structs.replace(command, finance=terms)


async def received_in_entity_books(writer: Writer, command: ActivateGrant) -> ActivateGrant:
    """Return an activation that names the books that decide the rate of its payment. Raises Refusal."""
    wallet = (await writer.read(command.wallet)).state
    if not isinstance(wallet, Wallet):
        return command
    pending = find_pending(wallet.payments, command.grant_version)
    if pending is None:
        return command
    terms = pending.granted.finance
    books = f"{COLLECTION}{terms.entity if terms is not None and terms.entity else wallet.entity}"
    if (await writer.read(books)).state is None:
        return command
    return msgspec.structs.replace(command, books=books)


async def for_entity_books(writer: Writer, command: L, *, functional_currency: str = "") -> L:
    """Return a command on a sale to come that knows the currency of its books, as far as anybody does.

    Raises Refusal.
    """
    sale = sale_of(command)
    if sale is None:
        return command
    entity = sale.terms.entity or await _entity_of(writer, command)
    check_id(entity, field=f"{sale.field}.entity")
    books = (await writer.read(f"{COLLECTION}{entity}")).state
    if isinstance(books, EntityBooks):
        return msgspec.structs.replace(command, books_currency=books.functional_currency)
    if sale.terms.functional_currency:
        return command
    return msgspec.structs.replace(command, books_currency=functional_currency)


async def _entity_of(writer: Writer, command: RequestTopUp | OpenWallet | UpdateWallet) -> str:
    if isinstance(command, OpenWallet):
        return command.entity
    state = (await writer.read(command.wallet)).state
    # Where there is no wallet, the decision says so.
    return state.entity if isinstance(state, Wallet) else DEFAULT_ENTITY


def _asked_for(state: object, command: SettleTopUp) -> TopUpRequested | None:
    top_up = find_open(state.payments, command.top_up_version) if isinstance(state, Wallet) else None
    return top_up.requested if top_up is not None and command.succeeded else None
