"""What the ledger writes, rating reads: both sides agree on every member that rating uses."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from ledger_service.domain import events, topics, values
from rating_service.domain import debits
from rating_service.domain.agreements import agreement
from rating_service.domain.agreements.catalogue import (
    AGREEMENT_TOPICS,
    BILL_TOPICS,
    EMPTY,
    IGNORED_FAMILIES,
    Catalogue,
    contract,
    evolve,
    plan,
    rate_card,
)
from rating_service.domain.debits import DEBIT_TOPIC, GRANT_TOPIC, decode_debit, decode_grant
from tests.unit.rating.builders import JANUARY

ASSET = values.Asset("CREDIT", 6)
PRICE = values.UnitPrice("USD", "0.01")
TERMS = events.PlanPhase(
    key="evergreen",
    rate_card="rateCards/llm",
    shortfall_mode=values.ShortfallMode.SOFT,
    duration="P1M",
    base_fee=values.Money("USD", 29 * 10**9),
    included_units=5,
    overage_price=PRICE,
    overage_limit_units=7,
)
PHASE = events.RateCardPhasePublished(
    phase=1,
    from_time=JANUARY,
    rates=(events.Rate(dimension="tokens", unit_price="2.5", unit_size=1000, match={"model": "gpt-*"}),),
    phase_hash="hash-1",
    multipliers=(
        events.Multiplier(
            property="context_tokens",
            tiers=(events.MultiplierTier(8192, "1.0"),),
            dimensions=("tokens",),
            beyond_last_tier=values.BeyondLastTier.LAST_APPLIES,
        ),
    ),
)
CONTRACT = events.ContractSigned(
    customer="customers/acme",
    wallet="wallets/acme",
    plan="plans/starter",
    plan_version=1,
    asset=ASSET,
    start_time=JANUARY,
    cycle=events.Cycle(values.CycleInterval.MONTH, JANUARY, 3, "Europe/Berlin"),
    phases=(events.ContractPhase(JANUARY, TERMS, JANUARY + timedelta(days=14)),),
)


def stored(event: events.Event) -> bytes:
    return topics.encode_fact(
        events.Fact(
            event=event,
            record_time=JANUARY,
            effective_time=JANUARY,
            previous_hash=topics.GENESIS_HASH,
            idempotency_key="usage-1",
        )
    )


def followed(stream: str, event: events.Event, before: Catalogue = EMPTY) -> Catalogue:
    return evolve(before, stream, topics.TOPIC_OF[type(event)], stored(event))


def same(mine: object, theirs: object) -> bool:
    """Tell whether two values have the same members, whatever their types are called."""
    return bool(msgspec.to_builtins(mine) == msgspec.to_builtins(theirs))


def test_a_rate_card_phase_is_read_as_it_was_written() -> None:
    created = followed("rateCards/llm", events.RateCardCreated(asset=ASSET, display_name="LLM"))
    card = rate_card(followed("rateCards/llm", PHASE, created), "rateCards/llm")

    (phase,) = card.phases
    assert same(card.asset, ASSET)
    assert (phase.name, phase.from_time, phase.phase_hash) == ("rateCards/llm/phases/1", JANUARY, "hash-1")
    assert same(phase.rates, PHASE.rates)
    assert same(phase.multipliers, PHASE.multipliers)


def test_a_phase_for_the_past_is_read_as_it_was_written() -> None:
    created = followed("rateCards/llm", events.RateCardCreated(asset=ASSET))
    proposed = followed("rateCards/llm", events.RateCardPhaseProposed(PHASE), created)
    accepted = followed("rateCards/llm", events.RateCardPhaseAccepted(1, 7, "hash"), proposed)
    rejected = followed("rateCards/llm", events.RateCardPhaseRejected(1), proposed)

    proposal = rate_card(proposed, "rateCards/llm").proposal
    assert proposal is not None
    assert (proposal.name, proposal.retroactive) == ("rateCards/llm/phases/1", True)
    assert same(proposal.rates, PHASE.rates)
    assert rate_card(accepted, "rateCards/llm").phases == (proposal,)
    assert rate_card(rejected, "rateCards/llm").phases == ()


def test_a_plan_is_read_as_it_was_written() -> None:
    found = plan(
        followed("plans/starter", events.PlanPublished(1, ASSET, (TERMS,), "Starter")),
        "plans/starter",
    )

    assert found is not None
    assert same(found.phases, (TERMS,))


def test_a_contract_is_read_as_it_was_written() -> None:
    found = contract(followed("contracts/acme", CONTRACT), "contracts/acme")

    assert msgspec.to_builtins(found) == {"name": "contracts/acme", **msgspec.to_builtins(CONTRACT)}


def test_a_debit_and_its_charge_are_read_as_they_were_written() -> None:
    charge = events.Charge(
        contract="contracts/acme",
        contract_phase="evergreen",
        rate_card_phase="rateCards/llm/phases/1",
        phase_hash="hash-1",
        lines=(events.ChargeLine("tokens", 7, "2.5", "17500", 1000, "1.8"),),
        exact_units="17500",
        properties={"model": "gpt-4o"},
        overage_price=PRICE,
        adjustment=events.Adjustment(
            cycle_start_time=JANUARY,
            cycle_end_time=JANUARY + timedelta(days=31),
            charged_units="9.5",
            rated_units="17509",
            number=2,
            left_units="0.5",
            taken_back=(events.TakenBack(2, 1),),
            meters=(events.MeterMoved("m", 1, 2, 3, 4),),
            watermark_position=40,
        ),
    )
    event = events.CreditsDebited(
        amount_units=6,
        draws=(events.Draw(1, 5),),
        burn_down_order="default/1",
        overage_units=1,
        feature="chat",
        delivered=True,
        charge=charge,
    )

    found = decode_debit(position=9, stream="wallets/acme", version=3, state=stored(event))

    assert (found.amount_units, found.overage_units, found.feature) == (6, 1, "chat")
    assert (found.name, found.usage) == ("wallets/acme/debits/3", "usage-1")
    assert same(found.draws, event.draws)
    assert same(found.charge, charge)


def test_a_grant_is_read_as_it_was_written() -> None:
    event = events.CreditsGranted(
        amount_units=6, category=values.GrantCategory.INCLUDED, contract="contracts/acme", expire_time=JANUARY
    )

    found = decode_grant(stream="wallets/acme", version=1, state=stored(event))

    assert (found.amount_units, found.category.value) == (6, "INCLUDED")
    assert (found.contract, found.expire_time) == ("contracts/acme", JANUARY)


def test_every_topic_of_the_ledger_is_followed_or_passed_over_on_purpose() -> None:
    families = {topic for topic in topics.TOPICS if topic.partition(".")[0] in IGNORED_FAMILIES}

    assert set(topics.TOPICS) == families | set(AGREEMENT_TOPICS) | BILL_TOPICS
    assert families >= {DEBIT_TOPIC, GRANT_TOPIC}


def test_every_value_of_an_enum_of_the_ledger_is_known_to_rating() -> None:
    pairs = [
        (values.ShortfallMode, agreement.ShortfallMode),
        (values.BeyondLastTier, agreement.BeyondLastTier),
        (values.CycleInterval, agreement.CycleInterval),
        (values.GrantCategory, debits.GrantCategory),
    ]

    assert [{each.value for each in theirs} for theirs, _ in pairs] == [
        {each.value for each in mine} for _, mine in pairs
    ]
