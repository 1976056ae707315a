"""Seeded recognition cases in the format of `recognition.json`: lots and events of every kind, over several periods."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Final

from tests.oracle.amounts import Object, text
from tests.oracle.recognition import NEVER, Lot
from tests.oracle.recognition_reports import Diary, report

FIRST: Final = date(2025, 1, 1)
DAYS: Final = 360
LATE_DAYS_MAX: Final = 30
"""Within the longest time that a wallet waits for late usage."""
METHODS: Final = ("none", "remote", "proportional")
PRECISIONS: Final = (None, None, "1", "0.1", "0.01", "0.001", "0.000001")
ORDERS: Final = (
    None,
    ["expiry", "granted", "id"],
    ["granted", "id"],
    ["expiry", "promo", "granted", "id"],
    ["promo", "expiry", "granted", "id"],
)
ENDS: Final = (
    ["2025-04-01", "2025-07-01", "2025-10-01", "2026-01-01"],
    [f"2025-{month:02}-01" for month in range(2, 13)],
    ["2025-02-15", "2025-05-20", "2025-08-31", "2026-02-01"],
)


class Writer:
    """Writes one case, telling a diary as it goes so that each event makes sense where it stands."""

    def __init__(self, seed: int) -> None:
        """Choose the policy."""
        self.random = random = Random(seed)
        self.method = random.choice(METHODS)
        self.policy: Object = {"breakage_method": self.method}
        order, precision = random.choice(ORDERS), random.choice(PRECISIONS)
        # In a ledger lots of one day come in the order of their sale: elsewhere an expiry that changes would not count.
        self.may_roll_over = random.random() < 0.7
        self.policy |= {"draw_order": order} if order else {}
        self.policy |= {"precision": precision} if precision else {}
        if random.random() < 0.4:
            self.policy["overage_price"] = random.choice(("0.02", "1.5", "0.003333"))
        self.diary = Diary(self.policy)
        self.events: list[Object] = []
        self.refunds: list[str] = []
        self.today = ""

    @property
    def lots(self) -> list[Lot]:
        """Return the lots that have something left."""
        return [lot for lot in self.diary.book.lots.values() if lot.left > 0]

    def add(self, kind: str, **fields: object) -> None:
        """Write an event of today and tell it."""
        event = {"t": self.today, "type": kind, "id": f"{kind}-{len(self.events)}", **fields}
        self.events.append(event)
        self.diary.tell(event)

    def grant(self) -> None:
        """Sell a lot or give one away."""
        random = self.random
        units = Fraction(random.choice((3, 7, 90, 100, 1000, 12000, 130000)))
        fields: Object = {"id": self._lot_id(), "units": text(units)}
        if random.random() < 0.2:
            fields |= {"category": "promo"}
        else:
            fields |= {"consideration": random.choice(("100", "10", "299", "0.07", "60000", "33.33"))}
            fields |= self._terms(units)
        if random.random() < 0.6:
            fields["expires"] = self._day_in(random.randint(20, 200))
        self.add("grant", **fields)

    def _lot_id(self) -> str:
        place = f"{len(self.events):02}"
        return f"lot-{place}" if self.may_roll_over else f"lot-{self.random.randint(0, 99):02}-{place}"

    def _terms(self, units: Fraction) -> Object:
        random, terms = self.random, {}
        if self.method == "proportional":
            redeemed = {"expected_redeemed_units": text(Fraction(int(units * 9 // 10) or 1))}
            breakage = {"expected_breakage": random.choice(("0", "0.1", "0.25", "0.6", "0.333"))}
            terms = redeemed if random.random() < 0.3 else breakage
        terms |= {"tax": "1.23"} if random.random() < 0.2 else {}
        terms |= {"bonus_units": "1"} if random.random() < 0.1 else {}
        terms |= {"currency": "EUR", "fx_rate": "1.085"} if random.random() < 0.15 else {}
        return terms

    def debit(self) -> None:
        """Use some of what there is; more than that only where overage has a price."""
        left = sum((lot.left for lot in self.diary.book.drawable(self.today)), Fraction(0))
        units = Fraction(int(left * self.random.choice((1, 3, 5, 9, 10)) / 10))
        if "overage_price" in self.policy and self.random.random() < 0.3:
            units = left + self.random.randint(1, 50)
        if units:
            self.add("debit", units=text(units))

    def estimate(self) -> None:
        """Revise what is expected never to be used."""
        lots = [lot.lot_id for lot in self.lots if lot.price]
        if self.method == "proportional" and lots:
            chosen = self.random.sample(lots, self.random.randint(1, len(lots)))
            self.add(
                "estimate", lots=chosen, expected_breakage=self.random.choice(("0", "0.05", "0.3", "0.8"))
            )

    def refund(self) -> None:
        """Pay unused units back, at once or as a liability."""
        lots = [lot for lot in self.lots if lot.price]
        if lots:
            lot = self.random.choice(lots)
            units = self.random.choice((lot.left, Fraction(int(lot.left / 2)) or lot.left))
            account = self.random.choice(({"credit_account": "Cash"}, {}))
            self.add("refund", lot=lot.lot_id, units=text(units), **account)
            self.refunds += [] if account else [self.events[-1]["id"]]

    def refund_settle(self) -> None:
        """Pay a refund that is owed."""
        if self.refunds:
            self.add("refund_settle", refund=self.refunds.pop(0))

    def rollover(self) -> None:
        """Let a lot live longer, perhaps under a new id."""
        lots = [lot for lot in self.lots if lot.expires != NEVER]
        if lots and self.may_roll_over:
            lot = self.random.choice(lots)
            later = date.fromisoformat(lot.expires) + timedelta(days=self.random.randint(1, 60))
            named = {"new_lot": f"{lot.lot_id}r"} if self.random.random() < 0.4 else {}
            self.add("rollover", lot=lot.lot_id, new_expires=later.isoformat(), **named)

    def reversal(self) -> None:
        """Take a debit back, in part or whole."""
        debits = self.diary.book.debits
        able = [key for key, debit in debits.items() if debit.draws and not self._overran(key)]
        if able:
            key = self.random.choice(able)
            drawn = debits[key].drawn
            units = self.random.choice((drawn, Fraction(int(drawn / 3)) or drawn))
            self.add("reversal", debit=key, units=text(units))

    def _overran(self, debit_id: str) -> bool:
        [told] = [event for event in self.events if event["id"] == debit_id]
        drawn = self.diary.book.debits[debit_id].drawn
        reversed_ = sum(
            (Fraction(each["units"]) for each in self.events if each.get("debit") == debit_id), Fraction(0)
        )
        return Fraction(told["units"]) != drawn + reversed_

    def expire_units(self) -> None:
        """End a part of a lot before its time."""
        lots = [lot for lot in self.lots if lot.left > 1 and self.method != "proportional"]
        if lots:
            lot = self.random.choice(lots)
            self.add("expire_units", lot=lot.lot_id, units=text(Fraction(int(lot.left / 2))))

    def invoice(self) -> None:
        """Bill overage."""
        owed = self.diary.book.unbilled
        if owed and owed.denominator in {1, 2, 4, 5, 10, 20, 25, 50, 100}:
            self.add("invoice", amount=text(owed))

    def late_debit(self) -> None:
        """Tell usage of the day before an expiry that has passed a little while ago, if it draws on that lot.

        What a live lot pays for is booked on the day of use, and that day's period may have been looked at.
        """
        begin, book = self._day_in(-LATE_DAYS_MAX), self.diary.book
        for lot in [each for each in book.lots.values() if begin < each.expires <= self.today]:
            used = (date.fromisoformat(lot.expires) - timedelta(days=1)).isoformat()
            if book.drawable(used)[:1] == [lot] and lot.unused >= 1:
                self.add("debit", units="1", t=used, recorded_at=self.today)
                return

    def end(self) -> None:
        """Give a part of what is left to the state, or declare it remote."""
        lots = [lot for lot in self.lots if lot.price]
        if not lots:
            return
        lot = self.random.choice(lots)
        if self.random.random() < 0.5:
            self.add("escheat", lot=lot.lot_id, fraction=self.random.choice(("0.6", "1", "0.25")))
        else:
            self.add("remote", lot=lot.lot_id)

    def _day_in(self, days: int) -> str:
        return (date.fromisoformat(self.today) + timedelta(days=days)).isoformat()


KINDS: Final[tuple[tuple[int, Callable[[Writer], None]], ...]] = (
    (3, Writer.grant),
    (9, Writer.debit),
    (2, Writer.estimate),
    (2, Writer.refund),
    (2, Writer.refund_settle),
    (2, Writer.rollover),
    (2, Writer.reversal),
    (1, Writer.expire_units),
    (2, Writer.invoice),
    (3, Writer.late_debit),
)


def recognition_case(seed: int) -> Object:
    """Return a case, the same for the same seed."""
    writer = Writer(seed)
    days = sorted(writer.random.choices(range(0, DAYS - 30, 3), k=writer.random.randint(4, 16)))
    for place, day in enumerate(days):
        writer.today = (FIRST + timedelta(days=day)).isoformat()
        writer.diary.pass_to(writer.today)
        kinds = KINDS if place else KINDS[:1]
        chosen = writer.random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0]
        chosen(writer)
    writer.today = (FIRST + timedelta(days=DAYS - 20)).isoformat()
    writer.diary.pass_to(writer.today)
    writer.end()
    ends = writer.random.choice(ENDS)
    periods = [{"from": one, "to": other} for one, other in zip(["2025-01-01", *ends], ends, strict=False)]
    return {
        "id": f"recognition-{seed}",
        "kind": "ledger",
        "policy": writer.policy,
        "events": writer.events,
        "periods": periods,
        "expected": report(writer.policy, writer.events, periods),
    }
