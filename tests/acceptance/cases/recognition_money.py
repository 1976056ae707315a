"""What a recognition case may do beside selling and using credit: refunds, escheat, chargebacks and closed periods."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from credits.ledger.v1 import finance_commands_pb2, transfer_pb2, wallet_service_pb2
from tests.acceptance.cases.amounts import WIDE, from_nanos, price_text
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.recognition_accounts import own_name
from tests.acceptance.cases.recognition_books import read_lots
from tests.acceptance.cases.recognition_play import RecognitionPlay, Refund
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

CASH: Final = "Cash"
OWED: Final = "RefundLiability"
CENT: Final = Decimal("0.01")


def plan_refund(event: Fields, play: RecognitionPlay) -> Step:
    """Pay unused units back, at once or later."""
    refund_id, at, lot_id = event.text("id"), event.instant("t"), event.text("lot")
    units, amount = event.decimal("units", Decimal(0)), event.decimal("amount", Decimal(0))
    account = own_name(event.text("credit_account", OWED))
    rate = price_text(event.decimal("fx_rate")) if "fx_rate" in event else ""
    event.ignore("currency")
    if account not in (CASH, OWED):
        raise Unsupported(f"a refund to {account}")

    async def run(session: Session) -> None:
        lot = play.lot(lot_id)
        asked = units or (amount * lot.units / lot.consideration if amount else Decimal(0))
        request = wallet_service_pb2.RefundGrantRequest(
            name=play.grant_name(lot_id),
            idempotency_key=play.wallet.playing.next_key(),
            amount_units=play.wallet.units(asked),
            paid=account == CASH,
            exchange_rate=rate,
        )
        answer = await call(session.services.wallets.RefundGrant, request)
        owed = from_nanos(answer.refund.nanos)
        play.refunds[refund_id] = Refund(answer.name, lot_id, owed)

    return Step(at, Rank.USE, run)


def plan_settlement(event: Fields, play: RecognitionPlay) -> Step:
    """Pay what refunds owe: one that is named, those of a lot, those that come to an amount, or all of them."""
    at = event.instant("t")
    event.ignore("id", "credit_account", "account", "currency")
    name, lot_id = (event.text(field) if field in event else "" for field in ("refund", "lot"))
    amount = event.decimal("amount") if "amount" in event else None

    async def run(session: Session) -> None:
        for refund_id in _settled(play, name, lot_id, amount):
            request = finance_commands_pb2.SettleRefundRequest(
                name=play.refunds.pop(refund_id).name, idempotency_key=play.wallet.playing.next_key()
            )
            await call(session.services.finance.SettleRefund, request)

    return Step(at, Rank.USE, run)


def _settled(play: RecognitionPlay, name: str, lot_id: str, amount: Decimal | None) -> list[str]:
    """Return the refunds that a settlement pays. Raises Unsupported for a part of one."""
    if name and name not in play.refunds:
        raise Unsupported(f"the settlement of {name}, which is not owed")
    open_ids = [
        each for each, refund in play.refunds.items() if name in {"", each} and lot_id in {"", refund.lot_id}
    ]
    sets = [open_ids, *([each] for each in open_ids)]
    for chosen in sets:
        owed = sum((play.refunds[each].amount for each in chosen), Decimal(0))
        if amount is None or abs(owed - amount) <= CENT:
            return chosen
    raise Unsupported(f"the settlement of {amount}, which is not what refunds come to")


def plan_escheat(event: Fields, play: RecognitionPlay) -> Step:
    """Note what of a lot belongs to the state: a fraction of what was not used, or an amount of it."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id", "jurisdiction")
    fraction = event.decimal("fraction", Decimal(1))
    amount = event.decimal("amount") if "amount" in event else None

    async def run(session: Session) -> None:
        name = play.grant_name(lot_id)
        part = fraction
        if amount is not None:
            unused = (await read_lots(session, play.wallet.name))[name].unused
            part = WIDE.divide(amount, unused).quantize(Decimal("1e-18"), context=WIDE)
        request = finance_commands_pb2.RecordEscheatRequest(
            name=name, idempotency_key=play.wallet.playing.next_key(), fraction=price_text(part)
        )
        await call(session.services.finance.RecordEscheat, request)

    return Step(at, Rank.USE, run)


def plan_charge_back(event: Fields, play: RecognitionPlay) -> Step:
    """Let the bank take back what was paid for a lot."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id")
    amount = event.decimal("amount") if "amount" in event else None

    async def run(session: Session) -> None:
        request = transfer_pb2.ChargeBackGrantRequest(
            name=play.grant_name(lot_id),
            idempotency_key=play.wallet.playing.next_key(),
            amount=None if amount is None else play.money(amount),
        )
        await call(session.services.wallets.ChargeBackGrant, request)

    return Step(at, Rank.USE, run)


def plan_close(event: Fields, play: RecognitionPlay) -> Step:
    """Close a period: it ends on the day that is named, or on that of the event, and begins where the last ended."""
    at = event.instant("t")
    event.ignore("id", "period")
    starts = [event.instant("from")] if "from" in event else []
    start, end = min([*starts, play.open_from]), event.instant("to") if "to" in event else at
    play.open_from = end

    async def run(session: Session) -> None:
        request = finance_commands_pb2.CloseAccountingPeriodRequest(
            name=f"accountingPeriods/{play.entity}",
            idempotency_key=play.wallet.playing.next_key(),
            from_time=timestamp(start),
            to_time=timestamp(end),
        )
        await call(session.services.finance.CloseAccountingPeriod, request)

    return Step(at, Rank.USE, run)
