"""Credit notes on fees billed ahead: what they give back, the cycle's invoice does not give back again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import grpc
import pytest

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import credit_note_pb2, invoice_service_pb2
from rating_service.application.invoicing.ledger_records import LedgerRecords
from tests.integration.billing.test_documents_in_ledger import VAT, findings, notes
from tests.integration.billing.test_fees_in_advance import DOLLAR, KINDS, close, invoices, lines, paid_ahead
from tests.integration.billing.test_included import end_contract, schedule
from tests.integration.billing.world import World
from tests.integration.ledger.client import instant_of, key, timestamp
from tests.integration.rating.harness import refused

CENT = 10_000_000


async def credit(
    world: World, invoice: invoice_service_pb2.Invoice, *, cents: int = 0, unused_from: datetime | None = None
) -> credit_note_pb2.CreditNote:
    """Credit an amount of an invoice's last line, or what is not used of it from an instant on."""
    part: dict[str, Any] = {"amount": money_pb2.Money(currency_code="USD", nanos=cents * CENT)}
    if unused_from is not None:
        part = {"unused_from_time": timestamp(unused_from)}
    request = credit_note_pb2.IssueCreditNoteRequest(
        invoice=invoice.name,
        idempotency_key=key(),
        settlement=credit_note_pb2.SETTLEMENT_REFUND,
        reason="leaves",
        lines=[credit_note_pb2.LineCredit(line_id=invoice.lines[-1].line_id, **part)],
    )
    return (await world.invoices.IssueCreditNote(request)).credit_note


async def test_unused_days_that_a_note_gave_back_are_not_given_back_once_more(world: World) -> None:
    contract = (await world.sign(paid_ahead(tax_rates=[VAT]))).name
    await world.bill(contract)
    [first] = await invoices(world, contract)
    leaves = world.at("01-16T12:00")
    note = await credit(world, first, unused_from=leaves)
    await end_contract(world, contract, leaves)
    shown = await world.preview(contract)
    await close(world, contract, leaves)
    _, final = await invoices(world, contract)

    assert (note.total.nanos, instant_of(note.lines[0].from_time)) == (12 * DOLLAR, leaves)
    assert lines(final) == lines(shown) == [("PRORATION_CREDIT", -10), ("CREDITED_BEFORE", 10)]
    assert (final.lines[1].source, final.total.nanos, final.tax.nanos) == (note.name, 0, 0)
    assert final.lines[1].description == f"Base fee given back before with {note.name}, main"
    assert await findings(world, contract) == []
    above = credit(world, first, cents=1001)
    assert await refused(above) == (grpc.StatusCode.FAILED_PRECONDITION, "CREDIT_NOTE_ABOVE_INVOICE")
    assert (await credit(world, first, cents=1000)).net.nanos == 10 * DOLLAR
    assert await findings(world, contract) == []


@pytest.mark.parametrize(("cents", "counted", "due"), [(400, 4, 6), (1000, 10, 0), (1500, 10, 0)])
async def test_an_end_gives_back_what_no_note_gave_back_and_never_less_than_nothing(
    world: World, cents: int, counted: int, due: int
) -> None:
    contract = (await world.sign(paid_ahead())).name
    await world.bill(contract)
    [first] = await invoices(world, contract)
    await credit(world, first, cents=cents)
    await end_contract(world, contract, world.at("01-16T12:00"))
    await close(world, contract, world.at("01-16T12:00"))
    await world.parts.documents.credit_due.sweep()
    _, final = await invoices(world, contract)

    assert lines(final)[:2] == [("PRORATION_CREDIT", -10), ("CREDITED_BEFORE", counted)]
    assert (final.total.nanos, final.credit_due.nanos) == (0, due * DOLLAR)
    assert sum(note.total.nanos for note in await notes(world, contract)) == max(cents * CENT, 10 * DOLLAR)
    assert await findings(world, contract) == []


async def test_a_note_after_a_change_gives_back_at_most_what_the_change_has_left(world: World) -> None:
    contract = (await world.sign(paid_ahead())).name
    await world.bill(contract)
    fee = money_pb2.Money(currency_code="USD", nanos=40 * DOLLAR)
    await schedule(world, contract, world.at("01-16T12:00"), base_fee=fee)
    await close(world, contract, world.at("02-01"))
    first, january = await invoices(world, contract)

    assert lines(january) == [("PRORATION_CREDIT", -10), ("PRORATION_CHARGE", 20), ("BASE_FEE ahead", 40)]
    above = credit(world, first, cents=1001)
    assert await refused(above) == (grpc.StatusCode.FAILED_PRECONDITION, "CREDIT_NOTE_ABOVE_INVOICE")
    assert (await credit(world, first, cents=1000)).total.nanos == 10 * DOLLAR
    assert (await credit(world, january, cents=4000)).total.nanos == 40 * DOLLAR
    await close(world, contract, world.at("03-01"))
    assert await findings(world, contract) == []


async def test_a_note_that_is_not_recorded_yet_is_known_to_the_cycles_invoice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = (await world.sign(paid_ahead())).name
    await world.bill(contract)
    [first] = await invoices(world, contract)
    await end_contract(world, contract, world.at("01-16T12:00"))
    await world.ledger.advance(world.at("01-16T12:00"))
    with monkeypatch.context() as broken:
        broken.setattr(LedgerRecords, "send", nothing)
        note = await credit(world, first, cents=1000)
    assert note.recorded_position == 0
    await close(world, contract, world.at("01-16T12:00"))
    final = (await invoices(world, contract))[-1]

    assert [KINDS.Name(line.kind)[10:] for line in final.lines] == ["PRORATION_CREDIT", "CREDITED_BEFORE"]
    assert final.watermark_position >= (await notes(world, contract))[0].recorded_position > 0
    assert await findings(world, contract) == []


async def nothing(records: LedgerRecords, contract: str) -> None:
    """Stand in for sending records to a ledger: the process broke off."""
    del records, contract
