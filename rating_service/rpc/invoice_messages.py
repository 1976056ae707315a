"""Invoices as messages."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import invoice_service_pb2
from rating_service.application.invoicing.invoice_names import ReadInvoice
from rating_service.application.invoicing.tax_rates import checked_tax_rates
from rating_service.domain.agreements.agreement import Money, TaxRate
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.invoice_document import (
    CommitmentState,
    Invoice,
    InvoiceKind,
    Purchase,
    TaxLine,
)
from rating_service.domain.documents.invoice_lines import Adjusted, InvoiceLine, LineDetail, LineKind
from rating_service.rpc.messages import money, timestamp, unit_price

LINE_KINDS: Final = {
    LineKind.BASE_FEE: invoice_service_pb2.LINE_KIND_BASE_FEE,
    LineKind.SEATS: invoice_service_pb2.LINE_KIND_SEATS,
    LineKind.PRORATION_CREDIT: invoice_service_pb2.LINE_KIND_PRORATION_CREDIT,
    LineKind.PRORATION_CHARGE: invoice_service_pb2.LINE_KIND_PRORATION_CHARGE,
    LineKind.USAGE: invoice_service_pb2.LINE_KIND_USAGE,
    LineKind.OVERAGE: invoice_service_pb2.LINE_KIND_OVERAGE,
    LineKind.RATE_MINIMUM: invoice_service_pb2.LINE_KIND_RATE_MINIMUM,
    LineKind.MINIMUM: invoice_service_pb2.LINE_KIND_MINIMUM,
    LineKind.MAXIMUM: invoice_service_pb2.LINE_KIND_MAXIMUM,
    LineKind.COMMITMENT: invoice_service_pb2.LINE_KIND_COMMITMENT,
    LineKind.COMMITMENT_DRAW_DOWN: invoice_service_pb2.LINE_KIND_COMMITMENT_DRAW_DOWN,
    LineKind.COMMITMENT_OVERAGE: invoice_service_pb2.LINE_KIND_COMMITMENT_OVERAGE,
    LineKind.ADJUSTMENT: invoice_service_pb2.LINE_KIND_ADJUSTMENT,
    LineKind.CREDITED_BEFORE: invoice_service_pb2.LINE_KIND_CREDITED_BEFORE,
    LineKind.THRESHOLD_CREDIT: invoice_service_pb2.LINE_KIND_THRESHOLD_CREDIT,
    LineKind.CREDIT_APPLIED: invoice_service_pb2.LINE_KIND_CREDIT_APPLIED,
    LineKind.CREDIT_DUE: invoice_service_pb2.LINE_KIND_CREDIT_DUE,
}
_INVOICE_KINDS: Final = {
    InvoiceKind.CYCLE: invoice_service_pb2.INVOICE_KIND_CYCLE,
    InvoiceKind.THRESHOLD: invoice_service_pb2.INVOICE_KIND_THRESHOLD,
    InvoiceKind.FINAL: invoice_service_pb2.INVOICE_KIND_FINAL,
    InvoiceKind.ADVANCE: invoice_service_pb2.INVOICE_KIND_ADVANCE,
}


def invoice(read: ReadInvoice) -> invoice_service_pb2.Invoice:
    """Return an invoice as a message."""
    value = read.invoice
    currency = value.total.currency_code
    message = invoice_service_pb2.Invoice(
        name=value.name,
        contract=value.contract,
        customer=value.customer,
        plan=value.plan,
        cycle_start_time=timestamp(value.cycle.start_time),
        cycle_end_time=timestamp(value.cycle.end_time),
        issue_time=timestamp(value.issue_time),
        watermark_position=value.watermark_position,
        total=money(value.total),
        included_units=value.included_units,
        included_used_units=value.included_used_units,
        included_left_units=value.included_left_units,
        included_adjusting_units=value.included_adjusting_units,
        hash=read.hash,
        document=read.document,
        asset=money_pb2.Asset(code=value.asset.code, scale=value.asset.scale),
        kind=_INVOICE_KINDS[value.kind],
        sequence=value.sequence,
        net=money(value.net or value.total),
        tax=money(value.tax or Money(currency, 0)),
        credit_due=money(value.credit_due or Money(currency, 0)),
    )
    _write_parts(message, value)
    return message


def _write_parts(message: invoice_service_pb2.Invoice, value: Invoice) -> None:
    message.lines.extend(map(_line, value.lines))
    message.taxes.extend(map(_tax, value.taxes))
    message.purchases.extend(map(_purchase, value.purchases))
    message.commitments.extend(map(_commitment, value.commitments))


def _line(line: InvoiceLine) -> invoice_service_pb2.InvoiceLine:
    key = line.key
    return invoice_service_pb2.InvoiceLine(
        line_id=line.line_id,
        kind=LINE_KINDS[key.kind],
        description=line.description,
        contract_phase=key.contract_phase,
        rate_card_phase=key.rate_card_phase,
        amount_units=line.amount_units,
        unit_price=unit_price(key.unit_price),
        amount=money(line.amount),
        debit_count=line.debit_count,
        quantities=line.quantities,
        exact_nanos=str(line.exact),
        from_time=timestamp(line.from_time),
        to_time=timestamp(line.to_time),
        details=map(_detail, line.details),
        prorated_kind=_line_kind(key.prorated_kind),
        adjusted_kind=_line_kind(key.adjusted_kind),
        adjusted=_adjusted(line.adjusted) if line.adjusted else None,
        source=line.source,
        advance=_advance(line.advance) if line.advance else None,
    )


def _line_kind(kind: LineKind | None) -> invoice_service_pb2.LineKind.ValueType:
    return invoice_service_pb2.LINE_KIND_UNSPECIFIED if kind is None else LINE_KINDS[kind]


def _detail(detail: LineDetail) -> invoice_service_pb2.LineDetail:
    return invoice_service_pb2.LineDetail(
        dimension=detail.dimension,
        quantity=detail.quantity,
        unit_price=detail.unit_price,
        unit_size=detail.unit_size,
        multiplier=detail.multiplier,
        model=detail.model,
        exact_units=detail.exact_units,
        charge_count=detail.charge_count,
    )


def _adjusted(adjusted: Adjusted) -> invoice_service_pb2.AdjustedInvoice:
    return invoice_service_pb2.AdjustedInvoice(
        invoice=adjusted.invoice,
        cycle_start_time=timestamp(adjusted.cycle.start_time),
        cycle_end_time=timestamp(adjusted.cycle.end_time),
    )


def _advance(cycle: CycleBounds) -> invoice_service_pb2.AdvancedCycle:
    return invoice_service_pb2.AdvancedCycle(
        cycle_start_time=timestamp(cycle.start_time), cycle_end_time=timestamp(cycle.end_time)
    )


def given_taxes(
    request: invoice_service_pb2.PreviewInvoiceRequest | invoice_service_pb2.IssueInvoiceRequest,
) -> tuple[TaxRate, ...] | None:
    """Return the taxes of a request, None if it leaves them to the contract. Refuses what is no tax rate."""
    if not request.HasField("taxes"):
        return None
    rates = [TaxRate(rate.name, rate.percent, rate.jurisdiction) for rate in request.taxes.rates]
    return checked_tax_rates(rates, field="taxes.rates")


def _tax(line: TaxLine) -> invoice_service_pb2.InvoiceTaxLine:
    return invoice_service_pb2.InvoiceTaxLine(
        rate=_tax_rate(line.rate), net=money(line.net), amount=money(line.amount)
    )


def _tax_rate(rate: TaxRate) -> invoice_service_pb2.InvoiceTaxRate:
    return invoice_service_pb2.InvoiceTaxRate(
        name=rate.name, percent=rate.percent, jurisdiction=rate.jurisdiction
    )


def _purchase(purchase: Purchase) -> invoice_service_pb2.InvoicePurchase:
    return invoice_service_pb2.InvoicePurchase(
        grant=purchase.grant,
        effective_time=timestamp(purchase.effective_time),
        amount_units=purchase.amount_units,
        paid=money(purchase.paid),
        reference=purchase.reference,
        top_up=purchase.top_up,
    )


def _commitment(state: CommitmentState) -> invoice_service_pb2.InvoiceCommitment:
    return invoice_service_pb2.InvoiceCommitment(
        from_time=timestamp(state.from_time),
        to_time=timestamp(state.to_time),
        amount=money(state.amount),
        overage_factor=state.overage_factor,
        prepaid=state.prepaid,
        used_nanos=state.used_nanos,
    )
