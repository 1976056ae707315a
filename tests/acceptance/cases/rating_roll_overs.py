"""Rating cases of an allowance that rolls over: what a plan includes, and what of it the next cycle has."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from credits.ledger.v1 import agreement_pb2, billing_terms_pb2, wallet_service_pb2
from tests.acceptance.cases.amounts import from_units, quantity_of, to_units
from tests.acceptance.cases.expected import Expected
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.rating_cards import CardPhase, publish_card, rate_of
from tests.acceptance.cases.rating_contracts import Signed, Terms, bill, record, sign
from tests.acceptance.cases.rating_invoices import CREDIT, CREDITS
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import START_DEFAULT, Playing, Rank, Session, Step

NEXT_MONTH: Final = START_DEFAULT.replace(month=START_DEFAULT.month + 1)


def plan_allowance_roll_over(given: Fields, expected: Expected, playing: Playing) -> list[Step]:
    """Play a cycle of a plan whose unused credit rolls over, and look at the one after it."""
    included_units = to_units(given.decimal("units_per_period"), CREDIT.scale)
    used = quantity_of(given.decimal("used"))
    roll_over = billing_terms_pb2.IncludedRollOver(percent="100", times=given.integer("rollover_periods"))
    given.finish()
    expected.offer("rolled_over", "next_period_total")
    signed: list[Signed] = []

    async def use(session: Session) -> None:
        rate = rate_of(CREDITS, Decimal(1), unit_size=used.unit_size)
        card = await publish_card(session, playing, [CardPhase([rate])], asset=CREDIT)
        terms = Terms(CREDIT, included_units=included_units, included_roll_over=roll_over)
        cycle = agreement_pb2.Cycle(interval=agreement_pb2.CYCLE_INTERVAL_MONTH)
        signed.append(await sign(session, playing, card, terms, cycle, session.now))
        await bill(session, signed[0])
        await record(session, playing, signed[0], {CREDITS: used.parts})

    async def look(session: Session) -> None:
        request = wallet_service_pb2.GetBalanceRequest(name=signed[0].wallet)
        balance = (await call(session.services.wallets.GetBalance, request)).balance
        figures = {
            "rolled_over": from_units(balance.available_units - included_units, CREDIT.scale),
            "next_period_total": from_units(balance.available_units, CREDIT.scale),
        }
        expected.compare(playing, figures)

    return [Step(START_DEFAULT, Rank.USE, use), Step(NEXT_MONTH, Rank.LOOK, look)]
