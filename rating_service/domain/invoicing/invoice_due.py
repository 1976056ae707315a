"""The lines of an invoice before it is settled: in order, and rounded so that each cycle's sum is rounded once."""

from __future__ import annotations

from fractions import Fraction

from rating_service.domain.agreements.agreement import Contract, TaxRate
from rating_service.domain.documents.invoice_lines import LineKey, LineKind
from rating_service.domain.invoicing.adjustments import corrects, original_key, rounded_growth
from rating_service.domain.invoicing.commitments import CommitmentBill
from rating_service.domain.invoicing.credited_fees import credited_before
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.invoicing.invoice_fees import FEE_KINDS
from rating_service.domain.invoicing.invoice_parts import Growth, Parts
from rating_service.domain.invoicing.invoice_settlement import DueLine, threshold_credits
from rating_service.domain.rounding import minor_unit_nanos, round_growth, round_half_up, round_parts


def due_lines(contract: Contract, parts: Parts, currency: str) -> list[DueLine]:
    """Return everything that tax is reckoned on, in the order of lines, rounded."""
    own = _own_lines(contract, parts, currency)
    lines = [*own, *_advance_lines(contract, parts, currency)]
    for bill in parts.commitments:
        lines += _commitment_lines(bill, parts.rates, currency)
    before = []
    if parts.ahead is not None:
        before += credited_before(parts.noted, parts.own.cycle, own, rates=parts.ahead.rates)
    for each in sorted(parts.grown, key=lambda each: each.billed.cycle.start_time):
        adjusting = _adjustment_lines(contract, each, currency)
        lines += adjusting
        billed = each.billed
        before += credited_before(
            parts.noted, billed.cycle, adjusting, rates=billed.tax_rates, adjusted=corrects(billed)
        )
    return [*lines, *before, *threshold_credits(parts.thresholds, parts.own.cycle)]


def _own_lines(contract: Contract, parts: Parts, currency: str) -> list[DueLine]:
    """Return the lines of the invoice's own cycle; with what was billed ahead they add up to its sum, rounded once."""
    own = sorted(parts.own.lines, key=lambda line: _order(contract, line.key))
    exact, step = [line.exact for line in own], minor_unit_nanos(currency)
    ahead = parts.ahead
    if ahead is None or not own:
        rounded = round_parts(exact, step=step)
        return [DueLine(line, nanos, parts.rates) for line, nanos in zip(own, rounded, strict=True)]
    whole = sum(exact, sum((line.exact for line in ahead.lines.values()), Fraction(0)))
    rounded = round_growth(exact, total=round_half_up(whole, step=step) - ahead.nanos, step=step)
    # What is given back of a fee carries the taxes that were paid on it.
    return [
        DueLine(line, nanos, ahead.rates if line.exact < 0 and line.key.kind in FEE_KINDS else parts.rates)
        for line, nanos in zip(own, rounded, strict=True)
    ]


def _advance_lines(contract: Contract, parts: Parts, currency: str) -> list[DueLine]:
    fees = sorted(parts.fees_in_advance, key=lambda line: _order(contract, line.key))
    rounded = round_parts([line.exact for line in fees], step=minor_unit_nanos(currency))
    return [
        DueLine(line, nanos, parts.rates, advance=parts.advance_cycle)
        for line, nanos in zip(fees, rounded, strict=True)
    ]


def _adjustment_lines(contract: Contract, growth: Growth, currency: str) -> list[DueLine]:
    """Return the adjustments of a cycle, in the order of the lines that they correct."""
    grown = sorted(growth.lines, key=lambda line: _order(contract, original_key(line.key)))
    amounts = rounded_growth(growth.billed, growth.statement, grown, currency_code=currency)
    return [
        DueLine(line, nanos, growth.billed.tax_rates, corrects(growth.billed))
        for line, nanos in zip(grown, amounts, strict=True)
    ]


def _commitment_lines(bill: CommitmentBill, rates: tuple[TaxRate, ...], currency: str) -> list[DueLine]:
    growth = [(kind, exact) for kind, exact in bill.growth.items() if exact]
    if not growth:
        return []
    step = minor_unit_nanos(currency)
    total = round_half_up(bill.exact_total, step=step) - bill.state.billed_nanos
    amounts = round_growth([exact for _, exact in growth], total=total, step=step)
    period = bill.period
    return [
        DueLine(
            ExactLine(
                LineKey(kind, period.contract_phase, from_time=period.from_time),
                exact,
                period.from_time,
                period.to_time,
                bill.state.amount.currency_code,
            ),
            nanos,
            rates,
        )
        for (kind, exact), nanos in zip(growth, amounts, strict=True)
    ]


def _order(contract: Contract, key: LineKey) -> tuple[int, int, str, str, int, str, str]:
    """Return what lines are sorted by: kind, contract phase in time, rate card and its phase, price, time."""
    phases = [phase.terms.key for phase in contract.phases]
    place = phases.index(key.contract_phase) if key.contract_phase in phases else len(phases)
    card, _, number = key.rate_card_phase.rpartition("/")
    price = key.unit_price.price if key.unit_price else ""
    kind = list(LineKind).index(key.kind)
    since = f"{key.from_time.isoformat() if key.from_time else ''} {key.prorated_kind} {key.dimension}"
    return kind, place, key.contract_phase, card, int(number) if number.isdigit() else 0, price, since
