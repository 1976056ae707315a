"""Computing an invoice from one state of the store: which facts, agreements and earlier documents it rests on.

Everything is taken as of a watermark: the contract as it was agreed by then, facts recorded by then, and the invoices
with a lower sequence. So an issued invoice can be computed again for ever.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

from rating_service.application.invoicing.earlier_invoices import earlier_invoices
from rating_service.application.invoicing.invoice_basis import Basis, InvoiceOrder, contract_of
from rating_service.application.invoicing.invoice_ports import BillingFacts, InvoiceFacts, News
from rating_service.application.ports import Span, StoredInvoice
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Contract, RateCard
from rating_service.domain.agreements.catalogue import EMPTY, evolve
from rating_service.domain.agreements.contract_life import end_of
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.agreements.index import find
from rating_service.domain.corrections.open_credits import NOTE_TOPIC, credits_left, decode_note
from rating_service.domain.documents.invoice_document import CLOSING_KINDS, InvoiceKind, OpenCredit, Purchase
from rating_service.domain.invoicing.invoice import Invoice, compute_invoice, document, read_document
from rating_service.domain.invoicing.rate_minimums import card_names

_MINIMUM: Final = b'"cycle_minimum"'
"""Stands in the stored event of a phase one of whose rates has a minimum; what is not there is left out of it."""


class OvertakenError(Exception):
    """An invoice was issued meanwhile that has counted later facts; computing again is safe."""


def basis_of(facts: BillingFacts, order: InvoiceOrder) -> Basis:
    """Return what an invoice rests on. Refuses WATERMARK_BEFORE_CONTRACT, CYCLE_OUTSIDE_CONTRACT."""
    events = facts.agreements(order.contract, order.watermark_position)
    contract = contract_of(order.contract, events)
    if contract is None:
        raise RequestRefused(
            RequestReason.WATERMARK_BEFORE_CONTRACT,
            f"{order.contract} was not signed yet at position {order.watermark_position}",
            field="watermark_position",
        )
    cycle = cycle_at(contract.cycle, order.cycle_time)
    if cycle.end_time <= contract.start_time:
        raise outside_contract(contract, cycle)
    heads = [
        head
        for head in facts.heads(order.contract)
        if (not order.before_sequence or head.sequence < order.before_sequence)
        and (not order.as_known or head.watermark_position <= order.watermark_position)
    ]
    closing = [head for head in heads if head.kind in CLOSING_KINDS]
    return Basis(contract, events, cycle, heads, closing)


def invoice_on(facts: BillingFacts, basis: Basis, order: InvoiceOrder) -> Invoice:
    """Return the invoice of a cycle that no invoice has closed.

    Refuses CYCLE_OUTSIDE_CONTRACT, MIXED_CURRENCIES. Raises OvertakenError.
    """
    if basis.heads and basis.heads[-1].watermark_position > order.watermark_position:
        # Each invoice knows all that the one before it knew; else something would be billed twice or never.
        raise OvertakenError(basis.heads[-1].name)
    contract, cycle, watermark = basis.contract, basis.cycle, order.watermark_position
    news = News(contract.wallet, basis.counted_position, watermark)
    grants = facts.grants(contract.wallet, watermark)
    purchases = _purchases(facts, basis, news) if order.kind is not InvoiceKind.ADVANCE else ()
    open_credits = _open_credits(facts, basis)
    earlier = earlier_invoices(facts, basis, news, order)
    cards = _cards(facts, contract, watermark)
    own = facts.cycle(Span(contract.name, contract.wallet, cycle.start_time, cycle.end_time, watermark))
    invoice = compute_invoice(
        contract=contract,
        cycle=cycle,
        debits=chain(own.debits, order.expected),
        grants=grants,
        watermark_position=watermark,
        reversals=own.reversals,
        adjusting=own.adjusting,
        earlier=earlier,
        taxes=order.taxes,
        open_credits=open_credits,
        purchases=purchases,
        cards=cards,
        kind=order.kind,
        name=order.name,
        issue_time=order.issue_time,
        sequence=basis.sequence,
    )
    end = end_of(contract)
    is_after = end is not None and max(cycle.start_time, contract.start_time) >= end
    if not invoice.lines and (is_after or order.kind is InvoiceKind.ADVANCE):
        raise outside_contract(contract, cycle)
    return invoice


def recomputed(store: InvoiceFacts, stored: StoredInvoice) -> bytes:
    """Return the document of an issued invoice, computed again as of its watermark. Blocking.

    What no log holds is taken from the document: its time, and taxes that were given with the call. Raises Refusal,
    RequestRefused, StoreUnavailableError.
    """
    issued = read_document(stored.document)
    order = InvoiceOrder(
        stored.contract,
        stored.cycle_start_time,
        stored.watermark_position,
        kind=_ordered_kind(InvoiceKind(stored.kind)),
        taxes=issued.tax_rates if issued.taxes_given else None,
        before_sequence=stored.sequence,
        name=stored.name,
        issue_time=issued.issue_time,
    )
    with store.open() as facts:
        return document(invoice_on(facts, basis_of(facts, order), order))


def outside_contract(contract: Contract, cycle: CycleBounds) -> RequestRefused:
    """Return the refusal of a cycle in which a contract is not in force and of which nothing is to be told."""
    return RequestRefused(
        RequestReason.CYCLE_OUTSIDE_CONTRACT,
        f"{contract.name} was not in force in the cycle from {cycle.start_time:%Y-%m-%d}",
        field="cycle_time",
    )


def _purchases(facts: BillingFacts, basis: Basis, news: News) -> tuple[Purchase, ...]:
    """Return the purchases of the cycle, and those of cycles that were closed before they were known."""
    start, end = basis.cycle.start_time, basis.cycle.end_time
    closed = [head.cycle for head in basis.closing]
    return tuple(
        Purchase(
            grant=found.grant,
            effective_time=found.effective_time,
            amount_units=found.amount_units,
            paid=found.paid,
            reference=found.reference,
            top_up=found.top_up,
        )
        for found in facts.purchases(news, basis.cycle)
        if start <= found.effective_time < end
        or any(cycle.start_time <= found.effective_time < cycle.end_time for cycle in closed)
    )


def _cards(facts: BillingFacts, contract: Contract, watermark_position: int) -> dict[str, RateCard]:
    """Return the rate cards of a contract with minimums of cycles, as of a position.

    Others are not decoded: a list of thousands of rates would cost more than the rest of the invoice.
    """
    cards: dict[str, RateCard] = {}
    for name in card_names(contract):
        events = facts.agreements(name, watermark_position)
        if not any(_MINIMUM in event.state for event in events):
            continue
        catalogue = EMPTY
        for event in events:
            catalogue = evolve(catalogue, event.stream, event.topic, event.state)
        card = find(catalogue.rate_cards, name)
        if card is not None:
            cards[name] = card
    return cards


def _open_credits(facts: BillingFacts, basis: Basis) -> tuple[OpenCredit, ...]:
    last = basis.heads[-1] if basis.heads else None
    before = facts.documents([last.name])[0] if last else None
    since = last.watermark_position if last else 0
    notes = [
        decode_note(event.state)
        for event in basis.events
        if event.topic == NOTE_TOPIC and event.position > since
    ]
    return credits_left(before, notes)


def _ordered_kind(kind: InvoiceKind) -> InvoiceKind:
    """Return what was ordered where an invoice of a kind came: whether a cycle was the last follows."""
    return InvoiceKind.CYCLE if kind in CLOSING_KINDS else kind
