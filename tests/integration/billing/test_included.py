"""Included credit is granted ahead, once, and for exactly its cycle."""

from __future__ import annotations

from datetime import timedelta

from credits.ledger.v1 import agreement_pb2
from tests.integration.billing.world import DAY, MICROSECOND, START, World, at, roll_over, terms

FEBRUARY, MARCH, APRIL = at("2026-02-01"), at("2026-03-01"), at("2026-04-01")


async def test_this_cycle_and_the_next_are_granted_once_for_exactly_their_time(world: World) -> None:
    contract = await world.sign()
    done = await world.bill(contract.name)
    again = await world.bill(contract.name)

    assert (done.grants_count, again.grants_count) == (2, 0)
    assert await world.granted(contract.wallet) == [
        (START, FEBRUARY, 1_000),
        (FEBRUARY, MARCH, 1_000),
    ]
    await world.ledger.advance(FEBRUARY - MICROSECOND)
    await world.use(contract.name, 400)
    assert await world.available(contract.wallet) == 600
    await world.ledger.advance(FEBRUARY)
    assert await world.available(contract.wallet) == 1_000
