"""Many callers at once, over the wire: what there is goes out once, and one key has one effect."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest

from tests.acceptance.ledger.log_checks import check_order_and_hashes, debits_by_key
from tests.integration.ledger.client import DEBITED, SOFT, Client, Refused, refusal, refused_by
from tests.postgres import PostgresServer
from tests.servers import LedgerServer, serving


@pytest.fixture(scope="module")
def server(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LedgerServer]:
    """One ledger for all races; each has a wallet of its own."""
    url = postgres_server.create_database()
    with serving(tmp_path_factory.mktemp("races") / "ledger.log", database_url=url) as running:
        yield running
    postgres_server.drop_database(url)


async def outcome(client: Client, wallet: str, amount_units: int, idempotency_key: str) -> str:
    """Return "debited" or the reason of the refusal."""
    try:
        await client.debit(wallet, amount_units, idempotency_key=idempotency_key)
    except grpc.aio.AioRpcError as error:
        return refused_by(error).reason
    return "debited"


@pytest.mark.parametrize("debits_covered", [0, 1, 37, 99, 100])
async def test_a_hundred_callers_get_exactly_the_debits_that_are_covered(
    server: LedgerServer, debits_covered: int
) -> None:
    async with Client(server.address) as client:
        # One unit short of one more debit.
        wallet = await client.open_wallet(granted_units=debits_covered * 7 + 6)

        outcomes = await asyncio.gather(
            *(outcome(client, wallet, 7, f"caller-{number}") for number in range(100))
        )

        assert Counter(outcomes) == Counter(
            {"debited": debits_covered, "INSUFFICIENT_CREDIT": 100 - debits_covered}
        )
        assert (await client.balance(wallet)).available_units == 6
        assert len(await client.events(stream=wallet, topics=(DEBITED,))) == debits_covered


async def test_callers_on_channels_of_their_own_share_what_there_is(server: LedgerServer) -> None:
    async with Client(server.address) as client:
        wallet = await client.open_wallet(granted_units=30)

        async def call(number: int) -> str:
            async with Client(server.address) as own:
                return await outcome(own, wallet, 1, f"caller-{number}")

        outcomes = await asyncio.gather(*(call(number) for number in range(50)))

        assert Counter(outcomes) == {"debited": 30, "INSUFFICIENT_CREDIT": 20}


async def test_a_thousand_calls_with_one_key_have_one_effect(server: LedgerServer) -> None:
    async with Client(server.address) as client:
        wallet = await client.open_wallet(granted_units=1_000_000)

        answers = await asyncio.gather(
            *(client.debit(wallet, 10, idempotency_key="the-one") for _ in range(1_000))
        )

        assert Counter(answer.replayed for answer in answers) == {False: 1, True: 999}
        assert len({answer.debit.SerializeToString(deterministic=True) for answer in answers}) == 1
        assert len({answer.position for answer in answers}) == 1
        assert (await client.balance(wallet)).debited_units == 10
        check_order_and_hashes(await client.events())
        assert debits_by_key(await client.events(stream=wallet)) == {"the-one": 10}


async def test_a_key_with_another_amount_is_refused_by_the_name_of_the_field(server: LedgerServer) -> None:
    async with Client(server.address) as client:
        wallet = await client.open_wallet(granted_units=100)
        await client.debit(wallet, 10, idempotency_key="k")

        refused = await refusal(client.debit(wallet, 11, idempotency_key="k"))

        assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "IDEMPOTENCY_KEY_REUSED")
        assert refused.metadata["differing_field"] == "amount_units"
        assert refused.field == "idempotency_key"
        assert (await client.balance(wallet)).debited_units == 10


async def test_of_racing_calls_with_one_key_and_two_amounts_one_amount_wins(server: LedgerServer) -> None:
    async with Client(server.address) as client:
        wallet = await client.open_wallet(granted_units=1_000)

        outcomes = await asyncio.gather(
            *(outcome(client, wallet, 10 + number % 2, "k") for number in range(100)),
        )

        assert Counter(outcomes) == {"debited": 50, "IDEMPOTENCY_KEY_REUSED": 50}
        assert (await client.balance(wallet)).debited_units in (10, 11)


async def test_a_refused_call_leaves_its_key_free(server: LedgerServer) -> None:
    async with Client(server.address) as client:
        wallet = await client.open_wallet(granted_units=9)
        refused: Refused = await refusal(client.debit(wallet, 10, idempotency_key="k"))
        assert refused.reason == "INSUFFICIENT_CREDIT"
        assert refused.metadata == {"available_units": "9", "amount_units": "10"}

        await client.grant(wallet, 1)
        answer = await client.debit(wallet, 10, idempotency_key="k")

        assert not answer.replayed
        assert (await client.balance(wallet)).available_units == 0


async def test_racing_callers_never_carry_overage_beyond_its_limit(server: LedgerServer) -> None:
    async with Client(server.address) as client:
        wallet = await client.open_wallet(granted_units=50, mode=SOFT, overage_limit_units=30)

        outcomes = await asyncio.gather(*(outcome(client, wallet, 1, f"k-{n}") for n in range(100)))

        assert Counter(outcomes) == {"debited": 80, "OVERAGE_LIMIT_EXCEEDED": 20}
        balance = await client.balance(wallet)
        assert (balance.available_units, balance.overage_units) == (0, 30)
