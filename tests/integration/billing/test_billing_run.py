"""Invoices are issued by the clock, oldest first, each once, and one contract's trouble is no other's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import grpc
import pytest

from credits.ledger.v1 import agreement_pb2, contract_changes_pb2, money_pb2
from credits.rating.v1 import billing_pb2
from tests.integration.billing.world import (
    DAY,
    GRACE,
    MICROSECOND,
    World,
    running_rating,
    terms,
)
from tests.integration.ledger.client import instant_of, key, timestamp
from tests.integration.rating.harness import refused
from tests.postgres import PostgresServer
from tests.servers import LedgerServer

OPEN, DRAFT, ISSUED = (
    billing_pb2.CYCLE_STATE_OPEN,
    billing_pb2.CYCLE_STATE_DRAFT,
    billing_pb2.CYCLE_STATE_ISSUED,
)


async def starts(world: World, contract: str) -> list[datetime]:
    """Return where the cycles begin that have an invoice, in the order of issue."""
    invoices = sorted(await world.issued(contract), key=lambda each: each.watermark_position)
    return [instant_of(each.cycle_start_time) for each in invoices]


async def states(world: World, contract: str) -> list[billing_pb2.CycleState.ValueType]:
    """Return the state of each cycle."""
    return [each.state for each in await world.cycles(contract)]


async def eventually(look: Callable[[], Awaitable[Sequence[object]]], *, count: int) -> None:
    """Wait until there is as much to see as there should be."""
    async with asyncio.timeout(30):
        while len(await look()) < count:  # noqa: ASYNC110, it is the state of another process
            await asyncio.sleep(0.02)


async def test_a_cycle_is_open_then_a_draft_and_issued_when_its_grace_is_over(world: World) -> None:
    contract = (await world.sign()).name
    end = world.at("02-01")
    await world.ledger.advance(end - MICROSECOND)
    assert ((await world.bill(contract)).invoices_count, await states(world, contract)) == (0, [OPEN])
    await world.ledger.advance(end)
    assert ((await world.bill(contract)).invoices_count, await states(world, contract)) == (0, [DRAFT, OPEN])
    await world.ledger.advance(end + GRACE - MICROSECOND)
    assert (await world.bill(contract)).invoices_count == 0
    await world.ledger.advance(end + GRACE)
    done = await world.bill(contract)

    [issued, running] = await world.cycles(contract)
    assert (done.invoices_count, list(done.invoices)) == (1, [issued.invoice])
    assert (issued.state, running.state, running.invoice) == (ISSUED, OPEN, "")
    assert instant_of(running.issue_time) == world.at("03-01") + GRACE
    assert (await world.bill(contract)).invoices_count == 0


async def test_twelve_missed_months_are_caught_up_in_order(world: World) -> None:
    contract = await world.sign()
    for month in (1, 5, 12):
        await world.ledger.advance(world.start.replace(month=month, day=2))
        await world.use(contract.name, 1_500)
    await world.ledger.advance(world.start.replace(year=world.start.year + 1, day=3))
    done = await world.bill(contract.name)

    months = [world.start.replace(month=month) for month in range(1, 13)]
    assert (done.invoices_count, done.contracts_done) == (12, 1)
    assert await starts(world, contract.name) == months
    # Credit that comes late pays back no overage: the debits are final.
    totals = {
        instant_of(each.cycle_start_time).month: each.total.nanos
        for each in await world.issued(contract.name)
    }
    assert {month for month, nanos in totals.items() if nanos > 20 * 10**9} == set()
    assert len(await world.granted(contract.wallet)) == 14


async def test_what_is_due_by_an_instant_and_no_more_is_billed(world: World) -> None:
    contract = (await world.sign()).name
    await world.ledger.advance(world.at("04-15"))
    done = await world.bill(contract, until_time=world.at("03-01") + GRACE - MICROSECOND)
    assert await starts(world, contract) == [world.at("01-01")]
    await world.bill(contract, until_time=world.at("03-01") + GRACE)

    assert done.invoices_count == 1
    assert await starts(world, contract) == [world.at("01-01"), world.at("02-01")]


async def test_an_instant_ahead_of_the_clock_is_refused(world: World) -> None:
    contract = (await world.sign()).name
    now = await world.ledger.clock()

    assert await refused(world.bill(contract, until_time=now + MICROSECOND)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "TIME_MALFORMED",
    )
    await world.bill(contract, until_time=now)


@pytest.mark.parametrize("contract", ["contracts/nobody", "wallets/w"])
async def test_a_contract_that_there_is_not_is_refused(world: World, contract: str) -> None:
    reason = "UNKNOWN_CONTRACT" if contract == "contracts/nobody" else "FIELD_MALFORMED"

    assert (await refused(world.bill(contract)))[1] == reason
    assert (await refused(world.cycles(contract)))[1] == reason


async def test_cycles_follow_the_calendar_of_the_contracts_zone(world: World) -> None:
    """The 31st comes back after a short month, and local midnight stays so when the clocks change."""
    berlin = ZoneInfo("Europe/Berlin")

    def midnight(month: int, day: int) -> datetime:
        """Return the first instant of a day; the clocks change on the last Sunday of October, whichever day that is."""
        return datetime(world.start.year, month, day, tzinfo=berlin).astimezone(UTC)

    for start, ends in (
        (midnight(5, 31), [midnight(6, 30), midnight(7, 31)]),
        (midnight(8, 31), [midnight(9, 30), midnight(10, 31), midnight(11, 30)]),
    ):
        cycle = agreement_pb2.Cycle(
            interval=agreement_pb2.CYCLE_INTERVAL_MONTH, anchor_time=timestamp(start), zone=berlin.key
        )
        contract = (await world.sign(start=start, cycle=cycle)).name
        for end in ends:
            await world.ledger.advance(end + GRACE - MICROSECOND)
            assert (await world.bill(contract)).invoices_count == 0
            await world.ledger.advance(end + GRACE)
            assert (await world.bill(contract)).invoices_count == 1


async def test_a_contract_that_ended_gets_its_last_cycle_and_nothing_more(world: World) -> None:
    contract = (await world.sign()).name
    request = contract_changes_pb2.EndContractRequest(
        name=contract, end_time=timestamp(world.at("02-10")), idempotency_key=key()
    )
    await world.ledger.contracts.EndContract(request)
    await world.ledger.advance(world.at("06-01"))
    await world.bill(contract)

    assert await starts(world, contract) == [world.at("01-01"), world.at("02-01")]
    assert await states(world, contract) == [ISSUED, ISSUED]
    assert (await world.bill(contract)).grants_count == 0


async def test_one_contract_that_is_refused_stops_no_other_and_is_tried_again(lone_world: World) -> None:
    world = lone_world
    euros = terms(
        "later",
        base_fee=None,
        included_units=0,
        overage_price=money_pb2.UnitPrice(currency_code="EUR", price="1"),
    )
    mixed = (await world.sign(terms("first", duration="P1D", included_units=0), euros)).name
    fine = (await world.sign()).name
    await world.ledger.advance(world.at("01-15"))
    await world.use(mixed, 1_000)
    await world.ledger.advance(world.at("03-05"))
    done = await world.bill()

    [failure] = done.failures
    assert (failure.contract, failure.reason, failure.attempts) == (mixed, "MIXED_CURRENCIES", 1)
    assert (await starts(world, mixed), await starts(world, fine)) == (
        [],
        [world.at("01-01"), world.at("02-01")],
    )
    [listed] = [each for each in await world.cycles("", only_failed=True) if each.HasField("failure")]
    assert (listed.contract, listed.state, listed.failure.reason) == (mixed, DRAFT, "MIXED_CURRENCIES")
    assert instant_of(listed.cycle_start_time) == world.at("01-01")
    # It rests for a minute, unless it is asked for.
    assert (await world.bill()).contracts_done == 0
    assert (await world.bill(mixed)).failures[0].attempts == 2
    await world.ledger.advance(world.at("03-05") + timedelta(minutes=2) - MICROSECOND)
    assert (await world.bill()).contracts_done == 0
    await world.ledger.advance(world.at("03-05") + timedelta(minutes=2))
    assert (await world.bill()).failures[0].attempts == 3


async def test_two_services_at_once_issue_each_invoice_once(
    lone_ledger: LedgerServer, lone_world: World, rating_url: str
) -> None:
    plan = await lone_world.publish_plan()
    contracts = [(await lone_world.sign(plan=plan)).name for _ in range(20)]
    await lone_world.ledger.advance(lone_world.at("03-05"))
    async with running_rating(lone_world.ledger, lone_ledger.address, rating_url, lone_world.start) as other:
        done = await asyncio.gather(*(each.bill() for each in (lone_world, other) for _ in range(3)))
        invoices = [name for each in done for name in each.invoices]

        assert len(invoices) == len(set(invoices)) == 2 * len(contracts)
        assert sum(each.invoices_count for each in done) == len(invoices)
        for contract in contracts:
            assert len(await lone_world.issued(contract)) == 2
            assert len(await lone_world.granted(contract.replace("contracts/", "wallets/"))) == 4


async def test_services_on_databases_of_their_own_grant_included_credit_once(
    lone_ledger: LedgerServer,
    lone_world: World,
    postgres_server: PostgresServer,
) -> None:
    contract = await lone_world.sign()
    url = postgres_server.create_database(migrated=False)
    async with running_rating(lone_world.ledger, lone_ledger.address, url, lone_world.start) as other:
        await asyncio.gather(lone_world.bill(), other.bill())

        assert len(await lone_world.granted(contract.wallet)) == 2
    postgres_server.drop_database(url)


async def test_the_runner_bills_by_itself_when_a_contract_is_signed_and_when_time_has_passed(
    lone_world: World,
) -> None:
    world = lone_world
    runner = world.parts.billing
    runner._interval = timedelta(milliseconds=20)
    running = asyncio.create_task(runner.run())
    try:
        contract = await world.sign()
        await eventually(lambda: world.granted(contract.wallet), count=2)
        await world.ledger.advance(world.at("02-01") + GRACE)
        await eventually(lambda: world.issued(contract.name), count=1)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    assert [each.state for each in await world.cycles(contract.name)] == [ISSUED, OPEN]


async def test_cycles_are_listed_by_page_contract_and_state(lone_world: World) -> None:
    world = lone_world
    contracts = sorted([(await world.sign()).name for _ in range(3)])
    await world.ledger.advance(world.at("02-01") + GRACE)
    await world.bill()
    pages, token = [], ""
    while True:
        request = billing_pb2.ListCyclesRequest(page_size=2, page_token=token)
        page = await world.invoices.ListCycles(request)
        pages.append([(each.contract, instant_of(each.cycle_start_time)) for each in page.cycles])
        token = page.next_page_token
        if not token:
            break
    listed = [each for page in pages for each in page]

    assert listed == [(name, start) for name in contracts for start in (world.start, world.at("02-01"))]
    assert all(len(page) <= 2 for page in pages)
    assert [each.contract for each in await world.cycles("", state=OPEN)] == contracts
    assert [each.contract for each in await world.cycles("", state=ISSUED)] == contracts
    assert await world.cycles("", state=DRAFT) == []
    malformed = billing_pb2.ListCyclesRequest(page_token="bm8=")
    assert (await refused(world.invoices.ListCycles(malformed)))[1] == "PAGE_TOKEN_MALFORMED"
    unknown_state = billing_pb2.ListCyclesRequest(state=99)  # type: ignore[arg-type]
    assert (await refused(world.invoices.ListCycles(unknown_state)))[1] == "FIELD_MALFORMED"
    assert world.start + DAY < world.at("02-01")
