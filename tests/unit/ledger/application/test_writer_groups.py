"""Groups of a batch: every item in one commit or none, whatever else is inside and whatever breaks."""

import asyncio

import pytest

from ledger_service.application.writing import bundles, staging
from ledger_service.application.writing import writer as writer_module
from ledger_service.application.writing.calls import Outcome, Result
from ledger_service.application.writing.decider import ATTEMPTS_MAX
from ledger_service.application.writing.stream_cache import SNAPSHOT_INTERVAL_EVENTS
from ledger_service.application.writing.writer import CALLS_BETWEEN_YIELDS
from ledger_service.domain.commands import Request
from ledger_service.domain.refusals import IdempotencyKeyReused, InsufficientCredit
from ledger_service.domain.refusals.service import (
    Contended,
    DecisionFailed,
    GroupRefused,
    NotServing,
    OutcomeUnknown,
)
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
    request,
)

OTHER = "wallets/other"


@pytest.fixture(autouse=True)
def _quick_returns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "ACQUIRE_INTERVAL_SECONDS", 0.01)
    monkeypatch.setattr(writer_module, "OUTCOME_WAIT_SECONDS", 0.1)


async def funded(units: int = 10) -> Shard:
    """Return a shard with a HARD wallet."""
    shard = Shard()
    await shard.prepared(open_wallet(), grant(units))
    return shard


def group(**units_by_key: int) -> list[Request]:
    """Return debits by their keys."""
    return [request(debit(units), key) for key, units in units_by_key.items()]


def kinds(answers: list[Result]) -> list[type]:
    """Return what sort of answer each item got."""
    return [type(answer) for answer in answers]


def replays(answers: list[Result]) -> list[bool]:
    """Return which of the answers, all of them outcomes, are replayed."""
    return [outcome(answer).replayed for answer in answers]


async def test_a_group_is_recorded_in_order_and_in_one_commit() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        answers = await writer.submit_many(group(a=5, b=4, c=1), [range(3)])

    assert [outcome(answer).version for answer in answers] == [3, 4, 5]
    assert log.append_sizes == [3]
    assert shard.stored_keys()[-3:] == ["a", "b", "c"]
    assert shard.wallet().drawn_units == 10


@pytest.mark.parametrize(("units", "failed"), [((11, 1, 1), 0), ((5, 6, 1), 1), ((5, 4, 2), 2)])
async def test_one_item_refused_refuses_the_group_and_names_it(
    units: tuple[int, int, int], failed: int
) -> None:
    shard = await funded()
    stored = list(shard.events)
    async with shard.serving() as writer:
        answers = await writer.submit_many([request(debit(each)) for each in units], [range(3)])
        state = (await writer.read(WALLET)).state

    assert kinds(answers) == [InsufficientCredit if at == failed else GroupRefused for at in range(3)]
    named = {answer.failed_index for answer in answers if isinstance(answer, GroupRefused)}
    assert named == {failed}
    assert shard.events == stored
    assert state == shard.wallet()


async def test_single_items_and_other_groups_are_not_affected() -> None:
    shard = await funded()
    await shard.prepared(open_wallet(wallet=OTHER), grant(3, wallet=OTHER))
    requests = [
        *debits(1),
        *group(a=6, b=6),
        *debits(1),
        request(debit(2, wallet=OTHER), "c"),
        request(debit(1, wallet=OTHER), "d"),
        *group(e=8),
        *debits(1),
    ]
    async with shard.serving() as writer:
        answers = await writer.submit_many(requests, [range(1, 3), range(4, 6), range(6, 7)])

    refused = [GroupRefused, InsufficientCredit]
    assert kinds(answers) == [Outcome, *refused, Outcome, Outcome, Outcome, Outcome, InsufficientCredit]
    assert (shard.wallet().drawn_units, shard.wallet(OTHER).drawn_units) == (10, 3)
    assert isinstance(answers[1], GroupRefused)
    assert answers[1].failed_index == 2


async def test_a_group_on_a_cold_wallet_waits_for_it_to_be_loaded() -> None:
    shard = await funded()
    async with shard.serving(cached_streams_max=1) as writer:
        answers = await asyncio.gather(
            writer.submit_many(group(a=4, b=4), [range(2)]), writer.submit_many(group(c=1, d=1), [range(2)])
        )

    assert [kinds(each) for each in answers] == [[Outcome] * 2] * 2
    assert shard.wallet().drawn_units == 10


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_retry_of_a_group_answers_every_item_replayed(restarted: bool) -> None:
    shard = await funded()
    async with shard.serving() as writer:
        first = await writer.submit_many(group(a=5, b=4), [range(2)])
        # Without credit a decision would refuse: the retry must not come to it.
        await writer.submit(request(debit(1)))
        if not restarted:
            again = await writer.submit_many(group(a=5, b=4), [range(2)])
    if restarted:
        async with shard.serving() as writer:
            again = await writer.submit_many(group(a=5, b=4), [range(2)])

    assert replays(first) == [False, False]
    assert replays(again) == [True, True]
    assert [outcome(answer).position for answer in again] == [outcome(answer).position for answer in first]
    assert len(shard.events) == 5


async def test_items_of_a_group_sent_again_alone_are_replayed() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        await writer.submit_many(group(a=5, b=4), [range(2)])
        again = await writer.submit_many(group(b=4, a=5))

    assert replays(again) == [True, True]
    assert [outcome(answer).version for answer in again] == [4, 3]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("known", ["a", "b", "c"])
async def test_a_key_used_alone_before_refuses_the_group_naming_the_item(known: str, restarted: bool) -> None:
    shard = await funded()
    items = group(a=1, b=2, c=3)
    alone = next(item for item in items if item.idempotency_key == known)
    async with shard.serving() as writer:
        await writer.submit(alone)
        if not restarted:
            answers = await writer.submit_many(items, [range(3)])
    if restarted:
        async with shard.serving() as writer:
            answers = await writer.submit_many(items, [range(3)])

    at = "abc".index(known)
    assert kinds(answers) == [IdempotencyKeyReused if index == at else GroupRefused for index in range(3)]
    refused = answers[at]
    assert isinstance(refused, IdempotencyKeyReused)
    assert (refused.field, refused.metadata) == ("idempotency_key", {"differing_field": "group"})
    assert len(shard.events) == 3


async def test_a_known_group_with_another_amount_is_refused_naming_the_item_and_the_field() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        await writer.submit_many(group(a=1, b=2), [range(2)])
        answers = await writer.submit_many(group(a=1, b=3), [range(2)])

    assert kinds(answers) == [GroupRefused, IdempotencyKeyReused]
    refused = answers[1]
    assert isinstance(refused, IdempotencyKeyReused)
    assert refused.metadata == {"differing_field": "amount_units"}
    assert shard.wallet().drawn_units == 3


async def test_a_key_in_flight_alone_is_waited_for() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        alone = asyncio.create_task(writer.submit(request(debit(2), "b")))
        await eventually(lambda: log.waiting == 1)
        grouped = asyncio.create_task(writer.submit_many(group(a=1, b=2), [range(2)]))
        await a_while()
        assert not grouped.done()
        log.let_go()

        assert not outcome(await alone).replayed
        assert kinds(await grouped) == [GroupRefused, IdempotencyKeyReused]
    assert shard.wallet().drawn_units == 2


async def test_a_group_goes_on_when_the_key_that_it_waited_for_was_refused() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        answers = await writer.submit_many([*group(b=11), *group(a=1, b=2)], [range(1, 3)])

    assert kinds(answers) == [InsufficientCredit, Outcome, Outcome]
    assert shard.wallet().drawn_units == 3


async def test_an_item_sent_alone_while_its_group_is_being_committed_is_replayed() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        grouped = asyncio.create_task(writer.submit_many(group(a=1, b=2), [range(2)]))
        await eventually(lambda: log.waiting == 1)
        alone = asyncio.create_task(writer.submit(request(debit(2), "b")))
        changed = asyncio.create_task(writer.submit_many(group(a=7)))
        await a_while()
        log.let_go()

        assert replays(await grouped) == [False, False]
        assert outcome(await alone).replayed
        assert kinds(await changed) == [IdempotencyKeyReused]


async def test_an_item_sent_alone_while_its_group_is_refused_is_decided_by_itself() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        answers = await writer.submit_many([*group(a=1, b=11), *group(a=1)], [range(2)])

    assert kinds(answers) == [GroupRefused, InsufficientCredit, Outcome]
    assert not outcome(answers[2]).replayed


async def test_the_same_group_sent_many_times_at_once_is_recorded_once() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        answers = await asyncio.gather(
            *(writer.submit_many(group(a=5, b=5), [range(2)]) for _ in range(50)),
            *(writer.submit_many(group(b=5, a=5), [range(2)]) for _ in range(50)),
        )

    assert sorted(map(replays, answers)) == [[False, False]] + [[True, True]] * 99
    assert len(shard.events) == 4


async def test_of_two_groups_with_a_key_in_common_one_is_recorded_whole() -> None:
    shard = await funded(100)
    async with shard.serving() as writer:
        one, other = await asyncio.gather(
            writer.submit_many(group(a=1, b=2), [range(2)]),
            writer.submit_many(group(b=2, c=3), [range(2)]),
        )

    assert kinds(one) == [Outcome, Outcome]
    assert kinds(other) == [IdempotencyKeyReused, GroupRefused]
    assert shard.wallet().drawn_units == 3


async def test_after_a_lost_race_a_group_is_decided_again_as_one() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        shard.fail_next = [AppendFailure.CONFLICT]
        answers = await writer.submit_many([*group(a=3, b=3), *group(c=3, d=3)], [range(2), range(2, 4)])

    assert kinds(answers) == [Outcome, Outcome, GroupRefused, InsufficientCredit]
    assert shard.wallet().drawn_units == 6


@pytest.mark.parametrize(("races", "kind"), [(ATTEMPTS_MAX - 1, Outcome), (ATTEMPTS_MAX, Contended)])
async def test_a_group_survives_one_race_fewer_than_too_many(races: int, kind: type) -> None:
    shard = await funded()
    async with shard.serving() as writer:
        shard.fail_next = [AppendFailure.CONFLICT] * races
        answers = await writer.submit_many(group(a=3, b=3), [range(2)])
        again = await writer.submit_many(group(a=3, b=3), [range(2)])

    assert kinds(answers) == [kind, kind]
    assert replays(again) == [kind is Outcome] * 2


@pytest.mark.parametrize("failure", [AppendFailure.UNKNOWN_STORED, AppendFailure.UNKNOWN_NOT_STORED])
async def test_a_group_whose_commit_is_ambiguous_is_recorded_once_and_whole(failure: AppendFailure) -> None:
    shard = await funded()
    async with shard.serving() as writer:
        shard.fail_next = [failure]
        answers = await writer.submit_many([*group(a=3, b=3), *group(c=5)], [range(2)])

    assert kinds(answers) == [Outcome, Outcome, InsufficientCredit]
    assert replays(answers[:2]) == [False, False]
    assert shard.stored_keys()[-2:] == ["a", "b"]


async def test_a_group_behind_an_ambiguous_commit_is_decided_again_on_what_was_stored() -> None:
    shard = await funded()
    log = HeldLog(shard)
    async with shard.serving(log) as writer:
        log.hold()
        first = asyncio.create_task(writer.submit(request(debit(6))))
        await eventually(lambda: log.waiting == 1)
        grouped = asyncio.create_task(writer.submit_many(group(a=2, b=1), [range(2)]))
        refused = asyncio.create_task(writer.submit_many(group(c=1, d=4), [range(2)]))
        await a_while()
        shard.fail_next = [AppendFailure.UNKNOWN_NOT_STORED]
        log.let_go()

        assert not outcome(await first).replayed
        assert replays(await grouped) == [False, False]
        assert kinds(await refused) == [GroupRefused, InsufficientCredit]


async def test_a_group_that_another_writer_stored_meanwhile_is_replayed() -> None:
    shard = await funded()
    async with (
        shard.standby(HeldLog(shard, heeds_lock=False)) as ours,
        shard.standby(HeldLog(shard, heeds_lock=False)) as theirs,
    ):
        await eventually(lambda: ours.serving and theirs.serving)
        await ours.read(WALLET)
        await theirs.submit_many([*group(x=1), *group(a=3, b=3)], [range(1, 3)])
        whole = await ours.submit_many(group(a=3, b=3), [range(2)])
        await theirs.submit_many(group(d=1))
        part = await ours.submit_many(group(c=1, d=1), [range(2)])

    check_log(shard)
    assert replays(whole) == [True, True]
    assert kinds(part) == [GroupRefused, IdempotencyKeyReused]


async def test_every_item_of_a_group_is_told_that_the_store_is_away() -> None:
    shard = await funded()
    async with shard.serving() as writer:
        shard.fail_next = [AppendFailure.UNAVAILABLE]
        answers = await writer.submit_many(group(a=3, b=3), [range(2)])

    assert set(kinds(answers)) <= {NotServing, OutcomeUnknown}
    assert len(shard.events) == 2


@pytest.mark.parametrize("broken", ["decide", "evolve_stream"])
async def test_a_fault_in_one_item_costs_its_group_and_nothing_else(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = await funded()
    module = bundles if broken == "decide" else staging
    real = getattr(module, broken)

    def breaking(*arguments: object) -> object:
        if "amount_units=7," in repr(arguments):
            raise AssertionError("a fault of ours")
        return real(*arguments)

    monkeypatch.setattr(module, broken, breaking)
    async with shard.serving() as writer:
        answers = await writer.submit_many([*group(a=1, b=7, c=1), *group(d=3)], [range(3)])
        state = (await writer.read(WALLET)).state

    assert kinds(answers) == [GroupRefused, DecisionFailed, GroupRefused, Outcome]
    assert state == shard.wallet()
    assert shard.wallet().drawn_units == 3


async def test_snapshots_taken_inside_a_group_equal_the_events() -> None:
    shard = await funded(3 * SNAPSHOT_INTERVAL_EVENTS)
    async with shard.serving() as writer:
        for _ in range(3):
            await writer.submit_many(
                debits(SNAPSHOT_INTERVAL_EVENTS - 1), [range(SNAPSHOT_INTERVAL_EVENTS - 1)]
            )
    async with shard.serving() as writer:
        reading = await writer.read(WALLET)

    assert shard.snapshots[WALLET].version > SNAPSHOT_INTERVAL_EVENTS
    assert reading.state == shard.wallet()


async def test_a_large_batch_of_groups_gives_others_a_turn() -> None:
    size = 50
    shard = await funded(10_000)
    async with shard.serving() as writer:
        await writer.read(WALLET)
        count = 4 * CALLS_BETWEEN_YIELDS
        spans = [range(start, start + size) for start in range(0, count, size)]
        many = asyncio.create_task(writer.submit_many(debits(count), spans))
        waiting = []
        while not many.done():
            await asyncio.sleep(0)
            waiting.append(writer.committed_position)
        turns_taken = len(waiting)

    assert turns_taken > count // CALLS_BETWEEN_YIELDS
    assert replays(many.result()) == [False] * count
