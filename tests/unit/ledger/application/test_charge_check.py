"""Verification prices every charge again: what somebody changed in one, or in what it was priced by, has a name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
import pytest

from ledger_service.application.auditing.charge_check import FOLLOWING_MAX
from ledger_service.application.auditing.verification import Finding, HistoryCheck
from ledger_service.application.ports import StoredEvent
from ledger_service.domain.agreement.rate_card import hash_phase
from ledger_service.domain.commands import AnyCommand, PublishRateCardPhase
from ledger_service.domain.events import (
    Charge,
    ChargeLine,
    ChargePart,
    CreditsDebited,
    Event,
    Fact,
    HoldCaptured,
    Multiplier,
    MultiplierTier,
    PhaseCard,
    Rate,
    RateCardPhasePublished,
    RunningTotal,
)
from ledger_service.domain.events.price_models import GraduatedModel, PriceTier
from ledger_service.domain.topics import GENESIS_HASH, TOPIC_OF, encode_fact, hash_event
from ledger_service.domain.values import UnitPrice
from tests.builders import (
    CONTRACT,
    CREDIT,
    MICROSECOND,
    NOW,
    RATE_CARD,
    WALLET,
    Book,
    after,
    book,
    capture,
    charge,
    create_rate_card,
    debit,
    end_contract,
    grant,
    hold,
    open_wallet,
    plan_phase,
    publish_phase,
    publish_plan,
    schedule_phase,
    sign_contract,
)

replace = msgspec.structs.replace
RATES = (
    Rate("tokens", "0.5", 1_000, {"model": "large"}, provider_cost="0.1"),
    Rate("tokens", "0.2", 1_000, {"model": "*"}, provider_cost="0.1"),
    Rate("calls", "", price_model=GraduatedModel((PriceTier("0.3", up_to=5), PriceTier("0.1")))),
)
CONTEXT = Multiplier("context", (MultiplierTier(8, "1"), MultiplierTier(32, "1.8")), ("tokens",))
TOKENS = ChargeLine("tokens", 2_500, "0.5", "2250000", 1_000, "1.8", provider_cost="0.25")
CYCLE = (NOW, after(days=31))
"""The cycle that the totals are of."""
CALLS = ChargeLine(
    "calls",
    8,
    "",
    "1800000",
    model="graduated",
    parts=(ChargePart("QUANTITY", "1500000", 1, 5, "0.3"), ChargePart("QUANTITY", "300000", 2, 3, "0.1")),
    total_before=RunningTotal(f"{RATE_CARD}:calls{{}}", 0, 0, *CYCLE),
)
CHARGE = Charge(
    CONTRACT,
    "standard",
    f"{RATE_CARD}/phases/1",
    "",
    (TOKENS, CALLS),
    "4050000",
    {"model": "large", "context": "9"},
)


def publishing(from_time: datetime) -> PublishRateCardPhase:
    """Return the publication of the card's prices."""
    return replace(publish_phase(*RATES, from_time=from_time), multipliers=(CONTEXT,), cost_currency="USD")


def agreed(*later: AnyCommand) -> Book:
    """Return a ledger with a card, a plan, a contract and a wallet with 10 credits."""
    publish = publishing(NOW)
    terms = (create_rate_card(), publish, publish_plan(), open_wallet(), sign_contract(), grant(10_000_000))
    return book(*terms, *later)


def phase_hash(ledger: Book, number: int = 1) -> str:
    """Return the recorded hash of a phase."""
    return next(
        each.fact.event.phase_hash
        for each in ledger.log
        if isinstance(each.fact.event, RateCardPhasePublished) and each.fact.event.phase == number
    )


def hashed(ledger: Book, sent: Charge = CHARGE) -> Charge:
    """Return a charge with the hash of its phase."""
    return replace(sent, phase_hash=phase_hash(ledger))


def verified(
    ledger: Book, tamper: Callable[[Event], Event] = lambda event: event
) -> tuple[list[Finding], HistoryCheck]:
    """Return what a verification finds in a log in which somebody changed events and made the chain anew."""
    heads: dict[str, str] = {}
    stored: list[StoredEvent] = []
    for position, each in enumerate(ledger.log, start=1):
        fact: Fact[Event] = replace(
            each.fact, event=tamper(each.fact.event), previous_hash=heads.get(each.stream, GENESIS_HASH)
        )
        topic, state = TOPIC_OF[type(fact.event)], encode_fact(fact)
        heads[each.stream] = hash_event(each.stream, each.version, topic, state)
        stored.append(StoredEvent(position, each.stream, each.version, topic, state))
    check = HistoryCheck()
    return check.check_page(stored), check


def names(findings: list[Finding]) -> list[str]:
    return [finding.check for finding in findings]


def in_charge(**fields: object) -> Callable[[Event], Event]:
    """Return a change of a debit's charge."""

    def change(event: Event) -> Event:
        if isinstance(event, CreditsDebited | HoldCaptured) and event.charge is not None:
            return replace(event, charge=replace(event.charge, **fields))
        return event

    return change


def in_line(line: ChargeLine, **fields: object) -> Callable[[Event], Event]:
    """Return a change of one line."""
    lines = tuple(replace(each, **fields) if each is line else each for each in (TOKENS, CALLS))
    return in_charge(lines=lines)


def test_a_sound_charge_is_priced_again_without_a_finding() -> None:
    ledger = agreed()
    ledger.run(debit(charge=hashed(ledger)))

    findings, check = verified(ledger)

    assert findings == []
    assert (check.repriced_charges, check.unpriced_charges) == (1, 0)


def test_a_capture_is_priced_again_too() -> None:
    ledger = agreed(hold(5_000_000))
    version = len([each for each in ledger.log if each.stream == WALLET])
    ledger.run(capture(version, charge=hashed(ledger)))

    assert names(verified(ledger)[0]) == []
    assert names(verified(ledger, in_line(TOKENS, quantity=2_501))[0]) == ["CHARGE_PRICE"]


@pytest.mark.parametrize(
    ("tamper", "expected"),
    [
        pytest.param(in_line(TOKENS, unit_price="0.4"), "CHARGE_PRICE", id="a price"),
        pytest.param(in_line(TOKENS, quantity=2_501), "CHARGE_PRICE", id="a quantity"),
        pytest.param(in_line(TOKENS, multiplier="1"), "CHARGE_PRICE", id="a multiplier"),
        pytest.param(in_line(TOKENS, unit_size=999), "CHARGE_PRICE", id="a unit size"),
        pytest.param(in_line(TOKENS, provider_cost="0.26"), "CHARGE_PRICE", id="a line's cost"),
        pytest.param(in_line(CALLS, parts=CALLS.parts[:1]), "CHARGE_PRICE", id="a part"),
        pytest.param(
            in_line(CALLS, total_before=RunningTotal(f"{RATE_CARD}:calls{{}}", 1, 1, *CYCLE)),
            "CHARGE_PRICE",
            id="a total",
        ),
        pytest.param(
            in_line(CALLS, total_before=RunningTotal("other", 0, 0, *CYCLE)), "CHARGE_PRICE", id="a meter"
        ),
        pytest.param(in_line(CALLS, total_before=None), "CHARGE_PRICE", id="no total"),
        pytest.param(in_line(CALLS, model="volume"), "CHARGE_PRICE", id="a model"),
        pytest.param(in_line(TOKENS, dimension="images"), "CHARGE_PRICE", id="a dimension"),
        pytest.param(in_charge(lines=(CALLS, TOKENS)), "CHARGE_PRICE", id="the order of lines"),
        pytest.param(
            in_charge(properties={"model": "small", "context": "9"}), "CHARGE_PRICE", id="a property"
        ),
        pytest.param(
            in_charge(properties={"model": "large", "context": "8"}), "CHARGE_PRICE", id="one token less"
        ),
        pytest.param(
            in_charge(properties={"model": "large", "context": "33"}), "CHARGE_PRICE", id="beyond the tiers"
        ),
        pytest.param(in_charge(properties={"model": "large"}), "CHARGE_PRICE", id="no property"),
        pytest.param(in_charge(exact_units="4050000.1"), "CHARGE_TOTAL", id="the total"),
        pytest.param(in_charge(provider_cost="1", cost_currency="USD"), "CHARGE_TOTAL", id="the cost"),
        pytest.param(in_charge(phase_hash="ab" * 32), "CHARGE_HASH", id="the hash"),
        pytest.param(in_charge(phase_hash=""), "CHARGE_HASH", id="no hash"),
        pytest.param(in_charge(rate_card_phase=f"{RATE_CARD}/phases/2"), "CHARGE_PHASE", id="the phase"),
        pytest.param(in_charge(contract_phase="trial"), "CHARGE_CONTRACT", id="the contract's phase"),
        pytest.param(in_charge(contract="contracts/other"), "CHARGE_CONTRACT", id="the contract"),
        pytest.param(
            in_charge(overage_price=UnitPrice("USD", "1")), "CHARGE_CONTRACT", id="the overage price"
        ),
    ],
)
def test_a_change_that_the_chain_does_not_show_is_found(
    tamper: Callable[[Event], Event], expected: str
) -> None:
    ledger = agreed()
    ledger.run(debit(charge=hashed(ledger)))

    found = names(verified(ledger, tamper)[0])

    assert expected in found
    assert set(found) <= {expected, "CARRIED_FRACTION", "TOTALS"}


def test_a_phase_whose_prices_were_changed_is_found_and_so_is_what_it_priced() -> None:
    ledger = agreed()
    ledger.run(debit(charge=hashed(ledger)))

    def cheaper(event: Event) -> Event:
        if isinstance(event, RateCardPhasePublished):
            return replace(event, rates=(replace(event.rates[0], unit_price="0.4"), *event.rates[1:]))
        return event

    assert names(verified(ledger, cheaper)[0]) == ["PHASE_HASH", "CHARGE_PRICE"]


def test_a_phase_changed_together_with_its_hash_no_longer_is_what_the_charge_names() -> None:
    ledger = agreed()
    ledger.run(debit(charge=hashed(ledger)))

    def cheaper(event: Event) -> Event:
        if isinstance(event, RateCardPhasePublished):
            bare = replace(event, rates=(*event.rates[:2], replace(event.rates[2], dimension="hits")))
            return replace(bare, phase_hash=hash_phase(RATE_CARD, CREDIT, bare))
        return event

    assert names(verified(ledger, cheaper)[0]) == ["CHARGE_HASH", "CHARGE_PRICE"]


def test_the_charge_of_a_caller_that_names_no_phase_is_counted_and_left_alone() -> None:
    ledger = book(open_wallet(), grant(10_000_000))
    ledger.run(debit(charge=replace(charge("5"), rate_card_phase="list price", phase_hash="")))

    findings, check = verified(ledger)

    assert findings == []
    assert (check.repriced_charges, check.unpriced_charges) == (0, 1)


def test_a_charge_that_names_a_hash_must_name_a_published_phase() -> None:
    ledger = book(open_wallet(), grant(10_000_000))
    ledger.run(debit(charge=charge("5")))

    assert names(verified(ledger)[0]) == ["CHARGE_PHASE"]


@pytest.mark.parametrize(
    ("effective_time", "expected"),
    [(after(hours=1) - MICROSECOND, []), (after(hours=1), ["CHARGE_PHASE"])],
)
def test_a_phase_is_in_force_until_the_next_one_begins(effective_time: datetime, expected: list[str]) -> None:
    ledger = agreed(publishing(after(hours=1)))
    ledger.run(debit(charge=hashed(ledger), effective_time=effective_time), after(hours=2))

    assert names(verified(ledger)[0]) == expected


@pytest.mark.parametrize(
    ("waited", "expected"), [(FOLLOWING_MAX, []), (FOLLOWING_MAX + MICROSECOND, ["CHARGE_PHASE"])]
)
def test_rating_may_follow_a_new_phase_a_little_later(waited: timedelta, expected: list[str]) -> None:
    ledger = agreed()
    changed = after(hours=1)
    ledger.run(publishing(changed), changed)
    ledger.run(debit(charge=hashed(ledger), effective_time=changed), changed + waited)

    assert names(verified(ledger)[0]) == expected


@pytest.mark.parametrize(
    ("waited", "expected"), [(FOLLOWING_MAX, []), (FOLLOWING_MAX + MICROSECOND, ["CHARGE_CONTRACT"])]
)
def test_a_charge_names_the_contract_phase_in_force_at_its_time(
    waited: timedelta, expected: list[str]
) -> None:
    ledger = agreed()
    changed = after(hours=1)
    dear = replace(plan_phase(), overage_price=UnitPrice("USD", "1"))
    ledger.run(schedule_phase("overage_price", terms=dear), changed)
    ledger.run(debit(charge=hashed(ledger), effective_time=changed), changed + waited)

    assert names(verified(ledger)[0]) == expected


@pytest.mark.parametrize(
    ("feature", "expected"), [("chat", []), ("draw", ["CHARGE_CONTRACT"]), ("", ["CHARGE_CONTRACT"])]
)
def test_a_charge_is_priced_by_the_card_under_which_its_usage_falls(
    feature: str, expected: list[str]
) -> None:
    ledger = agreed()
    ledger.run(create_rate_card(rate_card="rateCards/other"))
    terms = replace(
        plan_phase(rate_card="rateCards/other"),
        additional_cards=(PhaseCard(RATE_CARD, ("chat",), {"model": "large"}),),
    )
    ledger.run(schedule_phase("rate_card", "additional_cards", terms=terms))
    late = after(hours=1)
    ledger.run(replace(debit(charge=hashed(ledger), effective_time=late), feature=feature), late)

    assert names(verified(ledger)[0]) == expected


def test_nothing_is_charged_to_a_contract_that_has_ended() -> None:
    ledger = agreed()
    ledger.run(end_contract(), after(hours=1))
    ledger.run(debit(charge=hashed(ledger)), after(hours=2))

    assert names(verified(ledger)[0]) == ["CHARGE_CONTRACT"]


def test_the_contract_must_be_that_of_the_wallet() -> None:
    ledger = agreed()
    ledger.run(debit(charge=hashed(ledger)))
    moved = [replace(each, stream="wallets/other") if each.stream == WALLET else each for each in ledger.log]
    ledger.log[:] = moved

    assert names(verified(ledger)[0]) == ["CHARGE_CONTRACT"]


def test_a_check_that_does_not_own_the_agreements_prices_by_them_and_reports_only_its_wallets() -> None:
    ledger = agreed()
    ledger.run(debit(charge=hashed(ledger)))
    stored = [
        StoredEvent(0, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact))
        for each in ledger.log
    ]
    check = HistoryCheck(owns_agreements=False)

    assert check.check_page(stored) == []
    assert check.stream_count == 1
    assert check.checked_events == len([each for each in ledger.log if each.stream == WALLET])
    assert check.repriced_charges == 1
