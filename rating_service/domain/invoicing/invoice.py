"""Invoices: what a customer owes for one cycle, computed from recorded facts only.

An invoice is an exact function of the facts up to its watermark, the invoices issued before it, and what was given
with the call (taxes). Its own cycle is billed by its statement (`cycle_statement`), earlier cycles by how much theirs
have grown since they were billed (`adjustments`), commitments by how much they have (`commitments`), and what was
invoiced or credited before comes off (`invoice_settlement`). So over all invoices of a contract every fact is billed
once, whenever it was learned, and an issued invoice never changes.

Amounts stay exact until the end: each cycle's sum is rounded once, and its lines are cut to add up to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from rating_service.domain.agreements.agreement import Contract, Money, RateCard, TaxRate
from rating_service.domain.agreements.contract_life import end_of, plan_at
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.debits import DebitFact, GrantFact, ReversalFact
from rating_service.domain.documents.invoice_document import (
    CLOSING_KINDS,
    CommitmentState,
    Invoice,
    InvoiceKind,
    InvoiceLine,
    OpenCredit,
    Purchase,
    document,
    document_hash,
    read_document,
)
from rating_service.domain.documents.invoice_lines import LineKey, LineKind
from rating_service.domain.documents.line_text import line_text
from rating_service.domain.invoicing.cycle_statement import NO_CARDS, CycleFacts, Statement, state_cycle
from rating_service.domain.invoicing.included import entitled_units
from rating_service.domain.invoicing.invoice_due import due_lines
from rating_service.domain.invoicing.invoice_parts import NOTHING_EARLIER, Earlier, Parts, currency_of, gather
from rating_service.domain.invoicing.invoice_settlement import DueLine, Settled, settle
from rating_service.domain.invoicing.invoice_usage import line_units
from rating_service.domain.rounding import minor_unit_nanos, round_half_up

__all__ = [
    "Earlier",
    "Invoice",
    "InvoiceKind",
    "InvoiceLine",
    "LineKey",
    "LineKind",
    "compute_invoice",
    "document",
    "document_hash",
    "line_units",
    "read_document",
]


def compute_invoice(
    *,
    contract: Contract,
    cycle: CycleBounds,
    debits: Iterable[DebitFact],
    grants: Sequence[GrantFact],
    watermark_position: int,
    reversals: Sequence[ReversalFact] = (),
    adjusting: Sequence[DebitFact] = (),
    earlier: Earlier = NOTHING_EARLIER,
    taxes: tuple[TaxRate, ...] | None = None,
    open_credits: Sequence[OpenCredit] = (),
    purchases: Sequence[Purchase] = (),
    cards: Mapping[str, RateCard] = NO_CARDS,
    kind: InvoiceKind = InvoiceKind.CYCLE,
    name: str = "",
    issue_time: datetime | None = None,
    sequence: int = 0,
) -> Invoice:
    """Return the invoice of a cycle. Debits outside the cycle or of other wallets are passed over.

    `reversals` are those of the wallet; later ones than the watermark, and those of other debits, change
    nothing. `grants` are those of the contract's wallet; they say which draws were of included units. The
    order of debits does not matter. `adjusting` are debits that were posted in the cycle and put earlier ones right:
    they may have used its included credit. `cards` are the rate cards that the contract names, by name. `taxes` replace
    those of the contract phase. A cycle in which the contract ends is FINAL; of a THRESHOLD invoice only what usage
    has come to is billed, of an ADVANCE invoice the cycle's fees in advance. Refuses MIXED_CURRENCIES.
    """
    running = kind not in CLOSING_KINDS
    facts = CycleFacts(cycle, debits, reversals, adjusting)
    own = state_cycle(contract, facts, grants, watermark_position, NO_CARDS if running else cards)
    parts = gather(
        contract,
        own,
        earlier,
        watermark_position=watermark_position,
        cards=cards,
        taxes=taxes,
        kind=kind,
    )
    currency = currency_of(contract, parts)
    settled = settle(due_lines(contract, parts, currency), open_credits, cycle, currency_code=currency)
    plain = _invoice(contract, own, settled, currency)
    return msgspec.structs.replace(
        plain,
        watermark_position=watermark_position,
        name=name,
        issue_time=issue_time,
        kind=_kind(contract, cycle, kind),
        sequence=sequence,
        purchases=tuple(purchases),
        tax_rates=parts.rates,
        taxes_given=taxes is not None,
        commitments=() if running else _states(parts, currency),
        open_credits=tuple(open_credits),
    )


def _invoice(contract: Contract, own: Statement, settled: Settled, currency: str) -> Invoice:
    """Return what an invoice says of its contract, its cycle and its amounts."""
    cycle = own.cycle
    plan = plan_at(contract, max(cycle.start_time, contract.start_time))
    return Invoice(
        contract=contract.name,
        customer=contract.customer,
        plan=plan.plan,
        plan_version=plan.plan_version,
        asset=contract.asset,
        cycle=cycle,
        watermark_position=0,
        lines=_lines(settled, currency),
        total=Money(currency, settled.total_nanos),
        included_units=entitled_units(contract, cycle),
        included_used_units=own.included.used_units,
        included_left_units=own.included.left_units,
        included_adjusting_units=own.included.adjusting_units,
        net=Money(currency, settled.net_nanos),
        taxes=settled.taxes,
        tax=Money(currency, settled.tax_nanos),
        credit_due=Money(currency, settled.credit_due_nanos),
    )


def _states(parts: Parts, currency: str) -> tuple[CommitmentState, ...]:
    """Return what the next invoice needs to know of the commitments."""
    step = minor_unit_nanos(currency)
    return tuple(
        msgspec.structs.replace(bill.state, billed_nanos=round_half_up(bill.exact_total, step=step))
        for bill in parts.commitments
    )


def _kind(contract: Contract, cycle: CycleBounds, kind: InvoiceKind) -> InvoiceKind:
    end = end_of(contract)
    if kind is InvoiceKind.CYCLE and end is not None and end <= cycle.end_time:
        return InvoiceKind.FINAL
    return kind


def _lines(settled: Settled, currency: str) -> tuple[InvoiceLine, ...]:
    return tuple(_line(str(place), due, currency) for place, due in enumerate(settled.lines, start=1))


def _line(line_id: str, due: DueLine, currency: str) -> InvoiceLine:
    line = due.line
    return InvoiceLine(
        line_id=line_id,
        key=line.key,
        description=line_text(line.key, adjusted=due.adjusted, source=due.source, advance=due.advance),
        amount=Money(currency, due.nanos),
        amount_units=line.amount_units,
        debit_count=line.debit_count,
        quantities=line.quantities,
        exact_nanos=str(line.exact),
        from_time=line.from_time,
        to_time=line.to_time,
        details=line.details,
        adjusted=due.adjusted,
        source=due.source,
        advance=due.advance,
    )
