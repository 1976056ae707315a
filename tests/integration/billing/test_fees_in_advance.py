"""Fees in advance: each cycle's when it begins, once; changes and ends give back what was paid and not used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from credits.ledger.v1 import billing_terms_pb2, money_pb2
from credits.rating.v1 import invoice_service_pb2
from tests.integration.billing.test_documents_in_ledger import findings, notes
from tests.integration.billing.test_included import end_contract, schedule
from tests.integration.billing.world import GRACE, MICROSECOND, World, terms
from tests.integration.ledger.client import instant_of

DOLLAR = 10**9
ADVANCE = billing_terms_pb2.FEE_TIMING_ADVANCE
KINDS = invoice_service_pb2.LineKind
INVOICE_KINDS = invoice_service_pb2.InvoiceKind


async def invoices(world: World, contract: str) -> list[invoice_service_pb2.Invoice]:
    """Return the invoices of a contract in the order of their issue."""
    return sorted(await world.issued(contract), key=lambda each: each.sequence)


def lines(invoice: invoice_service_pb2.Invoice) -> list[tuple[str, float]]:
    """Return kind and dollars of each line; a fee in advance is marked."""
    return [
        (
            KINDS.Name(line.kind)[10:] + (" ahead" if line.HasField("advance") else ""),
            line.amount.nanos / DOLLAR,
        )
        for line in invoice.lines
    ]


def paid_ahead(key: str = "main", dollars: int = 20, **fields: Any) -> Any:
    """Return terms with a fee in advance and without included credit."""
    fee = money_pb2.Money(currency_code="USD", nanos=dollars * DOLLAR)
    return terms(key, base_fee=fee, included_units=0, fee_timing=ADVANCE, **fields)


async def close(world: World, contract: str, end: datetime) -> None:
    """Bill what is due once the grace after an instant is over."""
    await world.ledger.advance(end + GRACE)
    await world.bill(contract)


async def test_the_first_cycle_is_billed_when_it_begins_and_each_next_one_beside_the_usage_of_the_last(
    world: World,
) -> None:
    contract = (await world.sign(paid_ahead(), start=world.at("01-02"))).name
    await world.ledger.advance(world.at("01-02") - MICROSECOND)
    before = await world.bill(contract)
    await world.ledger.advance(world.at("01-02"))
    done, again = await world.bill(contract), await world.bill(contract)
    await world.use(contract, 1_000_000)
    shown = await world.preview(contract)
    await close(world, contract, world.at("02-02"))
    await close(world, contract, world.at("03-02"))
    first, january, february = await invoices(world, contract)

    assert (before.invoices_count, done.invoices_count, again.invoices_count) == (0, 1, 0)
    assert INVOICE_KINDS.Name(first.kind) == "INVOICE_KIND_ADVANCE"
    assert lines(first) == [("BASE_FEE ahead", 20)]
    assert lines(january) == [("USAGE", 0), ("OVERAGE", 2), ("BASE_FEE ahead", 20)]
    assert lines(january) == lines(shown)
    assert lines(february) == [("BASE_FEE ahead", 20)]
    assert instant_of(february.lines[0].from_time) == world.at("03-02")
    assert instant_of(february.lines[0].advance.cycle_end_time) == world.at("04-02")
    assert [instant_of(each.cycle_start_time) for each in await world.cycles(contract)][-1] == world.at(
        "03-02"
    )
    assert await findings(world, contract) == []
    recorded = [
        msgspec.json.decode(each.state)["event"]
        for each in await world.ledger.events(stream=contract)
        if each.topic == "contract.InvoiceIssued.v1"
    ]
    assert [each["kind"] for each in recorded] == ["ADVANCE", "CYCLE", "CYCLE"]
    assert [each["amounts"][-1]["kind"] for each in recorded] == ["BASE_FEE", "BASE_FEE", "BASE_FEE"]


async def test_a_change_in_mid_cycle_gives_back_the_unused_rest_of_what_was_paid(world: World) -> None:
    contract = (await world.sign(paid_ahead())).name
    await world.bill(contract)
    fee = money_pb2.Money(currency_code="USD", nanos=40 * DOLLAR)
    await schedule(world, contract, world.at("01-16T12:00"), base_fee=fee)
    await close(world, contract, world.at("02-01"))
    _, january = await invoices(world, contract)

    assert lines(january) == [("PRORATION_CREDIT", -10), ("PRORATION_CHARGE", 20), ("BASE_FEE ahead", 40)]
    assert january.total.nanos == 50 * DOLLAR
    assert await findings(world, contract) == []


async def test_an_end_in_mid_cycle_gives_back_the_unused_rest_by_a_note(world: World) -> None:
    contract = (await world.sign(paid_ahead())).name
    await world.bill(contract)
    await end_contract(world, contract, world.at("01-16T12:00"))
    await close(world, contract, world.at("01-16T12:00"))
    await world.parts.documents.credit_due.sweep()
    first, final = await invoices(world, contract)
    [note] = await notes(world, contract)

    assert lines(final) == [("PRORATION_CREDIT", -10), ("CREDIT_DUE", 10)]
    assert INVOICE_KINDS.Name(final.kind) == "INVOICE_KIND_FINAL"
    assert (note.invoice, note.total.nanos) == (first.name, 10 * DOLLAR)
    assert await findings(world, contract) == []


async def test_a_contract_that_ends_where_a_cycle_begins_pays_nothing_ahead(world: World) -> None:
    contract = (await world.sign(paid_ahead())).name
    await world.bill(contract)
    await end_contract(world, contract, world.at("02-01"))
    await close(world, contract, world.at("02-01"))
    [_, final] = await invoices(world, contract)

    assert (lines(final), final.total.nanos) == ([], 0)


@pytest.mark.parametrize("is_trial_ahead", [False, True])
async def test_how_the_trial_is_billed_decides_when_its_cycles_paid_part_is(
    world: World, *, is_trial_ahead: bool
) -> None:
    timing = {"fee_timing": ADVANCE} if is_trial_ahead else {}
    trial = terms("trial", base_fee=None, included_units=0, duration="PT372H", **timing)
    contract = (await world.sign(trial, paid_ahead("paid"))).name
    await world.bill(contract)
    ahead = await invoices(world, contract)
    await close(world, contract, world.at("02-01"))
    january = (await invoices(world, contract))[-1]

    assert [lines(each) for each in ahead] == ([[("PRORATION_CHARGE ahead", 10)]] if is_trial_ahead else [])
    own = [] if is_trial_ahead else [("PRORATION_CHARGE", 10)]
    assert lines(january) == [*own, ("BASE_FEE ahead", 20)]
    assert await findings(world, contract) == []


async def test_a_contract_that_comes_late_is_billed_ahead_for_each_cycle_once(world: World) -> None:
    await world.ledger.advance(world.at("04-10"))
    contract = (await world.sign(paid_ahead())).name
    done, again = await world.bill(contract), await world.bill(contract)

    assert (done.invoices_count, again.invoices_count) == (4, 0)
    assert [each.total.nanos for each in await invoices(world, contract)] == [20 * DOLLAR] * 4
    assert await findings(world, contract) == []


async def test_an_end_of_fees_in_advance_is_followed_by_fees_in_arrears(world: World) -> None:
    contract = (await world.sign(paid_ahead())).name
    await world.bill(contract)
    await schedule(world, contract, world.at("02-01"), fee_timing=billing_terms_pb2.FEE_TIMING_ARREARS)
    await close(world, contract, world.at("02-01"))
    await close(world, contract, world.at("03-01"))
    _, january, february = await invoices(world, contract)

    assert (lines(january), lines(february)) == ([], [("BASE_FEE", 20)])
