"""Laws of a contract's invoices over random lives: usage, late usage, reversals, changes, and invoices in between.

Invoices are computed as the service does, one after the other from what was known by then; at the end they are
compared with one statement of each cycle by everything that was ever learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from rating_service.domain.agreements.agreement import (
    Commitment,
    Contract,
    ContractPhase,
    FeeTiming,
    Money,
    PlanPhase,
    TaxRate,
    UnitPrice,
)
from rating_service.domain.agreements.cycles import CycleBounds, boundary, cycle_at
from rating_service.domain.debits import DebitFact, ReversalFact
from rating_service.domain.documents.invoice_document import CLOSING_KINDS, InvoiceKind
from rating_service.domain.documents.invoice_lines import LineKind
from rating_service.domain.invoicing.commitments import cost_of
from rating_service.domain.invoicing.cycle_statement import CYCLE_KINDS, CycleFacts, state_cycle
from rating_service.domain.invoicing.invoice import Invoice, compute_invoice, document, read_document
from rating_service.domain.invoicing.invoice_advance import fees_in_advance
from rating_service.domain.invoicing.invoice_parts import Earlier
from rating_service.domain.invoicing.reversals import net_debits
from rating_service.domain.rounding import round_half_up
from tests.unit.rating.builders import JANUARY, MONTHLY, charge, contract, debit, plan_phase

CENT = 10**7
CYCLES = tuple(CycleBounds(boundary(MONTHLY, n), boundary(MONTHLY, n + 1)) for n in range(4))
LAST_TIME = CYCLES[-1].end_time
SPAN_SECONDS = int((LAST_TIME - JANUARY).total_seconds())
PRICES = ("0.013", "0.1", "0.333333333")
SECOND = timedelta(seconds=1)
FEE_KINDS = (LineKind.BASE_FEE, LineKind.SEATS, LineKind.PRORATION_CREDIT, LineKind.PRORATION_CHARGE)
VAT = TaxRate("VAT", "19", "DE")


class Life(NamedTuple):
    """A contract, its facts in the order of the log, and when which cycle was invoiced."""

    contract: Contract
    debits: list[DebitFact]
    reversals: list[ReversalFact]
    issues: list[tuple[int, CycleBounds, InvoiceKind]]
    before: Contract
    """The contract as it was known before its last change, which lies in `changed`."""
    changed: CycleBounds | None

    def known(self, cycle: CycleBounds) -> Contract:
        """Return the contract that the invoice of a cycle knows: a change becomes known while its cycle runs."""
        if self.changed is None or cycle.start_time >= self.changed.start_time:
            return self.contract
        return self.before


def money(draw: st.DrawFn, most: int) -> Money | None:
    nanos = draw(st.integers(0, most))
    return Money("USD", nanos * 10**9) if nanos else None


@st.composite
def terms(draw: st.DrawFn, key: str) -> PlanPhase:
    """Return terms of any of the kinds that cost money."""
    commitment = None
    if draw(st.booleans()):
        commitment = Commitment(
            Money("USD", draw(st.integers(1, 200)) * 10**9),
            draw(st.sampled_from(["P1M", "P2M", "P1Y"])),
            draw(st.sampled_from(["1", "1.5", "0.8"])),
            draw(st.booleans()),
        )
    maximum = draw(st.integers(0, 100))
    return msgspec.structs.replace(
        plan_phase(key),
        base_fee=money(draw, 50),
        seat_fee=money(draw, 9),
        seats=draw(st.integers(0, 5)),
        minimum_spend=money(draw, 60),
        maximum_spend=Money("USD", (60 + maximum) * 10**9) if maximum else None,
        overage_price=UnitPrice("USD", draw(st.sampled_from(PRICES))),
        commitment=commitment,
        tax_rates=(VAT,) if draw(st.booleans()) else (),
        fee_timing=draw(st.sampled_from(FeeTiming)),
    )


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Return a contract with one to three phases, which may begin and end in mid-cycle."""
    cuts = sorted(draw(st.sets(st.integers(1, SPAN_SECONDS), min_size=0, max_size=3)))
    times = [JANUARY + timedelta(seconds=second) for second in cuts]
    begins = times.pop(0) if len(times) == 3 else JANUARY
    ends = times.pop() if len(times) == 2 and draw(st.booleans()) else None
    starts = [begins, *times]
    phases = [
        ContractPhase(start, draw(terms(f"phase{place}")), until)
        for place, (start, until) in enumerate(zip(starts, [*starts[1:], ends], strict=True))
    ]
    return contract(*phases, start=begins)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Return a life in which facts and invoices come in any order that time allows."""
    agreed = draw(contracts())
    debits: list[DebitFact] = []
    reversals: list[ReversalFact] = []
    issues: list[tuple[int, CycleBounds, InvoiceKind]] = []
    begin = next(each for each in CYCLES if agreed.start_time < each.end_time)
    before, changed = draw(earlier_contracts(agreed))
    closed = 0
    position = 10
    is_told = draw(st.booleans())
    if is_told and fees_in_advance(before if changed else agreed, begin):
        issues.append((position, begin, InvoiceKind.ADVANCE))
    for step in draw(st.lists(st.sampled_from("uuuuritt"), max_size=16)):
        position += 1
        if step == "u":
            debits.append(draw(usage(agreed, position, CYCLES[closed])))
        elif step == "r" and debits:
            taken = draw(st.sampled_from(debits))
            reversals += draw(reversal(taken, reversals, position))
        elif step == "i" and closed < len(CYCLES) - 1:
            issues.append((position, CYCLES[closed], InvoiceKind.CYCLE))
            closed += 1
        elif step == "t":
            issues.append((position, CYCLES[closed], InvoiceKind.THRESHOLD))
    issues += [(position + 1, cycle, InvoiceKind.CYCLE) for cycle in CYCLES[closed:]]
    return Life(agreed, debits, reversals, issues, before, changed)


@st.composite
def earlier_contracts(draw: st.DrawFn, agreed: Contract) -> tuple[Contract, CycleBounds | None]:
    """Return the contract before its last phase, or its end, was agreed; and the cycle in which that takes effect."""
    last = agreed.phases[-1]
    if len(agreed.phases) > 1 and draw(st.booleans()):
        phases = (*agreed.phases[:-2], msgspec.structs.replace(agreed.phases[-2], to_time=None))
        when = last.from_time
    elif last.to_time is not None and draw(st.booleans()):
        phases = (*agreed.phases[:-1], msgspec.structs.replace(last, to_time=None))
        when = last.to_time
    else:
        return agreed, None
    holding = [each for each in CYCLES if each.start_time <= when < each.end_time]
    if not holding:
        return agreed, None
    return msgspec.structs.replace(agreed, phases=phases), holding[0]


@st.composite
def usage(draw: st.DrawFn, agreed: Contract, position: int, running: CycleBounds) -> DebitFact:
    """Return usage of the running cycle, or of any other of the contract."""
    start, end = agreed.start_time, LAST_TIME
    if draw(st.booleans()) and running.end_time > start:
        start, end = max(start, running.start_time), running.end_time
    seconds = int((end - start).total_seconds())
    when = start + timedelta(seconds=draw(st.integers(0, max(seconds - 1, 0))))
    units = draw(st.integers(1, 5_000)) * 10**6
    covered = draw(st.sampled_from([0, units, units // 3]))
    priced = None
    if draw(st.booleans()):
        priced = charge(phase="phase0", overage=draw(st.sampled_from(PRICES)), tokens=7)
    return debit(position, units=units, overage=units - covered, when=when, priced=priced)


@st.composite
def reversal(
    draw: st.DrawFn, taken: DebitFact, before: Sequence[ReversalFact], position: int
) -> list[ReversalFact]:
    """Return a reversal of a debit's overage, as far as some is left."""
    gone = sum(each.amount_units for each in before if each.debit_version == taken.version)
    left = taken.overage_units - gone
    if not left:
        return []
    units = draw(st.sampled_from([left, (left + 1) // 2]))
    return [ReversalFact(position, taken.wallet, position, taken.version, JANUARY, units, units)]


def bill(life: Life) -> list[Invoice]:
    """Issue the invoices of a life, each from what was known at its position."""
    issued: list[Invoice] = []
    for sequence, (watermark, cycle, kind) in enumerate(life.issues, start=1):
        issued.append(one_invoice(life, issued, watermark, cycle, kind, sequence))
    return issued


def one_invoice(
    life: Life,
    issued: Sequence[Invoice],
    watermark: int,
    cycle: CycleBounds,
    kind: InvoiceKind,
    sequence: int,
) -> Invoice:
    closing = [each for each in issued if each.kind in CLOSING_KINDS]
    thresholds = [each for each in issued if each.kind is InvoiceKind.THRESHOLD and each.cycle == cycle]
    ends = [each.cycle.end_time for each in closing]
    return compute_invoice(
        contract=life.known(cycle) if kind is not InvoiceKind.ADVANCE else life.before,
        cycle=cycle,
        debits=life.debits,
        grants=(),
        watermark_position=watermark,
        reversals=life.reversals,
        earlier=Earlier(
            closing=closing,
            thresholds=thresholds,
            touched=[
                CycleFacts(each.cycle, life.debits, life.reversals)
                for each in closing
                if learned(life, each.cycle, since=max(one.watermark_position for one in closing))
            ],
            ahead=issued,
            last_end_time=max(ends, default=None),
        ),
        kind=kind,
        name=f"invoices/acme-{sequence}",
        issue_time=datetime(2027, 1, 1, tzinfo=UTC),
        sequence=sequence,
    )


def learned(life: Life, cycle: CycleBounds, *, since: int) -> bool:
    """Tell whether a debit of a cycle was recorded or taken back after a position."""
    taken_back = {each.debit_version for each in life.reversals if each.position > since}
    return any(
        cycle.start_time <= each.effective_time < cycle.end_time
        and (each.position > since or each.version in taken_back)
        for each in life.debits
    )


def lines_sum(invoice: Invoice) -> int:
    return sum(line.amount.nanos for line in invoice.lines)


@given(lives())
@settings(max_examples=60)
def test_every_invoice_is_the_sum_of_its_lines_and_taxes_and_never_below_zero(life: Life) -> None:
    for invoice in bill(life):
        assert invoice.net is not None
        assert invoice.tax is not None
        assert invoice.credit_due is not None
        settled = [line.amount.nanos for line in invoice.lines if line.key.kind is LineKind.CREDIT_DUE]
        assert lines_sum(invoice) + invoice.tax.nanos == invoice.total.nanos >= 0
        assert sum(settled) == invoice.credit_due.nanos
        assert invoice.net.nanos == lines_sum(invoice) - sum(settled)
        assert sum(tax.amount.nanos for tax in invoice.taxes) == invoice.tax.nanos
        assert all(line.amount.nanos % CENT == 0 for line in invoice.lines)
        assert all(abs(line.exact - line.amount.nanos) <= 2 * CENT for line in invoice.lines)


@given(lives())
@settings(max_examples=60)
def test_all_invoices_together_bill_each_cycle_by_everything_that_was_learned(life: Life) -> None:
    issued = bill(life)
    known = life.issues[-1][0]

    for cycle in CYCLES:
        statement = state_cycle(life.contract, CycleFacts(cycle, life.debits, life.reversals), (), known)
        billed = [
            line
            for invoice in issued
            if invoice.kind is not InvoiceKind.THRESHOLD
            for line in invoice.lines
            if (line.key.kind in CYCLE_KINDS and invoice.cycle == cycle and line.advance is None)
            or (line.adjusted is not None and line.adjusted.cycle == cycle)
            or line.advance == cycle
        ]
        exact = sum((line.exact for line in statement.lines), Fraction(0))
        assert sum(line.exact for line in billed) == exact
        assert sum(line.amount.nanos for line in billed) == round_half_up(exact, step=CENT)
        assert sum(line.debit_count for line in billed) == sum(line.debit_count for line in statement.lines)
        assert sum(line.amount_units for line in billed) == sum(line.amount_units for line in statement.lines)


@given(lives())
@settings(max_examples=60)
def test_all_invoices_together_bill_each_commitment_by_all_of_its_usage(life: Life) -> None:
    issued = bill(life)
    known = life.issues[-1][0]
    used: dict[datetime, Fraction] = {}
    periods = {}
    for cycle in CYCLES:
        facts = CycleFacts(cycle, life.debits, life.reversals)
        for period, nanos in state_cycle(life.contract, facts, (), known).committed:
            used[period.from_time] = used.get(period.from_time, Fraction(0)) + nanos
            periods[period.from_time] = period

    for from_time, period in periods.items():
        costs = cost_of(period, used[from_time], is_over=period.to_time <= LAST_TIME)
        billed = [
            line
            for invoice in issued
            if invoice.kind is not InvoiceKind.THRESHOLD
            for line in invoice.lines
            if line.key.kind in costs and line.from_time == from_time
        ]
        assert sum(line.exact for line in billed) == sum(costs.values())
        assert sum(line.amount.nanos for line in billed) == round_half_up(
            sum(costs.values(), Fraction(0)), step=CENT
        )


@given(lives())
@settings(max_examples=40)
def test_what_was_invoiced_of_a_running_cycle_is_given_back_once(life: Life) -> None:
    issued = bill(life)
    before = sum((each.net or each.total).nanos for each in issued if each.kind is InvoiceKind.THRESHOLD)
    lines = [line for each in issued for line in each.lines if line.key.kind is LineKind.THRESHOLD_CREDIT]
    named = [line.source for line in lines if line.amount.nanos]
    taken_back_early = sum(
        line.amount.nanos
        for each in issued
        if each.kind is InvoiceKind.THRESHOLD
        for line in each.lines
        if line.key.kind is LineKind.THRESHOLD_CREDIT
    )
    taken_back = sum(line.amount.nanos for line in lines)

    assert taken_back == taken_back_early - before
    assert all(named)


@given(lives())
@settings(max_examples=60)
def test_fees_in_advance_are_those_of_the_next_cycle_as_agreed_by_then_and_billed_ahead_once(
    life: Life,
) -> None:
    for place, invoice in enumerate(issued := bill(life)):
        ahead = [line for line in invoice.lines if line.advance is not None]
        if invoice.kind is InvoiceKind.ADVANCE:
            agreed, cycle = life.before, invoice.cycle
        else:
            agreed = life.known(invoice.cycle)
            cycle = CycleBounds(invoice.cycle.end_time, boundary_after(invoice.cycle))
        fees = fees_in_advance(agreed, cycle) if invoice.kind is not InvoiceKind.THRESHOLD else []
        before = [line for each in issued[:place] for line in each.lines if line.advance == cycle]
        assert before == []
        assert {line.key: line.exact for line in ahead} == {line.key: line.exact for line in fees}
        assert all(line.advance == cycle for line in ahead)


@given(lives())
@settings(max_examples=60)
def test_no_more_of_a_cycles_fees_is_given_back_than_was_billed_of_them(life: Life) -> None:
    paid: dict[datetime, int] = {}
    for invoice in bill(life):
        for line in invoice.lines:
            kind = line.key.adjusted_kind or line.key.kind
            if kind in FEE_KINDS:
                cycle = line.advance or (line.adjusted.cycle if line.adjusted else invoice.cycle)
                paid[cycle.start_time] = paid.get(cycle.start_time, 0) + line.amount.nanos
        # A cycle's sum is rounded once, so single lines of it may be a cent off.
        assert all(nanos >= -CENT * 4 for nanos in paid.values())


def boundary_after(cycle: CycleBounds) -> datetime:
    return cycle_at(MONTHLY, cycle.end_time).end_time


@given(contracts())
@settings(max_examples=60)
def test_a_cycle_costs_each_fee_for_the_time_in_which_it_is_agreed(agreed: Contract) -> None:
    for cycle in CYCLES:
        lines = state_cycle(agreed, CycleFacts(cycle, ()), (), 0).lines
        fees = [line for line in lines if line.key.kind in FEE_KINDS]
        expected = Fraction(0)
        for phase in agreed.phases:
            start = max(phase.from_time, cycle.start_time)
            end = min(phase.to_time or cycle.end_time, cycle.end_time)
            base, seat = phase.terms.base_fee, phase.terms.seat_fee
            nanos = (base.nanos if base else 0) + (seat.nanos if seat else 0) * phase.terms.seats
            if start < end:
                expected += nanos * Fraction(
                    (end - start) // SECOND, (cycle.end_time - cycle.start_time) // SECOND
                )
        credited = sum(line.exact for line in fees if line.key.kind is LineKind.PRORATION_CREDIT)
        charged = sum(line.exact for line in fees if line.key.kind is not LineKind.PRORATION_CREDIT)

        assert charged + credited == expected
        assert 0 <= -credited <= charged


@given(lives(), st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_the_order_of_debits_changes_no_byte(life: Life, random: object) -> None:
    shuffled = list(life.debits)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    first = [document(invoice) for invoice in bill(life)]
    again = [document(invoice) for invoice in bill(life._replace(debits=shuffled))]

    assert again == first
    assert [document(read_document(content)) for content in first] == first


@given(lives())
@settings(max_examples=30)
def test_every_debit_under_the_contract_is_billed_once(life: Life) -> None:
    counts: dict[str, int] = {}
    for invoice in bill(life):
        for line in invoice.lines:
            kind = line.key.adjusted_kind or line.key.kind
            if kind is LineKind.USAGE and invoice.kind is not InvoiceKind.THRESHOLD:
                counts["debits"] = counts.get("debits", 0) + line.debit_count
    known = [each for each in life.reversals if each.position <= life.issues[-1][0]]
    left = [
        each
        for each in net_debits(life.debits, known)
        if each.charge is not None
        or any(
            phase.from_time <= each.effective_time
            and (phase.to_time is None or each.effective_time < phase.to_time)
            for phase in life.contract.phases
        )
    ]

    assert counts.get("debits", 0) == len(left)
