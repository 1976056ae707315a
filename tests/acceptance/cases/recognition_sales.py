"""Lots that are sold in a recognition case: what was paid for them, until when they last, what is expected of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import money_pb2, sale_terms_pb2, wallet_pb2
from tests.acceptance.cases.amounts import price_text, to_nanos
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.recognition_play import Lot, RecognitionPlay
from tests.acceptance.cases.recognition_pools import enter_pool
from tests.acceptance.cases.recognition_words import respelled
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

PAID: Final = wallet_pb2.GRANT_CATEGORY_PAID
PROMOTIONAL: Final = wallet_pb2.GRANT_CATEGORY_PROMOTIONAL
CATEGORIES: Final[Mapping[str, wallet_pb2.GrantCategory.ValueType]] = {
    **dict.fromkeys(("paid", "purchase", "purchased", "prepaid", "commit", "top_up"), PAID),
    **dict.fromkeys(("promo", "promotional", "free", "bonus", "goodwill", "trial", "courtesy"), PROMOTIONAL),
    "included": wallet_pb2.GRANT_CATEGORY_INCLUDED,
}
MICROSECOND: Final = timedelta(microseconds=1)
IN_ADVANCE: Final = (
    "expires",
    "no_auto_expire",
    "customer",
    "wallet",
    "lot",
    "refundable",
    "jurisdiction",
    "term",
)
"""What is read elsewhere or changes nothing of a lot."""
ITEM: Final = {
    "product": ("name", "id", "obligation", "item", "stream"),
    "standalone_price": ("ssp", "standalone_selling_price", "price", "amount"),
    "from": ("start", "service_from"),
    "to": ("end", "service_to"),
}


def look_ahead(events: Sequence[Fields], play: RecognitionPlay) -> None:
    """Note until when lots are to be granted: one that does not expire by itself lasts until it is rolled over."""
    looks = [event.afresh() for event in events]
    for look in (each for each in looks if each.text("type") == "grant"):
        lot_id, expires = look.text("id"), look.optional_instant("expires")
        if expires is not None:
            rolled, ended = (_days(looks, lot_id, kind) for kind in ("roll_over", "end"))
            # Rolled over on the very day of its expiry, it does not expire on that day.
            waits = look.flag("no_auto_expire", default=False) or expires in rolled
            last = min(rolled, default=max(ended, default=expires))
            if waits and last >= expires and (rolled or ended):
                expires = last + MICROSECOND
        play.lasts[lot_id] = expires


def _days(looks: Sequence[Fields], lot_id: str, kind: str) -> list[datetime]:
    """Return when events of a kind name a lot."""
    return [each.instant("t") for each in looks if each.text("type") == kind and each.raw("lot") == lot_id]


def plan_grant(event: Fields, play: RecognitionPlay) -> Step:
    """Sell a lot, or give one away."""
    lot_id, at, units = event.text("id"), event.instant("t"), event.decimal("units")
    event.ignore(*IN_ADVANCE)
    consideration = _consideration(event, units)
    # Nothing paid for a lot that does not come first because of that: it is one for which 0 was paid.
    paid = _is_paid(event, consideration) or not play.promo_first
    lot = Lot(lot_id, units, consideration, paid and bool(consideration))
    expires = play.lasts.get(lot_id)
    grant = wallet_pb2.Grant(
        amount_units=play.wallet.units(units),
        category=PAID if paid else CATEGORIES[_category(event, consideration)],
        expire_time=timestamp(expires) if expires is not None else None,
        priority=play.priorities.get(lot_id, 0),
    )
    terms, pool = _sale_terms(event, play), event.text("pool", "") if "pool" in event else ""
    if paid:
        grant.consideration.CopyFrom(play.money(consideration))
        grant.finance.CopyFrom(terms)
        rate = _exchange(event, grant, play)
        lot = lot._replace(consideration=consideration * rate)

    async def run(session: Session) -> None:
        if pool and paid:
            await enter_pool(session, play, pool, grant.finance)
        await play.wallet.grant(session, lot_id, grant)
        play.lots[lot_id] = lot

    return Step(at, Rank.USE, run)


def _consideration(event: Fields, units: Decimal) -> Decimal:
    if "unit_price" in event and "consideration" not in event:
        return event.decimal("unit_price") * units
    return event.decimal("consideration", Decimal(0))


def _category(event: Fields, consideration: Decimal) -> str:
    default = "paid" if consideration or "category" not in event else ""
    category = event.text("category", default).lower()
    if category not in CATEGORIES or (CATEGORIES[category] != PAID and consideration):
        raise Unsupported(f"a lot of category {category} sold for {consideration}")
    return category


def _is_paid(event: Fields, consideration: Decimal) -> bool:
    return CATEGORIES[_category(event, consideration)] == PAID


def _exchange(event: Fields, grant: wallet_pb2.Grant, play: RecognitionPlay) -> Decimal:
    """Let a grant be paid in a foreign currency, if it is, and return the rate."""
    code = event.text("currency", "")
    rate = event.decimal("fx_rate") if "fx_rate" in event else rate_at(play, code, event)
    if rate is None:
        if code not in {"", play.functional}:
            raise Unsupported(f"{event.place}: a sale in {code} without a rate")
        return Decimal(1)
    grant.consideration.currency_code = play.foreign[code or "foreign"]
    for money in (grant.finance.tax, grant.finance.standalone_price):
        if money.currency_code:
            money.currency_code = grant.consideration.currency_code
    for item in grant.finance.bundle:
        item.standalone_price.currency_code = grant.consideration.currency_code
    grant.finance.functional_currency_code = play.currency_code
    grant.finance.exchange_rate = price_text(rate)
    return rate


def rate_at(play: RecognitionPlay, code: str, event: Fields) -> Decimal | None:
    """Return the newest rate of a currency that was told by the day of an event, None for one without rates."""
    told = [rate for at, rate in play.rates.get(code, []) if at <= event.instant("t")]
    if not told and code in play.rates:
        raise Unsupported(f"{event.place}: no rate of {code} by then")
    return told[-1] if told else None


def _sale_terms(event: Fields, play: RecognitionPlay) -> sale_terms_pb2.SaleTerms:
    terms = sale_terms_pb2.SaleTerms(
        bonus_units=play.wallet.units(event.decimal("bonus_units", Decimal(0))),
        product=event.text("product", ""),
        entity=play.entity,
    )
    breakage, redeemed = read_estimate(event, play)
    if event.text("breakage_method", play.method).lower() == "proportional":
        terms.expected_breakage, terms.expected_redeemed_units = breakage, redeemed
    tax = event.decimal("tax", Decimal(0))
    if tax:
        terms.tax.CopyFrom(play.money(tax))
    if "standalone_price" in event:
        terms.standalone_price.CopyFrom(play.money(event.decimal("standalone_price")))
    for place, raw in enumerate(event.values("bundle") if "bundle" in event else []):
        item = Fields(respelled(raw, ITEM), place=f"{event.place}.bundle[{place}]")
        terms.bundle.append(_bundled(item, play))
    return terms


def _bundled(item: Fields, play: RecognitionPlay) -> sale_terms_pb2.BundledItem:
    price = money_pb2.Money(
        currency_code=play.currency_code, nanos=to_nanos(item.decimal("standalone_price"))
    )
    bundled = sale_terms_pb2.BundledItem(product=item.text("product"), standalone_price=price)
    if "from" in item:
        bundled.from_time.CopyFrom(timestamp(item.instant("from")))
        bundled.to_time.CopyFrom(timestamp(item.instant("to")))
    item.finish()
    return bundled


def read_estimate(event: Fields, play: RecognitionPlay) -> tuple[str, int]:
    """Return the expected breakage of an event, and the units expected to be used if these are stated."""
    breakage = event.decimal("expected_breakage", Decimal(0))
    redeemed = event.decimal("expected_redeemed_units", Decimal(0))
    return ("" if redeemed else price_text(breakage), play.wallet.units(redeemed))
