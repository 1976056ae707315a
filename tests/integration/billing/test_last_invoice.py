"""A contract that ends in mid-cycle has its last invoice after its own end, with all that was agreed settled."""

from __future__ import annotations

from datetime import datetime, timedelta

import grpc
import pytest

from credits.ledger.v1 import billing_terms_pb2, contract_changes_pb2, money_pb2
from credits.rating.v1 import billing_pb2, invoice_service_pb2
from tests.integration.billing.world import GRACE, MICROSECOND, World, terms
from tests.integration.ledger.client import instant_of, key, timestamp
from tests.integration.rating.harness import refused

DOLLAR = 10**9
KINDS = invoice_service_pb2.LineKind
FINAL = invoice_service_pb2.INVOICE_KIND_FINAL


def usd(amount: int) -> money_pb2.Money:
    """Return whole dollars."""
    return money_pb2.Money(currency_code="USD", nanos=amount * DOLLAR)


async def end(world: World, contract: str, when: datetime) -> None:
    """End a contract at an instant."""
    request = contract_changes_pb2.EndContractRequest(
        name=contract, end_time=timestamp(when), idempotency_key=key()
    )
    await world.ledger.contracts.EndContract(request)


async def issue(world: World, contract: str, when: datetime) -> invoice_service_pb2.Invoice:
    """Ask for an invoice by hand."""
    request = invoice_service_pb2.IssueInvoiceRequest(contract=contract)
    request.cycle_time.FromDatetime(when)
    return (await world.invoices.IssueInvoice(request)).invoice


def lines(invoice: invoice_service_pb2.Invoice) -> list[tuple[str, int]]:
    """Return kind and nanos of each line."""
    return [(KINDS.Name(line.kind)[10:], line.amount.nanos) for line in invoice.lines]


async def test_the_last_invoice_comes_when_grace_after_the_contracts_end_is_over(world: World) -> None:
    contract = (await world.sign()).name
    middle = world.at("01-16T12:00")
    await end(world, contract, middle)
    await world.ledger.advance(middle - MICROSECOND)
    assert (await refused(issue(world, contract, world.start)))[1] == "CYCLE_NOT_ENDED"
    await world.ledger.advance(middle)
    assert await refused(issue(world, contract, world.start)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "GRACE_NOT_OVER",
    )
    [draft] = await world.cycles(contract)
    await world.ledger.advance(middle + GRACE - MICROSECOND)
    assert (await world.bill(contract)).invoices_count == 0
    await world.ledger.advance(middle + GRACE)
    done, again = await world.bill(contract), await world.bill(contract)
    [invoice] = await world.issued(contract)

    assert draft.state == billing_pb2.CYCLE_STATE_DRAFT
    assert instant_of(draft.issue_time) == middle + GRACE
    assert (done.invoices_count, again.invoices_count) == (1, 0)
    assert (invoice.kind, instant_of(invoice.issue_time)) == (FINAL, middle + GRACE)
    assert lines(invoice) == [("BASE_FEE", 20 * DOLLAR), ("PRORATION_CREDIT", -10 * DOLLAR)]
    assert invoice.included_left_units == 500


async def test_commitment_and_threshold_invoices_are_settled_by_the_last_invoice(world: World) -> None:
    yearly = billing_terms_pb2.Commitment(amount=usd(365), period="P1Y", overage_factor="1")
    agreed = terms(commitment=yearly, invoice_threshold=usd(5), included_units=0, base_fee=None)
    contract = (await world.sign(agreed)).name
    await world.ledger.advance(world.at("01-06"))
    await world.use(contract, 3_000_000)
    await world.bill(contract)
    await end(world, contract, world.at("01-11"))
    await world.ledger.advance(world.at("01-11") + GRACE)
    await world.bill(contract)
    [threshold, final] = sorted(await world.issued(contract), key=lambda each: each.sequence)
    days = 366 if world.start.year % 4 == 0 else 365

    assert (threshold.total.nanos, final.kind) == (6 * DOLLAR, FINAL)
    committed = round(365 * 10 * 100 / days) * DOLLAR // 100
    assert lines(final) == [
        ("USAGE", 0),
        ("OVERAGE", 6 * DOLLAR),
        ("COMMITMENT", committed - 6 * DOLLAR),
        ("THRESHOLD_CREDIT", -6 * DOLLAR),
    ]
    assert final.total.nanos == committed - 6 * DOLLAR


@pytest.mark.parametrize("late", [False, True], ids=["nothing", "late usage"])
async def test_what_comes_after_the_last_invoice_is_billed_once_by_the_clock(
    world: World, *, late: bool
) -> None:
    contract = (await world.sign(terms(included_units=0))).name
    middle = world.at("01-16T12:00")
    await end(world, contract, middle)
    await world.ledger.advance(middle + GRACE)
    await world.bill(contract)
    if late:
        await world.use(contract, 1_000_000, when=middle - MICROSECOND)
    await world.ledger.advance(world.at("03-01") + GRACE)
    done = await world.bill(contract)
    await world.ledger.advance(world.at("06-01"))
    again = await world.bill(contract)
    issued = sorted(await world.issued(contract), key=lambda each: each.sequence)

    assert (done.invoices_count, again.invoices_count, len(done.failures)) == (int(late), 0, 0)
    assert lines(issued[-1]) == (
        [("ADJUSTMENT", 0), ("ADJUSTMENT", 2 * DOLLAR)]
        if late
        else [("BASE_FEE", 20 * DOLLAR), ("PRORATION_CREDIT", -10 * DOLLAR)]
    )
    assert [each.state for each in await world.cycles(contract)] == [billing_pb2.CYCLE_STATE_ISSUED]


async def test_missed_months_up_to_the_end_are_caught_up_in_one_turn(world: World) -> None:
    contract = (await world.sign()).name
    await end(world, contract, world.at("03-16T12:00"))
    await world.ledger.advance(world.at("03-16T12:00") + GRACE)
    done = await world.bill(contract)
    issued = sorted(await world.issued(contract), key=lambda each: each.sequence)

    assert done.invoices_count == 3
    assert [each.total.nanos for each in issued] == [20 * DOLLAR, 20 * DOLLAR, 10 * DOLLAR]
    assert [each.kind == FINAL for each in issued] == [False, False, True]
    assert world.at("03-16T12:00") - world.at("03-01") == timedelta(days=15.5)
