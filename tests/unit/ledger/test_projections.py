"""The projections' small rules, each at its boundary."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import get_args, get_type_hints

import msgspec
import pytest

from ledger_service.application.ports import StoredEvent
from ledger_service.application.reading.page_tokens import (
    GrantsToken,
    StatementToken,
    WalletsToken,
    decode_token,
    encode_token,
)
from ledger_service.domain import events
from ledger_service.domain.events import (
    Charge,
    CreditsDebited,
    CreditsGranted,
    Draw,
    Fact,
    WalletPolicyChanged,
)
from ledger_service.domain.refusals.service import PageTokenMalformed
from ledger_service.domain.topics import GENESIS_HASH, TOPICS, UnknownTopicError, encode_fact
from ledger_service.domain.values import GrantCategory, Money, ShortfallMode
from ledger_service.projections.array_text import booleans, integers, optional_texts, texts
from ledger_service.projections.catch_up import plan_step
from ledger_service.projections.events.book_events import BOOK_TYPES
from ledger_service.projections.events.wallet_events import (
    NARROW_TYPES,
    OveragePrice,
    read_wallet_events,
    utc_day,
)
from ledger_service.projections.log_pages import POSITION_MAX
from ledger_service.projections.projection import JOURNAL, PROJECTIONS, WALLET_VIEW
from ledger_service.projections.projector import BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN, backoff_seconds
from ledger_service.projections.wallets.wallet_tallies import Tallies
from ledger_service.projections.wallets.wallet_view import fold_wallet_view
from tests.builders import NOW, WALLET
from tests.fakes.projection_log import Step, play, stored

FIRST = date(2026, 3, 1)


# Reading events


def test_every_wallet_event_of_the_domain_is_known_to_the_projections() -> None:
    assert {topic for topic in TOPICS if topic.startswith("wallet.")} == set(NARROW_TYPES)


@pytest.mark.parametrize("topic", NARROW_TYPES)
def test_a_narrow_event_is_a_part_of_the_domains_event(topic: str) -> None:
    narrow, full = get_type_hints(NARROW_TYPES[topic]), get_type_hints(TOPICS[topic])

    if narrow.get("charge") == OveragePrice | None:
        narrow["charge"] = Charge | None
    assert narrow.items() <= full.items()
    assert _defaults(NARROW_TYPES[topic]).items() <= _defaults(TOPICS[topic]).items()


def test_a_narrow_charge_is_a_part_of_the_domains_charge() -> None:
    assert get_type_hints(OveragePrice).items() <= get_type_hints(Charge).items()
    assert _defaults(OveragePrice).items() <= _defaults(Charge).items()


def _defaults(kind: type) -> dict[str, object]:
    return {field.name: field.default for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize("topic", BOOK_TYPES)
def test_a_narrow_event_of_another_stream_is_a_part_of_the_domains_event(topic: str) -> None:
    narrow, full = get_type_hints(BOOK_TYPES[topic]), get_type_hints(TOPICS[topic])

    assert narrow.items() <= full.items()
    assert _defaults(BOOK_TYPES[topic]).items() <= _defaults(TOPICS[topic]).items()


def test_the_projections_cover_the_union_of_wallet_events() -> None:
    wallet_events = {TOPICS[topic] for topic in NARROW_TYPES}

    assert wallet_events <= set(get_args(events.Event))


def test_an_unknown_wallet_event_is_refused_and_not_skipped() -> None:
    with pytest.raises(UnknownTopicError):
        read_wallet_events([StoredEvent(1, WALLET, 1, "wallet.CreditsMoved.v1", b"{}")])


def test_other_streams_concern_no_projection() -> None:
    assert read_wallet_events([StoredEvent(1, "rateCards/llm", 1, "rate_card.Anything.v9", b"{}")]) == []


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        (datetime(2026, 3, 1, 23, 59, 59, 999_999, tzinfo=UTC), FIRST),
        (datetime(2026, 3, 2, tzinfo=UTC), FIRST + timedelta(days=1)),
        (datetime(2026, 3, 2, 1, tzinfo=timezone(timedelta(hours=2))), FIRST),
    ],
)
def test_a_day_is_a_day_in_utc(instant: datetime, day: date) -> None:
    assert utc_day(instant) == day


# The wallet view


def test_a_debit_moves_its_lots_and_the_wallets_totals() -> None:
    ledger = play([Step("grant", units=10), Step("debit", units=15)])
    tallies: Tallies = {}
    fold_wallet_view(tallies, read_wallet_events(stored(ledger)))
    tally = tallies["wallets/a"]

    assert (tally.granted_units, tally.debited_units, tally.overage_units) == (10, 15, 5)
    assert tally.lots[2].drawn_units == 10
    assert tally.version == 3


def test_a_policy_is_kept_with_the_instant_from_which_it_holds() -> None:
    change = WalletPolicyChanged("contracts/acme", "standard", ShortfallMode.HARD)
    fact = Fact(change, NOW, NOW + timedelta(days=30), GENESIS_HASH)
    page = [
        *stored(play([Step("settle")])),
        StoredEvent(2, "wallets/a", 2, "wallet.WalletPolicyChanged.v1", encode_fact(fact)),
    ]
    tallies: Tallies = {}
    fold_wallet_view(tallies, read_wallet_events(page))

    assert [(each.policy_version, each.effective_time) for each in tallies["wallets/a"].policies] == [
        (1, NOW),
        (2, NOW + timedelta(days=30)),
    ]


def test_a_policy_that_replaces_later_ones_takes_back_what_its_own_contract_brought_and_nothing_else() -> (
    None
):
    def change(version: int, days: int, **fields: object) -> StoredEvent:
        policy = msgspec.structs.replace(WalletPolicyChanged("", "", ShortfallMode.HARD), **fields)
        fact = Fact(policy, NOW, NOW + timedelta(days=days), GENESIS_HASH)
        return StoredEvent(version, "wallets/a", version, "wallet.WalletPolicyChanged.v1", encode_fact(fact))

    mine, other = {"contract": "contracts/a"}, {"contract": "contracts/b"}
    page = [
        *stored(play([Step("settle")])),
        change(2, 0, **mine),
        change(3, 1, **mine),
        change(4, 2),
        change(5, 3, **other),
        change(6, 4, ended_contract="contracts/b"),
        change(7, 1, ended_contract="contracts/a", replaces_later=True),
    ]
    tallies: Tallies = {}
    fold_wallet_view(tallies, read_wallet_events(page))

    assert [each.policy_version for each in tallies["wallets/a"].policies] == [1, 2, 5, 6, 7]


def test_stored_events_with_all_members_are_read() -> None:
    granted = CreditsGranted(5, GrantCategory.PAID, consideration=Money("USD", 7), expire_time=NOW)
    debited = CreditsDebited(5, (Draw(1, 3),), "default/1", overage_units=2)
    page = [
        StoredEvent(
            1,
            WALLET,
            1,
            "wallet.CreditsGranted.v1",
            encode_fact(Fact(granted, NOW, NOW, "", "actor", "key", "ab")),
        ),
        StoredEvent(
            2,
            WALLET,
            2,
            "wallet.CreditsDebited.v1",
            encode_fact(Fact(debited, NOW, NOW, "", "actor", "key", "ab")),
        ),
    ]

    first, second = read_wallet_events(page)
    assert msgspec.structs.asdict(first.change) == msgspec.structs.asdict(granted)
    assert msgspec.structs.asdict(second.change).items() <= msgspec.structs.asdict(debited).items()


# Steps of the projector


def test_projections_at_one_position_go_together_to_the_end_of_the_log() -> None:
    plan = plan_step(PROJECTIONS, {"wallet_view": 7, "journal": 7})

    assert (plan.projections, plan.after, plan.through) == (PROJECTIONS, 7, POSITION_MAX)


def test_a_projection_that_is_behind_goes_alone_to_where_the_next_one_is() -> None:
    plan = plan_step(PROJECTIONS, {"wallet_view": 7, "journal": 3})

    assert (plan.projections, plan.after, plan.through) == ((JOURNAL,), 3, 7)


def test_a_step_never_goes_beyond_its_target() -> None:
    assert plan_step([WALLET_VIEW], {"wallet_view": 7}, through=9).through == 9


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(1, BACKOFF_SECONDS_MIN), (2, 2 * BACKOFF_SECONDS_MIN), (10_000, BACKOFF_SECONDS_MAX)],
)
def test_waiting_for_the_database_doubles_up_to_its_maximum(failures: int, seconds: float) -> None:
    assert backoff_seconds(failures) == seconds


# Arrays and page tokens


def test_arrays_quote_what_postgresql_would_read_otherwise() -> None:
    assert texts([]) == "{}"
    assert texts(["a", "b c"]) == '{"a","b c"}'
    assert texts(['say "hi"', "back\\slash", "NULL", ""]) == r'{"say \"hi\"","back\\slash","NULL",""}'
    assert texts(["a\0b"]) == '{"a\N{REPLACEMENT CHARACTER}b"}'
    assert optional_texts([None, "NULL"]) == '{NULL,"NULL"}'
    assert integers([1, None, -(2**70)]) == "{1,NULL,-1180591620717411303424}"
    assert booleans([True, False]) == "{t,f}"


def test_a_page_token_comes_back_as_it_went() -> None:
    wallets, grants = WalletsToken("customers/acme", "wallets/a"), GrantsToken(WALLET, 2**62)
    statement = StatementToken(WALLET, 3, 2**62)

    assert decode_token(encode_token(wallets), WalletsToken) == wallets
    assert decode_token(encode_token(grants), GrantsToken) == grants
    assert decode_token(encode_token(statement), StatementToken) == statement
    assert encode_token(wallets).isascii()


@pytest.mark.parametrize("text", ["?", "YQ", "é", encode_token(GrantsToken(WALLET, 1)), "A" * 5])
def test_a_page_token_that_is_not_of_this_list_is_refused(text: str) -> None:
    with pytest.raises(PageTokenMalformed):
        decode_token(text, WalletsToken)
