"""Invoices and credit notes on a real ledger: what is issued is recorded, applied, and computed again to the byte."""

from __future__ import annotations

from credits.ledger.v1 import billing_terms_pb2
from credits.rating.v1 import credit_note_pb2, document_verification_pb2, invoice_service_pb2
from tests.integration.billing.world import GRACE, World, terms

CENT = 10_000_000
VAT = billing_terms_pb2.TaxRate(name="VAT", percent="20", jurisdiction="AT")


async def close(world: World, contract: str, end: str) -> invoice_service_pb2.Invoice:
    """Return the invoice of the cycle that ends at an instant, once it is issued."""
    await world.ledger.advance(world.at(end) + GRACE)
    await world.bill(contract)
    return max(await world.issued(contract), key=lambda invoice: invoice.sequence)


async def findings(world: World, contract: str) -> list[str]:
    """Return what verification finds wrong about a contract's documents, by the names of the checks."""
    request = document_verification_pb2.VerifyDocumentsRequest(contract=contract)
    return [
        found.check async for answer in world.invoices.VerifyDocuments(request) for found in answer.findings
    ]


async def notes(world: World, contract: str) -> list[credit_note_pb2.CreditNote]:
    """Return the credit notes of a contract."""
    request = credit_note_pb2.ListCreditNotesRequest(contract=contract)
    return list((await world.invoices.ListCreditNotes(request)).credit_notes)


def credit(invoice: str, key: str) -> credit_note_pb2.IssueCreditNoteRequest:
    """Return an order for 3 USD before tax, to be kept for later invoices."""
    request = credit_note_pb2.IssueCreditNoteRequest(
        invoice=invoice,
        idempotency_key=key,
        settlement=credit_note_pb2.SETTLEMENT_CREDIT,
        reason="outage",
    )
    request.net_amount.currency_code, request.net_amount.nanos = "USD", 300 * CENT
    return request


async def test_a_note_is_recorded_after_its_invoice_and_applied_by_the_next(world: World) -> None:
    contract = (await world.sign(terms(tax_rates=[VAT]))).name
    invoice = await close(world, contract, "02-01")
    note = (await world.invoices.IssueCreditNote(credit(invoice.name, "k"))).credit_note
    facts = await world.ledger.events(stream=contract)

    assert [fact.topic for fact in facts[-2:]] == [
        "contract.InvoiceIssued.v1",
        "contract.CreditNoteIssued.v1",
    ]
    assert note.recorded_position == facts[-1].position
    assert (invoice.total.nanos, note.total.nanos) == (2400 * CENT, 360 * CENT)
    following = await close(world, contract, "03-01")
    assert following.total.nanos == (2400 - 360) * CENT
    assert await findings(world, contract) == []


async def test_what_an_invoice_owes_becomes_a_note_that_the_next_applies(world: World) -> None:
    plan = terms(tax_rates=[VAT], base_fee=None, included_units=0)
    signed = await world.sign(plan)
    contract = signed.name
    await world.use(contract, 10 * 10**6)
    first = await close(world, contract, "02-01")
    [debit] = [
        e for e in await world.ledger.events(stream=signed.wallet) if e.topic == "wallet.CreditsDebited.v1"
    ]
    await world.reverse(f"{signed.wallet}/debits/{debit.version}")
    second = await close(world, contract, "03-01")
    await world.parts.documents.credit_due.sweep()
    [note] = await notes(world, contract)

    assert (first.total.nanos, second.total.nanos) == (2400 * CENT, 0)
    assert second.credit_due.nanos == 2400 * CENT == note.total.nanos
    assert (note.invoice, note.settlement) == (first.name, credit_note_pb2.SETTLEMENT_CREDIT)
    await world.parts.documents.credit_due.sweep()
    assert len(await notes(world, contract)) == 1, "what is settled is not settled again"
    await world.use(contract, 25 * 10**6)
    third = await close(world, contract, "04-01")
    assert third.total.nanos == (6000 - 2400) * CENT
    assert await findings(world, contract) == []
