"""What may happen in a recognition case: one function a kind of event, in a table."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import finance_commands_pb2, money_pb2, wallet_pb2, wallet_service_pb2
from tests.acceptance.cases.amounts import price_text
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.recognition_bills import plan_bill
from tests.acceptance.cases.recognition_money import (
    CLOSES,
    plan_charge_back,
    plan_close,
    plan_escheat,
    plan_refund,
    plan_settlement,
)
from tests.acceptance.cases.recognition_sales import (
    NOTES,
    ROLL_OVERS,
    Planner,
    RecognitionPlay,
    plan_grant,
    read_estimate,
)
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported


def plan_event(event: Fields, play: RecognitionPlay) -> Step:
    """Return the step of an event. Raises Unsupported."""
    kind = event.text("type").lower().replace("-", "_").replace(" ", "_")
    planner = EVENTS.get(kind)
    if planner is None:
        raise Unsupported(f"event {kind}")
    event.ignore(*NOTES)
    step = planner(event, play)
    event.finish()
    return step


def plan_debit(event: Fields, play: RecognitionPlay) -> Step:
    """Use units; what no lot covers is overage at the case's price. What is recorded later counts all the same."""
    debit_id, at, units = event.text("id"), event.instant("t"), play.wallet.units(event.decimal("units"))
    price = event.decimal("overage_price", event.decimal("overage_rate", play.overage_price or Decimal(-1)))
    recorded = [event.instant(name) for name in RECORDED if name in event]
    request = wallet_service_pb2.DebitRequest(name=play.wallet.name, delivered=True)
    if recorded and recorded[0] > at:
        request.effective_time.CopyFrom(timestamp(at))
    if price < 0:
        request.amount_units = units
    else:
        request.charge.CopyFrom(_charge(play, units, price))

    async def run(session: Session) -> None:
        request.idempotency_key = play.wallet.playing.next_key()
        play.wallet.debits[debit_id] = (await call(session.services.wallets.Debit, request)).debit

    return Step(max([at, *recorded]), Rank.USE, run)


def _charge(play: RecognitionPlay, units: int, price: Decimal) -> wallet_pb2.Charge:
    line = wallet_pb2.ChargeLine(
        dimension="units", quantity=units, unit_price="1", exact_units=str(units), unit_size=1, multiplier="1"
    )
    return wallet_pb2.Charge(
        contract_phase="case",
        rate_card_phase="rateCards/case/phases/1",
        phase_hash="ab" * 32,
        lines=[line],
        exact_units=str(units),
        overage_price=money_pb2.UnitPrice(currency_code=play.currency_code, price=price_text(price)),
    )


def plan_estimate(event: Fields, play: RecognitionPlay) -> Step:
    """Expect another part of lots never to be used."""
    at, lots = event.instant("t"), _lots(event)
    event.ignore("id")
    breakage, redeemed = read_estimate(event, play)

    async def run(session: Session) -> None:
        open_lots = lots or [lot_id for lot_id, lot in play.lots.items() if lot.paid]
        request = finance_commands_pb2.ReviseBreakageEstimateRequest(
            name=play.wallet.name,
            idempotency_key=play.wallet.playing.next_key(),
            grants=[play.grant_name(lot_id) for lot_id in open_lots],
            expected_breakage=breakage,
            expected_redeemed_units=redeemed,
        )
        await call(session.services.finance.ReviseBreakageEstimate, request)

    return Step(at, Rank.USE, run)


def plan_roll_over(event: Fields, play: RecognitionPlay) -> Step:
    """Let a lot live longer; what does not move on ends."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id")
    until = event.optional_instant("new_expires") or event.optional_instant("expires")
    carried = [event.decimal(name) for name in CARRIED if name in event]

    async def run(session: Session) -> None:
        if carried:
            await _end_but(session, play, lot_id, play.wallet.units(min(carried)))
        request = wallet_service_pb2.ExtendGrantRequest(
            name=play.grant_name(lot_id),
            idempotency_key=play.wallet.playing.next_key(),
            expire_time=timestamp(until) if until is not None else None,
        )
        await call(session.services.wallets.ExtendGrant, request)

    return Step(at, Rank.USE, run)


async def _end_but(session: Session, play: RecognitionPlay, lot_id: str, carried_units: int) -> None:
    name = play.grant_name(lot_id)
    request = wallet_service_pb2.GetBalanceRequest(name=play.wallet.name)
    balance = (await call(session.services.wallets.GetBalance, request)).balance
    left = sum(lot.posted_units - lot.held_units for lot in balance.lots if lot.grant == name)
    if left > carried_units:
        await _end_units(session, play, name, left - carried_units)


async def _end_units(session: Session, play: RecognitionPlay, name: str, units: int) -> None:
    request = wallet_service_pb2.RevokeGrantRequest(
        name=name, idempotency_key=play.wallet.playing.next_key(), amount_units=units
    )
    await call(session.services.wallets.RevokeGrant, request)


def plan_end(event: Fields, play: RecognitionPlay) -> Step:
    """End units of a lot, or all of them."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id")
    units = event.decimal("units", Decimal(0))

    async def run(session: Session) -> None:
        await _end_units(session, play, play.grant_name(lot_id), play.wallet.units(units))

    return Step(at, Rank.USE, run)


def plan_reversal(event: Fields, play: RecognitionPlay) -> Step:
    """Take a debit back, in part or whole."""
    at = event.instant("t")
    event.ignore("id", "lot")
    named = [str(event.raw(name)) for name in ("debit", "of", "ref", "reverses", "event") if name in event]
    units = event.decimal("units", Decimal(0))
    if len(named) != 1:
        raise Unsupported(f"{event.place} names no debit")

    async def run(session: Session) -> None:
        await play.wallet.reverse(session, named[0], amount_units=play.wallet.units(units))

    return Step(at, Rank.USE, run)


def plan_remote(event: Fields, play: RecognitionPlay) -> Step:
    """Declare the use of what is left of lots remote."""
    at, lots = event.instant("t"), _lots(event)
    event.ignore("id")

    async def run(session: Session) -> None:
        request = finance_commands_pb2.DeclareBreakageRemoteRequest(
            name=play.wallet.name,
            idempotency_key=play.wallet.playing.next_key(),
            grants=[play.grant_name(lot_id) for lot_id in lots],
        )
        await call(session.services.finance.DeclareBreakageRemote, request)

    return Step(at, Rank.USE, run)


def _lots(event: Fields) -> list[str]:
    if "lots" in event:
        return [str(lot_id) for lot_id in event.values("lots")]
    return [event.text("lot")] if "lot" in event else []


RECORDED: Final = ("recorded", "recorded_at", "recorded_on", "posted", "booked")
CARRIED: Final = ("units", "carry", "carry_units", "carried_units", "cap", "max_units")
"""How an event may call what moves on."""
EVENTS: Final[Mapping[str, Planner]] = {
    "grant": plan_grant,
    "purchase": plan_grant,
    "debit": plan_debit,
    "usage": plan_debit,
    "redeem": plan_debit,
    "estimate": plan_estimate,
    "estimate_revision": plan_estimate,
    "refund": plan_refund,
    "refund_settle": plan_settlement,
    "refund_settled": plan_settlement,
    "refund_paid": plan_settlement,
    **dict.fromkeys(ROLL_OVERS, plan_roll_over),
    "expire_units": plan_end,
    "expire": plan_end,
    "forfeit": plan_end,
    "reversal": plan_reversal,
    "reverse": plan_reversal,
    "escheat": plan_escheat,
    "remote": plan_remote,
    **dict.fromkeys(("invoice", "invoice_overage", "overage_invoice", "bill"), plan_bill("OVERAGE")),
    **dict.fromkeys(("subscription", "base_fee", "plan_fee", "rateable"), plan_bill("BASE_FEE")),
    **dict.fromkeys(("shortfall", "commitment_shortfall", "true_up"), plan_bill("COMMITMENT")),
    "chargeback": plan_charge_back,
    "charge_back": plan_charge_back,
    **dict.fromkeys(CLOSES, plan_close),
}
