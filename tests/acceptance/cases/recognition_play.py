"""One recognition case while it is played: its lots, refunds, bills and rates, by the ids of the case."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import money_pb2
from tests.acceptance.cases.amounts import to_nanos
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.timeline import Step
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_play import WalletPlay

NOTES: Final = ("note", "title", "comment", "reason", "description", "memo", "why", "source", "paragraph")
"""Fields of an event that are for people."""


class Lot(NamedTuple):
    """A lot as it was sold."""

    lot_id: str
    units: Decimal
    consideration: Decimal
    paid: bool


class Refund(NamedTuple):
    """A refund that is owed."""

    name: str
    lot_id: str
    amount: Decimal


class RecognitionPlay:
    """One recognition case while it is played."""

    def __init__(self, wallet: WalletPlay, currency_code: str) -> None:
        """Sell nothing yet."""
        self.wallet = wallet
        self.currency_code = currency_code
        self.method = ""
        """How breakage is recognised."""
        self.lots: dict[str, Lot] = {}
        self.refunds: dict[str, Refund] = {}
        """By event id, what is owed."""
        self.priorities: dict[str, int] = {}
        """By lot id, where a case names an order of its own."""
        self.promo_first = True
        """Whether free lots come before paid ones of the same expiry, as the ledger has it."""
        self.lasts: dict[str, datetime | None] = {}
        """By lot id, until when it is granted."""
        self.overage_price: Decimal | None = None
        self.functional = "USD"
        """What the case calls the currency of its books."""
        self.foreign: dict[str, str] = {}
        """By the code of a case, the code that stands for a foreign currency here."""
        self.rates: dict[str, list[tuple[datetime, Decimal]]] = {}
        """By the code of a case, its rates from the day on which each is told."""
        self.entity = ""
        """Legal entity of the case, where its periods are closed."""
        self.contract = ""
        """Of the case's wallet, once something is billed."""
        self.bills = 0
        self.open_from = datetime.max.replace(tzinfo=UTC)
        """Where the next period to be closed begins."""
        self.pools: dict[str, str] = {}
        """By the id of a case, the name of the pool."""
        self.draws: dict[str, list[tuple[str, Decimal]]] = {}
        """By the id of a debit or reversal, what moved between it and which lot, as it happened."""
        self.moved: dict[str, str] = {}
        """By lot id, the lot into which it was rolled over."""

    def grant_name(self, lot_id: str) -> str:
        """Return the name of a lot's grant. Raises Unsupported."""
        name = self.wallet.grants.get(self.newest(lot_id))
        if name is None:
            raise Unsupported(f"lot {lot_id}, which was not granted before")
        return name

    def lot(self, lot_id: str) -> Lot:
        """Return a lot, or what it has become. Raises Unsupported."""
        lot = self.lots.get(self.newest(lot_id))
        if lot is None:
            raise Unsupported(f"lot {lot_id}, which was not granted before")
        return lot

    def newest(self, lot_id: str) -> str:
        """Return the lot that a lot has become."""
        while lot_id in self.moved:
            lot_id = self.moved[lot_id]
        return lot_id

    def money(self, amount: Decimal) -> money_pb2.Money:
        """Return an amount in the case's currency."""
        return money_pb2.Money(currency_code=self.currency_code, nanos=to_nanos(amount))


Planner = Callable[[Fields, RecognitionPlay], Step]
