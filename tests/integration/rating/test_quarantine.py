"""Usage that cannot be rated is kept, listed, driven again exactly once, or dismissed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import psycopg
import pytest
from prometheus_client import REGISTRY

from credits.rating.v1 import quarantine_pb2, rating_service_pb2, raw_usage_pb2
from tests.fakes.fake_ledger import FakeLedger
from tests.integration.rating.harness import (
    DAY,
    START,
    Service,
    agreed_ledger,
    publish_card,
    reason,
    refused,
    running_service,
    sign_contract,
    usage,
)

MICROSECOND = timedelta(microseconds=1)
LATENESS = 35 * DAY
NOBODY = "contracts/nobody"


async def record(
    service: Service, item: rating_service_pb2.Usage, **fields: Any
) -> rating_service_pb2.RecordUsageResponse:
    return await service.rating.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=item, **fields))


async def listed(service: Service, **fields: Any) -> list[quarantine_pb2.QuarantinedUsage]:
    request = quarantine_pb2.ListQuarantineRequest(**fields)
    return list((await service.rating.ListQuarantine(request)).quarantined_usages)


async def retried(service: Service, *names: str, **fields: Any) -> list[quarantine_pb2.QuarantineResult]:
    request = quarantine_pb2.RetryQuarantineRequest(names=names, **fields)
    return list((await service.rating.RetryQuarantine(request)).results)


async def dismissed(service: Service, *names: str, **fields: Any) -> list[quarantine_pb2.QuarantineResult]:
    request = quarantine_pb2.DismissQuarantineRequest(
        names=names, **{"reason": "test traffic", "actor": "ann", **fields}
    )
    return list((await service.rating.DismissQuarantine(request)).results)


def raw(text: str, **fields: Any) -> rating_service_pb2.Usage:
    item = usage("raw-1", **fields)
    item.quantities.clear()
    item.properties.clear()
    item.raw.format = raw_usage_pb2.USAGE_FORMAT_OPENAI
    item.raw.json = text
    return item


async def test_a_quarantined_usage_is_kept_as_it_was_received(service: Service) -> None:
    item = usage(contract=NOBODY)
    kept = (await record(service, item)).quarantined

    assert (kept.name, kept.usage_id, kept.contract) == ("quarantinedUsages/1", "u-1", NOBODY)
    assert (kept.domain, kept.reason) == ("rating.credits", "UNKNOWN_CONTRACT")
    assert kept.state == quarantine_pb2.QUARANTINE_STATE_WAITING
    assert kept.effective_time == item.effective_time
    assert rating_service_pb2.Usage.FromString(kept.received) == item
    assert await listed(service) == [kept]


async def test_what_cannot_be_read_is_kept_under_the_id_that_it_gives(service: Service) -> None:
    item = raw('{"id": "chat-9", "usage": {"prompt_tokens": -1}}')
    item.id = ""
    kept = (await record(service, item)).quarantined

    assert (kept.usage_id, kept.reason) == ("chat-9", "MALFORMED_USAGE")


async def test_what_cannot_be_read_and_names_nothing_is_refused_for_both(service: Service) -> None:
    item = raw("chat-9")
    item.id = ""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await record(service, item)

    assert caught.value.details() == "usage.id is required, and raw.json is not a JSON object"


async def test_the_same_usage_again_is_the_same_entry_and_other_bytes_are_another(service: Service) -> None:
    first = (await record(service, usage(contract=NOBODY))).quarantined
    again = (await record(service, usage(contract=NOBODY))).quarantined
    other = (await record(service, usage(contract=NOBODY, input_tokens=7))).quarantined

    assert again == first
    assert other.name != first.name
    assert len(await listed(service)) == 2


async def test_quarantine_and_retry_is_what_recording_would_have_been(service: Service) -> None:
    item = usage("late-card", contract=NOBODY, input_tokens=123, output_tokens=4)
    [kept] = [(await record(service, item)).quarantined]
    await sign_contract(service.ledger, name=NOBODY, wallet="wallets/nobody")
    await service.caught_up()
    [result] = await retried(service, kept.name)
    direct = await record(service, item)

    assert result.quarantined_usage.state == quarantine_pb2.QUARANTINE_STATE_RECORDED
    assert (direct.replayed, direct.debit.name) == (True, result.debit.name)
    assert direct.debit.effective_time == item.effective_time
    assert direct.charge.exact_units == "429"
    assert result.quarantined_usage.position == direct.position == len(service.ledger.events)


async def test_a_retry_counts_once_however_often_and_from_however_many(service: Service) -> None:
    kept = (await record(service, usage(contract=NOBODY))).quarantined
    await sign_contract(service.ledger, name=NOBODY, wallet="wallets/nobody")
    await service.caught_up()
    await asyncio.gather(*[retried(service, kept.name) for _ in range(5)])
    [last] = await retried(service, kept.name)

    assert reason(last.error) == ("rating.credits", "QUARANTINE_RECORDED")
    debits = [each for each in service.ledger.events if each.topic == "wallet.CreditsDebited.v1"]
    assert len(debits) == 1


async def test_a_retry_that_fails_keeps_the_usage_with_its_newest_reason(service: Service) -> None:
    kept = (await record(service, usage(contract=NOBODY, at=START - MICROSECOND))).quarantined
    await sign_contract(service.ledger, name=NOBODY)
    await service.caught_up()
    [result] = await retried(service, kept.name)

    entry = result.quarantined_usage
    assert (entry.reason, entry.retry_count) == ("CONTRACT_NOT_IN_FORCE", 1)
    assert entry.state == quarantine_pb2.QUARANTINE_STATE_WAITING
    assert not result.HasField("debit")


async def test_what_waits_is_retried_by_filter_and_page(service: Service) -> None:
    for number in range(5):
        await record(service, usage(f"u-{number}", contract=NOBODY))
    await record(service, usage("tier", context_tokens=32_769))
    await sign_contract(service.ledger, name=NOBODY)
    await service.caught_up()
    request = quarantine_pb2.RetryQuarantineRequest(page_size=3, reason="UNKNOWN_CONTRACT")
    first = await service.rating.RetryQuarantine(request)
    request.page_token = first.next_page_token
    second = await service.rating.RetryQuarantine(request)

    assert [len(first.results), len(second.results), second.next_page_token] == [3, 2, ""]
    waiting = await listed(service, state=quarantine_pb2.QUARANTINE_STATE_WAITING)
    assert [each.usage_id for each in waiting] == ["tier"]


async def test_a_list_is_paged_and_filtered(service: Service) -> None:
    await record(service, usage("a", contract=NOBODY))
    await record(service, usage("b", voice_seconds=1))
    await record(service, usage("c", contract=NOBODY))
    page = await service.rating.ListQuarantine(
        quarantine_pb2.ListQuarantineRequest(page_size=1, contract=NOBODY)
    )
    rest = await listed(service, page_size=1, contract=NOBODY, page_token=page.next_page_token)

    assert [each.usage_id for each in [*page.quarantined_usages, *rest]] == ["a", "c"]
    assert [each.usage_id for each in await listed(service, reason="UNKNOWN_DIMENSION")] == ["b"]
    assert (
        await refused(service.rating.ListQuarantine(quarantine_pb2.ListQuarantineRequest(page_size=1_001)))
    )[1] == "NUMBER_OUT_OF_RANGE"


async def test_a_dismissed_usage_is_kept_with_who_and_why_and_never_charged(service: Service) -> None:
    kept = (await record(service, usage(contract=NOBODY))).quarantined
    [gone] = await dismissed(service, kept.name)
    [again] = await dismissed(service, kept.name, actor="bob")
    await sign_contract(service.ledger, name=NOBODY)
    await service.caught_up()
    [result] = await retried(service, kept.name)

    entry = gone.quarantined_usage
    assert entry.state == quarantine_pb2.QUARANTINE_STATE_DISMISSED
    assert (entry.dismiss_actor, entry.dismiss_reason) == ("ann", "test traffic")
    assert again.quarantined_usage == entry
    assert reason(result.error) == ("rating.credits", "QUARANTINE_DISMISSED")
    assert await listed(service) == [entry]


async def test_what_was_recorded_cannot_be_dismissed_and_what_is_not_there_is_named(
    service: Service,
) -> None:
    kept = (await record(service, usage(contract=NOBODY))).quarantined
    sent_again = (await record(service, usage("again", contract=NOBODY))).quarantined
    await sign_contract(service.ledger, name=NOBODY)
    await service.caught_up()
    await retried(service, kept.name)
    await record(service, usage("again", contract=NOBODY))
    results = await dismissed(service, kept.name, sent_again.name, "quarantinedUsages/99")

    refusals = [reason(each.error)[1] for each in results]
    assert refusals == ["QUARANTINE_RECORDED", "QUARANTINE_RECORDED", "QUARANTINE_NOT_FOUND"]
    assert results[2].name == "quarantinedUsages/99"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"reason": ""}, "FIELD_REQUIRED"),
        ({"actor": ""}, "FIELD_REQUIRED"),
        ({"reason": "x" * 201}, "FIELD_TOO_LONG"),
        ({"names": ["quarantinedUsages/x"]}, "FIELD_MALFORMED"),
        ({"names": []}, "NUMBER_OUT_OF_RANGE"),
        ({"names": ["quarantinedUsages/1"] * 1_001}, "NUMBER_OUT_OF_RANGE"),
    ],
)
async def test_a_dismissal_needs_names_a_reason_and_an_actor(
    service: Service, fields: dict[str, Any], expected: str
) -> None:
    whole = {"names": ["quarantinedUsages/1"], "reason": "r", "actor": "a", **fields}
    call = service.rating.DismissQuarantine(quarantine_pb2.DismissQuarantineRequest(**whole))

    assert await refused(call) == (grpc.StatusCode.INVALID_ARGUMENT, expected)


async def test_usage_is_late_one_microsecond_after_its_time_and_then_waits_for_a_person(
    rating_url: str,
) -> None:
    ledger = await agreed_ledger()
    async with running_service(rating_url, ledger) as service:
        at = START + DAY
        ledger.now = at + LATENESS
        in_time = await record(service, usage("in-time", at=at))
        late = (await record(service, usage("late", at=at - MICROSECOND))).quarantined
        [left] = await retried(service, late.name)
        [taken] = await retried(service, late.name, accept_late=True)

    assert in_time.debit.amount_units == 3_000
    assert late.reason == left.quarantined_usage.reason == "TOO_LATE"
    assert left.quarantined_usage.state == quarantine_pb2.QUARANTINE_STATE_WAITING
    assert taken.debit.effective_time == usage(at=at - MICROSECOND).effective_time


async def test_a_usage_received_in_time_does_not_become_late_in_quarantine(service: Service) -> None:
    kept = (await record(service, usage(contract=NOBODY))).quarantined
    await sign_contract(service.ledger, name=NOBODY)
    await service.caught_up()
    service.ledger.now = START + 2 * LATENESS
    [result] = await retried(service, kept.name)

    assert result.debit.amount_units == 3_000


async def test_a_raw_usage_is_recorded_as_its_quantities(service: Service) -> None:
    text = """{"id": "resp-1", "model": "m", "usage": {
        "prompt_tokens": 1000, "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 400},
        "completion_tokens_details": {"reasoning_tokens": 4}}}"""
    answer = await record(service, raw(text))

    quantities = {line.dimension: line.quantity for line in answer.charge.lines}
    # The card has no rate for reasoning, so that it counts as the output it is a part of.
    assert quantities == {"input_tokens": 600, "cached_input_tokens": 400, "output_tokens": 10}
    assert answer.charge.properties["provider"] == "openai"


async def test_a_raw_usage_that_cannot_be_read_is_kept_by_its_field(service: Service) -> None:
    kept = (await record(service, raw('{"prompt_tokens": -1}'))).quarantined
    nameless = raw('{"prompt_tokens": -1}')
    nameless.id = ""

    assert (kept.reason, kept.usage_id) == ("MALFORMED_USAGE", "raw-1")
    assert (await refused(record(service, nameless)))[1] == "FIELD_REQUIRED"


async def test_an_event_names_its_usage_even_if_its_data_cannot_be_read(service: Service) -> None:
    item = rating_service_pb2.Usage()
    item.raw.format = raw_usage_pb2.USAGE_FORMAT_CLOUDEVENTS
    item.raw.json = (
        '{"specversion": "1.0", "id": "e-1", "source": "s", "type": "t", "subject": "acme", "data": 5}'
    )
    kept = (await record(service, item)).quarantined

    assert (kept.usage_id, kept.contract, kept.reason) == ("e-1", "contracts/acme", "MALFORMED_USAGE")
    assert not kept.HasField("effective_time")


async def test_a_dimension_is_not_taken_from_two_places(service: Service) -> None:
    item = raw('{"prompt_tokens": 5}')
    item.quantities["input_tokens"] = 5

    assert (await refused(record(service, item)))[1] == "FIELD_MALFORMED"


async def test_a_contract_that_the_ledger_knows_by_now_is_waited_for(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A usage that overtakes its contract is no reason for quarantine."""
    follower = service.follower
    behind = follower.catalogue
    await sign_contract(service.ledger, name=NOBODY)
    await service.caught_up()
    now = follower.catalogue
    seen = iter([behind])
    monkeypatch.setattr(type(follower), "catalogue", property(lambda _: next(seen, now)))

    assert (await record(service, usage(contract=NOBODY))).debit.amount_units == 3_000
    assert next(seen, None) is None


async def test_the_ledgers_refusal_of_delivered_usage_is_no_loss(
    service: Service, ledger: FakeLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.fakes.fake_ledger import refusal

    async def closed(_: object) -> Any:
        return refusal("WALLET_CLOSED", grpc.StatusCode.FAILED_PRECONDITION)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "debit", closed)
        kept = (await record(service, usage())).quarantined
    [result] = await retried(service, kept.name)

    assert (kept.domain, kept.reason) == ("ledger.credits", "WALLET_CLOSED")
    assert result.debit.amount_units == 3_000


async def test_the_quarantine_cannot_be_emptied(service: Service, rating_url: str) -> None:
    await record(service, usage(contract=NOBODY))
    for statement in ("DELETE FROM rating.quarantine", "TRUNCATE rating.quarantine"):
        with psycopg.connect(rating_url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement)


async def test_the_metrics_count_what_is_quarantined(service: Service) -> None:
    labels = {"domain": "rating.credits", "reason": "UNKNOWN_DIMENSION"}
    before = REGISTRY.get_sample_value("rating_quarantined_usages_total", labels) or 0
    await record(service, usage(voice_seconds=1))

    assert REGISTRY.get_sample_value("rating_quarantined_usages_total", labels) == before + 1


async def test_a_new_card_phase_makes_a_batch_whole(service: Service) -> None:
    later = START + 5 * DAY
    request = rating_service_pb2.BatchRecordUsageRequest(
        usages=[
            usage("a"),
            usage("b", context_tokens=40_000, at=later),
            usage("b", context_tokens=40_000, at=later),
        ]
    )
    results = (await service.rating.BatchRecordUsage(request)).results

    assert results[0].response.debit.amount_units == 3_000
    assert results[1].quarantined == results[2].quarantined
    assert results[1].quarantined.reason == "BEYOND_LAST_TIER"
    await publish_card(service.ledger, phase=2, from_time=later)
    assert len(await listed(service)) == 1
