"""One key, one event: whoever sends it again, whenever, gets the first answer."""

import asyncio

import pytest

from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.decider import ATTEMPTS_MAX
from ledger_service.domain.commands import AnyCommand
from ledger_service.domain.refusals import IdempotencyKeyReused, InsufficientCredit
from tests.builders import (
    RATE_CARD,
    WALLET,
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
    eventually,
    outcome,
    refusal_of,
    request,
)


async def test_a_key_sent_a_thousand_times_at_once_is_one_event() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    async with shard.serving() as writer:
        answers = await asyncio.gather(*(writer.submit(request(debit(7), "k")) for _ in range(1_000)))

    outcomes = [outcome(answer) for answer in answers]
    assert sum(not answer.replayed for answer in outcomes) == 1
    assert {(answer.version, answer.position) for answer in outcomes} == {(3, 3)}
    assert len({answer.fact for answer in outcomes}) == 1
    assert shard.stored_keys().count("k") == 1


async def test_a_key_sent_twice_in_one_group_is_one_event() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    async with shard.serving() as writer:
        first, second = await writer.submit_many([request(debit(7), "k"), request(debit(7), "k")])

    assert (outcome(first).replayed, outcome(second).replayed) == (False, True)


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_retry_is_replayed_with_the_very_event(restarted: bool) -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    async with shard.serving() as writer:
        first = outcome(await writer.submit(request(debit(3), "k")))
        if not restarted:
            again = outcome(await writer.submit(request(debit(3), "k")))
    if restarted:
        async with shard.serving() as writer:
            again = outcome(await writer.submit(request(debit(3), "k")))

    assert (again.stream, again.version, again.position, again.fact) == (
        first.stream,
        first.version,
        first.position,
        first.fact,
    )
    assert again.replayed
    assert shard.wallet().drawn_units == 3


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_retry_after_the_credit_was_used_up_is_replayed_and_not_refused(restarted: bool) -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    async with shard.serving() as writer:
        await writer.submit(request(debit(6), "k"))
        await writer.submit(request(debit(4)))
        if not restarted:
            again = await writer.submit(request(debit(6), "k"))
    if restarted:
        async with shard.serving() as writer:
            again = await writer.submit(request(debit(6), "k"))

    assert outcome(again).replayed


@pytest.mark.parametrize(
    "command", [open_wallet(), create_rate_card(), publish_phase(), publish_plan(), sign_contract()]
)
async def test_a_retry_of_what_can_be_done_only_once_is_replayed_after_a_restart(command: AnyCommand) -> None:
    shard = Shard()
    commands: list[AnyCommand] = [
        open_wallet(),
        create_rate_card(),
        publish_phase(),
        publish_plan(),
        sign_contract(),
    ]
    async with shard.serving() as writer:
        for each in commands:
            await writer.submit(request(each, "k" if each == command else None))
    stored = len(shard.events)
    async with shard.serving() as writer:
        again = outcome(await writer.submit(request(command, "k")))

    assert again.replayed
    assert len(shard.events) == stored


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_key_with_another_content_is_refused_naming_the_field(restarted: bool) -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    async with shard.serving() as writer:
        await writer.submit(request(debit(3), "k"))
        if not restarted:
            refused = await refusal_of(writer.submit(request(debit(4), "k")))
    if restarted:
        async with shard.serving() as writer:
            refused = await refusal_of(writer.submit(request(debit(4), "k")))

    assert isinstance(refused, IdempotencyKeyReused)
    assert refused.metadata == {"differing_field": "amount_units"}
    assert shard.wallet().drawn_units == 3


async def test_a_key_with_another_content_is_refused_while_the_first_is_being_committed() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        first = asyncio.create_task(writer.submit(request(debit(3), "k")))
        await eventually(lambda: log.waiting == 1)
        other = asyncio.create_task(refusal_of(writer.submit(request(grant(3), "k"))))
        await a_while()
        assert not other.done()
        log.let_go()

        assert isinstance(await other, IdempotencyKeyReused)
        assert not outcome(await first).replayed


async def test_the_same_key_on_another_stream_is_another_call() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit(request(open_wallet(), "k"))
        answer = outcome(await writer.submit(request(create_rate_card(), "k")))

    assert (answer.stream, answer.replayed) == (RATE_CARD, False)
    assert WALLET != RATE_CARD


async def test_a_refusal_leaves_its_key_free() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit(request(open_wallet()))
        refused = await refusal_of(writer.submit(request(debit(5), "k")))
        await writer.submit(request(grant(5)))
        answer = outcome(await writer.submit(request(debit(5), "k")))

    assert isinstance(refused, InsufficientCredit)
    assert not answer.replayed


async def test_followers_of_a_refused_call_are_decided_for_themselves() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    async with shard.serving() as writer:
        answers = await writer.submit_many(
            [
                request(debit(11), "k"),
                request(debit(10), "k"),
                request(debit(12), "k"),
                request(debit(10), "k"),
            ]
        )

    assert [type(answer) for answer in answers] == [
        InsufficientCredit,
        Outcome,
        IdempotencyKeyReused,
        Outcome,
    ]
    assert outcome(answers[3]).replayed


async def test_a_key_known_to_the_store_only_costs_its_own_call_and_not_the_commit() -> None:
    shard = Shard()
    async with shard.serving() as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10)), request(debit(2), "old")])
    async with shard.serving() as writer:
        answers = await asyncio.gather(
            writer.submit(request(debit(1))),
            writer.submit(request(debit(2), "old")),
            refusal_of(writer.submit(request(debit(5), "old"))),
            writer.submit(request(debit(1))),
        )

    assert [type(answer) for answer in answers] == [Outcome, Outcome, IdempotencyKeyReused, Outcome]
    assert [answer.replayed for answer in answers if isinstance(answer, Outcome)] == [False, True, False]
    assert shard.wallet().drawn_units == 4


async def test_old_keys_that_spoil_commit_after_commit_do_not_fail_a_new_call() -> None:
    shard = Shard()
    old = [request(debit(1), f"old-{index}") for index in range(2 * ATTEMPTS_MAX)]
    async with shard.serving() as writer:
        await writer.submit_many([request(open_wallet()), request(grant(100)), *old])
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        retries: list[asyncio.Task[Outcome | None]] = []

        def retry_one() -> None:
            if len(retries) < len(old):
                retries.append(asyncio.create_task(writer.submit(old[len(retries)])))

        log.before_load = retry_one
        new = outcome(await writer.submit(request(debit(5))))
        answers = [outcome(await retry) for retry in retries]

    assert log.conflicts == len(answers) == len(old)
    assert not new.replayed
    assert all(answer.replayed for answer in answers)
    assert shard.wallet().drawn_units == len(old) + 5


async def test_a_retry_soon_after_its_call_spoils_no_commit() -> None:
    shard = Shard()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        await writer.submit_many([request(open_wallet()), request(grant(10)), request(debit(2), "k")])
        answers = await asyncio.gather(
            writer.submit(request(debit(2), "k")), writer.submit(request(debit(1)))
        )

    assert [outcome(answer).replayed for answer in answers] == [True, False]
    assert log.conflicts == 0


async def test_a_follower_is_answered_when_the_first_caller_has_gone() -> None:
    shard = Shard()
    await shard.prepared(open_wallet(), grant(10))
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        first = asyncio.create_task(writer.submit(request(debit(3), "k")))
        second = asyncio.create_task(writer.submit(request(debit(3), "k")))
        await eventually(lambda: log.waiting == 1)
        first.cancel()
        await a_while()
        log.let_go()

        assert outcome(await second).replayed
