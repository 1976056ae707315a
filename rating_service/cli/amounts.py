"""Amounts as people write and read them: exact, without trailing zeros beyond what is usual."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

import typer

from credits.ledger.v1 import money_pb2

NANO_DIGITS: Final = 9
CENT_DIGITS: Final = 2
NANOS_MAX: Final = 2**63 - 1
MINUS: Final = "\N{MINUS SIGN}"
"""As wide as a plus or a figure, so that columns stay in line."""


def read_amount(text: str) -> tuple[Decimal, str]:
    """Return the number and the currency of a text such as 12.50 USD. Raises typer.BadParameter."""
    try:
        number, currency = text.split()
        amount = Decimal(number)
    except (ValueError, InvalidOperation):
        raise typer.BadParameter(f"{text!r} is not an amount such as 12.50 USD") from None
    if not amount.is_finite():
        raise typer.BadParameter(f"{text!r} is no amount")
    return amount, currency


def read_money(text: str) -> money_pb2.Money:
    """Return the money behind a text such as 12.50 USD. Raises typer.BadParameter."""
    amount, currency = read_amount(text)
    nanos = amount.scaleb(NANO_DIGITS)
    if nanos != int(nanos) or abs(nanos) > NANOS_MAX:
        raise typer.BadParameter(f"{text!r} is not an amount such as 12.50 USD, to a billionth at most")
    return money_pb2.Money(currency_code=currency, nanos=int(nanos))


def money(amount: money_pb2.Money) -> str:
    """Return money with two decimals, more only where they hold something: 12.50 USD, 0.0035 USD."""
    return f"{_decimal(amount.nanos, NANO_DIGITS, at_least=CENT_DIGITS)} {amount.currency_code}".rstrip()


def figure(amount: money_pb2.Money) -> str:
    """Return money without its currency, for a column of one currency: 12.50, −3.00."""
    return _decimal(amount.nanos, NANO_DIGITS, at_least=CENT_DIGITS).replace("-", MINUS)


def units(amount_units: int, asset: money_pb2.Asset) -> str:
    """Return units in whole assets: 1,250.5 CREDIT."""
    return f"{plain_units(amount_units, asset)} {asset.code}"


def plain_units(amount_units: int, asset: money_pb2.Asset) -> str:
    """Return units in whole assets without the code, for a column of one asset: 1,250.5."""
    return _decimal(amount_units, asset.scale, at_least=0)


def _decimal(number: int, scale: int, *, at_least: int) -> str:
    value = Decimal(number).scaleb(-scale)
    whole, _, fraction = f"{value:,.{scale}f}".partition(".")
    fraction = fraction.rstrip("0").ljust(at_least, "0")
    return f"{whole}.{fraction}" if fraction else whole
