"""What goes wrong under the writer: lost races, a store that goes away, commits nobody knows the end of."""

import asyncio

import pytest

from ledger_service.application.writing import writer as writer_module
from ledger_service.application.writing.calls import Outcome, Reading
from ledger_service.application.writing.decider import ATTEMPTS_MAX
from ledger_service.domain.refusals import InsufficientCredit, Refusal
from ledger_service.domain.refusals.service import Contended, NotServing, OutcomeUnknown
from ledger_service.domain.values import ShortfallMode
from tests.builders import WALLET, debit, grant, open_wallet
from tests.fakes.memory_event_log import AppendFailure
from tests.unit.ledger.application.scenario import (
    HeldLog,
    Shard,
    a_while,
    check_log,
    debits,
    eventually,
    outcome,
    refusal_of,
    request,
)

OTHER = "wallets/other"
AMBIGUOUS = [AppendFailure.UNKNOWN_STORED, AppendFailure.UNKNOWN_NOT_STORED]


@pytest.fixture(autouse=True)
def _quick_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "ACQUIRE_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(writer_module, "OUTCOME_WAIT_SECONDS", 0.1)


async def funded(units: int = 10) -> Shard:
    """Return a shard with a HARD wallet."""
    shard = Shard()
    await shard.prepared(open_wallet(), grant(units))
    return shard


async def test_after_a_lost_race_every_call_is_decided_again() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        shard.fail_next = [AppendFailure.CONFLICT]
        answers = await writer.submit_many([request(debit(6)), request(debit(6)), request(debit(4))])

    assert [type(answer) for answer in answers] == [Outcome, InsufficientCredit, Outcome]
    assert shard.wallet().drawn_units == 10
    assert [outcome(answers[0]).version, outcome(answers[2]).version] == [3, 4]


async def test_calls_that_arrive_while_a_race_is_being_lost_are_decided_again_too() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        first = asyncio.create_task(writer.submit(request(debit(6))))
        await eventually(lambda: log.waiting == 1)
        second = asyncio.create_task(writer.submit(request(debit(3))))
        reading = asyncio.create_task(writer.read(WALLET))
        await a_while()
        shard.fail_next = [AppendFailure.CONFLICT]
        log.let_go()

        assert [outcome(await first).version, outcome(await second).version] == [3, 4]
        assert (await reading).version in {2, 3, 4}


async def test_races_that_are_always_lost_end_in_a_refusal_with_nothing_done() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        shard.fail_next = [AppendFailure.CONFLICT] * ATTEMPTS_MAX
        refused = await refusal_of(writer.submit(request(debit(6), "k")))
        answer = outcome(await writer.submit(request(debit(6), "k")))

    assert isinstance(refused, Contended)
    assert not answer.replayed


async def test_one_race_fewer_is_survived() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        shard.fail_next = [AppendFailure.CONFLICT] * (ATTEMPTS_MAX - 1)

        assert outcome(await writer.submit(request(debit(6)))).version == 3


async def test_the_events_of_another_writer_are_seen_after_a_conflict() -> None:
    shard = await funded()
    await shard.prepared(open_wallet(wallet=OTHER))
    async with (
        shard.standby(HeldLog(shard, heeds_lock=False)) as ours,
        shard.standby(HeldLog(shard, heeds_lock=False)) as theirs,
    ):
        await eventually(lambda: ours.serving and theirs.serving)
        assert [(await ours.read(name)).version for name in (WALLET, OTHER)] == [2, 1]
        await theirs.submit_many([request(grant(90)), request(grant(7, wallet=OTHER))])

        answer = outcome(await ours.submit(request(debit(2))))
        reading = await ours.read(WALLET)
        untouched = await ours.read(OTHER)

    check_log(shard)
    assert (answer.version, answer.position) == (4, 6)
    assert (reading.state, untouched.state) == (shard.wallet(), shard.wallet(OTHER))
    assert untouched.version == 2


async def test_two_writers_that_both_believe_to_hold_the_shard_spend_no_unit_twice() -> None:
    shard = await funded(100)
    async with (
        shard.standby(HeldLog(shard, heeds_lock=False)) as one,
        shard.standby(HeldLog(shard, heeds_lock=False)) as other,
    ):
        await eventually(lambda: one.serving and other.serving)
        keys = [f"k-{index}" for index in range(60)]
        answers: list[Outcome | Refusal] = []

        async def send(key: str, index: int) -> None:
            await asyncio.sleep(0.001 * index)
            first, second = (one, other) if index % 2 else (other, one)
            for writer in (first, second):
                try:
                    answers.append(outcome(await writer.submit(request(debit(2), key))))
                except Refusal as refusal:
                    answers.append(refusal)

        await asyncio.gather(*(send(key, index) for index, key in enumerate(keys)))

    check_log(shard)
    stored = [key for key in shard.stored_keys() if key in keys]
    recorded = {answer.fact.idempotency_key for answer in answers if isinstance(answer, Outcome)}
    refused = [answer for answer in answers if isinstance(answer, Refusal)]
    assert shard.wallet().drawn_units == 2 * len(stored) <= 100
    assert recorded == set(stored)
    assert {type(refusal) for refusal in refused} <= {InsufficientCredit, Contended}


async def test_a_refusal_that_rested_on_a_lost_commit_is_decided_again() -> None:
    shard = await funded(10)
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.read(WALLET)
        log.hold()
        first = asyncio.create_task(writer.submit(request(debit(10), "k")))
        await eventually(lambda: log.waiting == 1)
        doubtful = asyncio.create_task(writer.submit(request(debit(5))))
        await a_while()
        foreign = HeldLog(shard, heeds_lock=False)
        async with shard.standby(foreign) as theirs:
            await eventually(lambda: theirs.serving)
            await theirs.submit(request(grant(90)))
        log.let_go()

        assert outcome(await first).version == 4
        assert outcome(await doubtful).version == 5


@pytest.mark.parametrize("failure", AMBIGUOUS)
async def test_each_call_of_an_ambiguous_commit_is_acknowledged_exactly_once(failure: AppendFailure) -> None:
    shard = await funded(100)
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        first = asyncio.create_task(writer.submit_many(debits(10)))
        await eventually(lambda: log.waiting == 1)
        behind = asyncio.create_task(writer.submit_many(debits(10)))
        reading = asyncio.create_task(writer.read(WALLET))
        await a_while()
        shard.fail_next = [failure]
        log.let_go()

        answers = [outcome(answer) for answer in await first + await behind]
        await reading

    assert [answer.version for answer in answers] == list(range(3, 23))
    assert not any(answer.replayed for answer in answers)
    assert shard.wallet().drawn_units == 20
    assert len(set(shard.stored_keys())) == len(shard.stored_keys()) == 22


@pytest.mark.parametrize("failure", AMBIGUOUS)
async def test_a_commit_whose_end_nobody_tells_in_time_is_refused_as_unknown(failure: AppendFailure) -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.read(WALLET)
        log.hold()
        doubtful = asyncio.create_task(refusal_of(writer.submit(request(debit(3), "k"))))
        await eventually(lambda: log.waiting == 1)
        behind = asyncio.create_task(refusal_of(writer.submit(request(debit(3)))))
        await a_while()
        shard.fail_next = [failure]
        thief = HeldLog(shard)
        real_close = log.close

        async def close_and_lose() -> None:
            await real_close()
            await thief.acquire()

        log.close = close_and_lose  # type: ignore[method-assign]
        log.let_go()
        assert isinstance(await doubtful, OutcomeUnknown)
        assert isinstance(await behind, NotServing)
        assert not writer.serving

        log.close = real_close  # type: ignore[method-assign]
        await thief.close()
        await eventually(lambda: writer.serving)
        again = outcome(await writer.submit(request(debit(3), "k")))

    assert again.replayed is (failure is AppendFailure.UNKNOWN_STORED)
    assert shard.wallet().drawn_units == 3


async def test_a_store_that_goes_away_leaves_nothing_half_done() -> None:
    shard = await funded(10)
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.read(WALLET)
        log.hold()
        inside = [
            asyncio.create_task(refusal_of(writer.submit(request(debit(4), "k")))),
            asyncio.create_task(refusal_of(writer.submit(request(debit(4), "k")))),
            asyncio.create_task(refusal_of(writer.read(WALLET))),
            asyncio.create_task(refusal_of(writer.submit(request(debit(9))))),
            asyncio.create_task(refusal_of(writer.submit(request(debit(1, wallet=OTHER))))),
        ]
        await eventually(lambda: log.waiting == 1)
        inside.append(asyncio.create_task(refusal_of(writer.submit(request(debit(1))))))
        await a_while()
        shard.fail_next = [AppendFailure.UNAVAILABLE]
        log.let_go()

        refusals = await asyncio.gather(*inside)
        await eventually(lambda: writer.serving)
        answer = outcome(await writer.submit(request(debit(10), "k")))

    assert {type(refusal) for refusal in refusals} == {NotServing}
    assert (answer.version, answer.replayed) == (3, False)


async def test_a_store_that_goes_away_between_calls_is_noticed_and_found_again() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await log.close()
        thief = HeldLog(shard)
        await thief.acquire()
        assert isinstance(await refusal_of(writer.read(WALLET)), NotServing)
        await eventually(lambda: not writer.serving)
        await thief.close()
        await eventually(lambda: writer.serving)

        assert outcome(await writer.submit(request(debit(1)))).version == 3


async def test_a_standby_serves_only_once_the_shard_is_free() -> None:
    shard = await funded()
    async with shard.serving() as holder, shard.standby() as standby:
        await holder.submit(request(debit(4)))
        await a_while()
        assert not standby.serving
        assert isinstance(await refusal_of(standby.submit(request(debit(1)))), NotServing)
        assert isinstance(await refusal_of(standby.read(WALLET)), NotServing)
    async with shard.serving() as successor:
        assert outcome(await successor.submit(request(debit(6)))).version == 4


async def test_a_standby_takes_over_with_the_state_as_it_was_left() -> None:
    shard = await funded()
    async with shard.standby() as holder:
        await eventually(lambda: holder.serving)
        successor_context = shard.standby()
        successor = await successor_context.__aenter__()
        await holder.submit(request(debit(4), "k"))
    await eventually(lambda: successor.serving)
    again = outcome(await successor.submit(request(debit(4), "k")))
    refused = await refusal_of(successor.submit(request(debit(7))))
    await successor_context.__aexit__(None, None, None)

    check_log(shard)
    assert again.replayed
    assert isinstance(refused, InsufficientCredit)


async def test_stopping_in_the_middle_of_a_commit_claims_nothing_about_it() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.standby(log) as writer:
        await eventually(lambda: writer.serving)
        log.hold()
        under_way = asyncio.create_task(refusal_of(writer.submit(request(debit(3)))))
        await eventually(lambda: log.waiting == 1)
        behind = asyncio.create_task(refusal_of(writer.submit(request(debit(3)))))
        await a_while()

    assert isinstance(await under_way, OutcomeUnknown)
    assert isinstance(await behind, NotServing)


async def test_the_serving_state_is_told_when_it_changes() -> None:
    shard = await funded()
    told: list[bool] = []
    writer = writer_module.Writer(
        HeldLog(shard), shard.clock, cached_streams_max=10, on_serving_change=told.append
    )
    running = asyncio.create_task(writer.run())
    await eventually(lambda: writer.serving)
    shard.fail_next = [AppendFailure.UNAVAILABLE]
    await refusal_of(writer.submit(request(debit(1))))
    await eventually(lambda: writer.serving)
    running.cancel()
    await asyncio.wait([running])

    assert told == [True, False, True, False]


@pytest.mark.parametrize("failure", list(AppendFailure))
async def test_any_failure_at_any_time_leaves_each_key_with_one_event_or_none(failure: AppendFailure) -> None:
    shard = Shard()
    await shard.prepared(open_wallet(mode=ShortfallMode.SOFT))
    answers: dict[str, Outcome | Refusal] = {}
    async with shard.serving() as writer:
        for round_ in range(8):
            shard.fail_next = [failure] if round_ % 2 else []

            async def send(key: str) -> None:
                try:
                    answers[key] = outcome(await writer.submit(request(debit(1), key)))
                except Refusal as refusal:
                    answers[key] = refusal

            await asyncio.gather(*(send(f"{round_}-{index}") for index in range(10)))
            await eventually(lambda: writer.serving)

    acknowledged = {key for key, answer in answers.items() if isinstance(answer, Outcome)}
    assert {key for key in shard.stored_keys() if "-" in key and key in answers} == acknowledged
    assert shard.wallet().overage_units == len(acknowledged) >= 40
    assert {type(answer) for answer in answers.values()} <= {Outcome, NotServing}


async def test_a_reading_of_a_lost_race_is_taken_again() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.read(WALLET)
        log.hold()
        first = asyncio.create_task(writer.submit(request(debit(6))))
        reading = asyncio.create_task(writer.read(WALLET))
        await eventually(lambda: log.waiting == 1)
        shard.fail_next = [AppendFailure.CONFLICT]
        log.let_go()

        await first
        assert isinstance(await reading, Reading)
        assert (await reading).state == shard.wallet()
