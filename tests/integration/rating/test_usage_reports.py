"""Reports on usage over real channels and a real PostgreSQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from credits.rating.v1 import invoice_service_pb2, rating_service_pb2
from credits.rating.v1 import usage_report_service_pb2 as pb
from tests.integration.rating.harness import CONTRACT, DAY, START, WALLET, Service, refused, usage

FROM, TO = "2026-01-01", "2026-02-01"


async def record(service: Service, usage_id: str, **changes: Any) -> int:
    """Record a usage of 1,000 input tokens at 3 units each and return its position."""
    names = {name: changes.pop(name) for name in ("feature", "api_key", "user", "model") if name in changes}
    message = usage(usage_id, **changes)
    message.properties["model"] = names.pop("model", "m")
    for name, value in names.items():
        setattr(message, name, value)
    answer = await service.rating.RecordUsage(rating_service_pb2.RecordUsageRequest(usage=message))
    return int(answer.position)


async def report(service: Service, *groups: pb.UsageGroup.ValueType, **changes: Any) -> pb.GetUsageResponse:
    """Return the usage of January."""
    request: dict[str, Any] = {
        "name": CONTRACT,
        "from_day": FROM,
        "to_day": TO,
        "group_by": groups,
        **changes,
    }
    return await service.reports.GetUsage(pb.GetUsageRequest(**request))


async def test_usage_is_summed_by_day_and_model(service: Service) -> None:
    await record(service, "u-1", model="a")
    await record(service, "u-2", model="b")
    last = await record(service, "u-3", model="a", at=START + 2 * DAY)
    answer = await report(service, pb.USAGE_GROUP_DAY, pb.USAGE_GROUP_MODEL, min_position=last)

    assert [(row.day, row.model, row.sums.requests, row.sums.amount_units) for row in answer.rows] == [
        ("2026-01-02", "a", 1, 3_000),
        ("2026-01-02", "b", 1, 3_000),
        ("2026-01-03", "a", 1, 3_000),
    ]
    assert (answer.total.requests, answer.total.amount_units, answer.total.overage_units) == (3, 9_000, 9_000)
    assert answer.total.exact_units == "9000"
    assert answer.position >= last
    assert answer.asset.code == "CREDIT"


async def test_pages_go_on_where_the_one_before_ended(service: Service) -> None:
    for number in range(7):
        last = await record(service, f"u-{number}", api_key=f"key-{number % 4}", at=START + number * DAY / 2)
    groups = (pb.USAGE_GROUP_DAY, pb.USAGE_GROUP_API_KEY)
    whole = await report(service, *groups, min_position=last)
    paged: list[pb.UsageRow] = []
    sizes: list[int] = []
    token = ""
    while token or not sizes:
        page = await report(service, *groups, page_size=3, page_token=token)
        paged += list(page.rows)
        sizes.append(len(page.rows))
        token = page.next_page_token

    assert (paged, sizes) == (list(whole.rows), [3, 3, 1])
    assert page.total == whole.total


async def test_dimensions_are_told_apart_and_filtered(service: Service) -> None:
    at = START + DAY
    last = await record(service, "u-1", at=at, input_tokens=1_000_000, output_tokens=10, feature="chat")
    await record(service, "u-2", at=at, input_tokens=5, feature="code")
    only = pb.UsageFilter(group=pb.USAGE_GROUP_FEATURE, values=["chat"])
    answer = await report(service, pb.USAGE_GROUP_DIMENSION, filters=[only], min_position=last)

    assert [(row.dimension, row.sums.quantity, row.sums.exact_units) for row in answer.rows] == [
        ("input_tokens", 1_000_000, "3000000"),
        ("output_tokens", 10, "150"),
    ]
    assert (answer.total.requests, answer.total.amount_units) == (2, 0)


async def test_what_was_taken_back_is_taken_off_the_day_of_its_debit(service: Service) -> None:
    await record(service, "u-1")
    version = next(each.version for each in service.ledger.events if each.topic == "wallet.CreditsDebited.v1")
    service.ledger.now = START + 20 * DAY
    for part in (1_000, 2_000):
        event: dict[str, Any] = {
            "debit_version": version,
            "amount_units": part,
            "returned": [],
            "overage_units": part,
        }
        last = await service.ledger.publish(WALLET, "wallet.DebitReversed.v1", event)
        left = await report(service, pb.USAGE_GROUP_DAY, min_position=last.position)
        if part == 1_000:
            assert [(row.day, row.sums.requests, row.sums.amount_units) for row in left.rows] == [
                ("2026-01-02", 1, 2_000)
            ]

    assert list(left.rows) == []
    assert (left.total.requests, left.total.exact_units) == (0, "0")


async def test_usage_that_comes_late_lands_in_its_own_day(service: Service) -> None:
    await record(service, "u-1", at=START + 9 * DAY)
    service.ledger.now = START + 12 * DAY
    last = await record(service, "late", at=START + DAY)
    answer = await report(service, pb.USAGE_GROUP_DAY, min_position=last)

    assert [row.day for row in answer.rows] == ["2026-01-02", "2026-01-10"]


async def test_a_wallet_reports_all_its_debits(service: Service) -> None:
    last = await record(service, "u-1")
    other = await service.ledger.publish(
        WALLET,
        "wallet.CreditsDebited.v1",
        {"amount_units": 40, "overage_units": 0},
        effective_time=START + DAY,
    )
    whole = await report(service, name=WALLET, min_position=other.position)
    contract = await report(service, min_position=last)

    assert (whole.total.amount_units, contract.total.amount_units) == (3_040, 3_000)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"name": ""}, "FIELD_REQUIRED"),
    ({"name": "contracts/"}, "FIELD_MALFORMED"),
    ({"name": "wallets/a b"}, "FIELD_MALFORMED"),
    ({"name": "contracts/none"}, "UNKNOWN_CONTRACT"),
    ({"from_day": ""}, "FIELD_REQUIRED"),
    ({"to_day": "2026-02-30"}, "TIME_MALFORMED"),
    ({"to_day": "20260201"}, "TIME_MALFORMED"),
    ({"to_day": FROM}, "NUMBER_OUT_OF_RANGE"),
    ({"to_day": "2027-02-06"}, "NUMBER_OUT_OF_RANGE"),
    ({"group_by": [pb.USAGE_GROUP_UNSPECIFIED]}, "FIELD_MALFORMED"),
    ({"group_by": [pb.USAGE_GROUP_DAY] * 2}, "FIELD_MALFORMED"),
    ({"zone": 9}, "FIELD_MALFORMED"),
    ({"filters": [pb.UsageFilter(group=pb.USAGE_GROUP_DAY, values=[FROM])]}, "FIELD_MALFORMED"),
    ({"filters": [pb.UsageFilter(group=pb.USAGE_GROUP_MODEL)]}, "NUMBER_OUT_OF_RANGE"),
    ({"filters": [pb.UsageFilter(group=pb.USAGE_GROUP_MODEL, values=["\0"])]}, "FIELD_MALFORMED"),
    ({"page_size": 1_001}, "NUMBER_OUT_OF_RANGE"),
    ({"page_token": "W10="}, "PAGE_TOKEN_MALFORMED"),
    ({"min_position": -1}, "NUMBER_OUT_OF_RANGE"),
]
"""What is wrong with a request, and the reason of its refusal."""


async def test_what_no_report_can_be_made_of_is_refused_by_name(service: Service) -> None:
    reasons = []
    for changes, _ in REFUSED:
        request = {"name": CONTRACT, "from_day": FROM, "to_day": TO, **changes}
        reasons.append((await refused(service.reports.GetUsage(pb.GetUsageRequest(**request))))[1])

    assert reasons == [reason for _, reason in REFUSED]


async def test_a_report_of_400_days_is_the_longest(service: Service) -> None:
    answer = await report(service, to_day="2027-02-05")

    assert answer.total == pb.UsageSums(exact_units="0")


async def test_remaining_credit_is_the_ledgers_and_says_what_the_cycle_includes(service: Service) -> None:
    await service.ledger.grant(WALLET, 5_000, category="INCLUDED", contract=CONTRACT, effective_time=START)
    await service.ledger.grant(WALLET, 700)
    service.ledger.now = START + 3 * DAY
    last = await record(service, "u-1")
    answer = await service.reports.GetRemainingCredit(
        pb.GetRemainingCreditRequest(name=CONTRACT, min_position=last)
    )

    assert (answer.wallet, answer.available_units) == (WALLET, 2_700)
    assert sum(part.available_units for part in answer.parts) == 2_700
    assert answer.included.granted_units == 5_000
    assert (answer.included.used_units, answer.included.left_units) == (3_000, 2_000)


async def test_a_forecast_says_how_wrong_it_was_before(service: Service) -> None:
    days = (datetime(2026, 5, 11, tzinfo=START.tzinfo) - START).days
    usages = [usage(f"u-{number}", at=START + number * DAY) for number in range(days)]
    await service.rating.BatchRecordUsage(rating_service_pb2.BatchRecordUsageRequest(usages=usages))
    last = len(service.ledger.events)
    service.ledger.now = START + days * DAY
    answer = await service.reports.GetForecast(
        pb.GetForecastRequest(name=CONTRACT, min_position=last, include_bill=True)
    )

    assert answer.state == pb.FORECAST_STATE_PROJECTED
    assert (answer.from_day, answer.to_day, answer.today) == ("2026-05-01", "2026-06-01", "2026-05-11")
    assert (answer.used_units, answer.projected_units) == (30_000, 93_000)
    assert (answer.error.cycle_count, answer.error.mean_absolute_percent) == (4, "0.0")
    assert (answer.projected_low_units, answer.projected_high_units) == (93_000, 93_000)
    assert (answer.projected_overage_units, answer.projected_overage.nanos) == (93_000, 190_000_000)
    assert answer.exhaust_day == answer.today
    bill = [
        (invoice_service_pb2.LineKind.Name(line.kind), line.amount.nanos) for line in answer.projected_lines
    ]
    assert bill == [("LINE_KIND_BASE_FEE", 20 * 10**9), ("LINE_KIND_OVERAGE", 190_000_000)]
    assert answer.projected_total.nanos == 20_190_000_000


async def test_a_week_of_history_is_the_least_that_is_projected_from(service: Service) -> None:
    service.ledger.now = START + 7 * DAY - timedelta(microseconds=1)
    early = await service.reports.GetForecast(pb.GetForecastRequest(name=CONTRACT, include_bill=True))
    service.ledger.now = START + 7 * DAY
    later = await service.reports.GetForecast(pb.GetForecastRequest(name=CONTRACT, include_bill=True))
    plain = await service.reports.GetForecast(pb.GetForecastRequest(name=CONTRACT))

    assert early.state == pb.FORECAST_STATE_TOO_LITTLE_HISTORY
    assert (later.state, later.history_days) == (pb.FORECAST_STATE_PROJECTED, 7)
    assert not later.HasField("projected_low_units")
    assert not later.HasField("error")
    assert [each.projected_total.nanos for each in (early, later)] == [20 * 10**9, 20 * 10**9]
    assert not plain.HasField("projected_total")


async def test_bills_say_what_changed_since_the_one_before_also_across_pages(service: Service) -> None:
    await record(service, "u-1", at=START + 40 * DAY, input_tokens=1_000_000)
    service.ledger.now = START + 100 * DAY
    for number in range(3):
        request = invoice_service_pb2.IssueInvoiceRequest(contract=CONTRACT)
        request.cycle_time.FromDatetime(START + (10 + 30 * number) * DAY)
        await service.invoices.IssueInvoice(request)
    first = await service.reports.ListBills(pb.ListBillsRequest(contract=CONTRACT, page_size=2))
    second = await service.reports.ListBills(
        pb.ListBillsRequest(contract=CONTRACT, page_token=first.next_page_token)
    )
    bills = [*first.bills, *second.bills]

    assert [bill.total.nanos // 10**9 for bill in bills] == [20, 26, 20]
    assert [bill.difference.nanos // 10**9 for bill in bills] == [0, 6, -6]
    assert [bill.HasField("difference") for bill in bills] == [False, True, True]


async def test_the_sums_are_what_a_fold_of_everything_gives(service: Service) -> None:
    last = await record(service, "u-1")
    await report(service, min_position=last)
    answer = await service.reports.CheckUsage(pb.CheckUsageRequest(repair=True))

    assert answer.position >= last
    assert (answer.row_count, answer.difference_count, answer.repaired) == (2, 0, False)
