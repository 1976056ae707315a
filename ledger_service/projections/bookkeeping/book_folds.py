"""What events of breakage pools, accounting periods, entities and contracts change in the books."""

from __future__ import annotations

from fractions import Fraction

from ledger_service.domain.finance.exchange import Rate
from ledger_service.domain.values import DEFAULT_ENTITY
from ledger_service.projections.bookkeeping.books import Books, ContractRow, PeriodRow, flush_all
from ledger_service.projections.bookkeeping.exchange import FunctionalCurrency, RateKey, StatedRate
from ledger_service.projections.bookkeeping.journal_bills import post_credit_note, post_invoice
from ledger_service.projections.bookkeeping.pool_tallies import Estimate, PoolTally, PoolTerms
from ledger_service.projections.events.book_events import (
    BookEvent,
    Credited,
    CurrencySet,
    Invoiced,
    PeriodClosed,
    PeriodLocked,
    PoolCreated,
    PoolEstimated,
    RateSet,
    Signed,
)
from ledger_service.projections.events.wallet_events import utc_day


def post_book_event(books: Books, event: BookEvent) -> None:
    """Take up an event that is not a wallet's."""
    match event.change:
        case PoolCreated() as created:
            books.pools[event.stream] = _begin(created)
        case PoolEstimated() as revised:
            estimate = Estimate(revised.expected_breakage, revised.expected_redeemed_units)
            books.pools[event.stream].estimates[utc_day(event.record_time)] = estimate
        case Signed(wallet=wallet):
            books.contracts[event.stream] = ContractRow(wallet)
        case CurrencySet(currency_code=currency):
            own = FunctionalCurrency(currency, event.position)
            books.exchange.set_currency(entity_of(event.stream), own)
        case RateSet() as stated:
            key = RateKey(entity_of(event.stream), stated.currency_code)
            rate = Rate(stated.from_time, event.position, stated.rate)
            books.exchange.state_rate(StatedRate(key, rate, stated.source, event.record_time))
        case Invoiced() as invoice:
            post_invoice(books, event, invoice)
        case Credited() as note:
            post_credit_note(books, event, note)
        case PeriodLocked(from_day=from_day, to_day=to_day):
            # What moved before is posted by what was open then.
            flush_all(books)
            entity = entity_of(event.stream)
            books.open_days[entity] = to_day
            books.periods[entity, from_day] = PeriodRow(from_day, to_day, event.position)
        case PeriodClosed(from_day=from_day, to_day=to_day, figures_hash=figures_hash):
            entity = entity_of(event.stream)
            row = books.periods.get((entity, from_day)) or PeriodRow(from_day, to_day, 0)
            row.close_time, row.figures_hash = event.effective_time, figures_hash
            books.periods[entity, from_day] = row


def entity_of(stream: str) -> str:
    """Return whose a stream is: the id in accountingPeriods/{entity} or entities/{entity}."""
    return stream.partition("/")[2]


def _begin(created: PoolCreated) -> PoolTally:
    expected = Fraction(created.expected_breakage or 0)
    return PoolTally(
        PoolTerms(
            created.entity or DEFAULT_ENTITY,
            created.currency_code,
            created.jurisdiction,
            created.term,
            created.method.value,
            created.escheat_fraction,
        ),
        expected.numerator,
        expected.denominator,
    )
