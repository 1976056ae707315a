"""Laws of running totals, on real pricing and real ledger decisions: a cycle's charges add up to its price.

Usage comes through two rating services that do not know of each other and may forget everything at any time,
singly and in batches, in any order of its own times, over two cycles and two phases of a card.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import events
from ledger_service.domain.commands import PublishRateCardPhase
from ledger_service.domain.events import price_models as models
from ledger_service.domain.refusals import TotalsStale
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.values import Counters, ShortfallMode
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.ports import LedgerRefused, Order, Posted
from rating_service.domain.agreements.catalogue import EMPTY, Catalogue, evolve
from rating_service.domain.agreements.catalogue import contract as contract_of
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.invoicing.invoice import compute_invoice
from rating_service.domain.price_models.running_total import RunningTotal
from rating_service.domain.prices.cycle_totals import MeterKey
from rating_service.domain.usage import TotalBefore, Usage
from tests.builders import (
    CONTRACT,
    NOW,
    RATE_CARD,
    WALLET,
    Book,
    book,
    create_rate_card,
    debit,
    open_wallet,
    plan_phase,
    publish_plan,
    sign_contract,
)
from tests.property.rating.test_reversal_laws import debits_of
from tests.property.rating.test_reversal_laws import events as log_of

MICROSECOND = timedelta(microseconds=1)
MIDDLE = NOW + timedelta(days=15)
"""The second phase of the card begins."""
BOUNDARY = NOW.replace(month=4)
"""The second cycle begins."""
LATEST = BOUNDARY + timedelta(days=20)
INSTANTS = (
    NOW,
    MIDDLE - MICROSECOND,
    MIDDLE,
    BOUNDARY - MICROSECOND,
    BOUNDARY,
    BOUNDARY + timedelta(days=1),
)
UNITS = 10**6


class Price(NamedTuple):
    """Two tiers or one package price, told as simply as can be."""

    model: str
    end: int
    low: str
    high: str
    fee: str

    def rate(self) -> events.Rate:
        """Return the rate of the dimension calls."""
        if self.model == "package":
            return events.Rate("calls", "", unit_size=self.end, price_model=models.PackageModel(self.low))
        tiers = (models.PriceTier(self.low, self.fee, self.end), models.PriceTier(self.high, "0"))
        kind = models.VolumeModel if self.model == "volume" else models.GraduatedModel
        return events.Rate("calls", "", price_model=kind(tiers))

    def of(self, quantity: int, usages: int) -> Fraction:
        """Return what so many calls in so many usages cost in units: F, written down naively."""
        if not usages:
            return Fraction(0)
        low, high, fee = (Fraction(text) * UNITS for text in (self.low, self.high, self.fee))
        if self.model == "package":
            return low * -(-quantity // self.end)
        if self.model == "volume":
            return quantity * low + fee if quantity <= self.end else quantity * high
        return fee + min(quantity, self.end) * low + max(quantity - self.end, 0) * high


class Step(NamedTuple):
    """A usage: when it was made, how much, which service is sent it, with the one before it, or after a restart."""

    instant: datetime
    quantity: int
    service: int
    joined: bool
    restarts: bool


LOW_PRICES = st.sampled_from(["7", "3.5", "0.0000017"])
HIGH_PRICES = st.sampled_from(["2", "0.0000004", "0"])
FEES = st.sampled_from(["0", "1.25"])
# Tiers end where a few usages reach them, so that a step that is priced twice or never costs something else.
MODELS = st.builds(
    Price,
    st.sampled_from(["graduated", "volume", "package"]),
    st.integers(2, 14),
    LOW_PRICES,
    HIGH_PRICES,
    FEES,
)
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from(INSTANTS),
        st.integers(0, 9),
        st.integers(0, 1),
        st.booleans(),
        st.sampled_from([False, False, True]),
    ),
    min_size=4,
    max_size=14,
)


class BookLedger:
    """Rating's port onto the decisions of the ledger's domain."""

    def __init__(self, book: Book) -> None:
        self.book = book
        self.answers: dict[str, events.CreditsDebited] = {}

    async def debit(self, order: Order, *, delivered: bool) -> Posted:
        """Decide a debit, or give its first answer."""
        if order.usage in self.answers:
            return Posted(self.answers[order.usage], True, 0)
        charge = msgspec.convert(msgspec.to_builtins(order.charge), events.Charge)
        command = debit(charge=charge, effective_time=order.effective_time, delivered=delivered)
        try:
            event = self.book.debit(command, LATEST)
        except TotalsStale as stale:
            totals = [msgspec.convert(msgspec.to_builtins(each), TotalBefore) for each in stale.totals]
            raise LedgerRefused(stale, totals) from None
        self.answers[order.usage] = event
        return Posted(event, False, 0)

    async def debit_many(self, orders: Sequence[Order], *, delivered: bool) -> list[Posted | LedgerRefused]:
        """Decide debits in their sequence."""
        outcomes: list[Posted | LedgerRefused] = []
        for order in orders:
            try:
                outcomes.append(await self.debit(order, delivered=delivered))
            except LedgerRefused as refused:
                outcomes.append(refused)
        return outcomes

    async def meter_totals(self, wallet: str) -> dict[MeterKey, RunningTotal]:
        """Return what the wallet has counted."""
        assert wallet == WALLET
        return {
            MeterKey(cycle.contract, cycle.cycle_start_time, meter): RunningTotal(
                total.quantity, total.usages
            )
            for cycle in self.book.wallet().totals
            for meter, total in cycle.meters.items()
        }


class Followed:
    """A history that was followed to its end."""

    def __init__(self, book: Book) -> None:
        self.catalogue: Catalogue = EMPTY
        for each in book.log:
            if each.stream != WALLET:
                topic = TOPIC_OF[type(each.fact.event)]
                self.catalogue = evolve(self.catalogue, each.stream, topic, encode_fact(each.fact))
        self.position = len(book.log)

    async def wait_for(self, position: int) -> None:
        """Everything is there."""


def agreed_book(first: Price, second: Price, counters: Counters) -> Book:
    """Return a book with a contract under a card of two phases."""
    ledger = book(open_wallet(mode=ShortfallMode.SOFT), create_rate_card())
    for from_time, price, kept in ((NOW, first, Counters.CARRY), (MIDDLE, second, counters)):
        ledger.run(PublishRateCardPhase(RATE_CARD, from_time, (price.rate(),), counters=kept))
    ledger.run(publish_plan(plan_phase(mode=ShortfallMode.SOFT)))
    ledger.run(sign_contract())
    return ledger


def recorded(ledger: Book, steps: list[Step], *, repeats: bool = False) -> BookLedger:
    """Record usage through two services; `repeats` sends everything once more at the end."""
    port = BookLedger(ledger)
    history: Any = Followed(ledger)

    def fresh() -> UsageRating:
        return UsageRating(ledger=port, history=history)  # type: ignore[arg-type] # it follows nothing

    async def play() -> None:
        services = [fresh(), fresh()]
        batch: list[Usage] = []
        for number, step in enumerate(steps):
            if step.restarts:
                services[step.service] = fresh()
            batch.append(Usage(step.instant, {"calls": step.quantity}, id=f"u-{number}", contract=CONTRACT))
            if not step.joined or number == len(steps) - 1:
                outcomes = await services[step.service].record_many(batch, delivered=True, min_position=0)
                assert all(isinstance(each, Posted) for each in outcomes)
                batch = []
        if repeats:
            again = [
                Usage(step.instant, {"calls": step.quantity}, id=f"u-{number}", contract=CONTRACT)
                for number, step in enumerate(steps)
            ]
            for each in again:
                assert (await fresh().record(each, delivered=True, min_position=0)).replayed

    asyncio.run(play())
    return port


def charges(ledger: Book) -> list[tuple[datetime, int, Fraction]]:
    """Return effective time, quantity and exact price of each debit in the order of the log."""
    found = []
    for each in ledger.log:
        if isinstance(each.fact.event, events.CreditsDebited):
            charge = each.fact.event.charge
            assert charge is not None
            found.append((each.fact.effective_time, charge.lines[0].quantity, Fraction(charge.exact_units)))
    return found


def debited(ledger: Book) -> int:
    """Return what was debited in all."""
    return sum(
        each.fact.event.amount_units
        for each in ledger.log
        if isinstance(each.fact.event, events.CreditsDebited)
    )


@given(MODELS, STEPS)
def test_a_cycles_charges_add_up_to_the_price_of_its_total_however_they_came(
    price: Price, steps: list[Step]
) -> None:
    ledger = agreed_book(price, price, Counters.CARRY)

    recorded(ledger, steps)

    for first, end in ((NOW, BOUNDARY), (BOUNDARY, LATEST)):
        mine = [step.quantity for step in steps if first <= step.instant < end]
        paid = sum((exact for at, _, exact in charges(ledger) if first <= at < end), Fraction(0))
        assert paid == price.of(sum(mine), len(mine))


@given(MODELS, MODELS, st.sampled_from(Counters), STEPS)
def test_each_charge_is_the_step_of_its_own_cycle_phase_and_counter(
    first: Price, second: Price, counters: Counters, steps: list[Step]
) -> None:
    ledger = agreed_book(first, second, counters)

    recorded(ledger, steps)

    totals: dict[tuple[bool, bool], tuple[int, int]] = {}
    found = charges(ledger)
    for at, quantity, exact in found:
        price = first if at < MIDDLE else second
        key = (at < BOUNDARY, counters is Counters.RESTART and at < MIDDLE)
        total, usages = totals.get(key, (0, 0))
        totals[key] = (total + quantity, usages + 1)
        assert exact == price.of(total + quantity, usages + 1) - price.of(total, usages)
    assert sorted((at, quantity) for at, quantity, _ in found) == sorted(
        (step.instant, step.quantity) for step in steps
    )


@given(MODELS, MODELS, st.sampled_from(Counters), STEPS)
def test_debits_and_what_the_wallet_carries_are_the_exact_sum_of_the_charges(
    first: Price, second: Price, counters: Counters, steps: list[Step]
) -> None:
    ledger = agreed_book(first, second, counters)

    recorded(ledger, steps)

    exact = sum((amount for _, _, amount in charges(ledger)), Fraction(0))
    assert debited(ledger) + Fraction(ledger.wallet().carried_fraction) == exact
    assert debited(ledger) >= floor(exact)


@given(MODELS, MODELS, st.sampled_from(Counters), STEPS)
def test_invoices_bill_what_was_debited(
    first: Price, second: Price, counters: Counters, steps: list[Step]
) -> None:
    ledger = agreed_book(first, second, counters)
    recorded(ledger, steps)
    contract = contract_of(Followed(ledger).catalogue, CONTRACT)

    invoices = [
        compute_invoice(
            contract=contract,
            cycle=cycle_at(contract.cycle, instant),
            debits=debits_of(log_of(ledger)),
            grants=(),
            watermark_position=len(ledger.log),
        )
        for instant in (NOW, BOUNDARY)
    ]

    billed = sum(line.amount_units for invoice in invoices for line in invoice.lines)
    quantities = sum(line.quantities.get("calls", 0) for invoice in invoices for line in invoice.lines)
    assert billed == debited(ledger)
    assert quantities == sum(step.quantity for step in steps)


@given(MODELS, STEPS)
def test_sending_everything_again_changes_nothing(price: Price, steps: list[Step]) -> None:
    once, twice = (agreed_book(price, price, Counters.CARRY) for _ in range(2))

    recorded(once, steps)
    recorded(twice, steps, repeats=True)

    assert once.wallet() == twice.wallet()
