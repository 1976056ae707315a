"""Bills over real channels: recorded once, replayed, refused by name, and part of the hash chain."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest_asyncio

from credits.ledger.v1 import billing_records_pb2, contract_service_pb2
from tests.integration.ledger.client import Client, Refused, key, refusal, send
from tests.integration.ledger.test_agreement_refusals import Agreements, told

Code = grpc.StatusCode
CALLERS = 20
NANOS = 1_000


class Billed:
    """A contract of its own, and what is recorded for it."""

    def __init__(self, client: Client, contract: Any) -> None:
        self.client, self.contract = client, contract
        self.invoice = f"invoices/{key()}"

    async def record(self, *, idempotency_key: str = "", **changes: Any) -> Any:
        """Record an invoice of 900 and a tax of 100, for the contract's first month."""
        start = self.contract.start_time
        issued = billing_records_pb2.IssuedInvoice(
            invoice=self.invoice,
            kind=billing_records_pb2.INVOICE_KIND_CYCLE,
            cycle_start_time=start,
            cycle_end_time=type(start)(seconds=start.seconds + 31 * 86_400),
            watermark_position=1,
            document_hash="ab" * 32,
            currency_code="EUR",
            amounts=[billing_records_pb2.BilledAmount(kind="BASE_FEE", nanos=900)],
            tax_nanos=100,
            total_nanos=NANOS,
            issue_time=start,
        )
        issued.MergeFrom(billing_records_pb2.IssuedInvoice(**changes))
        request = billing_records_pb2.RecordInvoiceRequest(
            name=self.contract.name, idempotency_key=idempotency_key or self.invoice, issued=issued
        )
        return await send(self.client.contracts.RecordInvoice, request)

    async def credit(self, nanos: int, *, note: str = "", idempotency_key: str = "", **changes: Any) -> Any:
        """Record a credit note."""
        issued = billing_records_pb2.IssuedCreditNote(
            credit_note=note or f"creditNotes/{key()}",
            invoice=self.invoice,
            settlement=billing_records_pb2.NOTE_SETTLEMENT_CREDIT,
            document_hash="cd" * 32,
            currency_code="EUR",
            amounts=[billing_records_pb2.BilledAmount(kind="BASE_FEE", nanos=nanos)],
            total_nanos=nanos,
            issue_time=self.contract.start_time,
        )
        issued.MergeFrom(billing_records_pb2.IssuedCreditNote(**changes))
        request = billing_records_pb2.RecordCreditNoteRequest(
            name=self.contract.name, idempotency_key=idempotency_key or key(), issued=issued
        )
        return await send(self.client.contracts.RecordCreditNote, request)


@pytest_asyncio.fixture
async def billed(sandbox: Client) -> Billed:
    """A contract of its own."""
    agreements = Agreements(sandbox)
    card = await agreements.card()
    plan = await agreements.plan(card)
    signed = await agreements.sign(plan, await sandbox.open_wallet())
    request = contract_service_pb2.GetContractRequest(name=signed)
    return Billed(sandbox, (await send(sandbox.contracts.GetContract, request)).contract)


async def test_an_invoice_is_recorded_once_however_often_it_is_sent(billed: Billed) -> None:
    first = await billed.record()

    again = await billed.record()

    assert (first.replayed, again.replayed) == (False, True)
    assert again.position == first.position
    assert again.issued == first.issued
    assert first.issued.total_nanos == NANOS


async def test_the_key_of_an_invoice_is_not_used_for_another_one(billed: Billed) -> None:
    await billed.record()

    refused = await refusal(billed.record(document_hash="ef" * 32))

    assert told(refused) == (Code.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED", "idempotency_key")
    assert refused.metadata["differing_field"] == "issued.document_hash"


async def test_a_cycle_is_invoiced_once(billed: Billed) -> None:
    await billed.record()

    refused = await refusal(billed.record(invoice="invoices/other", idempotency_key=key()))

    assert told(refused) == (Code.ALREADY_EXISTS, "INVOICE_EXISTS", "issued.cycle_start_time")


async def test_credit_notes_that_race_never_exceed_their_invoice(billed: Billed) -> None:
    await billed.record()

    calls = [billed.credit(NANOS // 8) for _ in range(CALLERS)]
    answers = await asyncio.gather(*calls, return_exceptions=True)

    taken = [each for each in answers if not isinstance(each, BaseException)]
    assert len(taken) == 8
    refused: Refused = await refusal(billed.credit(1))
    assert told(refused) == (Code.FAILED_PRECONDITION, "CREDIT_NOTE_ABOVE_INVOICE", "issued.total_nanos")


async def test_a_credit_note_is_recorded_once_however_often_it_is_sent(billed: Billed) -> None:
    await billed.record()
    first = await billed.credit(5, note="creditNotes/once", idempotency_key="once")

    again = await billed.credit(5, note="creditNotes/once", idempotency_key="once")

    assert (again.replayed, again.position, again.issued) == (True, first.position, first.issued)


async def test_what_lacks_a_required_part_is_refused_by_its_name(billed: Billed) -> None:
    request = billing_records_pb2.RecordInvoiceRequest(name=billed.contract.name, idempotency_key=key())

    kind = await refusal(send(billed.client.contracts.RecordInvoice, request))
    request.issued.kind = billing_records_pb2.INVOICE_KIND_CYCLE
    start = await refusal(send(billed.client.contracts.RecordInvoice, request))
    note = billing_records_pb2.RecordCreditNoteRequest(name=billed.contract.name, idempotency_key=key())
    settlement = await refusal(send(billed.client.contracts.RecordCreditNote, note))

    assert told(kind) == (Code.INVALID_ARGUMENT, "VALUE_UNSPECIFIED", "issued.kind")
    assert told(start) == (Code.INVALID_ARGUMENT, "FIELD_REQUIRED", "issued.cycle_start_time")
    assert told(settlement) == (Code.INVALID_ARGUMENT, "VALUE_UNSPECIFIED", "issued.settlement")
