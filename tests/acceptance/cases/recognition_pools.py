"""Pools of a recognition case: lots whose breakage is estimated together. A pool is made when it is first named."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import finance_commands_pb2, sale_terms_pb2
from tests.acceptance.cases.amounts import price_text
from tests.acceptance.cases.fields import Fields
from tests.acceptance.cases.recognition_play import RecognitionPlay
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Rank, Session, Step
from tests.acceptance.cases.verdicts import Unsupported

METHODS: Final = {
    "none": finance_commands_pb2.BREAKAGE_METHOD_NONE,
    "remote": finance_commands_pb2.BREAKAGE_METHOD_REMOTE,
    "proportional": finance_commands_pb2.BREAKAGE_METHOD_PROPORTIONAL,
}


def plan_pool(event: Fields, play: RecognitionPlay) -> Step:
    """Make a pool."""
    pool_id, at = event.text("id"), event.instant("t")
    pool = finance_commands_pb2.BreakagePool(
        term=event.text("term", ""), jurisdiction=event.text("jurisdiction", "")
    )
    if "expected_breakage" in event:
        pool.expected_breakage = price_text(event.decimal("expected_breakage"))
    if "escheat_fraction" in event:
        pool.escheat_fraction = price_text(event.decimal("escheat_fraction"))

    async def run(session: Session) -> None:
        await _create(session, play, pool_id, pool)

    return Step(at, Rank.USE, run)


async def enter_pool(
    session: Session, play: RecognitionPlay, pool_id: str, terms: sale_terms_pb2.SaleTerms
) -> None:
    """Let a lot be sold into a pool, which takes its estimate if the pool is new. Raises Unsupported."""
    if terms.expected_redeemed_units:
        raise Unsupported("a pool of which units are expected to be used before any are sold")
    if pool_id not in play.pools:
        pool = finance_commands_pb2.BreakagePool(expected_breakage=terms.expected_breakage)
        await _create(session, play, pool_id, pool)
    terms.pool = play.pools[pool_id]
    terms.ClearField("expected_breakage")


async def _create(
    session: Session, play: RecognitionPlay, pool_id: str, pool: finance_commands_pb2.BreakagePool
) -> None:
    pool.method = METHODS[play.method]
    pool.currency_code, pool.entity = play.currency_code, play.entity
    if play.method != "proportional":
        pool.expected_breakage = ""
    request = finance_commands_pb2.CreateBreakagePoolRequest(
        pool_id=f"{play.wallet.wallet_id}-{len(play.pools)}",
        idempotency_key=play.wallet.playing.next_key(),
        pool=pool,
    )
    play.pools[pool_id] = (await call(session.services.finance.CreateBreakagePool, request)).pool.name
