"""Authorization: limits, units and delays, at their boundaries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from rating_service.domain.authorizing.authorization import (
    CapStanding,
    Denial,
    DenialReason,
    EntitlementStanding,
    LimitKind,
    cap_denials,
    longest_wait,
    needed_units,
    rate_limits,
    slow_down,
    token_count,
)
from tests.unit.rating.builders import charge, plan_phase

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)


def slowed(percent: int, delay_ms: int) -> timedelta:
    """Return the delay at a use of 900 of 1,000 units."""
    phase = msgspec.structs.replace(
        plan_phase(), slow_down_from_percent=percent, slow_down_max_delay_ms=delay_ms
    )
    return slow_down(phase, [CapStanding(1_000, 900, 100)])


@pytest.mark.parametrize(
    ("percent", "delay_ms", "micros"),
    [(0, 0, 0), (91, 1_000, 0), (90, 1_000, 0), (89, 1_100, 100_000), (80, 1, 500), (1, 1, 898)],
)
def test_the_delay_grows_evenly_from_the_percentage_and_is_rounded_down(
    percent: int, delay_ms: int, micros: int
) -> None:
    assert slowed(percent, delay_ms) == timedelta(microseconds=micros)


def test_the_fullest_cap_decides_the_delay_and_overdrawn_is_full() -> None:
    phase = msgspec.structs.replace(plan_phase(), slow_down_from_percent=50, slow_down_max_delay_ms=1_000)

    assert slow_down(phase, []) == timedelta()
    assert slow_down(phase, [CapStanding(10, 5, 5), CapStanding(4, 3, 1)]) == SECOND / 2
    assert slow_down(phase, [CapStanding(10, 15, 0)]) == SECOND
    assert slow_down(phase, [CapStanding(0, 0, 0)]) == SECOND


@pytest.mark.parametrize(
    ("used", "delay"), [(50, timedelta()), (51, SECOND / 50), (75, SECOND / 2), (100, SECOND), (130, SECOND)]
)
def test_the_entitlement_slows_down_as_a_cap_does(used: int, delay: timedelta) -> None:
    phase = msgspec.structs.replace(plan_phase(), slow_down_from_percent=50, slow_down_max_delay_ms=1_000)

    assert slow_down(phase, [], EntitlementStanding(100, used)) == delay
    assert slow_down(phase, [CapStanding(4, 3, 1)], EntitlementStanding(100, used)) == max(delay, SECOND / 2)
    assert slow_down(phase, [], EntitlementStanding(0, 0)) == timedelta()


@pytest.mark.parametrize(
    ("exact", "units"), [("0", 0), ("0.000001", 1), ("1", 1), ("1.000001", 2), ("-3.5", 0)]
)
def test_a_charge_needs_its_units_rounded_up(exact: str, units: int) -> None:
    assert needed_units(msgspec.structs.replace(charge(), exact_units=exact)) == units


def test_tokens_are_what_is_named_so() -> None:
    quantities = {"tokens": 1, "input_tokens": 20, "cached_input_tokens": 300, "requests": 4, "tokenset": 5}

    assert token_count(quantities) == 321


def test_a_phase_limits_its_contract_and_each_key_and_zero_is_no_limit() -> None:
    phase = msgspec.structs.replace(
        plan_phase(), requests_per_minute=60, key_requests_per_minute=6, key_tokens_per_minute=900
    )

    found = [(limit.kind, limit.api_key, *limit.share[1:]) for limit in rate_limits("c", phase, "k", 7)]

    assert found == [
        (LimitKind.REQUESTS_PER_MINUTE, "", 60, 1),
        (LimitKind.REQUESTS_PER_MINUTE, "k", 6, 1),
        (LimitKind.TOKENS_PER_MINUTE, "k", 900, 7),
    ]
    assert [limit.api_key for limit in rate_limits("c", phase, "", 7)] == [""]
    assert rate_limits("c", plan_phase(), "k", 7) == []


def test_the_windows_of_two_keys_and_of_two_contracts_never_meet() -> None:
    phase = msgspec.structs.replace(plan_phase(), requests_per_minute=1, key_requests_per_minute=1)
    names = [
        limit.share.window
        for contract in ("contracts/a", "contracts/b")
        for key in ("x", "y")
        for limit in rate_limits(contract, phase, key, 0)
    ]

    assert len(set(names)) == 6


@pytest.mark.parametrize(("units", "reason"), [(5, None), (6, DenialReason.BUDGET)])
def test_a_cap_denies_what_it_has_no_room_for_until_it_is_whole(
    units: int, reason: DenialReason | None
) -> None:
    cap = CapStanding(10, 5, 5, budget="bots", period_end_time=NOW + SECOND)

    found = cap_denials([cap], units, NOW)

    assert [denial.reason for denial in found] == ([] if reason is None else [reason])
    assert [denial.wait for denial in found] == ([] if reason is None else [SECOND])


@pytest.mark.parametrize(("units", "wait"), [(10, SECOND), (11, None)])
def test_waiting_does_not_help_what_exceeds_a_whole_cap(units: int, wait: timedelta | None) -> None:
    [denial] = cap_denials([CapStanding(10, 5, 5, period_end_time=NOW + SECOND)], units, NOW)

    assert (denial.reason, denial.wait) == (DenialReason.SPEND_CAP, wait)


def test_asking_again_helps_after_the_longest_wait_and_never_if_one_has_none() -> None:
    soon, late = (Denial(DenialReason.SPEND_CAP, "", wait=span) for span in (SECOND, 2 * SECOND))

    assert longest_wait([soon, late]) == 2 * SECOND
    assert longest_wait([soon, Denial(DenialReason.NOT_ENTITLED, "")]) is None
