"""What may happen in a recognition case: one function a kind of event, in a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import (
    finance_commands_pb2,
    money_pb2,
    sale_terms_pb2,
    wallet_pb2,
    wallet_service_pb2,
)
from tests.acceptance.cases.amounts import price_text, to_nanos
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_play import WalletPlay

PAID: Final = wallet_pb2.GRANT_CATEGORY_PAID
PROMOTIONAL: Final = wallet_pb2.GRANT_CATEGORY_PROMOTIONAL
CATEGORIES: Final[Mapping[str, wallet_pb2.GrantCategory.ValueType]] = {
    "paid": PAID,
    "purchase": PAID,
    "purchased": PAID,
    "promo": PROMOTIONAL,
    "promotional": PROMOTIONAL,
    "free": PROMOTIONAL,
    "bonus": PROMOTIONAL,
    "goodwill": PROMOTIONAL,
    "included": wallet_pb2.GRANT_CATEGORY_INCLUDED,
}
MICROSECOND: Final = timedelta(microseconds=1)
CASH: Final = ("Cash", "cash")
OWED: Final = ("RefundLiability", "refund_liability", "")
NOTES: Final = ("note", "title", "comment", "reason")
"""Fields of an event that are for people."""


class Lot(NamedTuple):
    """A lot as it was sold."""

    lot_id: str
    units: Decimal
    consideration: Decimal
    paid: bool


class RecognitionPlay:
    """One recognition case while it is played."""

    def __init__(self, wallet: WalletPlay, currency_code: str) -> None:
        """Sell nothing yet."""
        self.wallet = wallet
        self.currency_code = currency_code
        self.lots: dict[str, Lot] = {}
        self.refunds: dict[str, str] = {}
        """By event id, the name of the refund."""
        self.priorities: dict[str, int] = {}
        """By lot id, where a case names an order of its own."""
        self.lasts: dict[str, datetime | None] = {}
        """By lot id, until when it is granted."""
        self.overage_price: Decimal | None = None
        self.has_estimate = True

    def grant_name(self, lot_id: str) -> str:
        """Return the name of a lot's grant. Raises Unsupported."""
        name = self.wallet.grants.get(lot_id)
        if name is None:
            raise Unsupported(f"lot {lot_id}, which was not granted before")
        return name

    def money(self, amount: Decimal) -> money_pb2.Money:
        """Return an amount in the case's currency."""
        return money_pb2.Money(currency_code=self.currency_code, nanos=to_nanos(amount))


Planner = Callable[[Fields, RecognitionPlay], Step]


def plan_event(event: Fields, play: RecognitionPlay) -> Step:
    """Return the step of an event. Raises Unsupported."""
    kind = event.text("type").lower().replace("-", "_").replace(" ", "_")
    planner = EVENTS.get(kind)
    if planner is None:
        raise Unsupported(f"event {kind}")
    event.ignore(*NOTES)
    step = planner(event, play)
    event.finish()
    return step


def look_ahead(events: Sequence[Fields], play: RecognitionPlay) -> None:
    """Note until when lots are to be granted: one that does not expire by itself lasts until it is rolled over."""
    for event in events:
        if event.text("type") != "grant":
            continue
        look = event.afresh()
        lot_id, expires = look.text("id"), look.optional_instant("expires")
        if expires is not None and look.flag("no_auto_expire", default=False):
            rolled = [
                other.instant("t")
                for other in events
                if other.text("type") in ROLL_OVERS and other.afresh().raw("lot") == lot_id
            ]
            if rolled and min(rolled) >= expires:
                expires = min(rolled) + MICROSECOND
        play.lasts[lot_id] = expires


def plan_grant(event: Fields, play: RecognitionPlay) -> Step:
    """Sell a lot, or give one away."""
    lot_id, at, units = event.text("id"), event.instant("t"), event.decimal("units")
    event.ignore("expires", "no_auto_expire", "customer", "wallet", "lot")
    consideration = event.decimal("consideration", event.decimal("price", Decimal(0)))
    default = "paid" if consideration or "category" not in event else ""
    category = event.text("category", default)
    if category not in CATEGORIES or (CATEGORIES[category] != PAID and consideration):
        raise Unsupported(f"a lot of category {category} sold for {consideration}")
    paid = CATEGORIES[category] == PAID
    lot = Lot(lot_id, units, consideration, paid)
    expires = play.lasts.get(lot_id)
    grant = wallet_pb2.Grant(
        amount_units=play.wallet.units(units),
        category=CATEGORIES[category],
        expire_time=timestamp(expires) if expires is not None else None,
        priority=play.priorities.get(lot_id, 0),
    )
    terms = _sale_terms(event, play)
    if paid:
        grant.consideration.CopyFrom(play.money(consideration))
        grant.finance.CopyFrom(terms)

    async def run(session: Session) -> None:
        await play.wallet.grant(session, lot_id, grant)
        play.lots[lot_id] = lot

    return Step(at, Rank.USE, run)


def _sale_terms(event: Fields, play: RecognitionPlay) -> sale_terms_pb2.SaleTerms:
    terms = sale_terms_pb2.SaleTerms(
        bonus_units=play.wallet.units(event.decimal("bonus_units", Decimal(0))),
        product=event.text("product", ""),
    )
    breakage, redeemed = _estimate(event, play)
    if play.has_estimate:
        terms.expected_breakage, terms.expected_redeemed_units = breakage, redeemed
    tax = event.decimal("tax", event.decimal("sales_tax", Decimal(0)))
    if tax:
        terms.tax.CopyFrom(play.money(tax))
    return terms


def _estimate(event: Fields, play: RecognitionPlay) -> tuple[str, int]:
    breakage = event.decimal("expected_breakage", event.decimal("breakage", Decimal(0)))
    redeemed = event.decimal("expected_redeemed_units", event.decimal("expected_redemption", Decimal(0)))
    return ("" if redeemed else price_text(breakage), play.wallet.units(redeemed))


def plan_debit(event: Fields, play: RecognitionPlay) -> Step:
    """Use units; what no lot covers is overage at the case's price."""
    debit_id, at, units = event.text("id"), event.instant("t"), play.wallet.units(event.decimal("units"))
    price = event.decimal("overage_price", event.decimal("overage_rate", play.overage_price or Decimal(-1)))

    async def run(session: Session) -> None:
        if price < 0:
            debit = await play.wallet.debit(session, amount_units=units, delivered=True)
        else:
            debit = await _priced_debit(session, play, units, price)
        play.wallet.debits[debit_id] = debit

    return Step(at, Rank.USE, run)


async def _priced_debit(
    session: Session, play: RecognitionPlay, units: int, price: Decimal
) -> wallet_pb2.Debit:
    line = wallet_pb2.ChargeLine(
        dimension="units", quantity=units, unit_price="1", exact_units=str(units), unit_size=1, multiplier="1"
    )
    charge = wallet_pb2.Charge(
        contract_phase="case",
        rate_card_phase="rateCards/case/phases/1",
        phase_hash="ab" * 32,
        lines=[line],
        exact_units=str(units),
        overage_price=money_pb2.UnitPrice(currency_code=play.currency_code, price=price_text(price)),
    )
    request = wallet_service_pb2.DebitRequest(
        name=play.wallet.name,
        idempotency_key=play.wallet.playing.next_key(),
        charge=charge,
        delivered=True,
    )
    answer = await call(session.services.wallets.Debit, request)
    return answer.debit


def plan_estimate(event: Fields, play: RecognitionPlay) -> Step:
    """Expect another part of lots never to be used."""
    at, lots = event.instant("t"), _lots(event)
    event.ignore("id")
    breakage, redeemed = _estimate(event, play)

    async def run(session: Session) -> None:
        open_lots = lots or [lot_id for lot_id, lot in play.lots.items() if lot.paid]
        request = finance_commands_pb2.ReviseBreakageEstimateRequest(
            name=play.wallet.name,
            idempotency_key=play.wallet.playing.next_key(),
            grants=[play.grant_name(lot_id) for lot_id in open_lots],
            expected_breakage=breakage,
            expected_redeemed_units=redeemed,
        )
        await call(session.services.finance.ReviseBreakageEstimate, request)

    return Step(at, Rank.USE, run)


def plan_refund(event: Fields, play: RecognitionPlay) -> Step:
    """Pay unused units back, at once or later."""
    refund_id, at, lot_id = event.text("id"), event.instant("t"), event.text("lot")
    units, amount = event.decimal("units", Decimal(0)), event.decimal("amount", Decimal(0))
    account = event.text("credit_account", "")
    if account not in (*CASH, *OWED):
        raise Unsupported(f"a refund to {account}")

    async def run(session: Session) -> None:
        lot = play.lots[lot_id]
        asked = units or (amount * lot.units / lot.consideration if amount else Decimal(0))
        request = wallet_service_pb2.RefundGrantRequest(
            name=play.grant_name(lot_id),
            idempotency_key=play.wallet.playing.next_key(),
            amount_units=play.wallet.units(asked),
            paid=account in CASH,
        )
        answer = await call(session.services.wallets.RefundGrant, request)
        play.refunds[refund_id] = answer.name

    return Step(at, Rank.USE, run)


def plan_settlement(event: Fields, play: RecognitionPlay) -> Step:
    """Pay what refunds owe: one that is named, or all of them."""
    at = event.instant("t")
    event.ignore("id", "amount", "lot", "account", "credit_account")
    names = [str(event.raw(name)) for name in ("refund", "of", "ref") if name in event]

    async def run(session: Session) -> None:
        for refund_id in names or list(play.refunds):
            name = play.refunds.pop(refund_id)
            request = finance_commands_pb2.SettleRefundRequest(
                name=name, idempotency_key=play.wallet.playing.next_key()
            )
            await call(session.services.finance.SettleRefund, request)

    return Step(at, Rank.USE, run)


def plan_roll_over(event: Fields, play: RecognitionPlay) -> Step:
    """Let a lot live longer; what does not move on ends."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id")
    until = event.optional_instant("new_expires") or event.optional_instant("expires")
    carried = [event.decimal(name) for name in CARRIED if name in event]

    async def run(session: Session) -> None:
        if carried:
            await _end_but(session, play, lot_id, play.wallet.units(min(carried)))
        request = wallet_service_pb2.ExtendGrantRequest(
            name=play.grant_name(lot_id),
            idempotency_key=play.wallet.playing.next_key(),
            expire_time=timestamp(until) if until is not None else None,
        )
        await call(session.services.wallets.ExtendGrant, request)

    return Step(at, Rank.USE, run)


async def _end_but(session: Session, play: RecognitionPlay, lot_id: str, carried_units: int) -> None:
    name = play.grant_name(lot_id)
    request = wallet_service_pb2.GetBalanceRequest(name=play.wallet.name)
    balance = (await call(session.services.wallets.GetBalance, request)).balance
    left = sum(lot.posted_units - lot.held_units for lot in balance.lots if lot.grant == name)
    if left > carried_units:
        await _end_units(session, play, name, left - carried_units)


async def _end_units(session: Session, play: RecognitionPlay, name: str, units: int) -> None:
    request = wallet_service_pb2.RevokeGrantRequest(
        name=name, idempotency_key=play.wallet.playing.next_key(), amount_units=units
    )
    await call(session.services.wallets.RevokeGrant, request)


def plan_end(event: Fields, play: RecognitionPlay) -> Step:
    """End units of a lot, or all of them."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id")
    units = event.decimal("units", Decimal(0))

    async def run(session: Session) -> None:
        await _end_units(session, play, play.grant_name(lot_id), play.wallet.units(units))

    return Step(at, Rank.USE, run)


def plan_reversal(event: Fields, play: RecognitionPlay) -> Step:
    """Take a debit back, in part or whole."""
    at = event.instant("t")
    event.ignore("id", "lot")
    named = [str(event.raw(name)) for name in ("debit", "of", "ref", "reverses", "event") if name in event]
    units = event.decimal("units", Decimal(0))
    if len(named) != 1:
        raise Unsupported(f"{event.place} names no debit")

    async def run(session: Session) -> None:
        await play.wallet.reverse(session, named[0], amount_units=play.wallet.units(units))

    return Step(at, Rank.USE, run)


def plan_escheat(event: Fields, play: RecognitionPlay) -> Step:
    """Note what of a lot belongs to the state."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id", "jurisdiction")
    fraction = event.decimal("fraction", Decimal(1))

    async def run(session: Session) -> None:
        request = finance_commands_pb2.RecordEscheatRequest(
            name=play.grant_name(lot_id),
            idempotency_key=play.wallet.playing.next_key(),
            fraction=price_text(fraction),
        )
        await call(session.services.finance.RecordEscheat, request)

    return Step(at, Rank.USE, run)


def plan_remote(event: Fields, play: RecognitionPlay) -> Step:
    """Declare the use of what is left of lots remote."""
    at, lots = event.instant("t"), _lots(event)
    event.ignore("id")

    async def run(session: Session) -> None:
        request = finance_commands_pb2.DeclareBreakageRemoteRequest(
            name=play.wallet.name,
            idempotency_key=play.wallet.playing.next_key(),
            grants=[play.grant_name(lot_id) for lot_id in lots],
        )
        await call(session.services.finance.DeclareBreakageRemote, request)

    return Step(at, Rank.USE, run)


def _lots(event: Fields) -> list[str]:
    if "lots" in event:
        return [str(lot_id) for lot_id in event.values("lots")]
    return [event.text("lot")] if "lot" in event else []


CARRIED: Final = ("units", "carry", "carry_units", "carried_units", "cap", "max_units")
"""How an event may call what moves on."""
ROLL_OVERS: Final = ("rollover", "roll_over", "extend", "extension")
EVENTS: Final[Mapping[str, Planner]] = {
    "grant": plan_grant,
    "purchase": plan_grant,
    "debit": plan_debit,
    "usage": plan_debit,
    "redeem": plan_debit,
    "estimate": plan_estimate,
    "estimate_revision": plan_estimate,
    "refund": plan_refund,
    "refund_settle": plan_settlement,
    "refund_settled": plan_settlement,
    "refund_paid": plan_settlement,
    **dict.fromkeys(ROLL_OVERS, plan_roll_over),
    "expire_units": plan_end,
    "expire": plan_end,
    "forfeit": plan_end,
    "reversal": plan_reversal,
    "reverse": plan_reversal,
    "escheat": plan_escheat,
    "remote": plan_remote,
}
