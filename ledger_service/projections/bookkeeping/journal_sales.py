"""Sales: what a paid grant posts, beside its lot taxes and what was sold with it, and bonuses that share its price."""

from __future__ import annotations

from fractions import Fraction

from ledger_service.domain.events import BundledItem, FinanceTerms, LotTerms
from ledger_service.domain.finance.estimates import estimate_of
from ledger_service.domain.finance.journal import Flow, PostingKey
from ledger_service.domain.finance.lots import PaidLot, shared
from ledger_service.domain.finance.methods import round_half_up
from ledger_service.domain.finance.postings import (
    PLAN,
    PRODUCT,
    SALE,
    TAX,
    Days,
    key_of,
)
from ledger_service.domain.finance.schedule import earned_by_day
from ledger_service.domain.values import DEFAULT_ENTITY, GrantCategory
from ledger_service.projections.bookkeeping.books import Books, LotKey, OpenLot, change, flush
from ledger_service.projections.events.wallet_events import Granted, WalletEvent, rolls_over, utc_day

NO_TERMS = FinanceTerms()


def issue(books: Books, event: WalletEvent, granted: Granted) -> None:
    """Begin the lot of a grant, if it was paid for."""
    terms = LotTerms(
        granted.category,
        granted.priority,
        granted.amount_units,
        event.effective_time,
        granted.expire_time,
        consideration=granted.consideration,
        recurrence=granted.recurrence,
        finance=granted.finance,
    )
    days = Days(utc_day(event.effective_time), utc_day(event.record_time))
    begin_lot(books, LotKey(event.wallet, event.version), terms, granted.amount_units, days, sold=True)


def begin_lot(books: Books, key: LotKey, terms: LotTerms, units: int, days: Days, *, sold: bool) -> None:
    """Begin a lot with consideration; one that is not sold arrived from elsewhere, and was billed there."""
    if terms.category is not GrantCategory.PAID or terms.consideration is None:
        return
    finance = terms.finance or NO_TERMS
    expected = estimate_of(
        expected_breakage=finance.expected_breakage,
        expected_redeemed_units=finance.expected_redeemed_units,
        of_units=finance.expected_of_units,
    )
    lot = PaidLot(
        entity=finance.entity or DEFAULT_ENTITY,
        product=finance.product,
        pool=finance.pool,
        currency_code=finance.functional_currency or terms.consideration.currency_code,
        consideration_nanos=in_own_currency(terms.consideration.nanos, finance.exchange_rate),
        amount_units=units,
        effective_day=utc_day(terms.effective_time),
        expire_time=terms.expire_time,
        as_recorded=rolls_over(terms.recurrence),
        estimate_numerator=expected.numerator,
        estimate_denominator=expected.denominator,
        exchange_rate=finance.exchange_rate,
    )
    books.lots[key] = OpenLot(lot)
    books.begun.add(key)
    if lot.pool:
        books.pools[lot.pool].note(None, lot, days.record_day)
    if sold:
        _post_sale(books, lot, finance, days)


def share_with_bonus(books: Books, event: WalletEvent, granted: Granted) -> None:
    """Let a bonus share the consideration of the purchase that it came with; later ones of a series do not."""
    purchase_key = LotKey(event.wallet, granted.purchase_version)
    held = books.lots.get(purchase_key) if granted.purchase_version else None
    if held is None or granted.series_version or granted.category is not GrantCategory.PROMOTIONAL:
        return
    lot = flush(books, held)
    days = Days(utc_day(event.effective_time), utc_day(event.record_time))
    change(books, held, shared(lot, granted.amount_units), days)
    key = LotKey(event.wallet, event.version)
    books.lots[key] = held
    books.shares.add(key)
    books.bonuses[key] = PaidLot(
        entity=lot.entity,
        product=lot.product,
        pool="",
        currency_code=lot.currency_code,
        consideration_nanos=0,
        amount_units=granted.amount_units,
        effective_day=utc_day(event.effective_time),
        expire_time=granted.expire_time,
        purchase_version=granted.purchase_version,
    )


def in_own_currency(nanos: int, exchange_rate: str) -> int:
    """Return an amount in the entity's own currency, rounded half up; without a rate it is in it already."""
    return round_half_up(nanos * Fraction(exchange_rate)) if exchange_rate else nanos


def _post_sale(books: Books, lot: PaidLot, finance: FinanceTerms, days: Days) -> None:
    open_day = books.open_day(lot.entity)
    books.add(key_of(lot, SALE, days, open_day=open_day), lot.consideration_nanos)
    if finance.tax is not None:
        nanos = in_own_currency(finance.tax.nanos, finance.exchange_rate)
        books.add(key_of(lot, TAX, days, open_day=open_day), nanos)
    for item in finance.bundle:
        _post_item(books, lot, item, days)


def _post_item(books: Books, lot: PaidLot, item: BundledItem, days: Days) -> None:
    nanos = in_own_currency(item.amount.nanos, lot.exchange_rate)
    own = days._replace(product=item.product)
    open_day = books.open_day(lot.entity)
    if item.from_time is None or item.to_time is None:
        books.add(key_of(lot, PRODUCT, own, open_day=open_day), nanos)
        return
    books.add(key_of(lot, SALE, own, open_day=open_day), nanos)
    for day, earned in earned_by_day(nanos, item.from_time, item.to_time):
        # Nothing is earned before it was sold.
        effective_day = max(day, lot.effective_day, days.effective_day)
        books.add(_key(lot, PLAN, own._replace(effective_day=effective_day), books), earned)


def _key(lot: PaidLot, flow: Flow, days: Days, books: Books) -> PostingKey:
    return key_of(lot, flow, days, open_day=books.open_day(lot.entity))
