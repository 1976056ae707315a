"""Recognition by the conventions of `recognition.json` and ASC 606 alone: a book that is told events, and what it says.

- A lot of N units sold for P has the unit cost c = P / N. Of R units used, cumulative usage is c x R.
- Proportional: cumulative breakage is min(c x R x b / (1 - b), what is left of P). None and remote: nothing before the
  lot ends, is declared remote, or units of it end. Once it has ended: P - c x R - refunds - escheat, in every method.
- What belongs to the state is a part of what was not used (55-49), and comes off units that have ended first.
- Expiry comes before all else of its date. A lot is usable before its expiry date.
- What a reversal returns goes to the lots it came from, last draw first; in a lot that has ended it ends at once.
- Usage that happened before a lot's expiry and is told after it takes breakage back and is usage instead.

All amounts are exact fractions; only a report rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

NEVER: Final = "9999"
"""Sorts after every date, which are text such as 2025-01-31."""
ZERO: Final = Fraction(0)


@dataclass
class Lot:
    """What is known of one lot, in units and money."""

    lot_id: str
    units: Fraction
    price: Fraction
    granted: str
    expires: str
    promo: bool
    breakage: Fraction
    tax: Fraction = ZERO
    used: Fraction = ZERO
    refunded_units: Fraction = ZERO
    ended_units: Fraction = ZERO
    escheated: Fraction = ZERO
    has_ended: bool = False
    former_ids: tuple[str, ...] = ()
    """Of the lots that were rolled over into it: it goes on at their cost, and they are empty."""

    @property
    def unit_cost(self) -> Fraction:
        """Return c = P / N."""
        return self.price / self.units

    @property
    def left(self) -> Fraction:
        """Return the units that may still be used."""
        return ZERO if self.has_ended else self.unused

    @property
    def unused(self) -> Fraction:
        """Return the units that nothing has become of but an end of the whole lot."""
        return self.units - self.used - self.refunded_units - self.ended_units

    @property
    def earned_by_use(self) -> Fraction:
        """Return cumulative usage."""
        return self.unit_cost * self.used

    @property
    def refunds(self) -> Fraction:
        """Return what was paid back."""
        return self.unit_cost * self.refunded_units

    @property
    def earned_by_breakage(self) -> Fraction:
        """Return cumulative breakage."""
        rest = self.price - self.earned_by_use - self.refunds - self.escheated
        if self.left == 0:
            return rest
        expected = self.earned_by_use * self.breakage / (1 - self.breakage)
        ended = self.unit_cost * self.ended_units - self.escheated
        return min(max(expected, ended), rest)

    @property
    def liability(self) -> Fraction:
        """Return what is neither earned nor paid back nor given up."""
        earned = self.earned_by_use + self.earned_by_breakage
        return self.price - earned - self.refunds - self.escheated


@dataclass
class Debit:
    """Units drawn, in order, as [lot, units, its id then]."""

    draws: list[tuple[Lot, Fraction, str]] = field(default_factory=list)

    @property
    def drawn(self) -> Fraction:
        """Return the units that it still takes."""
        return _sum(units for _, units, _ in self.draws)


RANKS: Final[Mapping[str, Callable[[Lot], Any]]] = {
    "expiry": lambda lot: lot.expires,
    "promo": lambda lot: not lot.promo,
    "granted": lambda lot: lot.granted,
    "id": lambda lot: lot.lot_id,
}
DEFAULT_ORDER: Final = ("expiry", "promo", "granted", "id")


class Book:
    """The lots of one customer and the money beside them."""

    def __init__(self, order: Sequence[str] = DEFAULT_ORDER, overage_price: Fraction = ZERO) -> None:
        """Sell nothing yet."""
        self.lots: dict[str, Lot] = {}
        self.debits: dict[str, Debit] = {}
        self.refund_of: dict[str, Fraction] = {}
        self.cash = self.tax = self.owed = self.unbilled = self.billed = self.overage = ZERO
        self._order = order
        self._overage_price = overage_price

    def expire(self, date: str) -> list[str]:
        """End what expires on a date or before; return the lots."""
        ended = [lot for lot in self.lots.values() if not lot.has_ended and lot.expires <= date]
        for lot in ended:
            lot.has_ended = True
        return [lot.lot_id for lot in ended]

    def tell(self, event: Mapping[str, Any]) -> None:
        """Take an event."""
        getattr(self, f"_{event['type']}")(event)

    def accounts(self) -> dict[str, Fraction]:
        """Return what each account was debited, net of credits."""
        lots = list(self.lots.values())
        return {
            "Cash": self.cash,
            "AccountsReceivable": self.billed,
            "UnbilledReceivable": self.unbilled,
            "ContractLiability": -_sum(lot.liability for lot in lots),
            "RefundLiability": -self.owed,
            "SalesTaxPayable": -self.tax,
            "UnclaimedPropertyPayable": -_sum(lot.escheated for lot in lots),
            "Revenue:Usage": -_sum(lot.earned_by_use for lot in lots),
            "Revenue:Breakage": -_sum(lot.earned_by_breakage for lot in lots),
            "Revenue:Overage": -self.overage,
        }

    def figures(self) -> dict[str, Fraction]:
        """Return the cumulative figures of a roll-forward."""
        lots = list(self.lots.values())
        return {
            "billings": _sum(lot.price for lot in lots),
            "usage": _sum(lot.earned_by_use for lot in lots),
            "earned": _sum(lot.earned_by_use + lot.earned_by_breakage for lot in lots),
            "refunds": _sum(lot.refunds for lot in lots),
            "escheat": _sum(lot.escheated for lot in lots),
            "overage_revenue": self.overage,
            "unbilled_receivable": self.unbilled,
            "refund_liability": self.owed,
        }

    def drawable(self, date: str) -> list[Lot]:
        """Return the lots that usage of a date may draw on, in order."""
        able = [lot for lot in self.lots.values() if lot.granted <= date < lot.expires and lot.unused]
        return sorted(able, key=lambda lot: [RANKS[word](lot) for word in self._order])

    def _grant(self, event: Mapping[str, Any]) -> None:
        units, price = Fraction(event["units"]), Fraction(event.get("consideration", 0))
        price *= Fraction(event.get("fx_rate", 1))
        tax = Fraction(event.get("tax", 0)) * Fraction(event.get("fx_rate", 1))
        self.cash += price + tax
        self.tax += tax
        self.lots[event["id"]] = Lot(
            lot_id=event["id"],
            units=units,
            price=price,
            granted=event["t"],
            expires=event.get("expires") or NEVER,
            promo=event.get("category") == "promo",
            breakage=_breakage(event, units),
            tax=tax,
        )

    def _debit(self, event: Mapping[str, Any]) -> None:
        wanted, debit = Fraction(event["units"]), Debit()
        for lot in self.drawable(event["t"]):
            part = min(wanted, lot.unused)
            if part:
                lot.used += part
                debit.draws.append((lot, part, lot.lot_id))
                wanted -= part
        self.debits[event["id"]] = debit
        self.overage += wanted * self._overage_price
        self.unbilled += wanted * self._overage_price

    def _estimate(self, event: Mapping[str, Any]) -> None:
        lots = [self.lots[lot_id] for lot_id in event["lots"]]
        for lot in lots:
            # What was paid back is expected to be used no more.
            lot.breakage = _breakage(event, _sum(each.units - each.refunded_units for each in lots))

    def _refund(self, event: Mapping[str, Any]) -> None:
        lot, units = self.lots[event["lot"]], Fraction(event["units"])
        lot.refunded_units += units
        # Sales tax goes back with the units that it was paid for.
        tax = lot.tax * units / lot.units
        self.tax -= tax
        amount = lot.unit_cost * units + tax
        if event.get("credit_account") == "Cash":
            self.cash -= amount
        else:
            self.refund_of[event["id"]] = amount
            self.owed += amount

    def _refund_settle(self, event: Mapping[str, Any]) -> None:
        amount = self.refund_of.pop(event["refund"])
        self.owed -= amount
        self.cash -= amount

    def _rollover(self, event: Mapping[str, Any]) -> None:
        lot = self.lots.pop(event["lot"])
        lot.expires = event["new_expires"]
        if "new_lot" in event:
            lot.former_ids, lot.lot_id = (*lot.former_ids, lot.lot_id), event["new_lot"]
        self.lots[lot.lot_id] = lot

    def _reversal(self, event: Mapping[str, Any]) -> None:
        debit, back = self.debits[event["debit"]], Fraction(event["units"])
        kept: list[tuple[Lot, Fraction, str]] = []
        for lot, units, lot_id in reversed(debit.draws):
            part = min(back, units)
            lot.used -= part
            back -= part
            kept.insert(0, (lot, units - part, lot_id))
        debit.draws = [draw for draw in kept if draw[1]]

    def _expire_units(self, event: Mapping[str, Any]) -> None:
        self.lots[event["lot"]].ended_units += Fraction(event["units"])

    def _escheat(self, event: Mapping[str, Any]) -> None:
        lot = self.lots[event["lot"]]
        unused = lot.price - lot.earned_by_use - lot.refunds - lot.escheated
        lot.escheated += unused * Fraction(event["fraction"])

    def _remote(self, event: Mapping[str, Any]) -> None:
        self.lots[event["lot"]].has_ended = True

    def _invoice(self, event: Mapping[str, Any]) -> None:
        amount = Fraction(event["amount"])
        self.unbilled -= amount
        self.billed += amount


def _breakage(event: Mapping[str, Any], units: Fraction) -> Fraction:
    if "expected_redeemed_units" in event:
        return 1 - Fraction(event["expected_redeemed_units"]) / units
    return Fraction(event.get("expected_breakage", 0))


def _sum(amounts: Iterable[Fraction]) -> Fraction:
    return sum(amounts, ZERO)
