"""The bytes of issued documents are frozen: what was issued reads the same for ever, and hashes the same.

Add a member with a default and the old text must still decode; never edit what is in golden_documents.json. A member
that is always written changes the bytes of new documents, so it needs an example of its own there.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest

from rating_service.domain.agreements.agreement import Asset, Money, TaxRate, UnitPrice
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.documents.credit_note import (
    CreditableLine,
    CreditableTax,
    CreditNote,
    LineCredit,
    NoteOrder,
    Settlement,
    note_document,
    note_record,
    read_note,
)
from rating_service.domain.documents.invoice_document import (
    CommitmentState,
    Invoice,
    InvoiceKind,
    OpenCredit,
    Purchase,
    TaxLine,
    document,
    document_hash,
    read_document,
)
from rating_service.domain.documents.invoice_lines import Adjusted, InvoiceLine, LineDetail, LineKey, LineKind
from rating_service.domain.documents.invoice_record import invoice_record
from rating_service.domain.documents.ledger_records import decode_record, encode_record

GOLDEN: dict[str, dict[str, str]] = json.loads(
    Path(__file__).with_name("golden_documents.json").read_text(encoding="utf-8")
)
JANUARY, FEBRUARY, MARCH = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))
CYCLE = CycleBounds(FEBRUARY, MARCH)
VAT = TaxRate("VAT", "20", "AT")


def usd(nanos: int) -> Money:
    return Money("USD", nanos)


LINES = (
    InvoiceLine(
        "1",
        LineKey(LineKind.BASE_FEE, "main"),
        "Base fee, main",
        usd(20 * 10**9),
        from_time=FEBRUARY,
        to_time=MARCH,
    ),
    InvoiceLine(
        "2",
        LineKey(LineKind.USAGE, "main", "rateCards/llm/phases/1"),
        "Usage paid with credit",
        usd(0),
        amount_units=5_000_000,
        debit_count=3,
        quantities={"input_tokens": 1_000_000},
        details=(LineDetail("input_tokens", 1_000_000, "5000000", "5", 1_000_000, "1.8", "unit", 3),),
    ),
    InvoiceLine(
        "3",
        LineKey(
            LineKind.ADJUSTMENT,
            "main",
            unit_price=UnitPrice("USD", "2"),
            prorated_kind=LineKind.SEATS,
            adjusted_kind=LineKind.PRORATION_CREDIT,
            from_time=JANUARY,
            dimension="input_tokens",
        ),
        "Adjustment",
        usd(-33_330_000_000),
        exact_nanos="-100000000000/3",
        adjusted=Adjusted("invoices/acme-20260101T000000Z", CycleBounds(JANUARY, FEBRUARY)),
    ),
    InvoiceLine(
        "4",
        LineKey(LineKind.CREDIT_APPLIED, ""),
        "Credit of creditNotes/acme-1",
        usd(-(10**9)),
        source="creditNotes/acme-1",
    ),
)
INVOICE = Invoice(
    contract="contracts/acme",
    customer="customers/acme",
    plan="plans/pro",
    plan_version=2,
    asset=Asset("CREDIT", 6),
    cycle=CYCLE,
    watermark_position=4711,
    lines=LINES,
    total=usd(0),
    included_units=5_000_000,
    included_used_units=4_000_000,
    name="invoices/acme-20260201T000000Z",
    issue_time=MARCH,
    kind=InvoiceKind.FINAL,
    sequence=2,
    net=usd(-13_330_000_000),
    taxes=(TaxLine(VAT, usd(-13_330_000_000), usd(-2_670_000_000)),),
    tax=usd(-2_670_000_000),
    credit_due=usd(17 * 10**9),
    included_left_units=1_000_000,
    included_adjusting_units=500_000,
    purchases=(
        Purchase("wallets/acme/grants/7", FEBRUARY, 10**6, usd(10**10), "pi_1", "wallets/acme/topUps/3"),
    ),
    tax_rates=(VAT,),
    taxes_given=True,
    commitments=(CommitmentState(JANUARY, MARCH, usd(10**12), "1.5", True, "100/3", {"COMMITMENT": "1"}),),
    open_credits=(OpenCredit("creditNotes/acme-1", usd(10**9)),),
)
NOTE = CreditNote(
    name="creditNotes/acme-20260201T000000Z-1",
    number=1,
    order=NoteOrder(
        "invoices/acme-20260201T000000Z",
        Settlement.CREDIT,
        "outage",
        lines=(LineCredit("1", usd(10**9)), LineCredit("2", unused_from_time=FEBRUARY)),
    ),
    invoice_hash="ab" * 32,
    contract="contracts/acme",
    customer="customers/acme",
    lines=(CreditableLine("1", "BASE_FEE", "Base fee, main", 10**9, FEBRUARY, MARCH),),
    taxes=(CreditableTax("VAT", "20", "AT", 200_000_000),),
    net=usd(10**9),
    tax=usd(200_000_000),
    total=usd(1_200_000_000),
    issue_time=MARCH,
    watermark_position=4712,
)
SETTLING = msgspec.structs.replace(
    NOTE,
    order=NoteOrder(
        "invoices/acme-1",
        Settlement.REFUND,
        "due",
        net_amount=usd(1),
        whole=True,
        settles="invoices/acme-2",
        total=usd(17 * 10**9),
    ),
    taxes=(),
)
DOCUMENTS = {
    "invoice": document(INVOICE),
    "credit_note": note_document(NOTE),
    "settling_credit_note": note_document(SETTLING),
    "invoice_record": encode_record(invoice_record(INVOICE, "ab" * 32)),
    "credit_note_record": encode_record(note_record(NOTE, "cd" * 32)),
}
READERS: dict[str, Any] = {
    "invoice": lambda content: document(read_document(content)),
    "credit_note": lambda content: note_document(read_note(content)),
    "settling_credit_note": lambda content: note_document(read_note(content)),
    "invoice_record": lambda content: encode_record(decode_record(content)),
    "credit_note_record": lambda content: encode_record(decode_record(content)),
}


def test_every_kind_of_document_has_a_golden_example() -> None:
    assert DOCUMENTS.keys() == GOLDEN.keys() == READERS.keys()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_has_the_very_bytes_and_hash(name: str) -> None:
    assert DOCUMENTS[name].decode() == GOLDEN[name]["text"]
    assert document_hash(DOCUMENTS[name]) == GOLDEN[name]["sha256"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_stored_bytes_are_read_and_written_as_they_were(name: str) -> None:
    stored = GOLDEN[name]["text"].encode()

    assert READERS[name](stored) == stored


@pytest.mark.parametrize("example", [INVOICE, NOTE], ids=["invoice", "credit note"])
def test_the_examples_hold_every_member(example: Invoice | CreditNote) -> None:
    members = get_type_hints(type(example))
    written = json.loads(document(example) if isinstance(example, Invoice) else note_document(example))

    assert members.keys() == written.keys()
