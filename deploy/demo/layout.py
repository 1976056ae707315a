"""How the report is set: headings, tables, and amounts formatted from integers."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deploy.demo.customers import SCALE

NANO_DIGITS: Final = 9
NO_CURRENCY: Final = "XXX"
"""ISO 4217 code of an invoice on which nothing has a price."""


def title(console: Console, text: str) -> None:
    """Print a heading."""
    console.print(f"[bold]{text}[/]")


def new_table(*columns: str) -> Table:
    """Return a table; a column whose title begins with > is aligned to the right."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def credits(units: int) -> str:  # noqa: A001, the word for the amount
    """Return units as credits, all decimals shown."""
    sign, whole, rest = split(units, SCALE)
    return f"{sign}{whole:,}.{rest:0{SCALE}d}"


def signed_credits(units: int) -> str:
    """Return a change, with its sign; "" for none."""
    return "" if units == 0 else ("+" if units > 0 else "") + credits(units)


def credits_of_text(units: str) -> str:
    """Return exact units, decimal text, as credits with whatever decimals they have."""
    whole, _, fraction = units.partition(".")
    return credits(int(whole)) + fraction


def money(nanos: int, currency_code: str) -> str:
    """Return nanos as an amount of the currency: two decimals, more only if there are more."""
    sign, whole, rest = split(nanos, NANO_DIGITS)
    decimals = f"{rest:0{NANO_DIGITS}d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole:,}.{decimals} {'' if currency_code == NO_CURRENCY else currency_code}".rstrip()


def split(amount: int, digits: int) -> tuple[str, int, int]:
    """Return sign, whole part and the rest of an amount of 10^-digits."""
    whole, rest = divmod(abs(amount), 10**digits)
    return "-" if amount < 0 else "", whole, rest


def seconds(milliseconds: int) -> str:
    """Return milliseconds as seconds with one decimal, rounded down."""
    return f"{milliseconds // 1000}.{milliseconds % 1000 // 100}"


def day(time: datetime) -> str:
    """Return an instant as a day."""
    return f"{time:%Y-%m-%d}"


def instant(time: datetime) -> str:
    """Return an instant, in seconds, UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S}"
