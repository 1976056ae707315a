"""Bills of a recognition case: its wallet gets a contract, and what is billed is recorded as an issued invoice."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import (
    agreement_pb2,
    billing_records_pb2,
    contract_service_pb2,
    money_pb2,
    wallet_pb2,
)
from tests.acceptance.cases.amounts import to_nanos
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.rating_cards import CardPhase, publish_card, rate_of
from tests.acceptance.cases.recognition_books import read_books
from tests.acceptance.cases.recognition_play import Planner, RecognitionPlay
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported
from tests.acceptance.cases.wallet_play import ASSET_CODE

DAY: Final = timedelta(days=1)
OVERAGE: Final = "OVERAGE"
BASE_FEE: Final = "BASE_FEE"
COMMITMENT: Final = "COMMITMENT"
ABOUT: Final = ("id", "of", "debit", "debits", "method", "recognition", "plan", "product", "periods")
"""What of a bill changes nothing of it."""


def plan_bill(kind: str) -> Planner:
    """Return the planner of events that bill one kind of amount; overage is all that is unbilled, unless told."""

    def plan(event: Fields, play: RecognitionPlay) -> Step:
        at = event.instant("t")
        event.ignore(*ABOUT)
        amount = _amount(event)
        span = (event.instant("from"), event.instant("to")) if "from" in event and "to" in event else None
        tax = event.decimal("tax", Decimal(0))
        if amount is None and kind != OVERAGE:
            raise Unsupported(f"{event.place}.amount is missing")
        # What a commitment lacks at its end is known and billed on that day.
        if kind == COMMITMENT and span is not None and span[1] <= at + DAY:
            span = None

        async def run(session: Session) -> None:
            nanos = to_nanos(await _unbilled(session, play, at) if amount is None else amount)
            billed = billing_records_pb2.BilledAmount(kind=kind, nanos=nanos)
            if span is not None:
                billed.from_time.CopyFrom(timestamp(span[0]))
                billed.to_time.CopyFrom(timestamp(span[1]))
            await _record(session, play, billed, to_nanos(tax))

        return Step(at, Rank.USE, run)

    return plan


def _amount(event: Fields) -> Decimal | None:
    """Return what is billed: as told, or what was used of a commitment less than was committed."""
    if "committed" in event and "used" in event:
        lacking = max(event.decimal("committed") - event.decimal("used"), Decimal(0))
        if event.decimal("amount", lacking) != lacking:
            raise Unsupported(f"{event.place}.amount is not what the commitment lacks")
        return lacking
    if "units" in event and "unit_price" in event:
        return event.decimal("units") * event.decimal("unit_price")
    return event.decimal("amount") if "amount" in event else None


async def _unbilled(session: Session, play: RecognitionPlay, at: datetime) -> Decimal:
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    books = await read_books(session, play.currency_code, midnight - 3_000 * DAY, midnight + DAY)
    return books.balance(midnight + DAY, "unbilled_receivable")


async def _record(
    session: Session, play: RecognitionPlay, amount: billing_records_pb2.BilledAmount, tax_nanos: int
) -> None:
    contract = await _contract(session, play)
    play.bills += 1
    issued = billing_records_pb2.IssuedInvoice(
        invoice=f"invoices/{play.wallet.wallet_id}-{play.bills}",
        kind=billing_records_pb2.INVOICE_KIND_CYCLE,
        cycle_start_time=timestamp(session.now),
        cycle_end_time=timestamp(session.now + timedelta(microseconds=play.bills)),
        document_hash="ab" * 32,
        issue_time=timestamp(session.now),
        currency_code=play.currency_code,
        amounts=[amount],
        tax_nanos=tax_nanos,
        total_nanos=amount.nanos + tax_nanos,
    )
    issued.cycle_start_time.nanos += play.bills * 1_000
    issued.cycle_end_time.nanos += play.bills * 2_000
    request = billing_records_pb2.RecordInvoiceRequest(
        name=contract, idempotency_key=play.wallet.playing.next_key(), issued=issued
    )
    await call(session.services.contracts.RecordInvoice, request)


async def _contract(session: Session, play: RecognitionPlay) -> str:
    """Return the contract of the case's wallet, signed when it is first needed."""
    if play.contract:
        return play.contract
    playing = play.wallet.playing
    asset = money_pb2.Asset(code=ASSET_CODE, scale=play.wallet.scale)
    card = await publish_card(
        session, playing, [CardPhase(rates=[rate_of("units", Decimal(1))])], asset=asset
    )
    phase = agreement_pb2.PlanPhase(
        key="main", rate_card=card.name, shortfall_mode=wallet_pb2.SHORTFALL_MODE_SOFT
    )
    plan = contract_service_pb2.PublishPlanRequest(
        plan_id=playing.key,
        plan=agreement_pb2.Plan(asset=asset, phases=[phase]),
        idempotency_key=playing.next_key(),
    )
    published = await call(session.services.contracts.PublishPlan, plan)
    contract = agreement_pb2.Contract(
        customer=f"customers/{play.wallet.wallet_id}",
        wallet=play.wallet.name,
        plan=published.plan.name,
        start_time=timestamp(session.now),
        cycle=agreement_pb2.Cycle(
            interval=agreement_pb2.CYCLE_INTERVAL_MONTH, anchor_time=timestamp(session.now)
        ),
    )
    request = contract_service_pb2.SignContractRequest(
        contract_id=playing.key, contract=contract, idempotency_key=playing.next_key()
    )
    play.contract = (await call(session.services.contracts.SignContract, request)).contract.name
    return play.contract
