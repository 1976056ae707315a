"""Recording usage by running totals: round trips, races and refusals, on a ledger that does as it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc

from credits.rating.v1 import rating_service_pb2
from rating_service.application.metering import metered_usage
from tests.integration.rating.harness import START, WALLET, Service, reason, refused, until, usage
from tests.integration.rating.test_price_models import LATER, publish

WHOLE = 1_000_000


def after(quantity: int) -> int:
    """Return what a cycle owes for so many fonts, in whole assets."""
    return 1 + 7 * min(quantity, 5) + 6 * max(quantity - 5, 0)


def fonts(count: int, prefix: str = "u", each: int = 1) -> list[Any]:
    """Return so many usages."""
    return [usage(f"{prefix}-{place}", fonts=each, at=LATER) for place in range(count)]


async def batch(service: Service, usages: list[Any], **fields: Any) -> list[Any]:
    """Record a batch and return its results."""
    request = rating_service_pb2.BatchRecordUsageRequest(usages=usages, **fields)
    return list((await service.rating.BatchRecordUsage(request)).results)


def paid(results: list[Any]) -> int:
    """Return what results were debited."""
    return sum(result.response.debit.amount_units for result in results)


def counted(service: Service) -> list[list[int]]:
    """Return what the ledger has counted."""
    return list(service.ledger.totals.values())


async def someone_else_counts(service: Service, quantity: int) -> None:
    """Let a usage be counted of which this service hears nothing."""
    for total in service.ledger.totals.values():
        total[0] += quantity
        total[1] += 1


async def until_singles_wait(service: Service, singles: int) -> None:
    """Return once so many usages that came alone are inside, the first of them in the ledger."""
    wallets = service.parts.streams._rating._metered._wallets
    await until(lambda: WALLET in wallets and len(wallets[WALLET].waiting) == singles)
    await service.ledger.until_waiting(1)


async def test_a_batch_of_one_customer_is_one_call_and_adds_up(service: Service) -> None:
    await publish(service)

    results = await batch(service, fonts(1_000))

    assert (service.ledger.batch_calls, service.ledger.stale_debits) == (1, 0)
    assert paid(results) == after(1_000) * WHOLE
    assert counted(service) == [[1_000, 1_000]]


async def test_after_others_have_counted_a_batch_takes_one_call_more(service: Service) -> None:
    await publish(service)
    await batch(service, fonts(2))
    await someone_else_counts(service, 3)

    results = await batch(service, fonts(100, "v"))

    assert service.ledger.batch_calls == 3
    assert paid(results) == (after(105) - after(5)) * WHOLE
    assert [result.response.charge.lines[0].total_before.quantity for result in results] == list(
        range(5, 105)
    )


async def test_single_usages_of_one_customer_at_once_go_together_and_add_up(service: Service) -> None:
    await publish(service)
    service.ledger.debits_go_on.clear()

    requests = [rating_service_pb2.RecordUsageRequest(usage=each) for each in fonts(40)]
    calls = [asyncio.ensure_future(service.rating.RecordUsage(request)) for request in requests]
    await until_singles_wait(service, 40)
    service.ledger.debits_go_on.set()
    answers = await asyncio.gather(*calls)

    assert sum(answer.debit.amount_units for answer in answers) == after(40) * WHOLE
    assert service.ledger.stale_debits == 0
    assert service.ledger.batch_calls == 1


async def test_singles_that_go_together_keep_their_own_outcomes(service: Service) -> None:
    await publish(service)
    service.ledger.hard_wallets.add(WALLET)
    await service.ledger.grant(WALLET, after(3) * WHOLE, effective_time=START)
    service.ledger.debits_go_on.clear()

    requests = [
        rating_service_pb2.RecordUsageRequest(usage=each, refuse_when_short=place % 2 == 0)
        for place, each in enumerate(fonts(8))
    ]
    calls = [asyncio.ensure_future(service.rating.RecordUsage(request)) for request in requests]
    await until_singles_wait(service, 8)
    service.ledger.debits_go_on.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)

    taken = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert all(not isinstance(outcome, BaseException) for outcome in outcomes[1::2])
    assert any(isinstance(outcome, grpc.aio.AioRpcError) for outcome in outcomes[::2])
    assert sum(outcome.debit.amount_units for outcome in taken) == after(len(taken)) * WHOLE
    assert counted(service) == [[len(taken), len(taken)]]


async def test_a_caller_that_gives_up_leaves_the_others_their_turn(service: Service) -> None:
    await publish(service)
    service.ledger.debits_go_on.clear()
    requests = [rating_service_pb2.RecordUsageRequest(usage=each) for each in fonts(6)]

    first = asyncio.ensure_future(service.rating.RecordUsage(requests[0]))
    await until_singles_wait(service, 1)
    others = [asyncio.ensure_future(service.rating.RecordUsage(request)) for request in requests[1:]]
    await until_singles_wait(service, 6)
    first.cancel()
    # Of the others the ledger is asked in one call, which does not wait there.
    answers = await asyncio.gather(*others)

    # The first was broken off before the ledger decided it.
    assert counted(service) == [[5, 5]]
    assert sorted(answer.charge.lines[0].total_before.quantity for answer in answers) == [0, 1, 2, 3, 4]


async def test_while_the_ledger_is_away_all_that_wait_are_told(service: Service) -> None:
    await publish(service)
    await batch(service, fonts(1, "first"))
    service.ledger.unavailable_calls = 8
    requests = [rating_service_pb2.RecordUsageRequest(usage=each) for each in fonts(20)]

    told = await asyncio.gather(*(refused(service.rating.RecordUsage(request)) for request in requests))
    service.ledger.unavailable_calls = 0
    answers = await asyncio.gather(*(service.rating.RecordUsage(request) for request in requests))

    assert set(told) == {(grpc.StatusCode.UNAVAILABLE, "LEDGER_UNAVAILABLE")}
    assert sum(answer.debit.amount_units for answer in answers) == (after(21) - after(1)) * WHOLE


async def test_usage_of_many_kinds_keeps_its_places_and_its_outcomes(service: Service) -> None:
    await publish(service)
    usages = [
        usage("a", fonts=1, at=LATER),
        usage("b", calls=2, at=LATER),
        usage("c", fonts=-1, at=LATER),
        usage("d", fonts=1, contract="contracts/none", at=LATER),
        usage("e", fonts=4, calls=2, at=LATER),
        usage("a", fonts=1, at=LATER),
    ]

    results = await batch(service, usages)

    assert [result.response.debit.amount_units for result in results] == [
        8 * WHOLE,
        WHOLE,
        0,
        0,
        29 * WHOLE,
        8 * WHOLE,
    ]
    assert reason(results[2].error)[1] == "NEGATIVE_QUANTITY"
    assert results[3].quarantined.reason == "UNKNOWN_CONTRACT"
    assert results[5].response.replayed
    assert counted(service) == [[5, 2]]


async def test_a_batch_that_runs_out_of_credit_counts_what_was_taken_in_few_calls(service: Service) -> None:
    await publish(service)
    service.ledger.hard_wallets.add(WALLET)
    await service.ledger.grant(WALLET, after(10) * WHOLE, effective_time=START)

    results = await batch(service, fonts(200), refuse_when_short=True)

    taken = [result for result in results if result.HasField("response")]
    assert (len(taken), paid(taken)) == (10, after(10) * WHOLE)
    assert {reason(result.error)[1] for result in results[10:]} == {"INSUFFICIENT_CREDIT"}
    assert counted(service) == [[10, 10]]
    assert service.ledger.batch_calls <= 3


async def test_the_priced_total_of_a_retry_is_not_counted_again(service: Service) -> None:
    await publish(service)
    usages = fonts(10)
    await batch(service, usages[:5])

    mixed = await batch(service, usages)
    alone = await service.rating.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=usages[0]))

    assert [result.response.replayed for result in mixed] == [True] * 5 + [False] * 5
    assert (alone.replayed, counted(service)) == (True, [[10, 10]])


async def test_when_others_always_come_first_the_ledgers_refusal_is_passed_on(service: Service) -> None:
    await publish(service)
    await batch(service, fonts(1))
    inner = service.ledger.debit

    async def overtaken(request: Any) -> Any:
        await someone_else_counts(service, 1)
        return await inner(request)

    service.ledger.debit = overtaken  # type: ignore[method-assign]
    request = rating_service_pb2.RecordUsageRequest(usage=usage("late", fonts=1, at=LATER))
    told = await refused(service.rating.RecordUsage(request))
    service.ledger.debit = inner  # type: ignore[method-assign]
    again = await service.rating.RecordUsage(request)

    assert told == (grpc.StatusCode.ABORTED, "TOTALS_STALE")
    assert service.ledger.stale_debits == metered_usage.ROUNDS_MAX
    assert again.charge.lines[0].total_before.quantity == 1 + metered_usage.ROUNDS_MAX


async def test_plain_usage_asks_for_no_totals(service: Service) -> None:
    await publish(service)
    asked = service.ledger.meter_totals
    calls: list[str] = []

    def noted(wallet: str) -> Any:
        calls.append(wallet)
        return asked(wallet)

    service.ledger.meter_totals = noted  # type: ignore[method-assign]
    await batch(service, [usage("p", calls=1, at=LATER)])
    await batch(service, [usage("q", fonts=1, at=LATER)])
    await batch(service, [usage("r", fonts=1, at=LATER)])

    assert calls == [WALLET]
