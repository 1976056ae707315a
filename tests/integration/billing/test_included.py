"""Included credit is granted ahead, once, and for exactly its cycle; what is left rolls over; changes are followed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from credits.ledger.v1 import agreement_pb2, contract_changes_pb2, wallet_pb2
from tests.integration.billing.world import (
    GRACE,
    GRANTED,
    MICROSECOND,
    World,
    roll_over,
    terms,
)
from tests.integration.ledger.client import key, timestamp
from tests.integration.ledger.holds.calls import hold, release


async def end_contract(world: World, contract: str, end: Any) -> None:
    """End a contract at an instant."""
    request = contract_changes_pb2.EndContractRequest(
        name=contract, end_time=timestamp(end), idempotency_key=key()
    )
    await world.ledger.contracts.EndContract(request)


async def schedule(world: World, contract: str, when: Any, **fields: Any) -> None:
    """Schedule a phase with some other terms."""
    request = contract_changes_pb2.ScheduleContractPhaseRequest(
        name=contract,
        from_time=timestamp(when),
        terms=agreement_pb2.PlanPhase(**fields),
        replace_later=True,
        idempotency_key=key(),
    )
    request.update_mask.paths.extend(fields)
    await world.ledger.contracts.ScheduleContractPhase(request)


async def test_this_cycle_and_the_next_are_granted_once_for_exactly_their_time(world: World) -> None:
    contract = await world.sign()
    done = await world.bill(contract.name)
    again = await world.bill(contract.name)

    assert (done.grants_count, again.grants_count) == (2, 0)
    assert await world.granted(contract.wallet) == [
        (world.start, world.at("02-01"), 1_000),
        (world.at("02-01"), world.at("03-01"), 1_000),
    ]
    await world.ledger.advance(world.at("02-01") - MICROSECOND)
    await world.use(contract.name, 400)
    assert await world.available(contract.wallet) == 600
    await world.ledger.advance(world.at("02-01"))
    assert await world.available(contract.wallet) == 1_000


async def test_a_run_that_comes_late_grants_with_the_past_effective_time(world: World) -> None:
    contract = await world.sign()
    await world.ledger.advance(world.at("03-01") + GRACE)
    await world.bill(contract.name)

    assert await world.granted(contract.wallet) == [
        (world.start, world.at("02-01"), 1_000),
        (world.at("02-01"), world.at("03-01"), 1_000),
        (world.at("03-01"), world.at("04-01"), 1_000),
        (world.at("04-01"), world.at("05-01"), 1_000),
    ]
    assert await world.available(contract.wallet) == 1_000


async def test_unused_credit_rolls_over_by_percent_cap_and_times_at_the_cycles_end(world: World) -> None:
    contract = await world.sign(terms(included_roll_over=roll_over("50", cap_units=300, times=2)))
    await world.bill(contract.name)
    await world.use(contract.name, 200)
    await world.ledger.advance(world.at("02-01"))

    assert await world.available(contract.wallet) == 1_000 + min(300, 800 // 2)
    await world.use(contract.name, 100)
    await world.bill(contract.name)
    await world.ledger.advance(world.at("03-01"))
    # February's own credit was granted first and is used first: 900 of it are left, and all that had moved on.
    assert await world.available(contract.wallet) == 1_000 + min(300, 900 // 2) + 300 // 2
    await world.bill(contract.name)
    await world.ledger.advance(world.at("04-01"))
    # What is left of January's has moved on twice and ends here.
    assert await world.available(contract.wallet) == 1_000 + min(300, 1_000 // 2) + 300 // 2


async def test_credit_of_a_cycle_on_the_31st_rolls_over_where_the_short_month_ends(world: World) -> None:
    start, june, july = world.at("05-30T22:00"), world.at("06-29T22:00"), world.at("07-30T22:00")
    cycle = agreement_pb2.Cycle(
        interval=agreement_pb2.CYCLE_INTERVAL_MONTH, anchor_time=timestamp(start), zone="Europe/Berlin"
    )
    contract = await world.sign(terms(included_roll_over=roll_over("100")), start=start, cycle=cycle)
    await world.ledger.advance(start)
    await world.bill(contract.name)
    ends = [expire for _, expire, _ in await world.granted(contract.wallet)]
    await world.ledger.advance(june)

    assert ends == [june, july]
    assert await world.available(contract.wallet) == 2_000


async def test_a_trial_and_what_follows_it_each_include_their_part_of_the_cycle(world: World) -> None:
    contract = await world.sign(
        terms("trial", included_units=310, duration="P10D"), terms("evergreen", included_units=3_100)
    )
    await world.bill(contract.name)

    assert await world.granted(contract.wallet) == [
        (world.start, world.at("02-01"), 100),
        (world.at("01-11"), world.at("02-01"), 2_100),
        (world.at("02-01"), world.at("03-01"), 3_100),
    ]


@pytest.mark.parametrize(
    ("used", "left"),
    [
        pytest.param(0, 500, id="unused"),
        pytest.param(200, 300, id="used less than its part"),
        pytest.param(900, 0, id="used more than its part"),
    ],
)
async def test_a_contract_that_ends_early_keeps_the_unused_rest_of_its_part(
    world: World, used: int, left: int
) -> None:
    contract = await world.sign()
    await world.bill(contract.name)
    if used:
        await world.use(contract.name, used)
    await end_contract(world, contract.name, world.at("01-16T12:00"))
    await world.bill(contract.name)

    assert await world.available(contract.wallet) == left
    assert (await world.preview(contract.name)).included_left_units == left
    await world.ledger.advance(world.at("01-16T12:00"))
    assert await world.available(contract.wallet) == 0
    await world.ledger.advance(world.at("02-01"))
    assert await world.available(contract.wallet) == 0


async def test_a_change_that_is_taken_back_grants_anew_and_not_again(world: World) -> None:
    contract = await world.sign()
    await world.bill(contract.name)
    await world.use(contract.name, 100)
    for units, left in ((3_100, 3_100 - 100), (1_000, 1_000 - 100), (3_100, 3_100 - 100)):
        await schedule(world, contract.name, await world.ledger.clock() + MICROSECOND, included_units=units)
        await world.bill(contract.name)
        await world.ledger.advance(await world.ledger.clock() + MICROSECOND)

        # The microsecond under other terms is worth less than a unit, which is rounded down.
        assert abs(await world.available(contract.wallet) - left) <= 3


async def test_a_change_ahead_of_time_changes_the_cycles_to_come_and_not_this_one(world: World) -> None:
    contract = await world.sign()
    await world.bill(contract.name)
    await schedule(world, contract.name, world.at("02-01"), included_units=5_000)
    await world.bill(contract.name)
    revoked = [
        e for e in await world.ledger.events(stream=contract.wallet) if e.topic == "wallet.GrantRevoked.v1"
    ]

    assert await world.granted(contract.wallet) == [
        (world.start, world.at("02-01"), 1_000),
        (world.at("02-01"), world.at("03-01"), 1_000),
        (world.at("02-01"), world.at("03-01"), 5_000),
    ]
    assert [msgspec.json.decode(each.state)["event"]["amount_units"] for each in revoked] == [1_000]
    await world.ledger.advance(world.at("02-01"))
    assert await world.available(contract.wallet) == 5_000


async def test_what_comes_back_after_a_change_is_there_again_until_the_cycle_ends(world: World) -> None:
    contract = await world.sign()
    await world.bill(contract.name)
    debit = (await world.ledger.debit(contract.wallet, 300)).debit.name
    held = await hold(world.ledger, contract.wallet, 200)
    await schedule(world, contract.name, await world.ledger.clock(), included_units=2_000)
    await world.bill(contract.name)
    before = await world.available(contract.wallet)
    await world.reverse(debit)
    await release(world.ledger, held.hold.name)

    assert before == 2_000 - 300 - 200
    assert await world.available(contract.wallet) == 2_000
    assert (await world.preview(contract.name)).included_left_units == 2_000
    await world.ledger.advance(world.at("02-01"))
    assert await world.available(contract.wallet) == 1_000 * 2


async def test_credit_may_still_be_granted_by_hand_beside_it(world: World) -> None:
    contract = await world.sign()
    await world.bill(contract.name)
    await world.ledger.grant(
        contract.wallet, 7, category=wallet_pb2.GRANT_CATEGORY_INCLUDED, contract=contract.name
    )
    await world.bill(contract.name)

    assert await world.available(contract.wallet) == 1_007
    granted = [e for e in await world.ledger.events(stream=contract.wallet) if e.topic == GRANTED]
    assert len(granted) == 3
