"""Previewing, issuing, reading and tracing invoices over a real channel."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta

import grpc
import psycopg
import pytest

from credits.rating.v1 import invoice_service_pb2, rating_service_pb2
from tests.fakes.fake_ledger import iso
from tests.integration.rating.harness import (
    CONTRACT,
    DAY,
    START,
    WALLET,
    Service,
    publish_card,
    refused,
    usage,
)

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
GRACE = timedelta(hours=24)


async def record(service: Service, *items: rating_service_pb2.Usage) -> None:
    answer = await service.rating.BatchRecordUsage(rating_service_pb2.BatchRecordUsageRequest(usages=items))
    assert all(result.HasField("response") for result in answer.results), answer


async def preview(
    service: Service, at: datetime = START, *, contract: str = CONTRACT, min_position: int = 0
) -> invoice_service_pb2.Invoice:
    request = invoice_service_pb2.PreviewInvoiceRequest(contract=contract, min_position=min_position)
    request.cycle_time.FromDatetime(at)
    return (await service.invoices.PreviewInvoice(request)).invoice


async def issue(
    service: Service, at: datetime = START, *, waive_grace: bool = False
) -> invoice_service_pb2.IssueInvoiceResponse:
    request = invoice_service_pb2.IssueInvoiceRequest(contract=CONTRACT, waive_grace=waive_grace)
    request.cycle_time.FromDatetime(at)
    return await service.invoices.IssueInvoice(request)


def amounts(invoice: invoice_service_pb2.Invoice) -> list[tuple[str, int, int]]:
    kinds = invoice_service_pb2.LineKind
    return [(kinds.Name(line.kind)[10:], line.amount_units, line.amount.nanos) for line in invoice.lines]


async def test_an_invoice_holds_the_fee_the_usage_and_the_overage(service: Service) -> None:
    await service.ledger.grant(
        WALLET, 4_000_000, category="INCLUDED", contract=CONTRACT, effective_time=START
    )
    await record(service, usage("a", input_tokens=1_000_000), usage("b", input_tokens=1_000_000))
    invoice = await preview(service)

    assert amounts(invoice) == [
        ("BASE_FEE", 0, 20_000_000_000),
        ("USAGE", 4_000_000, 0),
        ("OVERAGE", 2_000_000, 4_000_000_000),
    ]
    assert invoice.total.nanos == 24_000_000_000
    assert (invoice.included_units, invoice.included_used_units) == (5_000_000, 4_000_000)
    assert invoice.watermark_position == len(service.ledger.events)
    assert (invoice.name, invoice.HasField("issue_time")) == ("", False)


async def test_draws_of_debits_without_a_charge_count_as_included_units_used(service: Service) -> None:
    version = await service.ledger.grant(
        WALLET, 4_000, category="INCLUDED", contract=CONTRACT, effective_time=START
    )
    event = {"amount_units": 7, "draws": [[version, 7]], "burn_down_order": "default/1"}
    await service.ledger.publish(WALLET, "wallet.CreditsDebited.v1", event, effective_time=START + DAY)

    assert (await preview(service)).included_used_units == 7


async def test_only_the_half_open_cycle_counts(service: Service) -> None:
    times = [START, FEBRUARY - MICROSECOND, FEBRUARY]
    await record(service, *[usage(str(number), at=at) for number, at in enumerate(times)])

    january, february = await preview(service), await preview(service, FEBRUARY)
    assert [line.debit_count for line in january.lines[1:]] == [2, 2]
    assert [line.debit_count for line in february.lines[1:]] == [1, 1]


async def test_a_preview_sees_everything_that_the_ledger_holds_when_it_is_asked(service: Service) -> None:
    for number in range(20):
        await record(service, usage(str(number)))

        assert (await preview(service)).lines[-1].amount_units == 3_000 * (number + 1)


async def test_an_invoice_is_refused_until_its_cycle_has_ended(service: Service) -> None:
    service.ledger.now = FEBRUARY - MICROSECOND

    assert await refused(issue(service, waive_grace=True)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "CYCLE_NOT_ENDED",
    )
    service.ledger.now = FEBRUARY
    assert not (await issue(service, waive_grace=True)).replayed


async def test_an_invoice_is_refused_until_its_grace_is_over(service: Service) -> None:
    service.ledger.now = FEBRUARY + GRACE - MICROSECOND
    refusal = await refused(issue(service))
    service.ledger.now = FEBRUARY + GRACE
    issued = await issue(service)

    assert refusal == (grpc.StatusCode.FAILED_PRECONDITION, "GRACE_NOT_OVER")
    assert issued.invoice.issue_time.ToDatetime(tzinfo=UTC) == FEBRUARY + GRACE


async def test_a_second_issue_returns_the_same_bytes_whatever_was_recorded_since(service: Service) -> None:
    await record(service, usage("a"))
    service.ledger.now = FEBRUARY + GRACE
    first = await issue(service)
    await record(service, usage("late"))
    await publish_card(service.ledger, phase=2, from_time=FEBRUARY + 5 * DAY, input_price="99")
    second = await issue(service, START + 20 * DAY)

    assert (first.replayed, second.replayed) == (False, True)
    assert second.invoice == first.invoice
    assert hashlib.sha256(first.invoice.document).hexdigest() == first.invoice.hash
    assert json.loads(first.invoice.document)["name"] == "invoices/acme-20260101T000000Z"


async def test_of_concurrent_issues_one_wins_and_all_return_it(service: Service) -> None:
    service.ledger.now = FEBRUARY + GRACE
    answers = await asyncio.gather(*[issue(service) for _ in range(16)])

    assert len({answer.invoice.document for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE rating.invoices SET issue_time = now()",
        "DELETE FROM rating.invoices",
        "TRUNCATE rating.invoices",
    ],
)
async def test_the_database_refuses_to_change_or_remove_an_invoice(
    service: Service, rating_url: str, statement: str
) -> None:
    service.ledger.now = FEBRUARY + GRACE
    await issue(service)

    with psycopg.connect(rating_url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(statement.encode())


async def test_issued_invoices_are_read_by_name_and_listed_in_pages(service: Service) -> None:
    service.ledger.now = FEBRUARY + 100 * DAY
    issued = [(await issue(service, START + 32 * number * DAY)).invoice for number in range(3)]
    name = issued[0].name
    read = await service.invoices.GetInvoice(invoice_service_pb2.GetInvoiceRequest(name=name))
    first = await service.invoices.ListInvoices(
        invoice_service_pb2.ListInvoicesRequest(contract=CONTRACT, page_size=2)
    )
    second = await service.invoices.ListInvoices(
        invoice_service_pb2.ListInvoicesRequest(page_size=2, page_token=first.next_page_token)
    )

    assert read.invoice == issued[0]
    assert [*first.invoices, *second.invoices] == issued
    assert (bool(first.next_page_token), second.next_page_token) == (True, "")


async def trace(service: Service, name: str, line: str, *, size: int) -> list[invoice_service_pb2.LineDebit]:
    found: list[invoice_service_pb2.LineDebit] = []
    token = ""
    while True:
        request = invoice_service_pb2.TraceLineRequest(
            name=name, line_id=line, page_size=size, page_token=token
        )
        page = await service.invoices.TraceLine(request)
        assert len(page.debits) <= size
        found += page.debits
        token = page.next_page_token
        if not token:
            return found


async def test_each_line_leads_back_to_exactly_its_debits(service: Service) -> None:
    await service.ledger.grant(WALLET, 4_000)
    await record(service, *[usage(str(number)) for number in range(7)])
    await record(service, usage("next cycle", at=FEBRUARY))
    service.ledger.now = FEBRUARY + GRACE
    invoice = (await issue(service)).invoice
    await record(service, usage("late"))

    for line in invoice.lines:
        traced = await trace(service, invoice.name, line.line_id, size=2)
        assert len(traced) == line.debit_count
        assert sum(debit.amount_units for debit in traced) == line.amount_units
    overage = invoice.lines[-1]
    usages = [debit.usage for debit in await trace(service, invoice.name, overage.line_id, size=3)]
    assert usages == ["1", "2", "3", "4", "5", "6"]


async def test_a_price_cut_in_mid_cycle_gives_each_phase_its_line(service: Service) -> None:
    cut = START + 10 * DAY
    await record(service, usage("before", at=cut - MICROSECOND))
    await publish_card(service.ledger, phase=2, from_time=cut, input_price="1")
    await service.caught_up()
    await record(service, usage("after", at=cut))
    invoice = await preview(service)

    overage = [line for line in invoice.lines if line.kind == invoice_service_pb2.LINE_KIND_OVERAGE]
    assert [(line.rate_card_phase[-1], line.amount_units) for line in overage] == [("1", 3_000), ("2", 1_000)]


async def test_a_preview_is_of_the_running_cycle_by_the_clock_of_the_service(service: Service) -> None:
    service.ledger.now = FEBRUARY + MICROSECOND
    answer = await service.invoices.PreviewInvoice(
        invoice_service_pb2.PreviewInvoiceRequest(contract=CONTRACT)
    )

    assert answer.invoice.cycle_start_time.ToDatetime(tzinfo=UTC) == FEBRUARY


async def test_refusals_of_invoices_by_name(service: Service) -> None:
    get = service.invoices.GetInvoice
    listing = service.invoices.ListInvoices
    tracing = service.invoices.TraceLine
    service.ledger.now = FEBRUARY + GRACE
    name = (await issue(service)).invoice.name
    no_time = invoice_service_pb2.IssueInvoiceRequest(contract=CONTRACT)
    cases = {
        "INVOICE_NOT_FOUND": get(invoice_service_pb2.GetInvoiceRequest(name="invoices/none")),
        "FIELD_MALFORMED": get(invoice_service_pb2.GetInvoiceRequest(name="none")),
        "FIELD_REQUIRED": service.invoices.IssueInvoice(no_time),
        "UNKNOWN_CONTRACT": preview(service, contract="contracts/nobody"),
        "CYCLE_OUTSIDE_CONTRACT": preview(service, START - MICROSECOND),
        "NUMBER_OUT_OF_RANGE": listing(invoice_service_pb2.ListInvoicesRequest(page_size=1_001)),
        "PAGE_TOKEN_MALFORMED": listing(invoice_service_pb2.ListInvoicesRequest(page_token="?")),
        "INVOICE_LINE_NOT_FOUND": tracing(
            invoice_service_pb2.TraceLineRequest(name=name, line_id="no such line")
        ),
    }

    assert {expected: (await refused(call))[1] for expected, call in cases.items()} == {
        expected: expected for expected in cases
    }


async def test_a_contract_that_ended_has_no_cycle_after_its_end(service: Service) -> None:
    terms = {"key": "main", "rate_card": "rateCards/llm", "shortfall_mode": "SOFT"}
    phases = [{"from_time": iso(START), "to_time": iso(FEBRUARY), "terms": terms}]
    event = {
        "customer": "customers/b",
        "wallet": "wallets/b",
        "plan": "plans/pro",
        "plan_version": 1,
        "asset": {"code": "CREDIT", "scale": 6},
        "start_time": iso(START),
        "cycle": {"interval": "MONTH", "anchor_time": iso(START)},
        "phases": phases,
    }
    await service.ledger.publish("contracts/b", "contract.ContractSigned.v1", event)

    assert (await preview(service, FEBRUARY - MICROSECOND, contract="contracts/b")).contract == "contracts/b"
    assert (await refused(preview(service, FEBRUARY, contract="contracts/b")))[1] == "CYCLE_OUTSIDE_CONTRACT"
