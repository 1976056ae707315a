"""What is learned about an invoiced cycle, over a real channel and a real database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from credits.rating.v1 import invoice_service_pb2, rating_service_pb2
from rating_service.adapters.postgres.invoice_facts import PostgresInvoiceFacts
from rating_service.adapters.postgres.invoice_store import PostgresInvoiceStore
from rating_service.adapters.postgres.postgres_pool import open_pool
from rating_service.adapters.postgres.record_store import PostgresRecordStore
from rating_service.application.invoicing.invoice_computation import recomputed
from rating_service.application.invoicing.invoices import Invoicing
from rating_service.application.invoicing.ledger_records import LedgerRecords
from rating_service.domain.agreements.agreement import Money
from tests.fakes.fake_ledger import FakeLedger, iso
from tests.integration.rating.harness import CONTRACT, DAY, START, WALLET, Service, refused, usage

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
APRIL = datetime(2026, 4, 1, tzinfo=UTC)
DOLLAR = 10**9
KINDS = invoice_service_pb2.LineKind
VAT = invoice_service_pb2.InvoiceTaxRate(name="VAT", percent="19")


async def record(service: Service, usage_id: str, *, at: datetime, tokens: int = 1_000_000) -> str:
    """Record a usage of 3 CREDIT a million tokens, which costs 6 USD as overage; return its debit."""
    used = usage(usage_id, at=at, input_tokens=tokens)
    answer = await service.rating.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=used))
    return answer.debit.name


async def issue(service: Service, at: datetime, **fields: Any) -> invoice_service_pb2.Invoice:
    request = invoice_service_pb2.IssueInvoiceRequest(contract=CONTRACT, waive_grace=True, **fields)
    request.cycle_time.FromDatetime(at)
    return (await service.invoices.IssueInvoice(request)).invoice


async def preview(service: Service, at: datetime, **fields: Any) -> invoice_service_pb2.Invoice:
    request = invoice_service_pb2.PreviewInvoiceRequest(contract=CONTRACT, **fields)
    request.cycle_time.FromDatetime(at)
    return (await service.invoices.PreviewInvoice(request)).invoice


async def trace(
    service: Service, invoice: invoice_service_pb2.Invoice, line: invoice_service_pb2.InvoiceLine
) -> invoice_service_pb2.TraceLineResponse:
    request = invoice_service_pb2.TraceLineRequest(name=invoice.name, line_id=line.line_id)
    return await service.invoices.TraceLine(request)


def amounts(invoice: invoice_service_pb2.Invoice) -> list[tuple[str, int]]:
    return [(KINDS.Name(line.kind)[10:], line.amount.nanos) for line in invoice.lines]


def adjustments(invoice: invoice_service_pb2.Invoice) -> dict[str, invoice_service_pb2.InvoiceLine]:
    return {
        KINDS.Name(line.adjusted_kind)[10:]: line
        for line in invoice.lines
        if line.kind == invoice_service_pb2.LINE_KIND_ADJUSTMENT
    }


async def reverse(service: Service, debit: str, units: int) -> None:
    event = {
        "debit_version": int(debit.rpartition("/")[2]),
        "amount_units": units,
        "overage_units": units,
    }
    await service.ledger.publish(WALLET, "wallet.DebitReversed.v1", event)


async def test_late_usage_is_an_adjustment_on_the_next_invoice(service: Service) -> None:
    await record(service, "a", at=START)
    service.ledger.now = MARCH
    january = await issue(service, START)
    late = await record(service, "late", at=START + 28 * DAY)
    await record(service, "b", at=FEBRUARY)
    shown = await preview(service, FEBRUARY)
    february = await issue(service, FEBRUARY)

    assert january.total.nanos == 26 * DOLLAR
    assert amounts(february) == [
        ("BASE_FEE", 20 * DOLLAR),
        ("USAGE", 0),
        ("OVERAGE", 6 * DOLLAR),
        ("ADJUSTMENT", 0),
        ("ADJUSTMENT", 6 * DOLLAR),
    ]
    assert (february.total.nanos, february.sequence) == (32 * DOLLAR, 2)
    assert (shown.lines, shown.total) == (february.lines, february.total)
    overage = adjustments(february)["OVERAGE"]
    assert (overage.adjusted.invoice, overage.debit_count, overage.amount_units) == (
        january.name,
        1,
        3_000_000,
    )
    assert [each.debit for each in (await trace(service, february, overage)).debits] == [late]


async def test_what_is_taken_back_beyond_what_is_due_is_credit_due(service: Service) -> None:
    big = await record(service, "big", at=START, tokens=10_000_000)
    service.ledger.now = MARCH
    january = await issue(service, START)
    await reverse(service, big, 30_000_000)
    february = await issue(service, FEBRUARY)
    march = await preview(service, MARCH)

    assert january.total.nanos == 80 * DOLLAR
    assert amounts(february) == [
        ("BASE_FEE", 20 * DOLLAR),
        ("ADJUSTMENT", 0),
        ("ADJUSTMENT", -60 * DOLLAR),
        ("CREDIT_DUE", 40 * DOLLAR),
    ]
    assert (february.total.nanos, february.credit_due.nanos) == (0, 40 * DOLLAR)
    overage = adjustments(february)["OVERAGE"]
    traced = (await trace(service, february, overage)).debits
    assert [(each.debit, each.amount_units) for each in traced] == [(big, -30_000_000)]
    assert amounts(march) == [("BASE_FEE", 20 * DOLLAR)]


async def test_a_partial_reversal_is_adjusted_by_what_was_taken_back_and_no_other_line(
    service: Service,
) -> None:
    debit = await record(service, "a", at=START)
    service.ledger.now = MARCH
    await issue(service, START)
    await reverse(service, debit, 1_000_000)
    await issue(service, FEBRUARY)
    await reverse(service, debit, 500_000)
    service.ledger.now = APRIL
    march = await issue(service, MARCH)

    assert amounts(march) == [("BASE_FEE", 20 * DOLLAR), ("ADJUSTMENT", -1 * DOLLAR)]
    traced = (await trace(service, march, march.lines[1])).debits
    assert [each.amount_units for each in traced] == [-500_000]


async def test_issued_invoices_are_computed_again_to_the_same_bytes(
    service: Service, rating_url: str
) -> None:
    await record(service, "a", at=START)
    service.ledger.now = MARCH
    taxes = invoice_service_pb2.TaxesGiven(rates=[VAT])
    issued = [await issue(service, START, taxes=taxes)]
    debit = await record(service, "late", at=START + 28 * DAY)
    issued.append(await issue(service, FEBRUARY))
    await reverse(service, debit, 3_000_000)
    await service.caught_up()

    pool = await open_pool(rating_url)
    stored = await PostgresInvoiceStore(pool).page(contract=CONTRACT, after="", limit=10)
    await pool.close()
    again = [recomputed(PostgresInvoiceFacts(rating_url), each) for each in stored]

    assert again == [each.document for each in issued]


async def test_a_preview_shows_an_issued_cycle_as_it_was_issued(service: Service) -> None:
    service.ledger.now = MARCH
    january = await issue(service, START)
    await record(service, "late", at=START + 28 * DAY)

    assert await preview(service, START) == january


async def test_a_preview_at_an_earlier_watermark_knows_no_more_than_was_known(service: Service) -> None:
    await record(service, "a", at=START)
    known = len(service.ledger.events)
    before = await preview(service, START)
    await record(service, "b", at=START)
    service.ledger.now = FEBRUARY
    await issue(service, START)

    assert (await preview(service, START, watermark_position=known)).document == before.document


@pytest.mark.parametrize(
    ("position", "reason"),
    [
        (-1, "NUMBER_OUT_OF_RANGE"),
        (1, "WATERMARK_BEFORE_CONTRACT"),
        (2, "WATERMARK_BEFORE_CONTRACT"),
        (3, None),
        (4, "WATERMARK_BEYOND_LOG"),
    ],
)
async def test_a_watermark_outside_the_contracts_log_is_refused(
    service: Service, position: int, reason: str | None
) -> None:
    assert len(service.ledger.events) == 3
    call = preview(service, START, watermark_position=position)

    if reason is None:
        assert (await call).watermark_position == position
    else:
        assert (await refused(call))[1] == reason


async def test_taxes_of_the_call_are_levied_and_go_back_at_their_own_rate(service: Service) -> None:
    debit = await record(service, "a", at=START)
    service.ledger.now = MARCH
    taxes = invoice_service_pb2.TaxesGiven(rates=[VAT])
    january = await issue(service, START, taxes=taxes)
    await reverse(service, debit, 3_000_000)
    february = await issue(service, FEBRUARY)

    assert (january.net.nanos, january.tax.nanos) == (26 * DOLLAR, 4_940_000_000)
    assert january.total.nanos == 30_940_000_000
    assert [(tax.net.nanos, tax.amount.nanos) for tax in february.taxes] == [(-6 * DOLLAR, -1_140_000_000)]
    assert february.total.nanos == 12_860_000_000


async def test_tax_rates_that_are_none_are_refused_by_field(service: Service) -> None:
    rate = invoice_service_pb2.InvoiceTaxRate
    cases = {
        "FIELD_REQUIRED": [rate(percent="19")],
        "FIELD_MALFORMED": [rate(name="VAT", percent="19,5")],
        "NUMBER_OUT_OF_RANGE": [rate(name="VAT", percent="100.000000001")],
        "FIELD_TOO_LONG": [rate(name="V" * 201, percent="19")],
    }
    for expected, rates in cases.items():
        taxes = invoice_service_pb2.TaxesGiven(rates=rates)
        assert await refused(preview(service, START, taxes=taxes)) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            expected,
        )
    twice = invoice_service_pb2.TaxesGiven(rates=[VAT, VAT])
    assert (await refused(preview(service, START, taxes=twice)))[1] == "FIELD_MALFORMED"
    most = rate(name="V" * 200, percent="100")
    assert (await preview(service, START, taxes=invoice_service_pb2.TaxesGiven(rates=[most]))).tax.nanos


async def test_purchases_are_shown_as_paid_once(service: Service) -> None:
    paid = {"currency_code": "USD", "nanos": 50 * DOLLAR}
    bought = await service.ledger.grant(
        WALLET, 5_000, category="PAID", consideration=paid, reference="order 7", effective_time=START + DAY
    )
    await service.ledger.grant(
        WALLET, 1, category="PAID", consideration=paid, pending=True, effective_time=START + DAY
    )
    waiting = await service.ledger.grant(
        WALLET, 7_000, category="PAID", consideration=paid, pending=True, effective_time=START + DAY
    )
    service.ledger.now = MARCH
    january = await issue(service, START)
    lot = {"category": "PAID", "priority": 0, "granted_units": 7_000, "effective_time": iso(START + 2 * DAY)}
    event = {"grant_version": waiting, "lot": lot}
    await service.ledger.publish(WALLET, "wallet.GrantActivated.v1", event)
    february = await issue(service, FEBRUARY)

    assert [(each.grant, each.amount_units, each.reference) for each in january.purchases] == [
        (f"{WALLET}/grants/{bought}", 5_000, "order 7")
    ]
    assert january.purchases[0].paid.nanos == 50 * DOLLAR
    assert january.total.nanos == 20 * DOLLAR
    assert [each.grant for each in february.purchases] == [f"{WALLET}/grants/{waiting}"]
    assert not (await preview(service, MARCH)).purchases


async def test_credit_of_notes_is_applied_oldest_first_and_once(service: Service) -> None:
    service.ledger.now = APRIL
    january = await issue(service, START)
    for number, nanos, settlement in ((1, 15, "CREDIT"), (2, 99, "REFUND"), (3, 8, "CREDIT")):
        note = {
            "credit_note": f"creditNotes/acme-{number}",
            "invoice": january.name,
            "settlement": settlement,
            "document_hash": "ab" * 32,
            "issue_time": iso(MARCH),
            "currency_code": "USD",
            "total_nanos": nanos * DOLLAR,
        }
        await service.ledger.publish(CONTRACT, "contract.CreditNoteIssued.v1", note)
    february = await issue(service, FEBRUARY)
    march = await issue(service, MARCH)

    applied = [(line.source, line.amount.nanos) for line in february.lines[1:]]
    assert applied == [("creditNotes/acme-1", -15 * DOLLAR), ("creditNotes/acme-3", -5 * DOLLAR)]
    assert (february.total.nanos, february.net.nanos) == (0, 20 * DOLLAR)
    assert [(line.source, line.amount.nanos) for line in march.lines[1:]] == [
        ("creditNotes/acme-3", -3 * DOLLAR)
    ]
    traced = await trace(service, march, march.lines[1])
    assert [event.topic for event in traced.events] == ["contract.CreditNoteIssued.v1"]


async def test_a_fee_leads_back_to_what_was_agreed(service: Service) -> None:
    service.ledger.now = MARCH
    january = await issue(service, START)

    traced = await trace(service, january, january.lines[0])

    assert [(event.stream, event.version, event.topic) for event in traced.events] == [
        (CONTRACT, 1, "contract.ContractSigned.v1")
    ]


async def test_a_contract_that_ended_is_adjusted_once_more_after_its_end(service: Service) -> None:
    end = {"end_time": iso(FEBRUARY)}
    await service.ledger.publish(CONTRACT, "contract.ContractEnded.v1", end)
    service.ledger.now = MARCH
    january = await issue(service, START)
    nothing = await refused(issue(service, FEBRUARY))
    await record(service, "late", at=START + 28 * DAY)
    february = await issue(service, FEBRUARY)

    assert january.kind == invoice_service_pb2.INVOICE_KIND_FINAL
    assert nothing[1] == "CYCLE_OUTSIDE_CONTRACT"
    assert amounts(february) == [("ADJUSTMENT", 0), ("ADJUSTMENT", 6 * DOLLAR)]


class Ledger:
    """Tells where the fake ledger's log ends, and its time."""

    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger

    async def head_position(self) -> int:
        """Return the position of the newest event."""
        return len(self._ledger.events)

    async def now(self) -> datetime:
        """Return the sandbox's instant."""
        return self._ledger.now


async def test_invoices_of_a_running_cycle_are_given_back_by_its_own(
    service: Service, rating_url: str
) -> None:
    pool = await open_pool(rating_url)
    ledger: Any = Ledger(service.ledger)
    invoicing = Invoicing(
        ledger=ledger,
        history=service.follower,
        facts=PostgresInvoiceFacts(rating_url),
        store=PostgresInvoiceStore(pool),
        clock=ledger,
        records=LedgerRecords(store=PostgresRecordStore(pool), ledger=ledger),
        grace=timedelta(0),
    )
    await record(service, "a", at=START)
    first = (await invoicing.issue_threshold(CONTRACT, START, at_least=Money("USD", 1))).invoice
    await record(service, "b", at=START)
    second = (await invoicing.issue_threshold(CONTRACT, START, at_least=Money("USD", 1))).invoice
    service.ledger.now = FEBRUARY
    january = await issue(service, START)
    again = await invoicing.issue_threshold(CONTRACT, START, at_least=Money("USD", 1))
    await pool.close()

    assert [first.total.nanos, second.total.nanos] == [6 * DOLLAR, 6 * DOLLAR]
    assert amounts(january) == [
        ("BASE_FEE", 20 * DOLLAR),
        ("USAGE", 0),
        ("OVERAGE", 12 * DOLLAR),
        ("THRESHOLD_CREDIT", -6 * DOLLAR),
        ("THRESHOLD_CREDIT", -6 * DOLLAR),
    ]
    assert [line.source for line in january.lines[3:]] == [first.name, second.name]
    assert (again.replayed, again.invoice.name) == (True, january.name)


async def test_what_puts_a_cycle_right_is_billed_where_the_cycle_is(service: Service) -> None:
    service.ledger.now = MARCH
    january = await issue(service, START)
    charge = {
        "contract": CONTRACT,
        "contract_phase": "main",
        "rate_card_phase": "rateCards/llm/phases/1",
        "phase_hash": "1" * 64,
        "lines": [],
        "exact_units": "3000000",
        "overage_price": {"currency_code": "USD", "price": "2"},
        "adjustment": {
            "cycle_start_time": iso(START),
            "cycle_end_time": iso(FEBRUARY),
            "charged_units": "0",
            "rated_units": "3000000",
        },
    }
    event = {"amount_units": 3_000_000, "overage_units": 3_000_000, "draws": [], "charge": charge}
    await service.ledger.publish(
        WALLET, "wallet.CreditsDebited.v1", event, effective_time=FEBRUARY + DAY, key="right"
    )
    february = await issue(service, FEBRUARY)

    assert adjustments(february)["OVERAGE"].amount.nanos == 6 * DOLLAR
    assert adjustments(february)["OVERAGE"].adjusted.invoice == january.name
    assert february.total.nanos == 26 * DOLLAR
    traced = await trace(service, february, adjustments(february)["OVERAGE"])
    assert [each.usage for each in traced.debits] == ["right"]
