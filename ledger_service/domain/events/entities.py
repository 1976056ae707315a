"""What is recorded of legal entities: in which currency they keep their books, and what other currencies are worth."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.record import Record


class FunctionalCurrencySet(Record, frozen=True):
    """An entity keeps its books in this currency, from this position of the log on and for ever."""

    currency_code: str


class ExchangeRateSet(Record, frozen=True):
    """What one unit of a currency is worth in the entity's functional currency, from an instant until the next rate.

    Decimal text. A rate for an instant that has one takes its place for what is recorded later. `source` says who
    published it. Effective at `from_time`.
    """

    currency_code: str
    rate: str
    from_time: datetime
    source: str = ""
