"""What an invoice bills, exact, before anything is rounded: the statement of its own cycle, by how much earlier cycles
and commitments have grown, and what was invoiced of the cycle while it ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import Contract, RateCard, TaxRate
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.documents.credit_note import CreditNote
from rating_service.domain.documents.invoice_document import CommitmentState, Invoice, InvoiceKind
from rating_service.domain.invoicing.adjustments import BilledCycle, billed_cycle, grown_lines
from rating_service.domain.invoicing.commitments import CommitmentBill, CommitmentPeriod, bill_of
from rating_service.domain.invoicing.credited_fees import NOTHING_NOTED, Noted
from rating_service.domain.invoicing.cycle_statement import RUNNING_KINDS, CycleFacts, Statement, state_cycle
from rating_service.domain.invoicing.exact_lines import ExactLine
from rating_service.domain.invoicing.invoice_advance import (
    BilledAhead,
    billed_ahead,
    fees_in_advance,
    in_one_currency,
    less_billed_ahead,
)
from rating_service.domain.refusals import Reason, Refusal

NO_CURRENCY: Final = "XXX"
"""ISO 4217 code of an invoice on which nothing has a price."""


class Earlier(NamedTuple):
    """The invoices of the contract that were issued before, as far as they matter, and what was learned since.

    `closing` are invoices that closed cycles, by sequence: of each touched cycle its own and all later ones, and the
    last that knows the commitments of the cycle. `thresholds` are those of the running cycle. `touched` are cycles
    that were invoiced and of which something was learned since the last closing invoice. `ahead` are those that may
    have billed the cycle, or a touched one, in advance, `notes` the credit notes on them that the ledger has recorded,
    in the order of their issue; `next_is_billed` says that the next cycle was billed already.
    """

    closing: Sequence[Invoice] = ()
    thresholds: Sequence[Invoice] = ()
    touched: Iterable[CycleFacts] = ()
    ahead: Sequence[Invoice] = ()
    notes: Sequence[CreditNote] = ()
    next_is_billed: bool = False
    last_end_time: datetime | None = None


NOTHING_EARLIER: Final = Earlier()


class Growth(NamedTuple):
    """What was learned about a cycle that was billed before."""

    billed: BilledCycle
    statement: Statement
    lines: list[ExactLine]


class Parts(NamedTuple):
    """Everything that an invoice bills, exact, before it is settled."""

    own: Statement
    grown: list[Growth]
    commitments: list[CommitmentBill]
    thresholds: Sequence[Invoice]
    rates: tuple[TaxRate, ...]
    ahead: BilledAhead | None = None
    fees_in_advance: Sequence[ExactLine] = ()
    advance_cycle: CycleBounds | None = None
    noted: Noted = NOTHING_NOTED


def gather(
    contract: Contract,
    own: Statement,
    earlier: Earlier,
    *,
    watermark_position: int,
    cards: Mapping[str, RateCard],
    taxes: tuple[TaxRate, ...] | None,
    kind: InvoiceKind,
) -> Parts:
    """Return what an invoice bills; of a running cycle only what usage has come to, or its fees in advance."""
    rates = _tax_rates(own) if taxes is None else taxes
    if kind is InvoiceKind.ADVANCE:
        fees = in_one_currency(fees_in_advance(contract, own.cycle), ())
        return Parts(own._replace(lines=[]), [], [], (), rates, None, fees, own.cycle)
    running = kind is InvoiceKind.THRESHOLD
    grown = list(_grown(contract, () if running else earlier.touched, earlier, watermark_position, cards))
    parts = Parts(
        own=own._replace(lines=_of_running_cycle(own.lines)) if running else own,
        grown=[each for each in grown if each.lines],
        commitments=_commitments(own, grown, earlier, running=running),
        thresholds=earlier.thresholds,
        rates=rates,
        noted=NOTHING_NOTED if running else Noted(earlier.ahead, earlier.notes, earlier.closing),
    )
    return parts if running else _with_advance(contract, parts, earlier)


def _with_advance(contract: Contract, parts: Parts, earlier: Earlier) -> Parts:
    """Return what closes a cycle: without what was billed of it ahead, and with the next one's fees in advance."""
    ahead = billed_ahead(earlier.ahead, parts.own.cycle)
    if ahead is not None:
        own = parts.own._replace(lines=less_billed_ahead(parts.own.lines, ahead))
        parts = parts._replace(own=own, ahead=ahead)
    following = cycle_at(contract.cycle, parts.own.cycle.end_time)
    if earlier.next_is_billed:
        return parts
    others = [*parts.own.lines, *(line for each in parts.grown for line in each.lines)]
    fees = in_one_currency(fees_in_advance(contract, following), others)
    return parts._replace(fees_in_advance=fees, advance_cycle=following)


def currency_of(contract: Contract, parts: Parts) -> str:
    """Return the one currency of what has a price; of the contract's terms if nothing has. Refuses two."""
    lines = [*parts.own.lines, *parts.fees_in_advance, *(line for each in parts.grown for line in each.lines)]
    used = {line.currency_code for line in lines}
    used |= {bill.state.amount.currency_code for bill in parts.commitments if any(bill.growth.values())}
    used |= {each.total.currency_code for each in parts.thresholds if each.net and each.net.nanos}
    used.discard("")
    if len(used) > 1:
        found = ", ".join(sorted(used))
        raise Refusal(Reason.MIXED_CURRENCIES, f"one invoice would hold {found}", currencies=found)
    return next(iter(used), None) or _currency_of_terms(contract)


def _currency_of_terms(contract: Contract) -> str:
    for phase in contract.phases:
        priced = phase.terms.base_fee or phase.terms.overage_price
        if priced is not None:
            return priced.currency_code
    return NO_CURRENCY


def _grown(
    contract: Contract,
    touched: Iterable[CycleFacts],
    earlier: Earlier,
    watermark_position: int,
    cards: Mapping[str, RateCard],
) -> Iterable[Growth]:
    for facts in touched:
        billed = billed_cycle(earlier.closing, facts.cycle, earlier.ahead)
        statement = state_cycle(contract, facts, (), watermark_position, cards)
        yield Growth(billed, statement, grown_lines(billed, statement))


def _of_running_cycle(lines: Sequence[ExactLine]) -> list[ExactLine]:
    return [line for line in lines if line.key.kind in RUNNING_KINDS]


def _commitments(
    own: Statement, grown: Sequence[Growth], earlier: Earlier, *, running: bool
) -> list[CommitmentBill]:
    """Return what the commitments' periods have come to of which this invoice knows anything new."""
    ends = [own.cycle.end_time, *([earlier.last_end_time] if earlier.last_end_time else [])]
    used: dict[CommitmentPeriod, dict[datetime, Fraction]] = {}
    for statement in [*(each.statement for each in grown), own]:
        for period, nanos in statement.committed:
            used.setdefault(period, {})[statement.cycle.start_time] = nanos
    return [
        bill_of(
            period,
            _state_before(period, earlier.closing),
            cycles,
            over_from=max(ends),
            running=running,
        )
        for period, cycles in sorted(used.items(), key=lambda each: each[0].from_time)
    ]


def _state_before(period: CommitmentPeriod, closing: Sequence[Invoice]) -> CommitmentState | None:
    states = (state for each in reversed(closing) for state in each.commitments)
    return next((state for state in states if state.from_time == period.from_time), None)


def _tax_rates(own: Statement) -> tuple[TaxRate, ...]:
    """Return the rates of the terms with which the cycle ends: an invoice is taxed as of its own time."""
    return own.stretches[-1].terms.tax_rates if own.stretches else ()
