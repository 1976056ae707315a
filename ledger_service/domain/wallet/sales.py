"""Sales, however they are asked for: whose books they go into, at which rate, and which pool takes them.

A grant and a top-up that was paid are sales now: their terms are completed by what the wallet's entity has said. A
grant that waits for its payment, a request of a top-up and a rule for top-ups are sales to come: their rate is that of
the payment, but what can never be sold is refused at once. A pool is there for ever, and so are the currency of an
entity's books and the entity of a wallet; so what was asked for is found as it was when it is paid, unless books began
in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from ledger_service.domain.commands import (
    ActivateGrant,
    AnyCommand,
    GrantCredits,
    OpenWallet,
    RequestTopUp,
    SettleTopUp,
    UpdateWallet,
)
from ledger_service.domain.events import AutoTopUp, SaleTerms
from ledger_service.domain.finance.entity_books import EntityBooks, at_receipt, sold_by
from ledger_service.domain.finance.pool import BreakagePool, check_member
from ledger_service.domain.names import check_currency
from ledger_service.domain.refusals import FieldMalformed
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.payments import find_open, find_pending
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.top_up_terms import ASKED, stated_terms

SALES: Final = frozenset({GrantCredits, ActivateGrant, RequestTopUp, SettleTopUp, UpdateWallet})
"""Commands on a wallet that is there which may sell on terms."""
RULED: Final = "wallet.rules.auto_top_up.finance"


class Sale(NamedTuple):
    """Terms in a command: what the price is in, where they are said, and the currency of the books, if known."""

    terms: SaleTerms
    currency_code: str
    field: str
    books_currency: str = ""


def finance_streams(command: object) -> Iterator[str]:
    """Yield the pool and the books that a sale needs."""
    sale = sale_of(command)
    if sale is not None and sale.terms.pool:
        yield sale.terms.pool
    if isinstance(command, GrantCredits | ActivateGrant | SettleTopUp) and command.books:
        yield command.books


def sold_in_books(
    states: Mapping[str, object], wallet: Wallet, command: AnyCommand, now: datetime
) -> AnyCommand:
    """Return a command whose sale says who sells and at which rate, once it can.

    Raises ExchangeRateRequired, FieldRequired, FieldMalformed, BreakagePoolNotFound, BreakagePoolMismatch.
    """
    asked = sale_of(command)
    if isinstance(command, ActivateGrant):
        return _received(states, wallet, command, now)
    if isinstance(command, GrantCredits | SettleTopUp):
        command = _with_entity(states, wallet, command, now)
    sale = sale_of(command)
    # What a top-up was asked for with was checked then, unless the caller brings it along.
    if asked is not None and sale is not None:
        if isinstance(command, SettleTopUp):
            price = _price_of(wallet, command)
            sale = sale._replace(currency_code="" if price is None else price.currency_code)
        if isinstance(command, GrantCredits) and (books := _books_of(states, command)) is not None:
            sale = sale._replace(books_currency=books.functional_currency)
        check_sale(states, sale, entity=wallet.entity)
    return command


def check_sale(states: Mapping[str, object], sale: Sale | None, *, entity: str) -> None:
    """Refuse terms that the books or the pool of a sale cannot take; `entity` is that of the wallet.

    Raises FieldMalformed, BreakagePoolNotFound, BreakagePoolMismatch.
    """
    if sale is None:
        return
    terms = sale.terms
    if sale.books_currency and terms.functional_currency not in ("", sale.books_currency):
        raise FieldMalformed(
            f"the books of entity {terms.entity or entity} are in {sale.books_currency}",
            field=f"{sale.field}.functional_currency_code",
        )
    if not terms.pool:
        return
    pool = states[terms.pool]
    assert pool is None or isinstance(pool, BreakagePool)
    check_member(
        pool,
        terms.pool,
        currency_code=terms.functional_currency or sale.books_currency or sale.currency_code,
        entity=terms.entity or entity,
        field=f"{sale.field}.pool",
    )


def sale_of(command: object) -> Sale | None:
    """Return the terms of the sale that a command states, None without terms."""
    match command:
        case GrantCredits(finance=SaleTerms() as terms, consideration=paid):
            return Sale(terms, paid.currency_code if paid is not None else "", "grant.finance")
        case SettleTopUp(finance=SaleTerms() as terms):
            return Sale(terms, "", ASKED)
        case RequestTopUp(finance=SaleTerms() as terms, price=price, books_currency=books_currency):
            return Sale(terms, price.currency_code, ASKED, books_currency)
        case OpenWallet(rules=rules, books_currency=books_currency):
            return _sale_of_rule(rules.auto_top_up, books_currency)
        case UpdateWallet(rules=rules, paths=paths, books_currency=books_currency):
            told = not {"rules", "rules.auto_top_up"}.isdisjoint(paths)
            return _sale_of_rule(rules.auto_top_up, books_currency) if told else None
        case _:
            return None


def _sale_of_rule(rule: AutoTopUp | None, books_currency: str) -> Sale | None:
    if rule is None or rule.finance is None:
        return None
    return Sale(rule.finance, rule.price.currency_code, RULED, books_currency)


def _with_entity(
    states: Mapping[str, object], wallet: Wallet, command: GrantCredits | SettleTopUp, now: datetime
) -> GrantCredits | SettleTopUp:
    price = _price_of(wallet, command)
    instant: datetime | None = now
    if price is None:
        return command
    if isinstance(command, GrantCredits):
        # A currency that is none has no rate either; what is wrong with it is said first.
        check_currency(price.currency_code, field="grant.consideration.currency_code")
        asked = command.finance or SaleTerms()
        instant = None if command.pending else command.effective_time or now
    else:
        top_up = find_open(wallet.payments, command.top_up_version)
        assert top_up is not None, "it has a price"
        asked = command.finance or stated_terms(top_up.requested, command)
    settles = isinstance(command, SettleTopUp)
    terms = sold_by(
        wallet.entity,
        _books_of(states, command),
        asked,
        currency_code=price.currency_code,
        instant=instant,
        field=ASKED if settles else "grant.finance",
        rate_field="exchange_rate" if settles else "grant.finance.exchange_rate",
    )
    return command if terms == asked else msgspec.structs.replace(command, finance=terms)


def _received(
    states: Mapping[str, object], wallet: Wallet, command: ActivateGrant, now: datetime
) -> ActivateGrant:
    books, pending = _books_of(states, command), find_pending(wallet.payments, command.grant_version)
    if books is None or pending is None or pending.granted.consideration is None:
        return command
    currency, instant = pending.granted.consideration.currency_code, max(pending.effective_time, now)
    terms = at_receipt(books, pending.granted.finance, currency_code=currency, instant=instant)
    return msgspec.structs.replace(command, finance=terms)


def _books_of(
    states: Mapping[str, object], command: GrantCredits | ActivateGrant | SettleTopUp
) -> EntityBooks | None:
    books = states[command.books] if command.books else None
    assert books is None or isinstance(books, EntityBooks)
    return books


def _price_of(wallet: Wallet, command: GrantCredits | SettleTopUp) -> Money | None:
    """Return what is paid; None for what is given away, and for a payment that is none."""
    if isinstance(command, GrantCredits):
        return command.consideration
    top_up = find_open(wallet.payments, command.top_up_version)
    return top_up.requested.price if top_up is not None and command.succeeded else None
