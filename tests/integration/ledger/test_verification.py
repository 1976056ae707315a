"""VerifyHistory finds what somebody changed behind the ledger's back, by the name of the check."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
import pytest_asyncio

from credits.ledger.v1 import history_service_pb2
from ledger_service.projections.verify import verify
from tests.integration.ledger.client import CALL_SECONDS, Client, key
from tests.postgres import PostgresServer
from tests.servers import LedgerServer, execute, projector

TABLES = (
    "stored_events",
    "notification_tracking",
    "wallet_view_wallets",
    "wallet_view_grants",
    "journal_lots",
    "journal_days",
)
SUPERUSER = "ALTER TABLE stored_events DISABLE TRIGGER ALL"


@pytest.fixture(scope="module")
def database(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[LedgerServer, str]]:
    """A ledger and the URL of its database, filled, projected and copied."""
    url = postgres_server.create_database()
    logs = tmp_path_factory.mktemp("tampered")
    with LedgerServer(logs / "ledger.log", database_url=url) as server:
        server.wait_for_line("serving")
        with projector(logs / "projector.log", database_url=url):
            asyncio.run(fill(server.address))
        for table in TABLES:
            execute(url, f"CREATE TABLE saved_{table} AS TABLE {table}")
        yield server, url
    postgres_server.drop_database(url)


async def fill(address: str) -> None:
    """Write two wallets of eight events, by turns, at positions 1 to 16, and wait until they are projected."""
    async with Client(address) as client:
        wallets = [await client.open_wallet(), await client.open_wallet()]
        for wallet in wallets:
            await client.grant(wallet, 100, idempotency_key=key())
        for number in range(6):
            for wallet in wallets:
                await client.debit(wallet, number + 1)

        async def lag() -> int:
            request = history_service_pb2.ListProjectionsRequest()
            response = await client.history.ListProjections(request, timeout=CALL_SECONDS)
            return max(each.head_position - each.position for each in response.projections)

        async with asyncio.timeout(CALL_SECONDS):
            while await lag():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def client(database: tuple[LedgerServer, str]) -> AsyncIterator[Client]:
    """A caller of that ledger; what the test changes is put back."""
    server, url = database
    async with Client(server.address) as caller:
        yield caller
    for table in TABLES:
        execute(url, SUPERUSER, f"DELETE FROM {table}", f"INSERT INTO {table} TABLE saved_{table}")  # noqa: S608


async def verified(client: Client) -> tuple[set[tuple[str, int]], history_service_pb2.VerifyHistoryResponse]:
    """Return the findings, check and position, and the last message."""
    found: set[tuple[str, int]] = set()
    last = history_service_pb2.VerifyHistoryResponse()
    request = history_service_pb2.VerifyHistoryRequest()
    async for last in client.history.VerifyHistory(request, timeout=CALL_SECONDS):
        found |= {(finding.check, finding.position) for finding in last.findings}
        assert all(finding.subject and finding.description for finding in last.findings)
    return found, last


async def test_a_healthy_log_has_no_findings(client: Client) -> None:
    found, last = await verified(client)

    assert found == set()
    assert last.done
    assert (last.checked_events, last.total_events, last.stream_count) == (16, 16, 2)
    assert set(last.projections) == {"wallet_view", "journal"}


@pytest.mark.parametrize(
    ("statements", "findings"),
    [
        pytest.param(
            # The key of a debit, in hexadecimal digits: only the chain knows it, so the next event tells.
            [
                "UPDATE stored_events SET state = overlay(state PLACING '\\x5a'::bytea"
                " FROM position('idempotency_key'::bytea IN state) + 18) WHERE notification_id = 5"
            ],
            {("HASH_CHAIN", 7)},
            id="one byte of a state",
        ),
        pytest.param(
            [
                "UPDATE stored_events SET state = convert_to(replace(convert_from(state, 'UTF8'),"
                " '\"amount_units\":1', '\"amount_units\":2'), 'UTF8') WHERE notification_id = 5"
            ],
            {("DRAWS", 5), ("CONSERVATION", 5), ("HASH_CHAIN", 7), ("PROJECTION", 16)},
            id="the amount of a debit",
        ),
        pytest.param(
            ["DELETE FROM stored_events WHERE notification_id = 7"],
            {("POSITION_GAP", 8), ("VERSION_GAP", 9), ("HASH_CHAIN", 9), ("PROJECTION", 16)},
            id="a row deleted",
        ),
        pytest.param(
            [
                "UPDATE stored_events SET notification_id = 99 WHERE notification_id = 7",
                "UPDATE stored_events SET notification_id = 7 WHERE notification_id = 9",
                "UPDATE stored_events SET notification_id = 9 WHERE notification_id = 99",
            ],
            {
                ("VERSION_GAP", 7),
                ("VERSION_GAP", 9),
                ("VERSION_GAP", 11),
                ("HASH_CHAIN", 7),
                ("HASH_CHAIN", 9),
                ("HASH_CHAIN", 11),
            },
            id="two events of a stream swapped",
        ),
        pytest.param(
            ["UPDATE wallet_view_grants SET drawn_units = drawn_units - 1"],
            {("PROJECTION", 16)},
            id="a row of a projection changed",
        ),
        pytest.param(
            ["DELETE FROM wallet_view_wallets"],
            {("PROJECTION", 16)},
            id="the rows of a projection deleted",
        ),
    ],
)
async def test_tampering_is_found_by_the_name_of_the_check(
    client: Client,
    database: tuple[LedgerServer, str],
    statements: list[str],
    findings: set[tuple[str, int]],
) -> None:
    execute(database[1], SUPERUSER, *statements)

    found, last = await verified(client)

    assert found == findings
    assert last.done


@pytest.mark.parametrize(
    "statements",
    [
        [],
        [
            "DELETE FROM stored_events WHERE notification_id IN (7, 10)",
            "UPDATE stored_events SET state = convert_to(replace(convert_from(state, 'UTF8'),"
            " '\"amount_units\":1', '\"amount_units\":2'), 'UTF8') WHERE notification_id IN (5, 6)",
        ],
    ],
)
async def test_going_over_the_log_for_one_stream_at_a_time_finds_the_same_in_the_same_order(
    client: Client, database: tuple[LedgerServer, str], statements: list[str]
) -> None:
    if statements:
        execute(database[1], SUPERUSER, *statements)

    whole, parts = (
        list(verify(database[1], schema="ledger", streams_at_once_max=streams)) for streams in (1_000, 1)
    )

    findings = [finding for report in whole for finding in report.findings]
    assert [finding for report in parts for finding in report.findings] == findings
    assert bool(findings) == bool(statements)
    assert [finding.position for finding in findings] == sorted(finding.position for finding in findings)
    assert parts[-1] == whole[-1]


async def test_a_log_cut_off_at_its_end_no_longer_matches_its_projections(
    client: Client, database: tuple[LedgerServer, str]
) -> None:
    execute(database[1], SUPERUSER, "DELETE FROM stored_events WHERE notification_id >= 15")

    found, last = await verified(client)

    assert {check for check, _ in found} == {"PROJECTION"}
    assert last.done
    assert last.checked_events == 14


async def test_an_event_that_nobody_can_read_is_found(
    client: Client, database: tuple[LedgerServer, str]
) -> None:
    execute(
        database[1],
        SUPERUSER,
        "UPDATE stored_events SET topic = 'wallet.Unheard.v1' WHERE notification_id = 7",
    )

    call = client.history.VerifyHistory(history_service_pb2.VerifyHistoryRequest(), timeout=CALL_SECONDS)
    first = await anext(aiter(call))
    call.cancel()

    found = {(finding.check, finding.position) for finding in first.findings}
    assert found == {("UNREADABLE_EVENT", 7), ("HASH_CHAIN", 9)}


async def test_a_verification_that_breaks_off_does_not_end_as_if_it_were_done(
    client: Client, database: tuple[LedgerServer, str]
) -> None:
    execute(database[1], "ALTER TABLE wallet_view_grants RENAME TO elsewhere")
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await verified(client)
    finally:
        execute(database[1], "ALTER TABLE elsewhere RENAME TO wallet_view_grants")

    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def test_a_verification_changes_nothing_and_the_ledger_serves_meanwhile(client: Client) -> None:
    verifying = asyncio.create_task(verified(client))
    wallet = (await client.events())[0].stream

    assert (await client.balance(wallet)).debited_units == 21
    found, _ = await verifying
    assert found == set()
    assert len(await client.events()) == 16
