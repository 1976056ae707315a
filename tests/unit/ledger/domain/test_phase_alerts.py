"""Percentages at which a contract's phase alerts: they stand for the wallet's own while the phase lasts."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from ledger_service.domain.events import AlertRules, ThresholdCrossed, WalletPolicyChanged
from tests.builders import (
    MICROSECOND,
    NOW,
    Book,
    after,
    book,
    create_rate_card,
    debit,
    end_contract,
    events_of,
    grant,
    open_wallet,
    plan_phase,
    publish_phase,
    publish_plan,
    sign_contract,
)


def alerting(*percents: int, own: tuple[int, ...] = (90,)) -> Book:
    """Return a wallet with 100 units whose contract begins with a month of its own percentages, and then has none."""
    trial = msgspec.structs.replace(plan_phase("trial", duration="P1M"), alert_percents=percents)
    return book(
        open_wallet(alerts=AlertRules(own)),
        create_rate_card(),
        publish_phase(),
        publish_plan(trial, plan_phase()),
        sign_contract(),
        grant(100),
    )


def crossed(ledger: Book, units: int, now: datetime) -> list[int]:
    """Return the thresholds that a debit crosses."""
    events = events_of(ledger.run(debit(units), now))
    return [event.threshold for event in events if isinstance(event, ThresholdCrossed)]


def test_the_phase_hands_its_percentages_to_the_wallet_and_its_successor_none() -> None:
    told = [event for event in events_of(alerting(20, 40).log) if isinstance(event, WalletPolicyChanged)]

    assert [event.alert_percents for event in told] == [(20, 40), ()]


@pytest.mark.parametrize(
    ("now", "expected"), [(after(days=31) - MICROSECOND, [20, 40]), (after(days=31), [])]
)
def test_they_hold_to_the_last_microsecond_of_the_phase(now: datetime, expected: list[int]) -> None:
    assert crossed(alerting(20, 40), 50, now) == expected


@pytest.mark.parametrize(("now", "expected"), [(NOW, []), (after(days=31), [90])])
def test_the_wallets_own_hold_again_after_it(now: datetime, expected: list[int]) -> None:
    assert crossed(alerting(20), 15, NOW) == []
    ledger = alerting(97)

    assert crossed(ledger, 95, now) == expected


def test_a_phase_without_percentages_leaves_the_wallets_own() -> None:
    assert crossed(alerting(), 95, NOW) == [90]


def test_a_wallet_that_watches_nothing_is_told_by_the_phase_alone() -> None:
    ledger = alerting(50, own=())

    assert crossed(ledger, 60, NOW) == [50]
    ledger.run(end_contract(), after(days=1))
    assert crossed(ledger, 39, after(days=1)) == []
