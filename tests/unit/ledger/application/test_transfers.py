"""The steps of a transfer through a writer: whatever is lost or given again, there is one end and one effect."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.procedures.courier import Courier, OpenTransfer
from ledger_service.application.procedures.transfers import TransferState, arrival_key, carry, deliver
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import CloseWallet, DestinationRecord, TransferCredits
from ledger_service.domain.events import CreditsTransferredIn, TransferReturned, TransferSettled
from ledger_service.domain.names import check_idempotency_key
from ledger_service.domain.refusals import FieldMalformed, Refusal
from ledger_service.domain.topics import decode_fact
from ledger_service.domain.values import UNITS_MAX, GrantCategory
from ledger_service.domain.wallet.state import in_transit_units, posted_units
from ledger_service.domain.wallet.transfer import find_transfer
from tests.breaks import Steps, Turns, in_every_order, stepped
from tests.builders import CREDIT, CUSTOMER, WALLET, grant, open_wallet
from tests.fakes.memory_event_log import AppendFailure
from tests.transfers import BETA
from tests.unit.ledger.application.scenario import Shard, outcome, request

STEPS = ("nothing", "deliver", "carry", "restart", "two couriers", "lost", "stored but unknown")


class SeenTransfers:
    """Finds every transfer that was ever sent, as a view that is behind would."""

    def __init__(self, *transfers: OpenTransfer) -> None:
        self._transfers = sorted(transfers)

    async def open_transfers(self, *, after: OpenTransfer, limit: int) -> list[OpenTransfer]:
        return [each for each in self._transfers if each > after][:limit]


async def send(writer: Writer, units: int = 6) -> int:
    """Let credit leave and return the version of the transfer."""
    command = TransferCredits(WALLET, BETA, units, DestinationRecord(CUSTOMER, CREDIT))
    return outcome(await writer.submit(request(command))).version


async def prepared(*, beta_units: int = 0) -> Shard:
    """Return two wallets: ten units in two lots here, perhaps some there."""
    shard = Shard()
    beta = [grant(beta_units, wallet=BETA)] if beta_units else []
    gifts = [grant(5, category=GrantCategory.PROMOTIONAL)] * 2
    await shard.prepared(open_wallet(), open_wallet(wallet=BETA), *gifts, *beta)
    return shard


def count(shard: Shard, *kinds: type) -> int:
    """Return how many events of some kinds the log holds."""
    return sum(isinstance(decode_fact(each.topic, each.state).event, kinds) for each in shard.events)


async def step_of(shard: Shard, writer: Writer, version: int, step: str) -> None:
    """Do one step of many that may or may not be done."""
    if step == "deliver":
        source = shard.wallet()
        transit = find_transfer(source, version)
        if transit is not None:
            await deliver(writer, WALLET, source, transit, actor="test")
    elif step == "carry":
        await carry(writer, WALLET, version, actor="test")
    elif step == "two couriers":
        await asyncio.gather(*(carry(writer, WALLET, version, actor=name) for name in ("a", "b")))


async def played(steps: tuple[str, ...], *, beta_units: int = 0) -> Shard:
    """Return the log after a transfer, steps of which some fail, and a last courier."""
    shard = await prepared(beta_units=beta_units)
    async with shard.serving() as writer:
        version = await send(writer)
    for step in steps:
        # Each on a writer of its own: the one before it has crashed and left nothing but the log.
        async with shard.serving() as writer:
            if step in ("lost", "stored but unknown"):
                known = step != "lost"
                shard.fail_next.append(
                    AppendFailure.UNKNOWN_STORED if known else AppendFailure.UNKNOWN_NOT_STORED
                )
                step = "carry"
            try:
                await step_of(shard, writer, version, step)
            finally:
                shard.fail_next.clear()
    async with shard.serving() as writer:
        await Courier(writer, SeenTransfers(OpenTransfer(WALLET, version))).carry_all()
    return shard


@pytest.mark.parametrize("steps", list(product(STEPS[:5], STEPS[:5])), ids="-".join)
async def test_any_crash_and_any_repetition_give_one_arrival(steps: tuple[str, ...]) -> None:
    shard = await played(steps)

    assert count(shard, CreditsTransferredIn) == 2, "one a slice"
    assert (count(shard, TransferSettled), count(shard, TransferReturned)) == (1, 0)
    assert (posted_units(shard.wallet()), posted_units(shard.wallet(BETA))) == (4, 6)
    assert in_transit_units(shard.wallet()) == 0


@pytest.mark.parametrize("steps", [("nothing",), ("carry",), ("two couriers",), ("carry", "carry")])
async def test_what_is_refused_for_good_comes_back_once(steps: tuple[str, ...]) -> None:
    shard = await played(steps, beta_units=UNITS_MAX - 5)

    assert count(shard, CreditsTransferredIn, TransferSettled) == 0
    assert count(shard, TransferReturned) == 1
    assert posted_units(shard.wallet()) == 10


@pytest.mark.parametrize("failure", ["lost", "stored but unknown"])
async def test_a_commit_of_unknown_outcome_gives_one_arrival(failure: str) -> None:
    shard = await played((failure,))

    assert count(shard, CreditsTransferredIn) == 2
    assert count(shard, TransferSettled) == 1


async def test_a_transfer_that_has_arrived_is_settled_even_if_it_would_be_refused_now() -> None:
    shard = await prepared()
    async with shard.serving() as writer:
        version = await send(writer)
        await step_of(shard, writer, version, "deliver")
        await writer.submit(request(grant(UNITS_MAX - 6, wallet=BETA)))

        state = await carry(writer, WALLET, version, actor="test")

    assert state is TransferState.SETTLED
    assert count(shard, TransferReturned) == 0


async def test_a_courier_counts_what_it_brought_and_nothing_else() -> None:
    shard = await prepared()
    async with shard.serving() as writer:
        versions = [await send(writer, units) for units in (1, 2)]
        courier = Courier(writer, SeenTransfers(*(OpenTransfer(WALLET, version) for version in versions)))

        assert await courier.carry_all() == 2
        assert await courier.carry_all() == 0


def test_no_caller_can_choose_the_key_of_an_arrival() -> None:
    with pytest.raises(FieldMalformed):
        check_idempotency_key(arrival_key(WALLET, 3))


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_transfers_arrive_under_keys_of_their_own(one: int, other: int) -> None:
    assert (arrival_key(WALLET, one) == arrival_key(WALLET, other)) is (one == other)


@pytest.mark.parametrize("closes", [True, False])
async def test_a_transfer_beside_a_courier_and_the_end_of_its_destination_moves_all_or_nothing(
    closes: bool,
) -> None:
    async def play(turns: Turns) -> None:
        shard = await prepared()
        async with shard.serving() as writer:
            version = await send(writer)

            async def carrying(steps: Steps) -> None:
                await carry(stepped(writer, steps), WALLET, version, actor="test")

            async def closing(steps: Steps) -> None:
                with suppress(Refusal):
                    await stepped(writer, steps).submit(request(CloseWallet(BETA)))

            await turns.run(carrying, carrying, *([closing] if closes else []))

        ended = posted_units(shard.wallet()), posted_units(shard.wallet(BETA))
        assert ended == (4, 6) or (closes and ended == (10, 0))
        assert in_transit_units(shard.wallet()) == 0
        assert count(shard, TransferSettled, TransferReturned) == 1

    await in_every_order(play, switches_max=1)
