"""Rating cases of credit notes: what was invoiced in advance for days that were not used, with its tax."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import agreement_pb2
from credits.rating.v1 import credit_note_pb2, invoice_service_pb2
from tests.acceptance.cases.amounts import from_nanos
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.rating_cards import CardPhase, publish_card, rate_of
from tests.acceptance.cases.rating_contracts import Signed, Terms, sign
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Playing, Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

USAGE: Final = "quantity"
DAYS_MAX: Final = 366
"""Most days in one cycle."""


def plan_unused_days(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play the invoice of a period that has just ended, and a credit note for its last days."""
    fee, tax = given.decimal("amount_per_period"), given.decimal("tax_percent", Decimal(0))
    days, days_in_period = given.integer("days_unused"), given.integer("days_in_period")
    if not 0 < days <= days_in_period <= DAYS_MAX:
        raise Unsupported(f"{days} unused days of {days_in_period}")
    given.ignore("currency", "rounding", "precision")
    given.finish()
    expected.offer("net", "tax", "amount")

    async def run(session: Session) -> None:
        start = session.now - timedelta(days=days_in_period)
        card = await publish_card(session, playing, [CardPhase([rate_of(USAGE, Decimal(1))])])
        cycle = agreement_pb2.Cycle(
            interval=agreement_pb2.CYCLE_INTERVAL_DAY, count=days_in_period, anchor_time=timestamp(start)
        )
        signed = await sign(
            session, playing, card, Terms(base_fee=fee, tax_percent=tax or None), cycle, start
        )
        invoice = await _issued(session, signed)
        [line] = [line for line in invoice.lines if line.kind == invoice_service_pb2.LINE_KIND_BASE_FEE]
        unused = credit_note_pb2.LineCredit(line_id=line.line_id)
        unused.unused_from_time.CopyFrom(timestamp(session.now - timedelta(days=days)))
        request = credit_note_pb2.IssueCreditNoteRequest(
            invoice=invoice.name,
            idempotency_key=playing.next_key(),
            settlement=credit_note_pb2.SETTLEMENT_REFUND,
            reason="unused days",
            lines=[unused],
        )
        note = (await call(session.services.invoices.IssueCreditNote, request)).credit_note
        parts = {"net": note.net, "tax": note.tax, "amount": note.total}
        expected.compare(playing, {name: from_nanos(part.nanos) for name, part in parts.items()})

    return [Step(None, Rank.USE, run)]


async def _issued(session: Session, signed: Signed) -> invoice_service_pb2.Invoice:
    """Return the invoice of the period that ends now."""
    request = invoice_service_pb2.IssueInvoiceRequest(contract=signed.contract, waive_grace=True)
    request.cycle_time.CopyFrom(timestamp(session.now - timedelta(seconds=1)))
    return (await call(session.services.invoices.IssueInvoice, request)).invoice
