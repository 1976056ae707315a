"""Laws of contracts: nothing earlier moves, and wallet and rating see what was agreed, at every instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.application.ports import StoredEvent
from ledger_service.application.reading.statement_texts import describe
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.cycles import cycle_end
from ledger_service.domain.agreement.rate_card import RateCard
from ledger_service.domain.events import (
    ContractEnded,
    ContractPhase,
    ContractPhaseScheduled,
    Cycle,
    PlanChanged,
    PlanPhase,
    RateCardPhaseWithdrawn,
    TrialExtended,
    WalletPolicyChanged,
)
from ledger_service.domain.topics import TOPIC_OF, encode_fact
from ledger_service.domain.values import CycleInterval
from ledger_service.domain.wallet.state import Policy, own_policy, policy_at
from ledger_service.projections.events.wallet_events import read_wallet_events
from ledger_service.projections.wallets.wallet_tallies import Tallies
from ledger_service.projections.wallets.wallet_view import fold_wallet_view
from rating_service.domain.agreements import agreement as followed_agreement
from rating_service.domain.agreements import cycles as followed_cycles
from rating_service.domain.agreements.catalogue import EMPTY, Catalogue, evolve, find_contract_phase
from rating_service.domain.agreements.index import find
from tests.builders import MICROSECOND, NOW, RATE_CARD, WALLET, Book
from tests.property.ledger.domain.contract_lives import CONTRACTS, lives

SEEDS = st.integers(0, 2**32)
Change = ContractPhaseScheduled | TrialExtended | PlanChanged | ContractEnded


def contracts_of(ledger: Book) -> dict[str, Contract]:
    """Return the contracts that were signed, by name."""
    states = {name: ledger.states.get(name) for name in CONTRACTS}
    return {name: state for name, state in states.items() if isinstance(state, Contract)}


def phase_at(contract: Contract, instant: datetime) -> ContractPhase | None:
    """Return the phase in force at an instant."""
    found = [
        phase
        for phase in contract.phases
        if phase.from_time <= instant and (phase.to_time is None or instant < phase.to_time)
    ]
    assert len(found) <= 1, "one phase at a time"
    return found[0] if found else None


def probes(ledger: Book) -> list[datetime]:
    """Return every instant at which anything may change, with its two neighbours."""
    instants = {NOW} | {each.from_time for each in ledger.wallet().policies}
    for contract in contracts_of(ledger).values():
        for phase in contract.phases:
            instants |= {phase.from_time} | ({phase.to_time} if phase.to_time else set())
    return [instant + shift * MICROSECOND for instant in sorted(instants) for shift in (-1, 0, 1)]


def terms_at(ledger: Book, instant: datetime) -> dict[str, PlanPhase | None]:
    """Return the terms of each contract at an instant."""
    found = {name: phase_at(contract, instant) for name, contract in contracts_of(ledger).items()}
    return {name: phase.terms if phase else None for name, phase in found.items()}


def followed(catalogue: Catalogue, ledger: Book, seen: int) -> Catalogue:
    """Return rating's catalogue after the events that it has not seen."""
    for each in ledger.log[seen:]:
        topic = TOPIC_OF[type(each.fact.event)]
        catalogue = evolve(catalogue, each.stream, topic, encode_fact(each.fact))
    return catalogue


@given(SEEDS)
def test_no_change_moves_what_lies_before_its_instant(seed: int) -> None:
    earlier: list[tuple[datetime, dict[str, PlanPhase | None]]] = []
    for ledger, recorded, now in lives(seed):
        fact = recorded[0].fact
        if isinstance(fact.event, Change):
            assert fact.effective_time >= now
            for instant, terms in earlier:
                if instant < fact.effective_time:
                    assert terms_at(ledger, instant).items() >= terms.items()
        earlier = [(instant, terms_at(ledger, instant)) for instant in probes(ledger)]


@given(SEEDS)
def test_phases_follow_each_other_without_a_gap(seed: int) -> None:
    for ledger, _, _ in lives(seed):
        for contract in contracts_of(ledger).values():
            assert all(one.to_time == other.from_time for one, other in pairwise(contract.phases))
            assert all(phase.to_time is None or phase.from_time < phase.to_time for phase in contract.phases)


@given(SEEDS)
def test_the_wallets_policy_is_what_the_contract_in_force_says_and_its_own_without_one(seed: int) -> None:
    for ledger, _, _ in lives(seed):
        for instant in probes(ledger):
            in_force = [
                (name, terms) for name, terms in terms_at(ledger, instant).items() if terms is not None
            ]
            assert len(in_force) <= 1, "one contract at a time"
            policy = policy_at(ledger.wallet(), instant)
            if in_force:
                ((name, terms),) = in_force
                assert (policy.contract, policy.contract_phase) == (name, terms.key)
                assert policy.shortfall_mode is terms.shortfall_mode
                assert policy.overage_limit_units == terms.overage_limit_units
            else:
                assert policy.own
        assert policy_at(ledger.wallet(), datetime.max.replace(tzinfo=NOW.tzinfo)).own or contracts_of(ledger)


@given(SEEDS)
def test_rating_knows_the_phase_of_every_instant_as_the_ledger_does(seed: int) -> None:
    catalogue, seen = EMPTY, 0
    for ledger, _, _ in lives(seed):
        catalogue, seen = followed(catalogue, ledger, seen), len(ledger.log)
        for name, contract in contracts_of(ledger).items():
            mine = find(catalogue.contracts, name)
            assert mine is not None
            assert msgspec.to_builtins(mine.phases) == msgspec.to_builtins(contract.phases)
            for instant in probes(ledger):
                theirs = find_contract_phase(mine, instant)
                assert msgspec.to_builtins(theirs) == msgspec.to_builtins(phase_at(contract, instant))
        card = ledger.states[RATE_CARD]
        followed_card = find(catalogue.rate_cards, RATE_CARD)
        assert isinstance(card, RateCard)
        assert followed_card is not None
        assert [phase.name for phase in followed_card.phases] == [
            f"{RATE_CARD}/phases/{phase.phase}" for phase in card.phases
        ]
    # A catalogue that is folded anew from the whole log, as after a restart, is the same one.
    assert followed(EMPTY, ledger, 0) == catalogue


@given(SEEDS)
def test_the_wallet_view_keeps_the_policies_that_the_wallet_keeps(seed: int) -> None:
    *_, (ledger, _, _) = lives(seed)
    stored = [
        StoredEvent(
            position, each.stream, each.version, TOPIC_OF[type(each.fact.event)], encode_fact(each.fact)
        )
        for position, each in enumerate(ledger.log, start=1)
    ]
    tallies: Tallies = {}
    fold_wallet_view(tallies, read_wallet_events(stored))

    kept = [
        Policy(
            each.effective_time,
            each.policy.shortfall_mode,
            each.policy.overage_limit_units,
            each.policy.contract,
            each.policy.contract_phase,
            each.own,
            each.policy.ended_contract,
        )
        for each in tallies[WALLET].policies
    ]
    first, *later = kept
    assert (first, *sorted(later, key=lambda each: each.from_time)) == ledger.wallet().policies
    assert own_policy(ledger.wallet()) in kept


@given(SEEDS)
def test_the_statement_can_tell_every_change_of_policy(seed: int) -> None:
    for _, recorded, _ in lives(seed):
        for each in recorded:
            if isinstance(each.fact.event, WalletPolicyChanged):
                text = describe(each.fact.event)
                assert (text.change_units, text.overage_units) == (0, 0)
                assert any(name in text.description for name in CONTRACTS)


def test_the_random_lives_meet_every_change() -> None:
    met = {type(each.fact.event) for seed in range(40) for _, recorded, _ in lives(seed) for each in recorded}

    assert met >= {
        ContractPhaseScheduled,
        TrialExtended,
        PlanChanged,
        ContractEnded,
        RateCardPhaseWithdrawn,
        WalletPolicyChanged,
    }


INSTANTS = st.integers(-(10**8), 10**8).map(lambda seconds: NOW + timedelta(seconds=seconds))
CYCLES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "interval": st.sampled_from(CycleInterval),
        "anchor_time": INSTANTS,
        "count": st.integers(1, 14),
        "zone": st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
    }
)


@given(CYCLES, INSTANTS)
def test_ledger_and_rating_cut_cycles_at_the_same_instants(terms: dict[str, Any], instant: datetime) -> None:
    mine = Cycle(**terms)
    theirs = msgspec.convert(msgspec.to_builtins(mine), followed_agreement.Cycle)

    assert cycle_end(mine, instant) == followed_cycles.cycle_at(theirs, instant).end_time
    assert cycle_end(mine, mine.anchor_time) > mine.anchor_time
