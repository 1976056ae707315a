"""Which books a sale goes into: that of the entity that it names, or else of its wallet.

An entity of a wallet never changes and a functional currency is set once, so both are looked up before a sale is
decided. The rate is the decision's own to find: it reads the entity's stream in the same commit.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ledger_service.application.writer import Writer
from ledger_service.domain.commands import GrantCredits, SaleTerms, SettleTopUp
from ledger_service.domain.finance.entity_books import COLLECTION
from ledger_service.domain.names import check_id
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.state import Wallet

C = TypeVar("C", GrantCredits, SettleTopUp)


async def in_entity_books(writer: Writer, command: C, *, functional_currency: str = "") -> C:
    """Return a sale that names the books that decide its rate. Raises Refusal.

    `functional_currency` is that of entities that have set none themselves.
    """
    if not _is_sale(command):
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
    return _in_books_of(command, terms, functional_currency)


def _is_sale(command: GrantCredits | SettleTopUp) -> bool:
    return command.succeeded if isinstance(command, SettleTopUp) else command.consideration is not None


def _in_books_of(command: C, terms: SaleTerms, functional_currency: str) -> C:
    paid = _paid(command)
    if not functional_currency or paid is None or terms.functional_currency:
        return command
    if paid.currency_code == functional_currency:
        return command
    terms = msgspec.structs.replace(terms, functional_currency=functional_currency)
    return msgspec.structs.replace(command, finance=terms)


def _paid(command: GrantCredits | SettleTopUp) -> Money | None:
    # Top-ups state no rate, and without books of their own entity they are booked in their own currency.
    return command.consideration if isinstance(command, GrantCredits) else None
