"""Rating cases of whole invoices: minimums with taxes, and a total that is split over lines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import reduce
from math import gcd
from typing import Final

from google.protobuf.field_mask_pb2 import FieldMask

from credits.ledger.v1 import agreement_pb2, contract_changes_pb2, money_pb2
from credits.rating.v1 import invoice_service_pb2
from tests.acceptance.cases.amounts import check_precision, from_nanos, quantity_of, to_nanos
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.rating_cards import Card, CardPhase, publish_card, rate_of
from tests.acceptance.cases.rating_contracts import Signed, Terms, preview, record, sign
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported, number

USAGE: Final = "quantity"
DAYS_MAX: Final = 120
"""Most days in one cycle."""
LINES_MAX: Final = 20
CURRENCIES: Final = {Decimal(1): "JPY", Decimal("0.01"): "USD", Decimal("0.001"): "KWD"}
"""A currency that is paid in multiples of the precision."""
DAY_MICROSECONDS: Final = 86_400_000_000


def plan_minimum(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play usage under a minimum of the cycle, of which the contract may have a part only, with a tax."""
    minimum, used = given.decimal("minimum_amount"), given.decimal("usage_amount")
    days_in_period = given.integer("days_in_period", given.integer("days", 30))
    days = given.integer("days", days_in_period)
    tax = given.decimal("tax_percent", Decimal(0))
    fee = given.decimal("base_fee", Decimal(0))
    if not 0 < days <= days_in_period <= DAYS_MAX:
        raise Unsupported(f"{days} days of {days_in_period}")
    given.ignore("currency", "rounding", "precision")
    given.finish()
    expected.offer("true_up", "net", "tax", "amount")
    quantity = quantity_of(used)
    terms = Terms(base_fee=fee or None, minimum_spend=minimum, tax_percent=tax or None)

    async def run(session: Session) -> None:
        rate = rate_of(USAGE, Decimal(1), unit_size=quantity.unit_size)
        card = await publish_card(session, playing, [CardPhase([rate])])
        anchor = session.now - timedelta(days=days_in_period - days)
        signed = await sign(session, playing, card, terms, _days(days_in_period, anchor), session.now)
        if quantity.parts:
            await record(session, playing, signed, {USAGE: quantity.parts})
        invoice = await preview(session, signed, session.now)
        figures = {
            "true_up": _sum_of(invoice, invoice_service_pb2.LINE_KIND_MINIMUM),
            "net": from_nanos(invoice.net.nanos),
            "tax": from_nanos(invoice.tax.nanos),
            "amount": from_nanos(invoice.total.nanos),
        }
        expected.compare(playing, figures)

    return [Step(None, Rank.USE, run)]


def _days(count: int, anchor: datetime) -> agreement_pb2.Cycle:
    return agreement_pb2.Cycle(
        interval=agreement_pb2.CYCLE_INTERVAL_DAY,
        count=count,
        anchor_time=timestamp(anchor),
    )


def _sum_of(invoice: invoice_service_pb2.Invoice, kind: invoice_service_pb2.LineKind.ValueType) -> Decimal:
    return from_nanos(sum(line.amount.nanos for line in invoice.lines if line.kind == kind))


def plan_split(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play an invoice whose lines have exact amounts in proportion to weights and add up to a total.

    Each line is a minimum of one stretch of the cycle, as long as its weight; stretches without a minimum, together as
    long, keep them apart. So a minimum of twice the total comes to total × weight ÷ sum of weights.
    """
    total, weights = given.decimal("total"), _weights(given)
    precision = check_precision(given.decimal("precision", Decimal("0.01")))
    if precision not in CURRENCIES or given.text("rounding", "half_up") != "half_up":
        raise Unsupported(f"precision {precision}")
    given.ignore("method")
    given.finish()
    expected.offer("lines", "amount")
    days = _days_of(2 * sum(weights))
    bill = money_pb2.Money(currency_code=CURRENCIES[precision], nanos=to_nanos(2 * total))

    async def run(session: Session) -> None:
        card = await publish_card(session, playing, [CardPhase([rate_of(USAGE, Decimal(1))])])
        signed = await _sign_stretches(session, playing, card, weights, days, bill)
        invoice = await preview(session, signed, session.now)
        lines = [from_nanos(line.amount.nanos) for line in invoice.lines]
        expected.compare(playing, {"lines": lines, "amount": from_nanos(invoice.total.nanos)})

    return [Step(None, Rank.USE, run)]


def _weights(given: Fields) -> list[int]:
    """Return the weights as the smallest whole numbers in their proportion."""
    found = [number(each) for each in given.values("weights")]
    weights = [Fraction(each) for each in found if each is not None]
    if len(weights) != len(found) or not 0 < len(weights) <= LINES_MAX or min(weights) <= 0:
        raise Unsupported("weights that are not up to 20 numbers above zero")
    common = reduce(lambda one, two: one * two // gcd(one, two), (each.denominator for each in weights))
    whole = [int(each * common) for each in weights]
    factor = reduce(gcd, whole)
    return [each // factor for each in whole]


def _days_of(parts: int) -> int:
    """Return how many days have that many equal parts of whole microseconds. Raises Unsupported."""
    days = parts // gcd(parts, DAY_MICROSECONDS)
    if days > DAYS_MAX:
        raise Unsupported(f"weights that need a cycle of {days} days")
    return days


async def _sign_stretches(
    session: Session,
    playing: Playing,
    card: Card,
    weights: Sequence[int],
    days: int,
    bill: money_pb2.Money,
) -> Signed:
    """Sign a contract whose phases are in turn as long as a weight with the minimum, and without one."""
    part = timedelta(days=days) / (2 * sum(weights))
    signed = await sign(
        session, playing, card, Terms(overage_price=None), _days(days, session.now), session.now
    )
    at = session.now
    for weight in weights:
        await _schedule(session, playing, signed, at, bill)
        await _schedule(session, playing, signed, at + weight * part, None)
        at += 2 * weight * part
    return signed


async def _schedule(
    session: Session, playing: Playing, signed: Signed, at: datetime, minimum: money_pb2.Money | None
) -> None:
    request = contract_changes_pb2.ScheduleContractPhaseRequest(
        name=signed.contract,
        idempotency_key=playing.next_key(),
        from_time=timestamp(at),
        terms=agreement_pb2.PlanPhase(minimum_spend=minimum),
        update_mask=FieldMask(paths=["minimum_spend"]),
        replace_later=True,
    )
    await call(session.services.contracts.ScheduleContractPhase, request)
