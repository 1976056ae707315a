"""Use of credit in a recognition case: debits, usage told late, overage, reversals, and what each drew or gave back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_service_pb2
from tests.acceptance.cases.amounts import price_text
from tests.acceptance.cases.fields import Fields, timestamp
from tests.acceptance.cases.recognition_play import RecognitionPlay
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported, compare, is_list

MICROSECOND: Final = timedelta(microseconds=1)
GRACE: Final = timedelta(days=35)
"""Longest time that a wallet waits for late usage."""


def plan_debit(event: Fields, play: RecognitionPlay) -> Step:
    """Use units; what no lot covers is overage at the case's price. What is told later counts all the same."""
    debit_id, units = event.text("id"), play.wallet.units(event.decimal("units"))
    used, told = _times(event, play)
    price = event.decimal("overage_price") if "overage_price" in event else play.overage_price
    event.ignore("product", "customer", "wallet")
    request = wallet_service_pb2.DebitRequest(name=play.wallet.name, delivered=True)
    if used < told:
        request.effective_time.CopyFrom(timestamp(used))
    if price is None:
        request.amount_units = units
    else:
        request.charge.CopyFrom(_charge(play, units, price))

    async def run(session: Session) -> None:
        await _debit(session, play, debit_id, request, units=units)

    return Step(told, Rank.USE, run)


def _times(event: Fields, play: RecognitionPlay) -> tuple[datetime, datetime]:
    """Return when units were used, and when that became known."""
    at = event.instant("t")
    told = event.instant("recorded") if "recorded" in event else at
    used = event.instant("effective") if "effective" in event else at
    lot_id = event.text("lot") if "lot" in event else ""
    ends = play.lasts.get(lot_id)
    late = event.flag("late", default=bool(lot_id))
    if used == told and late and ends is not None and ends <= told:
        # Usage of a lot that has expired can only have happened before that.
        used = ends - MICROSECOND
    return used, max(told, used)


def is_late(event: Fields, play: RecognitionPlay) -> bool:
    """Say whether a debit tells of usage of before."""
    look = event.afresh()
    if look.text("type") != "debit":
        return False
    used, told = _times(look, play)
    return used < told


async def _debit(
    session: Session,
    play: RecognitionPlay,
    debit_id: str,
    request: wallet_service_pb2.DebitRequest,
    *,
    units: int,
) -> wallet_pb2.Debit:
    play.draws[debit_id] = []
    if not units:
        # What uses nothing is nothing.
        return wallet_pb2.Debit()
    request.idempotency_key = play.wallet.playing.next_key()
    debit = (await call(session.services.wallets.Debit, request)).debit
    play.wallet.debits[debit_id] = debit
    play.draws[debit_id] = [
        (play.wallet.ids[draw.grant], play.wallet.amount(draw.amount_units)) for draw in debit.draws
    ]
    return debit


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


def plan_overage(event: Fields, play: RecognitionPlay) -> Step:
    """Use units that no lot covers, or so much money of them."""
    debit_id, at = event.text("id"), event.instant("t")
    event.ignore("product", "customer", "wallet", "debit", "of")
    units = event.decimal("units", event.decimal("amount", Decimal(0)))
    price = play.overage_price
    if "units" not in event:
        price = Decimal(1)
    elif "amount" in event:
        price = event.decimal("amount") / units
    price = event.decimal("overage_price") if "overage_price" in event else price
    if price is None or not units:
        raise Unsupported(f"{event.place}.overage_price is missing")
    charge = _charge(play, play.wallet.units(units), price)
    request = wallet_service_pb2.DebitRequest(name=play.wallet.name, delivered=True, charge=charge)

    async def run(session: Session) -> None:
        if (await _debit(session, play, debit_id, request, units=charge.lines[0].quantity)).draws:
            raise Unsupported("overage while there is credit left")

    return Step(at, Rank.USE, run)


def plan_reversal(event: Fields, play: RecognitionPlay) -> Step:
    """Take a debit back, in part or whole."""
    at, debit_id = event.instant("t"), event.text("debit")
    event_id = event.text("id", "")
    event.ignore("lot", "allocations", "product")
    units = event.decimal("units", Decimal(0))

    async def run(session: Session) -> None:
        if debit_id not in play.wallet.debits:
            raise Unsupported(f"the reversal of {debit_id}, which debited nothing")
        before = dict(play.wallet.returned.get(play.wallet.debits[debit_id].name, {}))
        await play.wallet.reverse(session, debit_id, amount_units=play.wallet.units(units))
        after = play.wallet.returned.get(play.wallet.debits[debit_id].name, {})
        play.draws[event_id] = [
            (play.wallet.ids[grant], play.wallet.amount(back - before.get(grant, 0)))
            for grant, back in after.items()
            if back > before.get(grant, 0)
        ]

    return Step(at, Rank.USE, run)


def draws_of(play: RecognitionPlay, event_id: str, expected: object) -> object:
    """Return the draws of a debit, or what a reversal gave back, as a case looks at them.

    A case may tell a debit's draws as they were made or as reversals left them, and returns as such or below zero.
    """
    if event_id not in play.draws:
        return None
    made = play.draws[event_id]
    other = _left(play, event_id) if event_id in play.wallet.debits else [(lot, -part) for lot, part in made]
    forms = [_written(draws, expected) for draws in (made, other)]
    return next((form for form in forms if not compare("", expected, form)), forms[1])


def _left(play: RecognitionPlay, debit_id: str) -> list[tuple[str, Decimal]]:
    back_units = sum(play.wallet.returned.get(play.wallet.debits[debit_id].name, {}).values())
    back, left = play.wallet.amount(back_units), []
    for lot_id, units in reversed(play.draws[debit_id]):
        part = min(back, units)
        back -= part
        left += [(lot_id, units - part)] if part < units else []
    return left[::-1]


def _written(draws: Sequence[tuple[str, Decimal]], expected: object) -> object:
    """Return draws in the form in which a case lists them."""
    if isinstance(expected, Mapping):
        return dict(draws)
    if isinstance(expected, list) and all(map(is_list, expected)):
        return [[lot_id, units] for lot_id, units in draws]
    return [{"lot": lot_id, "units": units} for lot_id, units in draws]
