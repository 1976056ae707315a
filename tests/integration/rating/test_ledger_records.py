"""Issued documents are recorded in the ledger once each, in order, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
import pytest
import pytest_asyncio

from rating_service.adapters.migrations import migrate
from rating_service.adapters.postgres.postgres_pool import Pool, connection, open_pool
from rating_service.adapters.postgres.record_store import PostgresRecordStore, add_record
from rating_service.application.invoicing.ledger_records import LedgerRecords
from rating_service.application.ports import LedgerUnavailableError, StoreUnavailableError
from rating_service.domain.documents.ledger_records import InvoiceRecord, RecordedAmount
from tests.fakes.document_ledger import FakeDocumentLedger

ACME, OTHER = "contracts/acme", "contracts/other"


class World:
    """A store with a ledger."""

    def __init__(self, pool: Pool, url: str) -> None:
        self.pool = pool
        self.url = url
        self.store = PostgresRecordStore(pool)
        self.ledger = FakeDocumentLedger()
        self.records = LedgerRecords(store=self.store, ledger=self.ledger)

    async def issue(self, number: int, contract: str = ACME) -> str:
        """Store the record of an invoice and return its name."""
        record = invoice_record(number, contract)
        async with connection(self.pool) as lent:
            await add_record(lent, record)
        return record.document


def invoice_record(number: int, contract: str) -> InvoiceRecord:
    """Return the record of an invoice of 20 USD."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    return InvoiceRecord(
        invoice=f"invoices/{contract.removeprefix('contracts/')}-{number}",
        contract=contract,
        kind="CYCLE",
        cycle_start_time=start,
        cycle_end_time=start.replace(month=2),
        issue_time=start.replace(month=2),
        watermark_position=7,
        document_hash="0" * 64,
        currency_code="USD",
        amounts=(RecordedAmount("BASE_FEE", 20_000_000_000),),
        tax_nanos=0,
        total_nanos=20_000_000_000,
    )


@pytest_asyncio.fixture
async def world(rating_url: str) -> AsyncIterator[World]:
    """A migrated database and an empty ledger."""
    migrate(rating_url)
    pool = await open_pool(rating_url)
    yield World(pool, rating_url)
    await pool.close()


async def test_a_stored_record_is_sent_and_its_position_noted(world: World) -> None:
    name = await world.issue(1)

    assert await world.store.position(name) is None
    assert await world.records.record(ACME, name) == 1
    assert await world.store.position(name) == 1
    assert world.ledger.records == [invoice_record(1, ACME)]
    assert await world.records.sweep() == 0


async def test_records_of_a_contract_are_sent_in_the_order_of_their_issue(world: World) -> None:
    names = [await world.issue(number) for number in (3, 1, 2)]
    await world.records.sweep()

    assert world.ledger.documents == names


async def test_a_refusal_stops_later_records_of_its_contract_and_no_others(world: World) -> None:
    first, second = await world.issue(1), await world.issue(2)
    other = await world.issue(1, OTHER)
    world.ledger.refused = {first}
    await world.records.sweep()

    assert world.ledger.documents == [other]
    assert await world.records.sweep() == 0, "a refused record rests"
    world.ledger.refused = set()
    assert await world.records.record(ACME, second) == 3
    assert world.ledger.documents == [other, first, second]


async def test_a_ledger_that_is_away_gets_the_record_later(world: World) -> None:
    world.ledger.is_away = True
    name = await world.issue(1)

    assert await world.records.record(ACME, name) == 0
    with pytest.raises(LedgerUnavailableError):
        await world.records.sweep()
    world.ledger.is_away = False
    assert await world.records.sweep() == 1
    assert await world.store.position(name) == 1


async def test_a_break_before_the_position_is_noted_records_nothing_twice(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = await world.issue(1)

    async def breaks(document: str, position: int) -> None:
        raise StoreUnavailableError(f"{document} was recorded at {position}")

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "recorded", breaks)
        assert await world.records.record(ACME, name) == 0

    assert world.ledger.documents == [name]
    assert await world.records.record(ACME, name) == 1
    assert world.ledger.documents == [name]


async def test_many_callers_of_one_contract_send_each_record_once(world: World) -> None:
    names = [await world.issue(number) for number in range(1, 6)]
    positions = await asyncio.gather(*[world.records.record(ACME, name) for name in names * 4])

    assert positions == [1, 2, 3, 4, 5] * 4


async def test_a_background_task_sends_what_waits(world: World) -> None:
    name = await world.issue(1)
    task = asyncio.create_task(world.records.run())
    async with asyncio.timeout(30):
        while await world.store.position(name) is None:  # noqa: ASYNC110, nobody announces it
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task

    assert world.ledger.documents == [name]


async def test_a_record_is_neither_changed_nor_removed(world: World) -> None:
    await world.issue(1)

    for statement in (
        "DELETE FROM rating.ledger_records",
        "TRUNCATE rating.ledger_records",
        "UPDATE rating.ledger_records SET payload = ''",
        "UPDATE rating.ledger_records SET contract = 'contracts/x', position = 9",
    ):
        with psycopg.connect(world.url) as direct, pytest.raises(psycopg.errors.RestrictViolation):
            direct.execute(statement.encode())


async def test_a_noted_position_stays(world: World) -> None:
    await world.records.record(ACME, await world.issue(1))

    with psycopg.connect(world.url) as direct, pytest.raises(psycopg.errors.RestrictViolation):
        direct.execute("UPDATE rating.ledger_records SET position = 2")
