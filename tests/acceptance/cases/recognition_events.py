"""What may happen in a recognition case: one function a kind of event, in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import finance_commands_pb2, wallet_service_pb2
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.recognition_bills import BASE_FEE, COMMITMENT, OVERAGE, plan_bill
from tests.acceptance.cases.recognition_books import read_lots
from tests.acceptance.cases.recognition_money import (
    plan_charge_back,
    plan_close,
    plan_escheat,
    plan_refund,
    plan_settlement,
)
from tests.acceptance.cases.recognition_play import NOTES, Planner, RecognitionPlay
from tests.acceptance.cases.recognition_pools import plan_pool
from tests.acceptance.cases.recognition_sales import plan_grant, read_estimate
from tests.acceptance.cases.recognition_uses import plan_debit, plan_overage, plan_reversal
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported


def plan_event(event: Fields, play: RecognitionPlay) -> Step:
    """Return the step of an event. Raises Unsupported."""
    event.ignore(*NOTES)
    step = EVENTS[event.text("type")](event, play)
    event.finish()
    return step


def plan_estimate(event: Fields, play: RecognitionPlay) -> Step:
    """Expect another part of lots never to be used."""
    at, lots = event.instant("t"), _lots(event)
    event.ignore("id")
    breakage, redeemed = read_estimate(event, play)
    pool_id = event.text("pool") if "pool" in event else ""

    async def run(session: Session) -> None:
        pool = _pool(play, pool_id, lots)
        request = finance_commands_pb2.ReviseBreakageEstimateRequest(
            name=pool or play.wallet.name,
            idempotency_key=play.wallet.playing.next_key(),
            grants=[] if pool else await _estimated(session, play, lots),
            expected_breakage=breakage,
            expected_redeemed_units=redeemed,
        )
        await call(session.services.finance.ReviseBreakageEstimate, request)

    return Step(at, Rank.USE, run)


def _pool(play: RecognitionPlay, pool_id: str, lots: Sequence[str]) -> str:
    """Return the pool that an estimate is of, nothing if it is of lots. Raises Unsupported."""
    if pool_id and pool_id not in play.pools:
        raise Unsupported(f"pool {pool_id}, of which no lot was sold before")
    if not pool_id and not lots and len(play.pools) > 1:
        raise Unsupported("an estimate that names none of several pools")
    return play.pools[pool_id] if pool_id else "" if lots else next(iter(play.pools.values()), "")


async def _estimated(session: Session, play: RecognitionPlay, lots: Sequence[str]) -> list[str]:
    """Return the grants of the lots that are named; without names, those of all paid lots with something left."""
    if lots:
        return [play.grant_name(lot_id) for lot_id in lots]
    left = await read_lots(session, play.wallet.name)
    paid = {play.grant_name(lot_id) for lot_id, lot in play.lots.items() if lot.paid}
    return [name for name, state in left.items() if name in paid and state.left_units]


def plan_roll_over(event: Fields, play: RecognitionPlay) -> Step:
    """Let a lot live longer, under a new id where one is named; what does not move on ends."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id", "new_units", "cost_basis")
    until, new_id = event.optional_instant("new_expires"), event.text("new_lot", "")
    carried = play.wallet.units(event.decimal("units")) if "units" in event else None

    async def run(session: Session) -> None:
        name = play.grant_name(lot_id)
        if carried is not None:
            await _end_but(session, play, name, carried)
        request = wallet_service_pb2.ExtendGrantRequest(
            name=name,
            idempotency_key=play.wallet.playing.next_key(),
            expire_time=timestamp(until) if until is not None else None,
        )
        await call(session.services.wallets.ExtendGrant, request)
        if new_id:
            await _rename(session, play, lot_id, new_id)

    return Step(at, Rank.USE, run)


async def _rename(session: Session, play: RecognitionPlay, lot_id: str, new_id: str) -> None:
    """Let what is left of a lot be known by a new id, at the cost basis that it has."""
    if new_id in play.lots:
        raise Unsupported(f"the roll-over of {lot_id} into {new_id}, which is a lot already")
    old, name = play.newest(lot_id), play.grant_name(lot_id)
    play.lots[new_id] = play.lot(lot_id)._replace(lot_id=new_id)
    play.moved[old] = new_id
    play.wallet.grants[new_id] = name
    play.wallet.ids[name] = new_id


async def _end_but(session: Session, play: RecognitionPlay, name: str, carried_units: int) -> None:
    left = await _left_units(session, play, name)
    if left > carried_units:
        await _end_units(session, play, name, left - carried_units)


async def _left_units(session: Session, play: RecognitionPlay, name: str) -> int:
    request = wallet_service_pb2.GetBalanceRequest(name=play.wallet.name)
    balance = (await call(session.services.wallets.GetBalance, request)).balance
    return sum(lot.posted_units - lot.held_units for lot in balance.lots if lot.grant == name)


async def _end_units(session: Session, play: RecognitionPlay, name: str, units: int) -> None:
    request = wallet_service_pb2.RevokeGrantRequest(
        name=name, idempotency_key=play.wallet.playing.next_key(), amount_units=units
    )
    await call(session.services.wallets.RevokeGrant, request)


def plan_end(event: Fields, play: RecognitionPlay) -> Step:
    """End units of a lot, or all of them; one that has expired by itself has none."""
    at, lot_id = event.instant("t"), event.text("lot")
    event.ignore("id")
    units = event.decimal("units") if "units" in event else None

    async def run(session: Session) -> None:
        name = play.grant_name(lot_id)
        if units is not None or await _left_units(session, play, name):
            await _end_units(session, play, name, play.wallet.units(units or Decimal(0)))

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


def plan_rate(event: Fields, play: RecognitionPlay) -> Step:
    """Pass a day on which a rate is told: sales of later days are at it, and what was sold before keeps its own."""
    event.ignore("id", "fx_rate", "currency", "to")

    async def run(session: Session) -> None:
        return None

    return Step(event.instant("t"), Rank.USE, run)


EVENTS: Final[Mapping[str, Planner]] = {
    "grant": plan_grant,
    "debit": plan_debit,
    "overage": plan_overage,
    "estimate": plan_estimate,
    "pool": plan_pool,
    "refund": plan_refund,
    "settlement": plan_settlement,
    "roll_over": plan_roll_over,
    "end": plan_end,
    "reversal": plan_reversal,
    "escheat": plan_escheat,
    "remote": plan_remote,
    "invoice": plan_bill(OVERAGE),
    "plan": plan_bill(BASE_FEE),
    "shortfall": plan_bill(COMMITMENT),
    "chargeback": plan_charge_back,
    "close": plan_close,
    "rate": plan_rate,
}
