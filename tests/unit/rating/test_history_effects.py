"""What a page of the log changes, event by event."""

from __future__ import annotations

import pytest

from rating_service.application.ports import LedgerEvent
from rating_service.projections.facts import IGNORED_WALLET_EVENTS, UnreadableHistoryError, effect_of

TIMES = b'"record_time":"2026-01-01T00:00:00Z","effective_time":"2026-01-01T00:00:00Z"'


def event(position: int, topic: str, body: bytes = b"{}") -> LedgerEvent:
    return LedgerEvent(position, "wallets/a", position, topic, b'{"event":' + body + b"," + TIMES + b"}")


def test_only_grants_that_belong_to_a_cycle_are_kept() -> None:
    topic = "wallet.CreditsGranted.v1"
    paid = event(1, topic, b'{"amount_units":5,"category":"PAID"}')
    included = event(2, topic, b'{"amount_units":7,"category":"INCLUDED","contract":"contracts/a"}')
    effect = effect_of([paid, included], from_position=0, to_position=2)

    assert [(grant.version, grant.amount_units) for grant in effect.grants] == [(2, 7)]


@pytest.mark.parametrize("name", sorted(IGNORED_WALLET_EVENTS))
def test_what_changes_no_debit_is_passed_over(name: str) -> None:
    effect = effect_of([event(1, f"wallet.{name}.v1")], from_position=0, to_position=1)

    assert (effect.from_position, effect.to_position) == (0, 1)
    assert not any((*effect.agreements, *effect.debits, *effect.grants, *effect.reversals))


@pytest.mark.parametrize("topic", ["wallet.SomethingNew.v1", "wallet.CreditsTransferred.v1"])
def test_a_wallet_event_of_unknown_meaning_stops_following(topic: str) -> None:
    with pytest.raises(UnreadableHistoryError, match=f"{topic} at position 1"):
        effect_of([event(1, topic)], from_position=0, to_position=1)


@pytest.mark.parametrize("positions", [(2, 1), (1, 1), (1, 4), (0, 1)])
def test_events_out_of_order_stop_following(positions: tuple[int, int]) -> None:
    events = [event(position, "wallet.WalletOpened.v1") for position in positions]

    with pytest.raises(UnreadableHistoryError):
        effect_of(events, from_position=0, to_position=3)


@pytest.mark.parametrize(
    ("topic", "more"),
    [("wallet.CreditsDebited.v1", b""), ("wallet.HoldCaptured.v1", b',"hold_version":1')],
)
def test_a_debit_keeps_what_it_was_for(topic: str, more: bytes) -> None:
    charge = (
        b'{"contract":"contracts/a","contract_phase":"main","rate_card_phase":"rateCards/x/phases/1",'
        b'"lines":[],"exact_units":"5","properties":{"operation":"chat","model":"large"}}'
    )
    body = (
        b'{"amount_units":5,"feature":"chat","api_key":"key-1","user":"ann","charge":' + charge + more + b"}"
    )
    [row] = effect_of([event(1, topic, body)], from_position=0, to_position=1).debits
    [bare] = effect_of([event(1, topic, b'{"amount_units":5}')], from_position=0, to_position=1).debits

    assert (row.feature, row.api_key, row.usage_user, row.model) == ("chat", "key-1", "ann", "large")
    assert (bare.feature, bare.api_key, bare.usage_user, bare.model) == ("", "", "", "")
