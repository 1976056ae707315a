"""What is wrong about an issued document: one function for each thing that it is checked by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import NamedTuple, TypeVar

import msgspec

from rating_service.application.credit_note_ports import StoredNote
from rating_service.application.ports import StoredInvoice
from rating_service.domain.corrections.creditable import creditable
from rating_service.domain.corrections.crediting import compute_credit_note
from rating_service.domain.documents.credit_note import CreditNote, note_document, read_note
from rating_service.domain.documents.document_difference import first_difference
from rating_service.domain.documents.invoice_document import CLOSING_KINDS
from rating_service.domain.invoicing.invoice import Invoice, read_document
from rating_service.domain.refusals import Refusal

T = TypeVar("T")


class DocumentCheck(Enum):
    """What was found, in the order in which a document is checked."""

    HASH_DIFFERS_FROM_DOCUMENT = "HASH_DIFFERS_FROM_DOCUMENT"
    DOCUMENT_UNREADABLE = "DOCUMENT_UNREADABLE"
    ROW_DIFFERS_FROM_DOCUMENT = "ROW_DIFFERS_FROM_DOCUMENT"
    DOCUMENT_DIFFERS_FROM_HISTORY = "DOCUMENT_DIFFERS_FROM_HISTORY"
    DOCUMENT_NOT_COMPUTABLE = "DOCUMENT_NOT_COMPUTABLE"
    NOT_IN_LEDGER = "NOT_IN_LEDGER"
    LEDGER_HASH_DIFFERS = "LEDGER_HASH_DIFFERS"
    DOCUMENT_MISSING = "DOCUMENT_MISSING"
    ADJUSTMENT_DIFFERS_FROM_LEDGER = "ADJUSTMENT_DIFFERS_FROM_LEDGER"
    ADJUSTMENT_DIFFERS_FROM_HISTORY = "ADJUSTMENT_DIFFERS_FROM_HISTORY"
    ADJUSTMENT_NOT_COMPUTABLE = "ADJUSTMENT_NOT_COMPUTABLE"


class Finding(NamedTuple):
    """One thing that is not as it must be; `description` is one sentence for people.

    `document` names an invoice, a credit note, or the debit that is an adjustment.
    """

    check: DocumentCheck
    document: str
    description: str


class RecordedDocument(NamedTuple):
    """What the ledger's log says of a document."""

    document: str
    position: int
    hash: str


def own_findings(name: str, document: bytes, stored_hash: str) -> Iterator[Finding]:
    true_hash = sha256(document).hexdigest()
    if true_hash != stored_hash:
        yield Finding(
            DocumentCheck.HASH_DIFFERS_FROM_DOCUMENT,
            name,
            f"its hash is stored as {stored_hash}, its bytes have {true_hash}",
        )


def row_findings(stored: StoredInvoice, invoice: Invoice) -> Iterator[Finding]:
    pairs = {
        "name": (stored.name, invoice.name),
        "contract": (stored.contract, invoice.contract),
        "cycle_start_time": (stored.cycle_start_time, invoice.cycle.start_time),
        "cycle_end_time": (stored.cycle_end_time, invoice.cycle.end_time),
        "issue_time": (stored.issue_time, invoice.issue_time),
        "watermark_position": (stored.watermark_position, invoice.watermark_position),
        "owed_nanos": (stored.owed_nanos, invoice.credit_due.nanos if invoice.credit_due else 0),
    }
    yield from _differing(stored.name, pairs)


def note_findings(
    stored: StoredNote, invoices: Mapping[str, StoredInvoice], earlier: list[CreditNote]
) -> list[Finding]:
    """Return what is wrong about a note, and count it among the earlier ones of its invoice.

    `invoices` are those of its contract, by name.
    """
    note = readable(stored.document, read_note)
    if note is None:
        return [Finding(DocumentCheck.DOCUMENT_UNREADABLE, stored.name, "its document is no credit note")]
    pairs: dict[str, tuple[object, object]] = {
        "name": (stored.name, note.name),
        "invoice": (stored.invoice, note.order.invoice),
        "contract": (stored.contract, note.contract),
        "customer": (stored.customer, note.customer),
        "settlement": (stored.settlement, note.order.settlement.value),
        "settles": (stored.settles, note.order.settles),
        "currency_code": (stored.currency_code, note.total.currency_code),
        "total_nanos": (stored.total_nanos, note.total.nanos),
        "issue_time": (stored.issue_time, note.issue_time),
        "watermark_position": (stored.watermark_position, note.watermark_position),
    }
    found = list(_differing(stored.name, pairs))
    found += _recomputed_note_findings(stored, note, invoices, earlier)
    earlier.append(note)
    return found


def _recomputed_note_findings(
    stored: StoredNote,
    note: CreditNote,
    invoices: Mapping[str, StoredInvoice],
    earlier: Sequence[CreditNote],
) -> list[Finding]:
    invoice = invoices.get(stored.invoice)
    credited = None if invoice is None else readable(invoice.document, read_document)
    if invoice is None or credited is None:
        description = f"its invoice {stored.invoice} cannot be read"
        return [Finding(DocumentCheck.DOCUMENT_NOT_COMPUTABLE, stored.name, description)]
    try:
        computed = compute_credit_note(
            creditable(credited, invoice.hash, _closing_between(credited, note, invoices)),
            earlier,
            note.order,
            issue_time=note.issue_time,
            watermark_position=note.watermark_position,
        )
    except Refusal as refusal:
        return [Finding(DocumentCheck.DOCUMENT_NOT_COMPUTABLE, stored.name, refusal.message)]
    return list(difference(stored.name, stored.document, note_document(computed)))


def _closing_between(
    credited: Invoice, note: CreditNote, invoices: Mapping[str, StoredInvoice]
) -> list[Invoice]:
    """Return the invoices that closed cycles after an invoice and before a note on it; none that nothing depends on."""
    if all(line.advance is None for line in credited.lines):
        return []
    between = [
        readable(each.document, read_document)
        for each in invoices.values()
        if each.sequence > credited.sequence and each.watermark_position <= note.watermark_position
    ]
    closing = [each for each in between if each is not None and each.kind in CLOSING_KINDS]
    return sorted(closing, key=lambda each: each.sequence)


def ledger_findings(name: str, stored_hash: str, fact: RecordedDocument | None) -> Iterator[Finding]:
    if fact is None:
        yield Finding(DocumentCheck.NOT_IN_LEDGER, name, "the ledger has no fact of it")
    elif fact.hash != stored_hash:
        yield Finding(
            DocumentCheck.LEDGER_HASH_DIFFERS,
            name,
            f"its hash is stored as {stored_hash}, the ledger recorded {fact.hash} at position {fact.position}",
        )


def missing(fact: RecordedDocument) -> Finding:
    return Finding(
        DocumentCheck.DOCUMENT_MISSING,
        fact.document,
        f"the ledger recorded it at position {fact.position}, and it is not stored",
    )


def difference(name: str, stored: bytes, computed: bytes) -> Iterator[Finding]:
    phrase = first_difference(stored, computed)
    if phrase:
        yield Finding(DocumentCheck.DOCUMENT_DIFFERS_FROM_HISTORY, name, phrase)


def _differing(name: str, pairs: dict[str, tuple[object, object]]) -> Iterator[Finding]:
    for column, (stored, in_document) in pairs.items():
        if stored != in_document:
            yield Finding(
                DocumentCheck.ROW_DIFFERS_FROM_DOCUMENT,
                name,
                f"{column} is {stored}, in the document {in_document}",
            )


def readable(document: bytes, read: Callable[[bytes], T]) -> T | None:
    """Return what a document says, None if it cannot be read."""
    try:
        return read(document)
    except msgspec.MsgspecError:
        return None
