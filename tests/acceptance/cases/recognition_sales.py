"""One recognition case while it is played, and the lots that are sold in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import money_pb2, sale_terms_pb2, wallet_pb2
from tests.acceptance.cases.amounts import price_text, to_nanos
from tests.acceptance.cases.fields import Fields, timestamp
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


RATES: Final = ("fx_rate", "exchange_rate", "fx", "rate")
ROLL_OVERS: Final = ("rollover", "roll_over", "extend", "extension")


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
        self.foreign: dict[str, str] = {}
        """By the code of a case, the code that stands for a foreign currency here."""
        self.entity = ""
        """Legal entity of the case, where its periods are closed."""
        self.has_estimate = True
        self.contract = ""
        """Of the case's wallet, once something is billed."""
        self.bills = 0
        self.open_from = datetime.max.replace(tzinfo=UTC)
        """Where the next period to be closed begins."""

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
    event.ignore("expires", "no_auto_expire", "customer", "wallet", "lot", "refundable")
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
        rate = _exchange(event, grant, play)
        lot = lot._replace(consideration=consideration * rate)

    async def run(session: Session) -> None:
        await play.wallet.grant(session, lot_id, grant)
        play.lots[lot_id] = lot

    return Step(at, Rank.USE, run)


def _exchange(event: Fields, grant: wallet_pb2.Grant, play: RecognitionPlay) -> Decimal:
    """Let a grant be paid in a foreign currency, if it is, and return the rate."""
    code = event.text("currency", "")
    rates = [event.decimal(name) for name in RATES if name in event]
    if not rates:
        return Decimal(1)
    grant.consideration.currency_code = play.foreign[code or "foreign"]
    if grant.finance.HasField("tax"):
        grant.finance.tax.currency_code = grant.consideration.currency_code
    grant.finance.functional_currency_code = play.currency_code
    grant.finance.exchange_rate = price_text(rates[0])
    return rates[0]


def _sale_terms(event: Fields, play: RecognitionPlay) -> sale_terms_pb2.SaleTerms:
    terms = sale_terms_pb2.SaleTerms(
        bonus_units=play.wallet.units(event.decimal("bonus_units", Decimal(0))),
        product=event.text("product", ""),
        entity=play.entity,
    )
    breakage, redeemed = read_estimate(event, play)
    if play.has_estimate:
        terms.expected_breakage, terms.expected_redeemed_units = breakage, redeemed
    tax = event.decimal("tax", event.decimal("sales_tax", Decimal(0)))
    if tax:
        terms.tax.CopyFrom(play.money(tax))
    return terms


def read_estimate(event: Fields, play: RecognitionPlay) -> tuple[str, int]:
    """Return the expected breakage of an event, and the units expected to be used if these are stated."""
    breakage = event.decimal("expected_breakage", event.decimal("breakage", Decimal(0)))
    redeemed = event.decimal("expected_redeemed_units", event.decimal("expected_redemption", Decimal(0)))
    return ("" if redeemed else price_text(breakage), play.wallet.units(redeemed))
