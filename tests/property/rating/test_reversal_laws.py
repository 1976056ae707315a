"""Laws of invoices from which something was taken back, on histories that the ledger decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import values
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.wallet.state import debt_units
from rating_service.application.ports import LedgerEvent
from rating_service.domain.agreements.agreement import (
    Asset,
    Contract,
    ContractPhase,
    Cycle,
    CycleInterval,
    Money,
    PlanPhase,
    ShortfallMode,
    UnitPrice,
)
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import (
    CAPTURE_TOPIC,
    DEBIT_TOPIC,
    GRANT_TOPIC,
    REVERSAL_TOPIC,
    ROLL_OVER_TOPIC,
    DebitFact,
    GrantFact,
    ReversalFact,
    decode_capture,
    decode_debit,
    decode_grant,
    decode_reversal,
    decode_roll_over,
)
from rating_service.domain.invoicing.invoice import Invoice, LineKind, compute_invoice
from rating_service.projections.facts import effect_of
from tests.builders import WALLET, Book
from tests.property.ledger.rule_histories import ACTS, MODES, Act, play_acts

START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
TERMS = PlanPhase(
    "main",
    "rateCards/llm",
    ShortfallMode.SOFT,
    base_fee=Money("USD", 29 * 10**9),
    overage_price=UnitPrice("USD", "0.013"),
)
CONTRACT = Contract(
    name="contracts/acme",
    customer="customers/acme",
    wallet=WALLET,
    plan="plans/starter",
    plan_version=1,
    asset=Asset("CREDIT", 0),
    start_time=START,
    cycle=Cycle(CycleInterval.YEAR, START),
    phases=(ContractPhase(START, TERMS),),
)


def events(ledger: Book) -> list[LedgerEvent]:
    """Return the log as rating follows it."""
    return [
        LedgerEvent(
            position, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact)
        )
        for position, each in enumerate(ledger.log, start=1)
    ]


def debits_of(log: Sequence[LedgerEvent]) -> list[DebitFact]:
    """Return debits and captures."""
    decoders = {DEBIT_TOPIC: decode_debit, CAPTURE_TOPIC: decode_capture}
    return [
        decoders[each.topic](
            position=each.position, stream=each.stream, version=each.version, state=each.state
        )
        for each in log
        if each.topic in decoders
    ]


def reversals_of(log: Sequence[LedgerEvent]) -> list[ReversalFact]:
    """Return reversals."""
    return [
        decode_reversal(position=each.position, stream=each.stream, version=each.version, state=each.state)
        for each in log
        if each.topic == REVERSAL_TOPIC
    ]


def grants_of(log: Sequence[LedgerEvent]) -> list[GrantFact]:
    """Return grants, and what rolled over from them."""
    decoders = {GRANT_TOPIC: decode_grant, ROLL_OVER_TOPIC: decode_roll_over}
    return [
        decoders[each.topic](stream=each.stream, version=each.version, state=each.state)
        for each in log
        if each.topic in decoders
    ]


def invoiced(log: Sequence[LedgerEvent], watermark: int) -> Invoice:
    """Return the invoice of the year as of a watermark."""
    return compute_invoice(
        contract=CONTRACT,
        cycle=CycleBounds(START, END),
        debits=[debit for debit in debits_of(log) if debit.position <= watermark],
        grants=grants_of(log),
        reversals=reversals_of(log),
        watermark_position=watermark,
    )


def units(invoice: Invoice, kind: LineKind) -> int:
    """Return the units of the lines of a kind."""
    return sum(line.amount_units for line in invoice.lines if line.key.kind is kind)


@given(ACTS, MODES)
def test_an_invoice_bills_what_the_wallet_holds_debited(acts: list[Act], mode: values.ShortfallMode) -> None:
    ledger = play_acts(acts, mode)
    wallet = ledger.wallet()
    log = events(ledger)
    found = invoiced(log, len(log))

    assert units(found, LineKind.OVERAGE) == wallet.overage_units
    assert units(found, LineKind.USAGE) == wallet.drawn_units + debt_units(wallet)
    assert found.total.nanos == sum(line.amount.nanos for line in found.lines)
    assert all(line.amount_units > 0 for line in found.lines if line.key.kind is LineKind.OVERAGE)


@given(ACTS, MODES, st.integers(1, 60))
def test_an_invoice_at_a_watermark_is_that_of_the_log_up_to_it(
    acts: list[Act], mode: values.ShortfallMode, watermark: int
) -> None:
    log = events(play_acts(acts, mode))

    assert invoiced(log, watermark) == invoiced(log[:watermark], watermark)


@given(ACTS, MODES)
def test_every_debit_capture_and_reversal_is_followed(acts: list[Act], mode: values.ShortfallMode) -> None:
    log = events(play_acts(acts, mode))
    effect = effect_of(log, from_position=0, to_position=len(log))

    assert [row.position for row in effect.debits] == [
        debit.position for debit in debits_of(log) if debit.amount_units
    ]
    assert [row.position for row in effect.reversals] == [each.position for each in reversals_of(log)]
    assert effect.agreements == []
    assert {(row.version, row.amount_units) for row in effect.grants} == {
        (grant.version, grant.amount_units) for grant in grants_of(log) if grant.category.value == "INCLUDED"
    }
