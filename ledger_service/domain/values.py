"""Small immutable values that events, states and commands are made of."""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

UNITS_MAX: Final = 2**63 - 1
"""Largest amount of units or nanos: int64, as on the wire and in the store."""
DEFAULT_ENTITY: Final = "default"
"""The legal entity of what names none."""


class Asset(msgspec.Struct, frozen=True):
    """What is counted. One unit is 10^-scale of one whole asset."""

    code: str
    scale: int


class Money(msgspec.Struct, frozen=True):
    """An exact amount of one currency, in 10^-9 of its major unit."""

    currency_code: str
    nanos: int


class UnitPrice(msgspec.Struct, frozen=True):
    """An exact price per one whole asset: decimal text in the currency's major unit."""

    currency_code: str
    price: str


class ShortfallMode(Enum):
    """What happens to the part of a debit that no lot covers."""

    HARD = "HARD"
    SOFT = "SOFT"
    ADVANCE = "ADVANCE"


class GrantCategory(Enum):
    """Where credit came from."""

    PAID = "PAID"
    PROMOTIONAL = "PROMOTIONAL"
    INCLUDED = "INCLUDED"


class BeyondLastTier(Enum):
    """What becomes of usage beyond a multiplier's last tier."""

    REFUSE = "REFUSE"
    LAST_APPLIES = "LAST_APPLIES"


class RateScope(Enum):
    """What a rate prices together: all usage of a billing period, or each usage by itself."""

    CYCLE = "CYCLE"
    USAGE = "USAGE"


class Counters(Enum):
    """What becomes of running totals where a phase begins inside a billing period."""

    CARRY = "CARRY"
    RESTART = "RESTART"


class CycleInterval(Enum):
    """Length of a billing period."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"


class ChangeTiming(Enum):
    """When a change of plan takes effect."""

    AT_ONCE = "AT_ONCE"
    AT_CYCLE_END = "AT_CYCLE_END"


class BreakageMethod(Enum):
    """When what is never used becomes revenue."""

    NONE = "NONE"
    """Once the customer's right has ended."""
    REMOTE = "REMOTE"
    """Likewise, or when it is declared remote that it will be used."""
    PROPORTIONAL = "PROPORTIONAL"
    """In proportion to use."""


class AlertKind(Enum):
    """What a threshold is compared with."""

    ENTITLEMENT = "ENTITLEMENT"
    LOW_BALANCE = "LOW_BALANCE"
    FAST_RISE = "FAST_RISE"


class CrossingDirection(Enum):
    """Which way a figure moved across its threshold: the percentage used, the available or the window's units."""

    RISING = "RISING"
    FALLING = "FALLING"


class InvoiceKind(Enum):
    """What an invoice is for: a cycle, a part of it that reached a threshold, or a contract's last cycle.

    Or the fees of a contract's first cycle, in advance.
    """

    CYCLE = "CYCLE"
    THRESHOLD = "THRESHOLD"
    FINAL = "FINAL"
    ADVANCE = "ADVANCE"


CLOSING_KINDS: Final = frozenset({InvoiceKind.CYCLE, InvoiceKind.FINAL})
"""Invoices that close their cycle: it has one of them."""


class FeeTiming(Enum):
    """When base fee and seats of a cycle are billed: when it is over, or when it begins."""

    ARREARS = "ARREARS"
    ADVANCE = "ADVANCE"


class NoteSettlement(Enum):
    """What becomes of a credit note: it is paid out, kept for later invoices, or set against its own invoice."""

    REFUND = "REFUND"
    CREDIT = "CREDIT"
    OFFSET = "OFFSET"
