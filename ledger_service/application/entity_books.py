"""Which books a sale goes into: that of the entity that it names, or else of its wallet.

An entity of a wallet never changes and a functional currency is set once, so both are looked up before a sale is
decided. The rate is the decision's own to find: it reads the entity's stream in the same commit.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ledger_service.application.writer import Writer
from ledger_service.domain.commands import ActivateGrant, GrantCredits, SaleTerms, SettleTopUp
from ledger_service.domain.finance.decisions import Sale
from ledger_service.domain.finance.entity_books import COLLECTION
from ledger_service.domain.names import check_id
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.payments import find_pending
from ledger_service.domain.wallet.state import Wallet

C = TypeVar("C", GrantCredits, ActivateGrant, SettleTopUp)


async def in_entity_books(writer: Writer, command: C, *, functional_currency: str = "") -> C:
    """Return a sale that names the books that decide its rate. Raises Refusal.

    `functional_currency` is that of entities that have set none themselves.
    """
    if not _is_sale(command):
        return command
    entity = await _entity_of(writer, command)
    if entity and (await writer.read(f"{COLLECTION}{entity}")).state is not None:
        return msgspec.structs.replace(command, books=f"{COLLECTION}{entity}")
    return _in_books_of(command, functional_currency)


def _is_sale(command: Sale) -> bool:
    if isinstance(command, GrantCredits):
        return command.consideration is not None
    return command.succeeded if isinstance(command, SettleTopUp) else True


async def _entity_of(writer: Writer, command: Sale) -> str:
    """Return who sells; empty where there is no such wallet."""
    named = "" if command.finance is None else command.finance.entity
    if named:
        check_id(named, field="grant.finance.entity")
        return named
    wallet = (await writer.read(command.wallet)).state
    if not isinstance(wallet, Wallet):
        return ""
    if isinstance(command, ActivateGrant):
        pending = find_pending(wallet.payments, command.grant_version)
        terms = None if pending is None else pending.granted.finance
        return wallet.entity if terms is None or not terms.entity else terms.entity
    return wallet.entity


def _in_books_of(command: C, functional_currency: str) -> C:
    paid, terms = _paid(command), _terms(command)
    if not functional_currency or paid is None or terms.functional_currency:
        return command
    if paid.currency_code == functional_currency:
        return command
    terms = msgspec.structs.replace(terms, functional_currency=functional_currency)
    return msgspec.structs.replace(command, finance=terms)


def _terms(command: Sale) -> SaleTerms:
    return command.finance if isinstance(command.finance, SaleTerms) else SaleTerms()


def _paid(command: Sale) -> Money | None:
    # Top-ups state no rate, and without books of their own entity they are booked in their own currency.
    return command.consideration if isinstance(command, GrantCredits) else None
