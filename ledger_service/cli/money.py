"""Money as people write and read it: an amount and its currency, such as 12.50 USD."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from credits.ledger.v1 import money_pb2
from ledger_service.cli.client import fail, show_units

MONEY_SCALE: Final = 9
"""Decimals of a nano, the finest amount of money there is."""
NANOS_MAX: Final = 2**63 - 1


def read_money(text: str, *, option: str) -> money_pb2.Money:
    """Return the money that an option names; ends the command where it is none."""
    amount, _, currency = text.strip().partition(" ")
    try:
        nanos = Decimal(amount).scaleb(MONEY_SCALE)
    except InvalidOperation:
        fail(f"{option}: {text!r} is not an amount such as 12.50 USD")
    if not currency or not nanos.is_finite() or nanos != int(nanos) or abs(nanos) > NANOS_MAX:
        fail(f"{option}: {text!r} is not an amount such as 12.50 USD, with at most {MONEY_SCALE} decimals")
    return money_pb2.Money(currency_code=currency.strip(), nanos=int(nanos))


def show_money(money: money_pb2.Money) -> str:
    """Return money with two decimals, more only where they hold something."""
    return f"{show_units(money.nanos, MONEY_SCALE)} {money.currency_code}"
