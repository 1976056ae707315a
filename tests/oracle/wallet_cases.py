"""Seeded wallet cases in the format of `wallet.json`: ops of every kind over some days, and what to see in between."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from tests.oracle.amounts import Object
from tests.oracle.wallet import NEVER, Lot, Wallet

FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
HOUR: Final = 60
FEATURES: Final = ("", "", "", "chat", "images")
TTL_LONGEST: Final = 24 * HOUR


def instant(minutes: int) -> str:
    """Return an instant as a case file spells it."""
    return (FIRST + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


class Writer:
    """Writes one case, telling an oracle as it goes."""

    def __init__(self, seed: int) -> None:
        """Choose the policy."""
        self.random = random = Random(seed)
        self.shortfall = random.choice(("", "overage_charge_final", "overage_backfilled_by_later_grant"))
        rejects, self.resets = random.random() < 0.3, random.random() < 0.25
        self.policy: Object = {"shortfall": self.shortfall} if self.shortfall else {}
        self.policy |= {"capture": "multiple", "capture_over_hold": "reject"} if rejects else {}
        self.is_owed = self.shortfall == "overage_backfilled_by_later_grant"
        self.wallet = Wallet(is_owed=self.is_owed, is_hard=not self.shortfall, takes_extra=not rejects)
        self.ops: list[Object] = []
        self.now = 0
        self.captured: set[str] = set()

    def scope(self) -> Object:
        """Return what a use is for; credit that is owed for is of no scope."""
        feature = "" if self.is_owed else self.random.choice(FEATURES)
        return {"scope": feature} if feature else {}

    def add(self, op: str, **fields: object) -> str:
        """Write an op of now and return its id."""
        self.ops.append({"op": op, "at": instant(self.now), **fields})
        return str(fields.get("id", ""))

    def grant(self) -> None:
        """Issue a grant, mostly effective at once."""
        random, number = self.random, len(self.ops)
        amount = random.choice((1, 5, 10, 30, 100, 1000))
        last = random.choice((NEVER, NEVER, 6 * HOUR, 30 * HOUR, 100 * HOUR))
        start = self.now + random.choice((0, 0, 0, 0, -2 * HOUR, 5 * HOUR))
        end = NEVER if last == NEVER else max(start, self.now) + last
        features = () if self.is_owed else random.choice(((), (), (), ("chat",), ("images", "chat")))
        lot = Lot(
            grant_id=f"g{random.randint(0, 99):02}-{number}",
            amount=amount,
            start=start,
            end=end,
            priority=random.choice((0, 1, 1, 2)),
            promo=random.random() < 0.3,
            scope=features,
            number=number,
        )
        op: Object = {"op": "grant", "id": lot.grant_id, "amount": str(amount), "priority": lot.priority}
        op |= {"effective_at": instant(start), "expires_at": None if end == NEVER else instant(end)}
        op |= {"created_at": instant(self.now), "seq": number, "category": "promo" if lot.promo else "paid"}
        op |= {"scope": list(features)} if features else {}
        if self.resets and random.random() < 0.6:
            lot.keeps_at_most = random.choice((0, 3, 20, 2000))
            op["rollover"] = {"max": str(lot.keeps_at_most)}
        self.ops.append(op)
        self.wallet.grant(lot, self.now)

    def usage(self) -> None:
        """Use some of what there is, sometimes more."""
        fields = self.scope()
        amount = self.amount(str(fields.get("scope", "")))
        use_id = self.add("usage", id=f"u{len(self.ops)}", amount=str(amount), **fields)
        self.wallet.usage(use_id, amount, self.now, str(fields.get("scope", "")))

    def amount(self, scope: str = "") -> int:
        """Return an amount about as large as what may be spent."""
        free = sum(lot.free for lot in self.wallet.available(self.now, scope))
        return max(1, free * self.random.choice((1, 2, 5, 8, 10, 11)) // 10)

    def debit(self) -> None:
        """Debit all or nothing, whatever becomes of a shortfall of usage."""
        fields = self.scope()
        amount = self.amount(str(fields.get("scope", "")))
        use_id = self.add("debit", id=f"d{len(self.ops)}", amount=str(amount), **fields)
        self.wallet.debit(use_id, amount, self.now, str(fields.get("scope", "")))

    def hold(self) -> None:
        """Reserve some of what there is, sometimes more."""
        amount, ttl = self.amount(), self.random.choice((None, 1, HOUR, 7 * HOUR))
        hold_id = self.add(
            "hold", id=f"h{len(self.ops)}", amount=str(amount), ttl_s=None if ttl is None else ttl * 60
        )
        self.wallet.hold(hold_id, amount, self.now, TTL_LONGEST if ttl is None else ttl)

    def capture(self) -> None:
        """Capture a hold, open or not."""
        if self.wallet.holds:
            hold_id = self.random.choice(sorted(self.wallet.holds))
            held = self.wallet.holds[hold_id].held
            amount = max(1, held * self.random.choice((0, 3, 5, 10, 10, 12, 60)) // 10)
            final = self.random.random() < 0.6
            use_id = self.add(
                "capture", id=f"c{len(self.ops)}", hold=hold_id, amount=str(amount), final=final
            )
            self.wallet.capture(use_id, hold_id, amount, self.now, final=final)
            self.captured.add(use_id)

    def release(self) -> None:
        """Release a hold, open or not."""
        if self.wallet.holds:
            hold_id = self.random.choice(sorted(self.wallet.holds))
            self.add("release", hold=hold_id)
            self.wallet.release(hold_id, self.now)

    def reverse(self) -> None:
        """Take a use back, unless later credit has paid for some of it."""
        wallet, unpaid = self.wallet, self.partly_owed
        able = [key for key, use in wallet.uses.items() if (use.draws or use.overage) and key not in unpaid]
        if able:
            key = self.random.choice(able)
            made = sum(units for _, units in wallet.uses[key].draws) + wallet.uses[key].overage
            amount = self.random.choice((made, max(1, made // 3)))
            self.add("reverse", usage=key, amount=str(amount))
            wallet.reverse(key, amount, self.now)

    @property
    def partly_owed(self) -> set[str]:
        """Return the uses of which something is or was owed."""
        if not self.is_owed:
            return set()
        asked = {str(op.get("id")): int(str(op.get("amount", 0))) for op in self.ops if op["op"] in USES}
        for op in self.ops:
            if op["op"] == "reverse":
                asked[op["usage"]] -= int(op["amount"])
        uses = self.wallet.uses
        return {key for key, use in uses.items() if sum(units for _, units in use.draws) != asked[key]}

    def void_grant(self) -> None:
        """Void a grant that is alive."""
        able = [lot for lot in self.wallet.lots.values() if lot.free and lot.start < self.now]
        if able:
            lot = self.random.choice(able)
            self.add("void_grant", grant=lot.grant_id)
            self.wallet.void(lot.grant_id)

    def reset(self) -> None:
        """End a period."""
        self.add("reset")
        self.wallet.reset(self.now)

    def figures(self) -> Object:
        """Return what is to be seen now."""
        wallet = self.wallet
        return {
            "at": instant(self.now),
            "remaining": {
                key: str(lot.free if lot.start <= self.now < lot.end else 0)
                for key, lot in wallet.lots.items()
            },
            "total": str(sum(lot.free for lot in wallet.lots.values())),
            "overage": str(wallet.overage),
            "held": str(sum(hold.held for hold in wallet.holds.values())),
            "used": str(wallet.used),
            "expired_total": str(sum(lot.expired for lot in wallet.lots.values())),
        }


USES: Final = ("usage", "debit", "capture")
KINDS: Final[tuple[tuple[int, Callable[[Writer], None]], ...]] = (
    (5, Writer.grant),
    (6, Writer.usage),
    (2, Writer.debit),
    (4, Writer.hold),
    (4, Writer.capture),
    (2, Writer.release),
    (2, Writer.reverse),
    (1, Writer.void_grant),
)
PERIOD_KINDS: Final = (*KINDS[:3], (2, Writer.reset))
"""Where periods end, nothing is held, voided or reversed: what of that goes on, the conventions leave open."""


def wallet_case(seed: int) -> Object:
    """Return a case, the same for the same seed."""
    writer = Writer(seed)
    random, series = writer.random, []
    for place in range(random.randint(4, 22)):
        writer.now += HOUR * random.choice((1, 1, 1, 2, 5, 20))
        writer.wallet.pass_to(writer.now)
        kinds = (PERIOD_KINDS if writer.resets else KINDS) if place else KINDS[:1]
        random.choices([kind for _, kind in kinds], [weight for weight, _ in kinds])[0](writer)
        if random.random() < 0.2:
            series.append(writer.figures())
    writer.now += HOUR * random.choice((1, 200))
    writer.wallet.pass_to(writer.now)
    wallet, expect = writer.wallet, writer.figures()
    expect |= {"results": wallet.results, "series": series}
    owing = writer.partly_owed
    expect["allocations"] = {
        key: [[lot.grant_id, str(units)] for lot, units in use.draws]
        for key, use in wallet.uses.items()
        if key not in owing
    }
    case: Object = {"id": f"wallet-{seed}", "fit": "policy" if writer.policy else "default", "sim": True}
    return case | {"policy": writer.policy, "given": {"ops": writer.ops}, "expect": expect}
