"""Billing that ends at any step, or beside a change or another process: credit and invoices come, each once."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Final

import msgspec
import pytest

from rating_service.application.ports import LedgerUnavailableError
from rating_service.domain.agreements.agreement import Contract, ContractPhase, FeeTiming, Money
from rating_service.domain.agreements.cycles import cycle_at
from rating_service.domain.invoicing.included import allotments_of
from tests.breaks import (
    Breaks,
    Failures,
    Killed,
    Steps,
    Turns,
    at_every_break,
    at_every_failure,
    in_every_order,
    stepped,
)
from tests.unit.rating.billing_world import Followed, World, run
from tests.unit.rating.builders import JANUARY, at, contract, plan_phase

NOW: Final = at("2026-03-03T00:00")
CHANGE: Final = at("2026-03-16T12:00")
AHEAD: Final = plan_phase(included=310, fee="20")
SIGNED: Final = contract(ContractPhase(JANUARY, msgspec.structs.replace(AHEAD, fee_timing=FeeTiming.ADVANCE)))
CHANGED: Final = contract(
    ContractPhase(JANUARY, SIGNED.phases[0].terms, CHANGE),
    ContractPhase(CHANGE, plan_phase("large", included=620)),
)
JANUARY_AND_FEBRUARY: Final = [
    "contracts/acme 2026-01 ahead",
    "contracts/acme 2026-01",
    "contracts/acme 2026-02",
]


def included_units(agreed: Contract) -> int:
    """Return what a contract includes from January to April, which is granted in March."""
    cycles = [cycle_at(agreed.cycle, JANUARY + timedelta(days=31 * month)) for month in range(4)]
    return sum(each.entitled_units for cycle in cycles for each in allotments_of(agreed, cycle))


async def settled(world: World) -> None:
    """Bill with a process that does not end, until nothing is due, and check what is true then."""
    await run(world.started(Breaks(0, after=True)))
    world.check()


@pytest.mark.parametrize("used_units", [0, 40, 1_000])
async def test_billing_that_ends_at_any_step_is_finished_by_the_next(used_units: int) -> None:
    async def play(breaks: Breaks) -> None:
        world = World(SIGNED, NOW, used_units=used_units)
        try:
            billing = world.started(breaks)
            await run(billing)
            await world.log.agree(CHANGED)
            await run(billing)
        except Killed:
            if len(world.log.pages) == 1:
                await world.log.agree(CHANGED)
        await settled(world)

        assert list(world.store.invoices) == JANUARY_AND_FEBRUARY
        assert world.grants.units == included_units(CHANGED)

    await at_every_break(play)


async def test_billing_one_of_whose_calls_fails_goes_on_with_its_next_run() -> None:
    async def play(failures: Failures) -> None:
        world = World(SIGNED, NOW, used_units=40)
        billing = world.started(failures)
        with suppress(LedgerUnavailableError):
            await run(billing)
        await world.log.agree(CHANGED)
        with suppress(LedgerUnavailableError):
            await run(billing)
        failures.heal()
        await run(billing)
        world.check()

        assert list(world.store.invoices) == JANUARY_AND_FEBRUARY
        assert world.grants.units == included_units(CHANGED)

    await at_every_failure(LedgerUnavailableError("away"), play)


@pytest.mark.parametrize("same_process", [True, False])
async def test_a_change_that_is_followed_while_its_contract_is_billed_is_not_lost(same_process: bool) -> None:
    async def play(turns: Turns) -> None:
        world = World(SIGNED, NOW)
        memory = Followed(world.log, world.store)

        async def bill(steps: Steps) -> None:
            await run(world.started(steps, followed=memory))

        async def change(steps: Steps) -> None:
            await stepped(world.log, steps).agree(CHANGED)
            await stepped(world.store, steps).follow(2)
            if same_process:
                await stepped(memory, steps).show(2)

        await turns.run(bill, change)
        await settled(world)

        assert world.grants.units == included_units(CHANGED)

    await in_every_order(play)


async def test_two_processes_that_bill_at_once_do_everything_once() -> None:
    async def play(turns: Turns) -> None:
        world = World(SIGNED, NOW, used_units=40)
        await world.log.agree(CHANGED)

        async def bill(steps: Steps) -> None:
            await run(world.started(steps))

        await turns.run(bill, bill)
        world.check()

        assert list(world.store.invoices) == JANUARY_AND_FEBRUARY
        assert world.grants.units == included_units(CHANGED)

    await in_every_order(play, switches_max=1)


def with_threshold() -> World:
    """Return a contract that is invoiced from 50 nanos on, and whose usage has come to 70."""
    terms = msgspec.structs.replace(plan_phase(), invoice_threshold=Money("USD", 50))
    return World(contract(ContractPhase(JANUARY, terms)), JANUARY)


async def test_a_threshold_that_is_reached_is_invoiced_once_after_any_break() -> None:
    async def play(breaks: Breaks) -> None:
        world = with_threshold()
        await settled(world)
        await world.use(70, Breaks(0, after=True))
        try:
            await run(world.started(breaks))
        except Killed:
            await world.use(10, Breaks(0, after=True))
        await settled(world)

        assert list(world.store.invoices.values()) in ([70], [80])
        assert world.store.estimate is not None
        assert world.store.usage_nanos - sum(world.store.invoices.values()) <= world.store.estimate.nanos < 50

    await at_every_break(play)


async def test_usage_that_comes_while_its_contract_is_billed_is_invoiced_and_not_twice() -> None:
    async def play(turns: Turns) -> None:
        world = with_threshold()
        await settled(world)
        await world.use(70, Breaks(0, after=True))

        async def bill(steps: Steps) -> None:
            await run(world.started(steps))

        async def more(steps: Steps) -> None:
            await world.use(60, steps)

        await turns.run(bill, bill, more)
        await settled(world)

        assert list(world.store.invoices.values()) in ([70, 60], [130])

    await in_every_order(play, switches_max=1)
