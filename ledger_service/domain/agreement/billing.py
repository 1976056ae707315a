"""Bills: the invoices and credit notes of a contract, as rating issued them.

The ledger does not compute a bill. It keeps each document once, by its hash, so that it cannot change unseen, and
holds what no race may break: one invoice a cycle beside those of thresholds, amounts that add up, and credit notes
that never exceed their invoice.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.invoiced import CREDIT_DUE, Invoiced
from ledger_service.domain.commands import RecordCreditNote, RecordInvoice
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import BilledAmount, CreditNoteIssued, InvoiceIssued
from ledger_service.domain.finance.schedule import SPAN_DAYS_MAX
from ledger_service.domain.names import check_currency, check_name, check_range, check_span, check_text
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    AmountsUnbalanced,
    CreditNoteAboveInvoice,
    CurrencyMismatch,
    FieldMalformed,
    FieldTooLong,
    InvoiceExists,
    InvoiceNotFound,
    TimeInFuture,
)
from ledger_service.domain.values import CLOSING_KINDS, UNITS_MAX
from ledger_service.domain.wallet.debit import AHEAD_MAX

AMOUNTS_MAX: Final = 1_000
"""Most amounts of one document: an invoice that adjusts ten years of months in every kind stays below it."""
_KIND: Final = re.compile(r"[A-Z][A-Z_]{0,63}", re.ASCII)
_HASH: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


def record_invoice(contract: Contract, command: RecordInvoice, now: datetime) -> list[Draft]:
    """Return the record of an invoice.

    Raises InvoiceExists, AmountsUnbalanced, TimeInFuture and what the checks of its fields raise.
    """
    issued = command.issued
    check_name(issued.invoice, collection="invoices", field="issued.invoice")
    check_span(issued.cycle_start_time, issued.cycle_end_time, field="issued.cycle_end_time")
    check_range(issued.watermark_position, low=0, high=UNITS_MAX, field="issued.watermark_position")
    _check_document(issued, now)
    if issued.total_nanos < 0:
        raise AmountOutOfRange(
            "issued.total_nanos is below 0: what an invoice owes the customer is a credit note",
            field="issued.total_nanos",
        )
    if issued.invoice in contract.invoices:
        raise InvoiceExists(f"{issued.invoice} was recorded before", field="issued.invoice")
    if issued.kind in CLOSING_KINDS:
        _check_cycle_is_free(contract, issued)
    return [Draft(command.contract, issued, issued.issue_time, answers=True)]


def record_credit_note(contract: Contract, command: RecordCreditNote, now: datetime) -> list[Draft]:
    """Return the record of a credit note.

    Raises InvoiceNotFound, CurrencyMismatch, CreditNoteAboveInvoice, AmountsUnbalanced, AmountNotPositive,
    TimeInFuture and what the checks of its fields raise.
    """
    issued = command.issued
    check_name(issued.credit_note, collection="creditNotes", field="issued.credit_note")
    check_name(issued.invoice, collection="invoices", field="issued.invoice")
    check_text(issued.reason, field="issued.reason")
    _check_document(issued, now)
    if issued.total_nanos <= 0:
        raise AmountNotPositive("issued.total_nanos must be above 0", field="issued.total_nanos")
    invoiced = contract.invoices.get(issued.invoice)
    if invoiced is None:
        raise InvoiceNotFound(
            f"{issued.invoice} was not recorded for {command.contract}", field="issued.invoice"
        )
    if issued.currency_code != invoiced.currency_code:
        raise CurrencyMismatch(
            f"{issued.invoice} is in {invoiced.currency_code}, its credit note in {issued.currency_code}",
            field="issued.currency_code",
        )
    left_nanos = _whole_nanos(invoiced, issued) - invoiced.credited_nanos
    if issued.total_nanos > left_nanos:
        raise CreditNoteAboveInvoice(
            f"{left_nanos} nanos of {issued.invoice} are not credited yet, not {issued.total_nanos}",
            field="issued.total_nanos",
            left_nanos=str(left_nanos),
        )
    return [Draft(command.contract, issued, issued.issue_time, answers=True)]


def _whole_nanos(invoiced: Invoiced, issued: CreditNoteIssued) -> int:
    """Return what all notes on an invoice may come to: its total, or what it owes if they settle that."""
    settles = all(amount.kind == CREDIT_DUE for amount in issued.amounts)
    return invoiced.owed_nanos if settles and not invoiced.total_nanos else invoiced.total_nanos


def _check_document(issued: InvoiceIssued | CreditNoteIssued, now: datetime) -> None:
    if _HASH.fullmatch(issued.document_hash) is None:
        raise FieldMalformed(
            "issued.document_hash must be a SHA-256 in 64 hex digits", field="issued.document_hash"
        )
    if issued.issue_time > now + AHEAD_MAX:
        raise TimeInFuture(
            f"issued.issue_time lies more than {AHEAD_MAX} ahead of the server's clock",
            field="issued.issue_time",
        )
    check_currency(issued.currency_code, field="issued.currency_code")
    if len(issued.amounts) > AMOUNTS_MAX:
        raise FieldTooLong(f"issued.amounts exceeds {AMOUNTS_MAX} amounts", field="issued.amounts")
    for index, amount in enumerate(issued.amounts):
        _check_amount(amount, field=f"issued.amounts[{index}]")
    if sum(amount.nanos for amount in issued.amounts) + issued.tax_nanos != issued.total_nanos:
        raise AmountsUnbalanced(
            "issued.amounts and issued.tax_nanos do not add up to issued.total_nanos",
            field="issued.total_nanos",
        )


def _check_amount(amount: BilledAmount, *, field: str) -> None:
    if _KIND.fullmatch(amount.kind) is None:
        raise FieldMalformed(
            f"{field}.kind {amount.kind[:80]!r} must be 1 to 64 of A-Z and _", field=f"{field}.kind"
        )
    check_text(amount.product, field=f"{field}.product")
    if (amount.from_time is None) != (amount.to_time is None):
        raise FieldMalformed(f"{field} needs both ends of its span, or none", field=f"{field}.to_time")
    if amount.from_time is not None:
        assert amount.to_time is not None
        check_span(amount.from_time, amount.to_time, field=f"{field}.to_time")
        days = (amount.to_time - amount.from_time).days
        check_range(days, low=0, high=SPAN_DAYS_MAX, field=f"{field}.to_time")


def _check_cycle_is_free(contract: Contract, issued: InvoiceIssued) -> None:
    for name, other in contract.invoices.items():
        if other.closes_cycle and other.cycle_start_time == issued.cycle_start_time:
            raise InvoiceExists(
                f"the cycle from {issued.cycle_start_time.isoformat()} has {name}",
                field="issued.cycle_start_time",
                invoice=name,
            )
