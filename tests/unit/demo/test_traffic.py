"""The usages of the demo: repeatable, in order, and shaped like real traffic."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from deploy.demo.customers import PlanName, all_customers
from deploy.demo.scene import generated
from deploy.demo.trace import Request
from deploy.demo.traffic import assign, generate, shares

START = datetime(2025, 10, 1, tzinfo=UTC)
END = datetime(2025, 11, 1, tzinfo=UTC)


def test_the_same_seed_makes_up_the_same_usages() -> None:
    first, again, other = (
        generate(all_customers(), start=START, end=END, count=300, seed=seed) for seed in (1, 1, 2)
    )

    assert first == again
    assert first != other


def test_usages_are_in_the_order_of_time_within_the_month_and_have_ids_of_their_own() -> None:
    usages = generated(2_000, seed=7).usages

    assert len(usages) == 2_000
    assert [usage.time for usage in usages] == sorted(usage.time for usage in usages)
    assert usages[0].time >= START
    assert usages[-1].time < END
    assert len({usage.id for usage in usages}) == 2_000


def test_days_are_busier_than_nights_and_weekends() -> None:
    usages = generated(5_000, seed=7).usages

    by_hour = Counter(usage.time.hour for usage in usages)
    by_day = Counter(usage.time.weekday() for usage in usages)
    assert by_hour[14] > 4 * by_hour[3]
    assert by_day[2] > 2 * by_day[6]


def test_few_customers_make_most_of_the_requests() -> None:
    counts = Counter(usage.customer.key for usage in generated(5_000, seed=7).usages)

    pro = sorted((counts[each.key] for each in all_customers() if each.plan is PlanName.PRO), reverse=True)
    assert sum(pro[:3]) > sum(pro[3:])


def test_cached_tokens_are_not_counted_as_input_as_well() -> None:
    usages = generated(2_000, seed=7).usages

    cached = [usage for usage in usages if usage.cached_tokens]
    assert cached != []
    assert all(usage.input_tokens + usage.cached_tokens <= 200_000 for usage in usages)
    assert all(usage.input_tokens > 0 for usage in cached)


def test_a_trace_keeps_its_times_and_tokens_and_gets_customers_by_the_seed() -> None:
    requests = [Request(START + timedelta(seconds=n), n, 2 * n) for n in range(100)]

    first, again, other = (assign(requests, all_customers(), seed=seed) for seed in (1, 1, 2))

    assert [Request(each.time, each.input_tokens, each.output_tokens) for each in first] == requests
    assert all(usage.cached_tokens == 0 for usage in first)
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("total", "weights", "expected"),
    [(10, [1, 1, 1], [4, 3, 3]), (0, [5, 1], [0, 0]), (7, [1, 2, 4], [1, 2, 4]), (1, [1, 9], [0, 1])],
)
def test_shares_add_up_to_the_total(total: int, weights: list[int], expected: list[int]) -> None:
    assert shares(total, weights) == expected
