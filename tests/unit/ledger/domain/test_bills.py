"""Recorded bills: each once, amounts that add up, and credit notes that never exceed their invoice."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain.agreement.billing import AMOUNTS_MAX
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.commands import AnyCommand
from ledger_service.domain.events import BilledAmount
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    AmountsUnbalanced,
    ContractNotFound,
    CreditNoteAboveInvoice,
    CurrencyMismatch,
    FieldMalformed,
    FieldRequired,
    FieldTooLong,
    InvoiceExists,
    InvoiceNotFound,
    NumberOutOfRange,
    Refusal,
    TimeInFuture,
    TimesOutOfOrder,
)
from ledger_service.domain.values import InvoiceKind
from ledger_service.domain.wallet.debit import AHEAD_MAX
from tests.bills import INVOICE, record_credit_note, record_invoice
from tests.builders import CONTRACT, MICROSECOND, NOW, Book, after, agreed, end_contract, sign_contract

THRESHOLD = InvoiceKind.THRESHOLD


def signed() -> Book:
    ledger = agreed()
    ledger.run(sign_contract())
    return ledger


def billed(*nanos: int, tax_nanos: int = 0) -> Book:
    ledger = signed()
    ledger.run(record_invoice(*nanos, tax_nanos=tax_nanos))
    return ledger


def left_nanos(ledger: Book) -> int:
    contract = ledger.states[CONTRACT]
    assert isinstance(contract, Contract)
    invoiced = contract.invoices[INVOICE]
    return invoiced.total_nanos - invoiced.credited_nanos


def with_issued(command: Any, **changes: object) -> AnyCommand:
    changed: AnyCommand = msgspec.structs.replace(
        command, issued=msgspec.structs.replace(command.issued, **changes)
    )
    return changed


def test_an_invoice_is_recorded_as_it_was_issued() -> None:
    command = record_invoice(700, 300, tax_nanos=190, issue_time=after(seconds=-5))

    fact = signed().answer(command)

    assert fact.event == command.issued
    assert fact.effective_time == after(seconds=-5)


def test_an_invoice_has_one_name() -> None:
    with pytest.raises(InvoiceExists) as refused:
        billed(5).run(record_invoice(5, kind=THRESHOLD))

    assert refused.value.field == "issued.invoice"


@pytest.mark.parametrize(
    ("kind", "start_offset", "is_free"),
    [
        (InvoiceKind.CYCLE, timedelta(), False),
        (InvoiceKind.FINAL, timedelta(), False),
        (THRESHOLD, timedelta(), True),
        (InvoiceKind.CYCLE, MICROSECOND, True),
    ],
)
def test_a_cycle_has_one_invoice_beside_those_of_thresholds(
    kind: InvoiceKind, start_offset: timedelta, is_free: bool
) -> None:
    other = record_invoice(5, invoice="invoices/b", kind=kind, start_time=NOW + start_offset)

    if is_free:
        assert billed(5).run(other)
    else:
        with pytest.raises(InvoiceExists) as refused:
            billed(5).run(other)
        assert refused.value.metadata == {"invoice": INVOICE}


@pytest.mark.parametrize("kind", [THRESHOLD, InvoiceKind.ADVANCE])
def test_an_invoice_before_a_cycles_end_leaves_its_cycle_free(kind: InvoiceKind) -> None:
    ledger = signed()
    ledger.run(record_invoice(5, invoice="invoices/t", kind=kind))

    assert ledger.run(record_invoice(5))


@pytest.mark.parametrize(("nanos", "is_fine"), [(999, True), (1_000, True), (1_001, False)])
def test_a_credit_note_never_exceeds_its_invoice(nanos: int, is_fine: bool) -> None:
    ledger = billed(900, tax_nanos=100)

    if is_fine:
        ledger.run(record_credit_note(nanos))
        assert left_nanos(ledger) == 1_000 - nanos
    else:
        with pytest.raises(CreditNoteAboveInvoice) as refused:
            ledger.run(record_credit_note(nanos))
        assert refused.value.metadata == {"left_nanos": "1000"}


@pytest.mark.parametrize(
    ("kind", "nanos", "is_fine"),
    [("CREDIT_DUE", 300, True), ("CREDIT_DUE", 301, False), ("BASE_FEE", 1, False)],
)
def test_what_an_invoice_owes_is_settled_on_itself_and_never_more(
    kind: str, nanos: int, *, is_fine: bool
) -> None:
    ledger = signed()
    owing = (BilledAmount("BASE_FEE", -300), BilledAmount("CREDIT_DUE", 300))
    ledger.run(with_issued(record_invoice(total_nanos=0), amounts=owing))
    note = with_issued(record_credit_note(nanos), amounts=(BilledAmount(kind, nanos),))

    if is_fine:
        ledger.run(note)
    else:
        with pytest.raises(CreditNoteAboveInvoice):
            ledger.run(note)


@given(st.lists(st.integers(1, 60), max_size=8))
def test_all_credit_notes_of_an_invoice_together_never_exceed_it(amounts: list[int]) -> None:
    ledger = billed(100)
    credited = 0

    for number, nanos in enumerate(amounts):
        note = record_credit_note(nanos, credit_note=f"creditNotes/{number}")
        if credited + nanos <= 100:
            ledger.run(note)
            credited += nanos
        else:
            with pytest.raises(CreditNoteAboveInvoice):
                ledger.run(note)

    assert left_nanos(ledger) == 100 - credited


def test_a_credit_note_needs_its_invoice() -> None:
    with pytest.raises(InvoiceNotFound) as refused:
        signed().run(record_credit_note(5))

    assert refused.value.field == "issued.invoice"


def test_a_credit_note_is_in_the_currency_of_its_invoice() -> None:
    with pytest.raises(CurrencyMismatch) as refused:
        billed(5).run(record_credit_note(5, currency_code="USD"))

    assert refused.value.field == "issued.currency_code"


@pytest.mark.parametrize("make", [record_invoice, record_credit_note])
def test_a_bill_needs_its_contract(make: Callable[..., AnyCommand]) -> None:
    with pytest.raises(ContractNotFound):
        agreed().run(make(5))


@pytest.mark.parametrize("make", [record_invoice, record_credit_note])
@pytest.mark.parametrize(("ahead", "is_fine"), [(timedelta(), True), (MICROSECOND, False)])
def test_a_bill_is_issued_no_later_than_clocks_may_differ(
    make: Callable[..., AnyCommand], ahead: timedelta, is_fine: bool
) -> None:
    ledger = signed() if make is record_invoice else billed(9)
    command = make(5, issue_time=NOW + AHEAD_MAX + ahead)

    if is_fine:
        assert ledger.run(command)
    else:
        with pytest.raises(TimeInFuture) as refused:
            ledger.run(command)
        assert refused.value.field == "issued.issue_time"


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"invoice": ""}, FieldRequired, "issued.invoice"),
        ({"invoice": "bills/a"}, FieldMalformed, "issued.invoice"),
        ({"cycle_end_time": NOW}, TimesOutOfOrder, "issued.cycle_end_time"),
        ({"watermark_position": -1}, NumberOutOfRange, "issued.watermark_position"),
        ({"document_hash": "AB" * 32}, FieldMalformed, "issued.document_hash"),
        ({"document_hash": "ab" * 31}, FieldMalformed, "issued.document_hash"),
        ({"currency_code": ""}, FieldRequired, "issued.currency_code"),
        ({"total_nanos": 6}, AmountsUnbalanced, "issued.total_nanos"),
        ({"tax_nanos": -6, "total_nanos": -1}, AmountOutOfRange, "issued.total_nanos"),
        ({"amounts": (BilledAmount("base", 5),)}, FieldMalformed, "issued.amounts[0].kind"),
        ({"amounts": (BilledAmount("A", 5, NOW),)}, FieldMalformed, "issued.amounts[0].to_time"),
        ({"amounts": (BilledAmount("A", 5, NOW, NOW),)}, TimesOutOfOrder, "issued.amounts[0].to_time"),
        ({"amounts": (BilledAmount("A", 5, product="p" * 201),)}, FieldTooLong, "issued.amounts[0].product"),
        ({"amounts": (BilledAmount("A", 0),) * (AMOUNTS_MAX + 1)}, FieldTooLong, "issued.amounts"),
    ],
)
def test_a_malformed_invoice_is_refused_by_the_name_of_its_field(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        signed().run(with_issued(record_invoice(5), **changes))

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"credit_note": "notes/a"}, FieldMalformed, "issued.credit_note"),
        ({"reason": "r" * 201}, FieldTooLong, "issued.reason"),
        ({"total_nanos": 4}, AmountsUnbalanced, "issued.total_nanos"),
        ({"amounts": (), "total_nanos": 0}, AmountNotPositive, "issued.total_nanos"),
    ],
)
def test_a_malformed_credit_note_is_refused_by_the_name_of_its_field(
    changes: dict[str, object], refusal: type[Refusal], field: str
) -> None:
    with pytest.raises(refusal) as refused:
        billed(9).run(with_issued(record_credit_note(5), **changes))

    assert refused.value.field == field


def test_a_change_of_the_contract_keeps_its_bills() -> None:
    ledger = billed(9)
    ledger.run(record_credit_note(4))

    ledger.run(end_contract(after(days=40)))

    assert left_nanos(ledger) == 5
