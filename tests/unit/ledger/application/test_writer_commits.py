"""The writer commits what arrives together at once, answers each call for itself, and only what is durable."""

import asyncio

import pytest

from ledger_service.application.writing import writer as writer_module
from ledger_service.application.writing.calls import Outcome, Reading
from ledger_service.application.writing.stream_cache import SNAPSHOT_INTERVAL_EVENTS
from ledger_service.domain.commands import SettleWallet
from ledger_service.domain.events import CreditsDebited
from ledger_service.domain.refusals import InsufficientCredit, WalletNotFound
from ledger_service.domain.refusals.service import NotServing, QueueFull
from ledger_service.domain.topics import decode_fact
from ledger_service.domain.wallet.state import Wallet, posted_units
from tests.builders import (
    CONTRACT,
    WALLET,
    after,
    create_rate_card,
    debit,
    grant,
    open_wallet,
    publish_phase,
    publish_plan,
    sign_contract,
)
from tests.unit.ledger.application.scenario import (
    HeldLog,
    Shard,
    a_while,
    debits,
    eventually,
    outcome,
    refusal_of,
    request,
)

OTHER = "wallets/other"


async def test_calls_that_arrive_during_a_commit_share_the_next_one() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit_many([request(open_wallet()), request(grant(1_000))])
        log.hold()
        first = asyncio.create_task(writer.submit(request(debit(1))))
        await eventually(lambda: log.waiting == 1)
        others = [asyncio.create_task(writer.submit(request(debit(1)))) for _ in range(100)]
        await a_while()
        log.let_go()

        answers = [outcome(await task) for task in (first, *others)]

    assert log.append_sizes == [2, 1, 100]
    assert [answer.position for answer in answers] == list(range(3, 104))
    assert [answer.version for answer in answers] == list(range(3, 104))
    assert not any(answer.replayed for answer in answers)


async def test_a_call_of_a_lone_caller_is_committed_without_waiting_for_company() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit(request(open_wallet()))
        await writer.submit(request(grant(5)))

    assert log.append_sizes == [1, 1]


async def test_the_calls_of_a_group_are_decided_in_order_and_answered_each_for_itself() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        answers = await writer.submit_many(
            [
                request(open_wallet()),
                request(grant(10)),
                request(debit(6)),
                request(debit(6)),
                request(debit(1, wallet=OTHER)),
                request(SettleWallet(WALLET), ""),
                request(debit(4)),
            ]
        )

    assert [type(answer) for answer in answers] == [
        Outcome,
        Outcome,
        Outcome,
        InsufficientCredit,
        WalletNotFound,
        type(None),
        Outcome,
    ]
    assert sum(log.append_sizes) == 4
    assert shard.wallet().drawn_units == 10


async def test_a_commands_events_on_several_streams_are_one_commit() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        for command in (open_wallet(), create_rate_card(), publish_phase(), publish_plan()):
            await writer.submit(request(command))
        answer = outcome(await writer.submit(request(sign_contract())))

    assert log.append_sizes == [1, 1, 1, 1, 2]
    assert (answer.stream, answer.version, answer.position) == (CONTRACT, 1, 5)
    assert shard.wallet().policies[-1].contract == CONTRACT


async def test_the_answer_is_the_event_and_not_the_expiries_before_it() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit_many(
            [request(open_wallet()), request(grant(5, expire_time=after(days=1))), request(grant(5))]
        )
        shard.clock.time = after(days=2)
        answer = outcome(await writer.submit(request(debit(5))))

    assert isinstance(answer.fact.event, CreditsDebited)
    assert (answer.version, answer.position) == (5, 5)
    assert decode_fact(shard.events[3].topic, shard.events[3].state).idempotency_key == ""


async def test_a_command_that_finds_nothing_to_do_writes_nothing() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit(request(open_wallet()))

        assert await writer.submit(request(SettleWallet(WALLET), "")) is None

    assert log.append_sizes == [1]


async def test_nothing_is_answered_before_the_append_it_rests_on_has_returned() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10), open_wallet(wallet=OTHER))
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.read(WALLET)
        await writer.read(OTHER)
        log.hold()
        resting = [
            asyncio.create_task(writer.submit(request(debit(10)))),
            asyncio.create_task(writer.read(WALLET)),
            asyncio.create_task(refusal_of(writer.submit(request(debit(1), "")))),
            asyncio.create_task(refusal_of(writer.submit(request(debit(1))))),
            asyncio.create_task(writer.submit(request(SettleWallet(WALLET), ""))),
        ]
        await eventually(lambda: log.waiting == 1)
        during_the_append = asyncio.create_task(writer.read(WALLET))
        await a_while()

        assert [task.done() for task in (*resting, during_the_append)] == [False] * 6
        assert (await writer.read(OTHER)).version == 1

        log.let_go()
        debited, reading, refused, keyed_refused, settled = await asyncio.gather(*resting)
        assert isinstance(debited, Outcome)
        assert isinstance(reading, Reading)
        assert reading.version == 3
        assert isinstance(refused, InsufficientCredit)
        assert isinstance(keyed_refused, InsufficientCredit)
        assert settled is None
        assert (await during_the_append).version == 3


async def test_a_refusal_waits_for_the_commit_behind_the_one_under_way() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10), open_wallet(wallet=OTHER), grant(10, wallet=OTHER))
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.read(WALLET)
        await writer.read(OTHER)
        log.hold()
        under_way = asyncio.create_task(writer.submit(request(debit(1, wallet=OTHER))))
        await eventually(lambda: log.waiting == 1)
        pending = asyncio.create_task(writer.submit(request(debit(10))))
        refused = asyncio.create_task(refusal_of(writer.submit(request(debit(1)))))
        await a_while()
        log.let_one_through()
        await under_way
        await eventually(lambda: log.waiting == 1)
        await a_while()

        assert [pending.done(), refused.done()] == [False, False]

        log.let_go()
        assert isinstance(await refused, InsufficientCredit)
        assert outcome(await pending).version == 3


async def test_a_read_sees_what_was_answered_before_it() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10))])
        answer = outcome(await writer.submit(request(debit(3))))
        reading = await writer.read(WALLET)

    assert reading.version == answer.version
    assert isinstance(reading.state, Wallet)
    assert posted_units(reading.state) == 7
    assert writer.committed_position == answer.position == 3


async def test_a_read_of_a_stream_without_events_is_empty() -> None:
    async with Shard().serving() as writer:
        assert await writer.read(WALLET) == Reading(None, 0)


async def test_waiting_beyond_a_position_ends_when_an_event_after_it_is_durable() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        beyond = asyncio.create_task(writer.wait_beyond(0))
        opened = asyncio.create_task(writer.submit(request(open_wallet())))
        await a_while()
        assert not beyond.done()
        log.let_go()
        await opened
        await asyncio.wait_for(beyond, 1)


async def test_the_queue_takes_its_maximum_and_refuses_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "CALLS_MAX", 10)
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit_many([request(open_wallet()), request(grant(100))])
        log.hold()
        eight = asyncio.create_task(writer.submit_many(debits(8)))
        await eventually(lambda: log.waiting == 1)

        assert isinstance(await refusal_of(writer.submit_many([request(debit(1))] * 3)), QueueFull)
        two = asyncio.create_task(writer.submit_many(debits(2)))
        await a_while()
        assert isinstance(await refusal_of(writer.submit(request(debit(1)))), QueueFull)
        assert isinstance(await refusal_of(writer.read(WALLET)), QueueFull)

        log.let_go()
        assert len(await eight + await two) == 10
        assert outcome(await writer.submit(request(debit(1)))).version == 13


async def test_a_group_of_no_calls_is_answered() -> None:
    async with Shard().serving() as writer:
        assert await asyncio.wait_for(writer.submit_many([]), 1) == []


async def test_a_large_group_is_one_commit_or_two_and_complete() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10_000))])

        answers = await writer.submit_many(debits(1_000))

    assert [outcome(answer).version for answer in answers] == list(range(3, 1_003))
    assert len(log.append_sizes) <= 6


async def test_a_snapshot_is_stored_with_every_hundredth_event() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10_000))])
        for _ in range(SNAPSHOT_INTERVAL_EVENTS):
            await writer.submit(request(debit(1)))

        assert shard.snapshots[WALLET].version == SNAPSHOT_INTERVAL_EVENTS
    async with shard.serving() as writer:
        reading = await writer.read(WALLET)

    assert reading.version == SNAPSHOT_INTERVAL_EVENTS + 2
    assert reading.state == shard.wallet()


@pytest.mark.parametrize("cached_streams_max", [0, 1, 2])
async def test_eviction_never_loses_what_is_not_durable(cached_streams_max: int) -> None:
    shard = Shard()
    names = [f"wallets/{index}" for index in range(20)]
    async with shard.serving(cached_streams_max=cached_streams_max) as writer:
        for name in names:
            await writer.submit_many([request(open_wallet(wallet=name)), request(grant(10, wallet=name))])
        for _ in range(5):
            await asyncio.gather(*(writer.submit(request(debit(2, wallet=name))) for name in names))
        refused = [await refusal_of(writer.submit(request(debit(1, wallet=name)))) for name in names]

    assert {type(each) for each in refused} == {InsufficientCredit}
    assert {shard.wallet(name).drawn_units for name in names} == {10}


async def test_a_stream_with_events_that_are_not_durable_is_not_loaded_again() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10), create_rate_card(), publish_phase(), publish_plan())
    log = HeldLog(shard)
    async with shard.serving(log, cached_streams_max=0) as writer:
        log.hold()
        under_way = asyncio.create_task(writer.submit(request(debit(1))))
        await eventually(lambda: log.waiting == 1)
        pending = asyncio.create_task(writer.submit(request(debit(1))))
        needs_loading_too = asyncio.create_task(writer.submit(request(sign_contract())))
        await a_while()
        log.let_go()

        assert [outcome(await under_way).version, outcome(await pending).version] == [3, 4]
        assert outcome(await needs_loading_too).stream == CONTRACT

    assert log.conflicts == 0
    assert shard.entry().version == 5


async def test_record_time_does_not_go_back_when_the_clock_does() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10))])
        shard.clock.time = after(minutes=-10)
        same_process = outcome(await writer.submit(request(debit(1))))
    async with shard.serving() as writer:
        after_restart = outcome(await writer.submit(request(debit(1))))
        assert writer.now() == after()

    assert same_process.fact.record_time == after_restart.fact.record_time == after()


async def test_a_cancelled_caller_disturbs_nobody_and_undoes_nothing() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10))])
        log.hold()
        tasks = [asyncio.create_task(writer.submit(request(debit(1)))) for _ in range(3)]
        await eventually(lambda: log.waiting == 1)
        tasks[1].cancel()
        await a_while()
        log.let_go()

        assert [outcome(await tasks[0]).version, outcome(await tasks[2]).version] == [3, 5]
        assert tasks[1].cancelled()
        await asyncio.wait_for(writer.drain(), 1)

    assert shard.wallet().drawn_units == 3


async def test_a_caller_that_goes_while_its_batch_is_taken_in_leaves_no_open_calls() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10_000))])
        batch = asyncio.create_task(writer.submit_many(debits(1_000)))
        await asyncio.sleep(0)
        batch.cancel()
        await a_while()

        assert batch.cancelled()
        await asyncio.wait_for(writer.drain(), 1)


async def test_draining_answers_everyone_inside_and_takes_nobody_else() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit_many([request(open_wallet()), request(grant(100))])
        log.hold()
        tasks = [asyncio.create_task(writer.submit(request(debit(1)))) for _ in range(20)]
        await eventually(lambda: log.waiting == 1)
        draining = asyncio.create_task(writer.drain())
        await a_while()

        assert not draining.done()
        assert not writer.serving
        assert isinstance(await refusal_of(writer.submit(request(debit(1)))), NotServing)
        assert isinstance(await refusal_of(writer.read(WALLET)), NotServing)

        log.let_go()
        await draining
        assert all(task.done() for task in tasks)

    assert shard.wallet().drawn_units == 20
