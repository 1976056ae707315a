"""Recording and quoting usage over a real channel."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from credits.rating.v1 import rating_service_pb2
from rating_service.application.metering.rate_usage import BATCH_MAX
from tests.fakes.fake_ledger import FakeLedger
from tests.integration.rating.harness import (
    CARD,
    DAY,
    START,
    WALLET,
    Service,
    agreed_ledger,
    publish_card,
    reason,
    refused,
    running_service,
    usage,
)

MICROSECOND = timedelta(microseconds=1)


def with_dimensions(count: int) -> rating_service_pb2.Usage:
    item = usage()
    item.quantities.update({f"d{number}": 1 for number in range(count)})
    item.quantities.pop("input_tokens")
    return item


async def record(
    service: Service, item: rating_service_pb2.Usage, **fields: Any
) -> rating_service_pb2.RecordUsageResponse:
    return await service.rating.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=item, **fields))


async def batch(
    service: Service, *items: rating_service_pb2.Usage, **fields: Any
) -> list[rating_service_pb2.BatchRecordUsageResult]:
    request = rating_service_pb2.BatchRecordUsageRequest(usages=items, **fields)
    return list((await service.rating.BatchRecordUsage(request)).results)


async def test_a_usage_is_priced_and_debited_with_its_whole_charge(service: Service) -> None:
    answer = await record(service, usage(input_tokens=1_000, output_tokens=10))

    assert answer.debit.amount_units == 3_150
    assert answer.debit.name == f"{WALLET}/debits/1"
    assert answer.charge.rate_card_phase == f"{CARD}/phases/1"
    assert [line.exact_units for line in answer.charge.lines] == ["3000", "150"]
    assert answer.charge.overage_price.price == "2"
    assert answer.position == len(service.ledger.events)
    assert not answer.replayed


async def test_a_usage_is_debited_for_its_key_and_user_and_not_for_properties_of_these_names(
    service: Service,
) -> None:
    named, other = usage("u-1"), usage("u-2")
    named.api_key, named.user = "key-7", "ann"
    other.properties.update({"api_key": "no identifier", "user": "bob"})

    debit = (await record(service, named)).debit
    [item] = await batch(service, other)

    assert (debit.api_key, debit.user) == ("key-7", "ann")
    assert (item.response.debit.api_key, item.response.debit.user) == ("", "")


async def test_a_retry_gives_the_recorded_debit_and_charge(service: Service) -> None:
    first = await record(service, usage())
    again = await record(service, usage())

    assert again.replayed
    assert (again.debit.name, again.charge, again.position) == (
        first.debit.name,
        first.charge,
        first.position,
    )
    assert len(service.ledger.events) == first.position


async def test_a_call_is_sent_again_while_the_ledger_is_unavailable(service: Service) -> None:
    service.ledger.unavailable_calls = 3

    assert (await record(service, usage())).debit.amount_units == 3_000


async def test_a_ledger_that_stays_away_is_reported_with_a_retry(service: Service) -> None:
    service.ledger.unavailable_calls = 100

    assert await refused(record(service, usage())) == (grpc.StatusCode.UNAVAILABLE, "LEDGER_UNAVAILABLE")


async def test_the_ledgers_own_refusal_is_passed_on(service: Service) -> None:
    service.ledger.hard_wallets.add(WALLET)

    code = await refused(record(service, usage(), refuse_when_short=True))
    [item] = await batch(service, usage(), refuse_when_short=True)

    assert code == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_CREDIT")
    assert reason(item.error) == ("ledger.credits", "INSUFFICIENT_CREDIT")


async def test_delivered_usage_is_recorded_in_every_mode_by_default(service: Service) -> None:
    service.ledger.hard_wallets.add(WALLET)

    assert (await record(service, usage())).debit.overage_units == 3_000


async def test_a_batch_is_one_call_to_the_ledger_with_an_outcome_for_each_item(service: Service) -> None:
    items = [
        usage("a"),
        usage("b", contract="contracts/nobody"),
        usage("c", at=START - MICROSECOND),
        rating_service_pb2.Usage(id="d", contract="contracts/acme", quantities={"input_tokens": 1}),
        usage("a"),
        usage("e", input_tokens=2_000),
    ]
    results = await batch(service, *items)

    outcomes = [
        each.response.debit.amount_units or each.quarantined.reason or reason(each.error)[1]
        for each in results
    ]
    assert outcomes == [3_000, "UNKNOWN_CONTRACT", "CONTRACT_NOT_IN_FORCE", "FIELD_REQUIRED", 3_000, 6_000]
    assert [each.response.replayed for each in results] == [False, False, False, False, True, False]
    assert service.ledger.batch_calls == 1


async def test_a_batch_in_which_nothing_can_be_priced_never_reaches_the_ledger(service: Service) -> None:
    [result] = await batch(service, usage(contract="contracts/nobody"), refuse_when_short=True)

    assert reason(result.error) == ("rating.credits", "UNKNOWN_CONTRACT")
    assert service.ledger.batch_calls == 0


@pytest.mark.parametrize("size", [0, BATCH_MAX + 1])
async def test_a_batch_that_is_empty_or_too_large_is_refused_whole(service: Service, size: int) -> None:
    call = batch(service, *[usage(str(number)) for number in range(size)])

    assert await refused(call) == (grpc.StatusCode.INVALID_ARGUMENT, "BATCH_SIZE_OUT_OF_RANGE")


async def test_the_largest_batch_is_recorded(service: Service) -> None:
    results = await batch(service, *[usage(str(number)) for number in range(BATCH_MAX)])

    assert sum(each.response.debit.amount_units for each in results) == 3_000 * BATCH_MAX


async def test_a_batch_too_large_for_one_message_is_sent_in_parts(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rating_service.adapters.ledger.ledger_client.BATCH_BYTES_MAX", 1_000)
    results = await batch(service, *[usage(str(number)) for number in range(9)])

    assert [each.response.position for each in results] == list(range(4, 13))
    assert service.ledger.batch_calls > 1


async def test_a_price_cut_in_mid_cycle_leaves_earlier_charges(service: Service) -> None:
    cut = START + 10 * DAY
    before = await record(service, usage("before", at=cut - MICROSECOND))
    await publish_card(service.ledger, phase=2, from_time=cut, input_price="1")
    position = len(service.ledger.events)
    late = await record(service, usage("late", at=cut - MICROSECOND), min_position=position)
    at_cut = await record(service, usage("at", at=cut), min_position=position)
    again = await record(service, usage("before", at=cut - MICROSECOND))

    amounts = [answer.debit.amount_units for answer in (before, late, at_cut, again)]
    assert amounts == [3_000, 3_000, 1_000, 3_000]
    assert at_cut.charge.rate_card_phase == f"{CARD}/phases/2"
    assert again.replayed


async def test_a_quote_is_the_charge_that_would_be_recorded(service: Service) -> None:
    item = usage(input_tokens=999, output_tokens=7, context_tokens=8193)
    quote = await service.rating.QuoteUsage(rating_service_pb2.QuoteUsageRequest(usage=item))
    recorded = await record(service, item)

    assert quote.charge == recorded.charge
    assert quote.exact_amount == "0.0055836"


async def test_a_quote_by_rate_card_needs_no_contract(service: Service) -> None:
    item = usage("", contract="", input_tokens=1_000_000)
    quote = await service.rating.QuoteUsage(rating_service_pb2.QuoteUsageRequest(usage=item, rate_card=CARD))

    assert (quote.charge.exact_units, quote.exact_amount) == ("3000000", "3")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (usage(""), "FIELD_REQUIRED"),
        (usage("x" * 201), "FIELD_TOO_LONG"),
        (usage(contract=""), "FIELD_REQUIRED"),
        (usage(contract="acme"), "FIELD_MALFORMED"),
        (usage(contract="contracts/a b"), "FIELD_MALFORMED"),
        (usage(contract=f"contracts/{'a' * 101}"), "FIELD_MALFORMED"),
        (usage(input_tokens=-1), "NEGATIVE_QUANTITY"),
        (with_dimensions(33), "FIELD_TOO_LONG"),
    ],
)
async def test_what_nothing_could_ever_record_is_refused_by_name(
    service: Service, item: rating_service_pb2.Usage, expected: str
) -> None:
    [result] = await batch(service, item)

    assert reason(result.error) == ("rating.credits", expected)
    assert (await refused(record(service, item)))[1] == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (usage(contract=f"contracts/{'a' * 100}"), "UNKNOWN_CONTRACT"),
        (usage(at=START - MICROSECOND), "CONTRACT_NOT_IN_FORCE"),
        (usage(voice_seconds=1), "UNKNOWN_DIMENSION"),
        (usage(context_tokens=32_769), "BEYOND_LAST_TIER"),
        (usage(context_tokens="many"), "INVALID_PROPERTY"),
    ],
)
async def test_what_cannot_be_rated_is_quarantined_if_it_was_delivered_and_refused_if_not(
    service: Service, item: rating_service_pb2.Usage, expected: str
) -> None:
    [result] = await batch(service, item)
    [refusal] = await batch(service, item, refuse_when_short=True)

    assert result.quarantined.reason == expected
    assert (await record(service, item)).quarantined == result.quarantined
    assert reason(refusal.error) == ("rating.credits", expected)
    assert (await refused(record(service, item, refuse_when_short=True)))[1] == expected
    assert len(service.ledger.events) == 3


@pytest.mark.parametrize(
    "item",
    [usage("x" * 200), usage(at=START), usage(context_tokens=32_768), usage(input_tokens=0)],
)
async def test_what_lies_exactly_at_a_bound_is_recorded(
    service: Service, item: rating_service_pb2.Usage
) -> None:
    assert (await record(service, item)).position == 4


async def test_a_usage_without_a_time_is_refused_so_that_a_retry_is_the_same(service: Service) -> None:
    item = usage()
    item.ClearField("effective_time")

    assert await refused(record(service, item)) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_REQUIRED")


async def test_a_time_outside_the_calendar_is_refused(service: Service) -> None:
    item = usage()
    item.effective_time.nanos = 1_000_000_000

    assert await refused(record(service, item)) == (grpc.StatusCode.INVALID_ARGUMENT, "TIME_MALFORMED")


async def test_a_position_that_the_ledger_has_not_reached_is_reported_as_behind(rating_url: str) -> None:
    ledger = await agreed_ledger()
    async with running_service(rating_url, ledger) as service:
        service.follower._wait_seconds_max = 0.1
        call = record(service, usage(), min_position=len(ledger.events) + 1)

        assert await refused(call) == (grpc.StatusCode.UNAVAILABLE, "HISTORY_BEHIND")


async def test_an_unexpected_error_gives_an_incident_and_nothing_else(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("rating_service.application.metering.rate_usage.rate_usage", fail)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await record(service, usage())

    assert caught.value.code() is grpc.StatusCode.INTERNAL
    details = caught.value.details() or ""
    assert details.startswith("internal error, incident ")
    assert "secret" not in details


async def test_calls_are_refused_until_the_history_was_read(rating_url: str, ledger: FakeLedger) -> None:
    async with running_service(rating_url, ledger) as service:
        service.follower._caught_up = False

        assert await refused(record(service, usage())) == (grpc.StatusCode.UNAVAILABLE, "NOT_SERVING")
