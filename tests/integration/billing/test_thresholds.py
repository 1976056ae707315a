"""Invoices in mid-cycle: once for each time that what is unbilled reaches the phase's threshold."""

from __future__ import annotations

import asyncio

import pytest

from credits.ledger.v1 import agreement_pb2, money_pb2
from credits.rating.v1 import invoice_service_pb2
from tests.integration.billing.world import GRACE, World, running_rating, terms
from tests.servers import LedgerServer

TWO_DOLLARS = 2 * 10**9
"""What a whole CREDIT of overage costs, in nanos."""
THRESHOLD = invoice_service_pb2.INVOICE_KIND_THRESHOLD


async def signed(world: World, threshold_dollars: int) -> agreement_pb2.Contract:
    """Sign a contract without included credit that is invoiced from so much on."""
    threshold = money_pb2.Money(currency_code="USD", nanos=threshold_dollars * 10**9)
    return await world.sign(terms(included_units=0, invoice_threshold=threshold))


async def thresholds(world: World, contract: str) -> list[int]:
    """Return the totals of a contract's invoices in mid-cycle."""
    issued = [each for each in await world.issued(contract) if each.kind == THRESHOLD]
    return [each.total.nanos for each in sorted(issued, key=lambda each: each.sequence)]


async def use(world: World, contract: str, dollars: int) -> None:
    """Record overage that costs so much."""
    await world.use(contract, dollars * 500_000)
    await world.parts.follower.wait_for(await world.head())


@pytest.mark.parametrize(("dollars", "invoiced"), [(9, []), (10, [10]), (11, [11])])
async def test_an_invoice_is_issued_exactly_from_the_threshold_on(
    world: World, dollars: int, invoiced: list[int]
) -> None:
    contract = (await signed(world, 10)).name
    await use(world, contract, dollars)
    await world.bill(contract)

    assert await thresholds(world, contract) == [each * 10**9 for each in invoiced]


async def test_each_crossing_has_one_invoice_and_the_cycles_own_gives_them_back(world: World) -> None:
    contract = (await signed(world, 10)).name
    for dollars in (6, 6, 5, 5, 3):
        await use(world, contract, dollars)
        await world.bill(contract)
        await world.bill(contract)
    await world.ledger.advance(world.at("02-01") + GRACE)
    await world.bill(contract)

    assert await thresholds(world, contract) == [12 * 10**9, 10 * 10**9]
    [own] = [each for each in await world.issued(contract) if each.kind != THRESHOLD]
    given_back = [
        line.amount.nanos for line in own.lines if line.kind == invoice_service_pb2.LINE_KIND_THRESHOLD_CREDIT
    ]
    assert given_back == [-12 * 10**9, -10 * 10**9]
    assert own.total.nanos == (20 + 25 - 22) * 10**9


async def test_only_contracts_that_have_come_so_far_are_due(lone_world: World) -> None:
    world = lone_world
    contract = (await signed(world, 10)).name
    await world.bill()
    await use(world, contract, 9)
    assert (await world.bill()).contracts_done == 0
    await use(world, contract, 1)
    done = await world.bill()

    assert (done.contracts_done, done.invoices_count) == (1, 1)
    assert (await world.bill()).contracts_done == 0


async def test_what_was_taken_back_does_not_count(world: World) -> None:
    contract = await signed(world, 10)
    await use(world, contract.name, 9)
    [debited] = [
        e
        for e in await world.ledger.events(stream=contract.wallet)
        if e.topic.startswith("wallet.CreditsDebited")
    ]
    await world.reverse(f"{contract.wallet}/debits/{debited.version}")
    await use(world, contract.name, 9)
    await world.bill(contract.name)

    assert await thresholds(world, contract.name) == []
    await use(world, contract.name, 1)
    await world.bill(contract.name)
    assert await thresholds(world, contract.name) == [10 * 10**9]


async def test_two_services_at_once_issue_one_invoice_a_crossing(
    lone_ledger: LedgerServer, lone_world: World, rating_url: str
) -> None:
    contracts = [(await signed(lone_world, 10)).name for _ in range(5)]
    async with running_rating(lone_world.ledger, lone_ledger.address, rating_url, lone_world.start) as other:
        for _ in range(2):
            await asyncio.gather(*(use(lone_world, contract, 10) for contract in contracts))
            await asyncio.gather(*(each.bill() for each in (lone_world, other, lone_world, other)))

        for contract in contracts:
            assert await thresholds(lone_world, contract) == [10 * 10**9] * 2
