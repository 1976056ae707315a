"""Commands that consume credit or give it back."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import Charge, Draw, LotTerms
from ledger_service.domain.values import UnitPrice


class Debit(Command, frozen=True):
    """Consume credit of a wallet: amount_units without a charge, what the charge says with one."""

    wallet: str
    amount_units: int = 0
    effective_time: datetime | None = None
    feature: str = ""
    delivered: bool = False
    charge: Charge | None = None
    take_available: bool = False
    late_hold_version: int = 0
    api_key: str = ""
    user: str = ""


class DebitRecord(msgspec.Struct, frozen=True):
    """What the log says of a debit: facts that never change, looked up before the reversal is decided.

    `draws` are those that paid for it, in order, repayments of its debt at the end; `lots` are their terms.
    `owed_units` is what was owed of it before they were looked up, None where that cannot have changed since.
    The rest says what caps counted it, and when.
    """

    debit_version: int
    draws: tuple[Draw, ...]
    overage_units: int
    lots: dict[int, LotTerms]
    record_time: datetime | None = None
    api_key: str = ""
    user: str = ""
    feature: str = ""
    overage_price: UnitPrice | None = None
    owed_units: int | None = None


class ReverseDebit(Command, frozen=True):
    """Take back so many units of a debit; 0: all that is left of it."""

    wallet: str
    debit_version: int
    recorded: DebitRecord
    amount_units: int = 0


class DebitPart(msgspec.Struct, frozen=True):
    """So many units of a debit, with what the log says of it."""

    recorded: DebitRecord
    amount_units: int


class RecordAdjustment(Command, frozen=True):
    """Charge or give back what usage of a cycle costs more or less under a phase that was accepted after it."""

    wallet: str
    rate_card: str
    charge: Charge
    parts: tuple[DebitPart, ...] = ()
    effective_time: datetime | None = None
