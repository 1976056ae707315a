"""Rating cases that need a contract: prices that change within a period, and fees with overage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from credits.ledger.v1 import agreement_pb2, money_pb2, wallet_pb2, wallet_service_pb2
from credits.rating.v1 import invoice_service_pb2
from tests.acceptance.cases.amounts import (
    SCALE_DEFAULT,
    Quantity,
    from_nanos,
    from_units,
    quantity_of,
    round_half_up,
    to_units,
)
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.rating_cards import CardPhase, priced, publish_card, rate_of
from tests.acceptance.cases.rating_contracts import Signed, Terms, bill, preview, record, sign
from tests.acceptance.cases.services import Refused, call
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported, is_list

USAGE: Final = "quantity"
CREDITS: Final = "credits"
CREDIT: Final = money_pb2.Asset(code="CREDIT", scale=SCALE_DEFAULT)
CENT: Final = Decimal("0.01")
SHORTFALLS: Final = {
    "soft": wallet_pb2.SHORTFALL_MODE_SOFT,
    "none": wallet_pb2.SHORTFALL_MODE_SOFT,
    "hard": wallet_pb2.SHORTFALL_MODE_HARD,
}
BLOCKED: Final = ("blocked_credits", "refused_credits", "rejected_credits", "denied_credits")
"""How a case may call what a hard cap does not let through."""
SERVED: Final = ("served_credits", "allowed_credits", "used_credits", "billable_credits")
CYCLE_DAYS_MAX: Final = 120
"""Most intervals in one cycle."""


class DatedUsage(NamedTuple):
    """A quantity used at an instant."""

    at: datetime
    quantity: Quantity


class PhaseChange:
    """A contract whose card changes, while it is played: what was charged, in order, by card phase."""

    def __init__(self, playing: Playing, phases: Sequence[CardPhase], cycle: agreement_pb2.Cycle) -> None:
        """Sign nothing yet."""
        self._playing = playing
        self._phases = phases
        self._cycle = cycle
        self._signed: Signed | None = None
        self._charges: list[tuple[str, Decimal]] = []

    @property
    def start(self) -> datetime:
        """Return where the first phase begins."""
        assert self._phases[0].from_time is not None
        return self._phases[0].from_time

    @property
    def signed(self) -> Signed:
        """Return the contract."""
        assert self._signed is not None, "the first step signs the contract"
        return self._signed

    async def begin(self, session: Session) -> None:
        """Publish the card with all its phases, and sign the contract."""
        card = await publish_card(session, self._playing, self._phases)
        self._signed = await sign(session, self._playing, card, Terms(), self._cycle, self.start)

    async def use(self, session: Session, quantity: Quantity, *, counts: bool) -> None:
        """Record a usage; its charge counts if it lies within the period."""
        answer = await record(session, self._playing, self.signed, {USAGE: quantity.parts})
        if counts:
            self._charges.append((answer.charge.rate_card_phase, priced(answer.charge).amount))

    def lines(self, expected: object) -> list[Decimal]:
        """Return what each phase charged, or each usage if so many lines are expected."""
        assert is_list(expected) or expected is None
        if isinstance(expected, list) and len(expected) == len(self._charges):
            return [amount for _, amount in self._charges]
        by_phase: dict[str, Decimal] = {}
        for phase, amount in self._charges:
            by_phase[phase] = by_phase.get(phase, Decimal(0)) + amount
        return [by_phase[phase] for phase in sorted(by_phase, key=_phase_number)]


def _phase_number(name: str) -> int:
    return int(name.rpartition("/")[2])


def plan_phase_change(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play dated usage under prices that change, and compare charges and invoice of the period."""
    usages = _read_usages(given)
    unit_size = max((usage.quantity.unit_size for usage in usages), default=1)
    usages = [usage._replace(quantity=_at_size(usage.quantity, unit_size)) for usage in usages]
    phases = _read_phases(given, unit_size)
    period = [Fields({"at": each}, place="period").instant("at") for each in given.values("period")]
    if len(period) != 2 or not phases:
        raise Unsupported("a period that is not [from, to), or no phases")
    given.finish()
    expected.offer("lines", "amount")
    change = PhaseChange(playing, phases, _cycle(*period))

    def use(usage: DatedUsage) -> Step:
        counts = period[0] <= usage.at < period[1]
        return Step(usage.at, Rank.USE, lambda session: change.use(session, usage.quantity, counts=counts))

    async def look(session: Session) -> None:
        lines = change.lines(expected.raw("lines"))
        amount = sum(lines, Decimal(0))
        expected.compare(playing, {"lines": lines, "amount": amount})
        invoice = await preview(session, change.signed, period[0])
        playing.expect("invoice total", round_half_up(amount, CENT), from_nanos(invoice.total.nanos))

    end = max([period[1], *(usage.at for usage in usages)])
    return [Step(change.start, Rank.RESET, change.begin), *map(use, usages), Step(end, Rank.LOOK, look)]


def _read_usages(given: Fields) -> list[DatedUsage]:
    usages = []
    for row in given.objects("usage"):
        usages.append(DatedUsage(row.instant("date"), quantity_of(row.decimal("qty"))))
        row.finish()
    return usages


def _at_size(quantity: Quantity, unit_size: int) -> Quantity:
    return Quantity(quantity.parts * (unit_size // quantity.unit_size), unit_size)


def _read_phases(given: Fields, unit_size: int) -> list[CardPhase]:
    phases = []
    for row in given.objects("phases"):
        rate = rate_of(USAGE, row.decimal("unit_amount"), unit_size=unit_size)
        phases.append(CardPhase([rate], from_time=row.instant("from")))
        row.finish()
    return phases


def _cycle(from_time: datetime, to_time: datetime) -> agreement_pb2.Cycle:
    """Return the cycle of which [from_time, to_time) is one period, in months if it is. Raises Unsupported."""
    months = (to_time.year - from_time.year) * 12 + to_time.month - from_time.month
    days = to_time - from_time
    if months > 0 and (from_time.day, from_time.timetz()) == (to_time.day, to_time.timetz()):
        interval, count = agreement_pb2.CYCLE_INTERVAL_MONTH, months
    elif days == timedelta(days=days.days):
        interval, count = agreement_pb2.CYCLE_INTERVAL_DAY, days.days
    else:
        raise Unsupported("a period that is no number of days")
    if not 1 <= count <= CYCLE_DAYS_MAX:
        raise Unsupported(f"a period of {count} intervals")
    return agreement_pb2.Cycle(interval=interval, count=count, anchor_time=timestamp(from_time))


def plan_overage(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a plan with a fee, included credits and a price of overage or a hard cap, and compare its invoice."""
    cap = given.text("cap", "soft")
    if cap not in SHORTFALLS:
        raise Unsupported(f"cap {cap}")
    included_units = to_units(given.decimal("included_credits"), CREDIT.scale)
    used = given.decimal("used_credits")
    price = given.decimal("overage_unit_amount") if "overage_unit_amount" in given else None
    terms = Terms(CREDIT, given.decimal("base_fee"), included_units, price, shortfall_mode=SHORTFALLS[cap])
    given.ignore("currency", "plan", "tier")
    given.finish()
    expected.offer("overage_credits", "overage_amount", "amount", *BLOCKED, *SERVED)
    unit_size = quantity_of(used).unit_size

    async def run(session: Session) -> None:
        rate = rate_of(CREDITS, Decimal(1), unit_size=unit_size)
        card = await publish_card(session, playing, [CardPhase([rate])], asset=CREDIT)
        cycle = agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH)
        signed = await sign(session, playing, card, terms, cycle, session.now)
        if included_units:
            await bill(session, signed)
        served = used if cap == "soft" else await _allowed(session, playing, signed, used)
        await record(session, playing, signed, {CREDITS: int(served * unit_size)})
        figures = _invoice_figures(await preview(session, signed, session.now))
        figures |= dict.fromkeys(BLOCKED, used - served) | dict.fromkeys(SERVED, served)
        expected.compare(playing, figures)

    return [Step(None, Rank.USE, run)]


async def _allowed(session: Session, playing: Playing, signed: Signed, used: Decimal) -> Decimal:
    """Return how much of a usage a hard cap lets through: a hold says whether all of it, the balance how much."""
    hold = wallet_service_pb2.HoldRequest(
        name=signed.wallet, idempotency_key=playing.next_key(), amount_units=to_units(used, CREDIT.scale)
    )
    try:
        held = await call(session.services.wallets.Hold, hold)
    except Refused as refusal:
        if refusal.reason != "INSUFFICIENT_CREDIT":
            raise
        request = wallet_service_pb2.GetBalanceRequest(name=signed.wallet)
        balance = (await call(session.services.wallets.GetBalance, request)).balance
        return from_units(balance.available_units, CREDIT.scale)
    release = wallet_service_pb2.ReleaseHoldRequest(name=held.hold.name, idempotency_key=playing.next_key())
    await call(session.services.wallets.ReleaseHold, release)
    return used


def _invoice_figures(invoice: invoice_service_pb2.Invoice) -> dict[str, object]:
    overage = [line for line in invoice.lines if line.kind == invoice_service_pb2.LINE_KIND_OVERAGE]
    return {
        "overage_credits": from_units(sum(line.amount_units for line in overage), CREDIT.scale),
        "overage_amount": from_nanos(sum(line.amount.nanos for line in overage)),
        "amount": from_nanos(invoice.total.nanos),
    }
