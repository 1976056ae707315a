"""The lots of a recognition case: each sold in a currency of its own, so that its figures can be read alone.

The roll-forward is kept by currency over the whole ledger. A code that no other lot uses separates a lot from
all others; what the code stands for does not matter to any figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import product
from string import ascii_uppercase
from typing import Final, NamedTuple

from credits.ledger.v1 import finance_service_pb2
from tests.acceptance.cases.amounts import from_nanos
from tests.acceptance.cases.fields import timestamp
from tests.acceptance.cases.rating_cards import CURRENCY
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Session
from tests.acceptance.cases.verdicts import Unsupported

SPAN_MAX: Final = timedelta(days=3_660)
"""Longest span of one roll-forward."""


class Currencies:
    """Hands out currency codes, each once."""

    def __init__(self) -> None:
        """Begin with AAA; the code in which rating cases are paid is left out."""
        codes = ("".join(letters) for letters in product(ascii_uppercase, repeat=3))
        self._codes: Iterator[str] = (code for code in codes if code != CURRENCY)

    def take(self) -> str:
        """Return a code that nobody has. Raises Unsupported when there are no more."""
        code = next(self._codes, None)
        if code is None:
            raise Unsupported("more lots than there are currency codes")
        return code


class Lot(NamedTuple):
    """A lot as it was sold."""

    lot_id: str
    units: Decimal
    consideration: Decimal
    currency_code: str
    sold_at: datetime


class Sums(NamedTuple):
    """What was billed and recognised, exactly."""

    billings: Decimal = Decimal(0)
    usage: Decimal = Decimal(0)
    breakage: Decimal = Decimal(0)

    @property
    def liability(self) -> Decimal:
        """Return what is billed and not recognised."""
        return self.billings - self.usage - self.breakage

    def plus(self, other: Sums) -> Sums:
        """Return both together."""
        return Sums(*(one + another for one, another in zip(self, other, strict=True)))


def add_up(sums: Sequence[Sums]) -> Sums:
    """Return all sums together."""
    found = Sums()
    for each in sums:
        found = found.plus(each)
    return found


class LotHistory(NamedTuple):
    """What each day billed and recognised for a lot; what the service says of the whole span, and is left."""

    days: dict[datetime, Sums]
    total: Sums
    closing: Decimal

    def until(self, instant: datetime) -> Sums:
        """Return the sums of all days before an instant."""
        return add_up([sums for day, sums in self.days.items() if day < instant])


async def read_history(session: Session, lot: Lot, position: int, horizon: datetime) -> LotHistory:
    """Return a lot's roll-forward from the day of its sale up to a midnight, seen up to a position of the log."""
    days: dict[datetime, Sums] = {}
    total, closing = Sums(), Decimal(0)
    start = lot.sold_at
    while start < horizon:
        end = min(start + SPAN_MAX, horizon)
        answer = await _roll_forward(session, lot.currency_code, position, start, end)
        days |= {row.from_time.ToDatetime(start.tzinfo): _sums(row) for row in answer.days}
        total = total.plus(_sums(answer.total))
        closing = from_nanos(answer.total.closing.nanos)
        start = end
    return LotHistory(days, total, closing)


async def _roll_forward(
    session: Session, currency_code: str, position: int, start: datetime, end: datetime
) -> finance_service_pb2.GetRollForwardResponse:
    request = finance_service_pb2.GetRollForwardRequest(
        from_time=timestamp(start),
        to_time=timestamp(end),
        currency_code=currency_code,
        min_position=position,
    )
    return await call(session.services.finance.GetRollForward, request)


def _sums(row: finance_service_pb2.RollForwardRow) -> Sums:
    figures = (row.billings, row.recognised_usage, row.recognised_breakage)
    return Sums(*(from_nanos(figure.nanos) for figure in figures))
