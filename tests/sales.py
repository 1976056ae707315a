"""Builders of sales: paid grants in EUR with what finance is told of them."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands import GrantCredits, SaleTerms
from ledger_service.domain.values import GrantCategory, Money, ShortfallMode
from tests.builders import (
    WALLET,
    Book,
    book,
    create_rate_card,
    open_wallet,
    publish_phase,
    publish_plan,
)

NO_TERMS = SaleTerms()


def sale(
    nanos: int,
    units: int = 100,
    *,
    terms: SaleTerms = NO_TERMS,
    currency_code: str = "EUR",
    effective_time: datetime | None = None,
    expire_time: datetime | None = None,
) -> GrantCredits:
    """Return a paid grant that never expires, unless told."""
    return GrantCredits(
        WALLET,
        units,
        GrantCategory.PAID,
        effective_time=effective_time,
        expire_time=expire_time,
        consideration=Money(currency_code, nanos),
        finance=terms,
    )


def opened() -> Book:
    """Return a book with a wallet that is never short."""
    return book(open_wallet(mode=ShortfallMode.SOFT, overage_limit_units=10**9))


def agreed_wallet(ledger: Book) -> Book:
    """Return a book of a wallet with a plan that a contract may be signed for."""
    for command in (create_rate_card(), publish_phase(), publish_plan()):
        ledger.run(command)
    return ledger
