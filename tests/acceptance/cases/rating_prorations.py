"""Rating cases of proration: a change of plan as it is previewed, and a period of which a part is paid for."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from math import gcd
from typing import Final, NamedTuple

from credits.ledger.v1 import agreement_pb2, contract_changes_pb2
from credits.rating.v1 import plan_change_pb2
from tests.acceptance.cases.amounts import check_precision, from_nanos
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields, parse_instant, timestamp
from tests.acceptance.cases.rating_cards import CardPhase, publish_card, rate_of
from tests.acceptance.cases.rating_contracts import Signed, Terms, preview, publish_plan, sign
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

USAGE: Final = "quantity"
DAYS_MAX: Final = 120
"""Most days in one cycle."""
CENT: Final = Decimal("0.01")


class Span(NamedTuple):
    """A period, and the part of it that has gone by; without a beginning it begins when the case does."""

    start: datetime | None
    length: timedelta
    gone: timedelta


def plan_change_of_fee(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a change from one fee to another within a period."""
    old, new = given.decimal("old_amount"), given.decimal("new_amount")
    span = _span_of_days(given) if "days_total" in given else _span_of_instants(given)
    _check_rounding(given)
    given.ignore("unit", "currency", "method")
    given.finish()
    expected.offer("credit", "debit", "amount")

    async def run(session: Session) -> None:
        card = await publish_card(session, playing, [CardPhase([rate_of(USAGE, Decimal(1))])])
        signed = await sign(
            session, playing, card, Terms(base_fee=old), _cycle(span, session.now), session.now
        )
        plan = await publish_plan(session, playing, card, Terms(base_fee=new), suffix="-new")
        request = plan_change_pb2.PreviewPlanChangeRequest(
            contract=signed.contract,
            plan=plan,
            timing=plan_change_pb2.PLAN_CHANGE_TIMING_AT_ONCE,
            from_time=timestamp(session.now + span.gone),
        )
        change = (await call(session.services.invoices.PreviewPlanChange, request)).change
        nanos = [line.amount.nanos for line in change.lines]
        figures = {
            "credit": from_nanos(sum(each for each in nanos if each < 0)),
            "debit": from_nanos(sum(each for each in nanos if each > 0)),
            "amount": from_nanos(change.amount.nanos),
        }
        expected.compare(playing, figures)

    return [Step(span.start, Rank.USE, run)]


def plan_part_of_period(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play the invoice of a period of which only the first days are paid for, because the contract ends then."""
    fee, tax = given.decimal("amount_per_period"), given.decimal("tax_percent", Decimal(0))
    days, days_in_period = given.integer("days"), given.integer("days_in_period")
    _check_rounding(given)
    given.ignore("currency", "unit", "method")
    given.finish()
    expected.offer("net", "tax", "amount")
    span = _span(days_in_period, days)

    async def run(session: Session) -> None:
        card = await publish_card(session, playing, [CardPhase([rate_of(USAGE, Decimal(1))])])
        terms = Terms(base_fee=fee, tax_percent=tax or None)
        signed = await sign(session, playing, card, terms, _cycle(span, session.now), session.now)
        if span.gone < span.length:
            await _end(session, playing, signed, session.now + span.gone)
        invoice = await preview(session, signed, session.now)
        parts = {"net": invoice.net, "tax": invoice.tax, "amount": invoice.total}
        expected.compare(playing, {name: from_nanos(part.nanos) for name, part in parts.items()})

    return [Step(span.start, Rank.USE, run)]


async def _end(session: Session, playing: Playing, signed: Signed, end: datetime) -> None:
    request = contract_changes_pb2.EndContractRequest(
        name=signed.contract, idempotency_key=playing.next_key(), end_time=timestamp(end)
    )
    await call(session.services.contracts.EndContract, request)


def _cycle(span: Span, anchor: datetime) -> agreement_pb2.Cycle:
    return agreement_pb2.Cycle(
        interval=agreement_pb2.CYCLE_INTERVAL_DAY,
        count=span.length // timedelta(days=1),
        anchor_time=timestamp(anchor),
    )


def _span_of_days(given: Fields) -> Span:
    total = given.integer("days_total")
    if "days_remaining" in given:
        return _span(total, total - given.integer("days_remaining"))
    return _span(total, given.integer("days_elapsed"))


def _span_of_instants(given: Fields) -> Span:
    period = given.values("period")
    change_at = given.instant("change_at")
    if len(period) != 2 or not all(isinstance(each, str) for each in period):
        raise Unsupported("period that is not two instants")
    start, end = (parse_instant(str(each)) for each in period)
    length = end - start
    if length % timedelta(days=1) or not timedelta(0) < length <= timedelta(days=DAYS_MAX):
        raise Unsupported(f"period of {length}")
    if not start <= change_at < end:
        raise Unsupported("change_at outside the period")
    return Span(start, length, change_at - start)


def _span(days_in_period: int, days: int) -> Span:
    """Return days of a period as the same part of one that a cycle can be as long as."""
    if not 0 <= days <= days_in_period or not days_in_period:
        raise Unsupported(f"{days} days of {days_in_period}")
    factor = next(
        (each for each in range(1, days_in_period + 1) if _fits(days_in_period, each)),
        None,
    )
    if factor is None:
        raise Unsupported(f"a period of {days_in_period} days")
    return Span(None, timedelta(days=days_in_period // factor), timedelta(days=days) / factor)


def _fits(days_in_period: int, factor: int) -> bool:
    """Say whether a period has so many equal parts of whole days, of which a day's part is whole microseconds."""
    day = timedelta(days=1) // timedelta(microseconds=1)
    return (
        days_in_period % factor == 0 and days_in_period // factor <= DAYS_MAX and gcd(day, factor) == factor
    )


def _check_rounding(given: Fields) -> None:
    precision = check_precision(given.decimal("precision", CENT))
    if precision != CENT or given.text("rounding", "half_up") != "half_up":
        raise Unsupported(f"rounding to {precision}")
