"""What an invoice owes and no earlier one has room for: it is shown, and a person settles it, once."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from credits.rating.v1 import billing_pb2, credit_due_pb2, credit_note_pb2
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Money
from rating_service.domain.documents.credit_note import NoteOrder, Settlement
from tests.integration.billing.test_billing_commands import rating
from tests.integration.billing.test_documents_in_ledger import close, findings, notes
from tests.integration.billing.world import World, terms
from tests.integration.rating.harness import refused

DOLLAR = 10**9
REFUND, CREDIT, OFFSET = (
    credit_note_pb2.SETTLEMENT_REFUND,
    credit_note_pb2.SETTLEMENT_CREDIT,
    credit_note_pb2.SETTLEMENT_OFFSET,
)


async def owing(world: World, *, refunded: int) -> tuple[str, str]:
    """Return a contract and its invoice that owes 20 dollars, of which others were refunded before by hand."""
    signed = await world.sign(terms(base_fee=None, included_units=0))
    await world.use(signed.name, 10 * 10**6)
    january = await close(world, signed.name, "02-01")
    request = credit_note_pb2.IssueCreditNoteRequest(
        invoice=january.name, idempotency_key="k", settlement=REFUND, reason="by hand"
    )
    request.net_amount.currency_code, request.net_amount.nanos = "USD", refunded * DOLLAR
    await world.invoices.IssueCreditNote(request)
    debits = [
        e for e in await world.ledger.events(stream=signed.wallet) if e.topic == "wallet.CreditsDebited.v1"
    ]
    await world.reverse(f"{signed.wallet}/debits/{debits[0].version}")
    february = await close(world, signed.name, "03-01")
    await world.parts.documents.credit_due.sweep()
    return signed.name, february.name


async def due(world: World, contract: str) -> list[tuple[str, int, int]]:
    """Return which invoices owe how much, and how much is left of it, in dollars."""
    request = credit_due_pb2.ListCreditDueRequest(contract=contract)
    answer = await world.invoices.ListCreditDue(request)
    return [
        (each.invoice, each.due.nanos // DOLLAR, each.left.nanos // DOLLAR) for each in answer.credits_due
    ]


async def settle(
    world: World, invoice: str, settlement: credit_note_pb2.Settlement.ValueType
) -> credit_due_pb2.SettleCreditDueResponse:
    """Settle the rest of what an invoice owes."""
    request = credit_due_pb2.SettleCreditDueRequest(invoice=invoice, settlement=settlement, reason="paid out")
    return await world.invoices.SettleCreditDue(request)


async def test_what_has_no_room_is_shown_until_it_is_paid_out_once(world: World) -> None:
    contract, invoice = await owing(world, refunded=20)
    listed = await world.invoices.ListCycles(billing_pb2.ListCyclesRequest(contract=contract))
    before = await due(world, contract)
    offset = await refused(settle(world, invoice, OFFSET))
    paid, again = await asyncio.gather(settle(world, invoice, REFUND), settle(world, invoice, REFUND))

    assert before == [(invoice, 20, 20)]
    assert [each.invoice for each in listed.credits_due] == [invoice]
    assert offset == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_MALFORMED")
    assert (paid.credit_note.invoice, paid.credit_note.total.nanos) == (invoice, 20 * DOLLAR)
    assert paid.credit_note.recorded_position > 0
    assert again.credit_note.name == paid.credit_note.name
    assert {paid.replayed, again.replayed} == {False, True}
    assert await due(world, contract) == []
    assert await refused(settle(world, invoice, CREDIT)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "NO_CREDIT_DUE",
    )
    assert await findings(world, contract) == []


async def test_only_the_rest_is_settled_by_hand_and_the_next_invoice_applies_all_of_it(world: World) -> None:
    contract, invoice = await owing(world, refunded=8)
    before = await due(world, contract)
    kept = (await settle(world, invoice, CREDIT)).credit_note
    await world.use(contract, 15 * 10**6)
    march = await close(world, contract, "04-01")

    assert before == [(invoice, 20, 8)]
    assert sorted(each.total.nanos for each in await notes(world, contract)) == [
        8 * DOLLAR,
        8 * DOLLAR,
        12 * DOLLAR,
    ]
    assert kept.total.nanos == 8 * DOLLAR
    assert march.total.nanos == 10 * DOLLAR
    assert await findings(world, contract) == []


async def test_a_break_between_two_notes_leaves_the_rest_to_the_next_sweep(world: World) -> None:
    """A note that settled a part must not hide what is left."""
    signed = await world.sign(terms(base_fee=None, included_units=0))
    for end, units in (("02-01", 5), ("03-01", 5)):
        await world.use(signed.name, units * 10**6)
        await close(world, signed.name, end)
    debits = [
        e for e in await world.ledger.events(stream=signed.wallet) if e.topic == "wallet.CreditsDebited.v1"
    ]
    for each in debits:
        await world.reverse(f"{signed.wallet}/debits/{each.version}")
    march = await close(world, signed.name, "04-01")
    sweep = world.parts.documents.credit_due
    issued = 0
    issue = sweep._notes.issue

    async def once(order: object, *, key: str) -> object:
        nonlocal issued
        issued += 1
        if issued > 1:
            raise ConnectionError("killed")
        return await issue(order, key=key)  # type: ignore[arg-type]

    sweep._notes.issue = once  # type: ignore[method-assign, assignment]
    await asyncio.gather(sweep.sweep(), return_exceptions=True)
    sweep._notes.issue = issue  # type: ignore[method-assign]
    half = await due(world, signed.name)
    await sweep.sweep()

    # Whoever has found room elsewhere before the sweep was done comes too late.
    [first] = [each for each in await notes(world, signed.name) if each.invoice != march.name][:1]
    late = NoteOrder(
        invoice=first.invoice,
        settlement=Settlement.CREDIT,
        reason="late",
        settles=march.name,
        total=Money("USD", DOLLAR // 100),
    )
    with pytest.raises(RequestRefused) as refusal:
        await issue(late, key="late")

    assert half == [(march.name, 20, 10)]
    assert refusal.value.reason is RequestReason.NO_CREDIT_DUE
    assert await due(world, signed.name) == []
    assert [each.total.nanos for each in await notes(world, signed.name)] == [10 * DOLLAR, 10 * DOLLAR]


async def test_the_command_line_shows_and_settles_it(world: World) -> None:
    contract, invoice = await owing(world, refunded=20)
    status, listed = await asyncio.gather(
        rating(world, "status", "--contract", contract),
        rating(world, "due", "--contract", contract, group="credit-note"),
    )
    paid = await rating(
        world, "settle", invoice, "--settlement", "refund", "--reason", "paid out", group="credit-note"
    )
    nothing = await rating(world, "due", "--contract", contract, group="credit-note")

    assert "owed to customers" in status.stdout
    assert invoice in status.stdout
    assert "20.00 USD" in listed.stdout
    assert "issued now" in paid.stdout
    assert nothing.stdout == "nothing is owed\n"
    assert [each.returncode for each in (status, listed, paid, nothing)] == [0, 0, 0, 0]
