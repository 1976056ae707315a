"""The catalogue: every rate card, plan and contract, folded from the ledger's log.

It says what was in force at an instant. A catalogue never changes; `evolve` returns the next one, so that a
caller may keep the catalogue of any position of the log. The fold holds no business rule: the ledger has
decided already, and history made under older rules must still load.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from rating_service.domain.agreements.agreement import (
    Contract,
    ContractPhase,
    Plan,
    RateCard,
    RateCardPhase,
    Record,
)
from rating_service.domain.agreements.agreement_events import (
    ContractSigned,
    PlanPublished,
    RateCardCreated,
)
from rating_service.domain.agreements.card_life import CARD_CHANGE_TYPES, changed_card
from rating_service.domain.agreements.contract_life import CHANGE_TYPES, changed
from rating_service.domain.agreements.index import Index, empty_index, find, put
from rating_service.domain.refusals import Reason, Refusal

AGREEMENT_TOPICS: Final = (
    "rate_card.RateCardCreated.v1",
    *CARD_CHANGE_TYPES,
    "plan.PlanPublished.v1",
    "contract.ContractSigned.v1",
    *CHANGE_TYPES,
)
"""Topics that change a catalogue."""

BILL_TOPICS: Final = frozenset({"contract.InvoiceIssued.v1", "contract.CreditNoteIssued.v1"})
"""What was recorded of invoices and credit notes: it is followed, and agrees nothing."""

IGNORED_FAMILIES: Final = frozenset({"wallet", "breakage_pool", "accounting_period", "entity", "checkpoint"})
"""First parts of topics that agree nothing. Any other topic must be known, or prices would be guesses."""

E = TypeVar("E")


class UnknownTopicError(Exception):
    """The log holds a topic of which it is not known whether it changes prices."""


class BrokenLogError(Exception):
    """The log goes on with a rate card or contract that it never began."""


class Catalogue(Record, frozen=True):
    """What was agreed up to a position of the log. A plan is kept under its name and its name@version."""

    rate_cards: Index[RateCard] = msgspec.field(default_factory=empty_index)
    plans: Index[Plan] = msgspec.field(default_factory=empty_index)
    contracts: Index[Contract] = msgspec.field(default_factory=empty_index)


class _Fact(msgspec.Struct, frozen=True):
    event: msgspec.Raw


EMPTY: Final = Catalogue()


def evolve(catalogue: Catalogue, stream: str, topic: str, state: bytes) -> Catalogue:
    """Return the catalogue after one event of the log, given in the order of the log.

    BILL_TOPICS and topics of IGNORED_FAMILIES leave it as it is. Raises UnknownTopicError for any other that is not in
    AGREEMENT_TOPICS, BrokenLogError, msgspec.ValidationError.
    """
    match topic:
        case "rate_card.RateCardCreated.v1":
            return _with_card(catalogue, _card(stream, _event(state, RateCardCreated)))
        case _ if topic in CARD_CHANGE_TYPES:
            card = find(catalogue.rate_cards, stream)
            if card is None:
                raise BrokenLogError(f"{stream} was changed before it was created")
            return _with_card(catalogue, changed_card(card, _event(state, CARD_CHANGE_TYPES[topic])))
        case "plan.PlanPublished.v1":
            return _with_plan(catalogue, stream, _event(state, PlanPublished))
        case "contract.ContractSigned.v1":
            signed = _contract(stream, _event(state, ContractSigned))
            return _with_contract(catalogue, signed)
        case _ if topic in CHANGE_TYPES:
            before = find(catalogue.contracts, stream)
            if before is None:
                raise BrokenLogError(f"{stream} was changed before it was signed")
            return _with_contract(catalogue, changed(before, _event(state, CHANGE_TYPES[topic])))
        case _ if topic in BILL_TOPICS or topic.partition(".")[0] in IGNORED_FAMILIES:
            return catalogue
        case _:
            raise UnknownTopicError(f"topic {topic!r} is not known to this version of rating")


def contract(catalogue: Catalogue, name: str) -> Contract:
    """Return contracts/{contract}. Refuses UNKNOWN_CONTRACT."""
    found = find(catalogue.contracts, name)
    if found is None:
        raise Refusal(Reason.UNKNOWN_CONTRACT, f"there is no {name!r}", contract=name)
    return found


def rate_card(catalogue: Catalogue, name: str) -> RateCard:
    """Return rateCards/{rate_card}. Refuses UNKNOWN_RATE_CARD."""
    found = find(catalogue.rate_cards, name)
    if found is None:
        raise Refusal(Reason.UNKNOWN_RATE_CARD, f"there is no {name!r}", rate_card=name)
    return found


def plan(catalogue: Catalogue, name: str, version: int = 0) -> Plan | None:
    """Return a version of plans/{plan}, the newest for version 0, or None."""
    return find(catalogue.plans, _plan_version(name, version) if version else name)


def contract_phase_at(contract: Contract, effective_time: datetime) -> ContractPhase:
    """Return the phase with from_time <= effective_time < to_time. Refuses CONTRACT_NOT_IN_FORCE."""
    phase = find_contract_phase(contract, effective_time)
    if phase is None:
        raise Refusal(
            Reason.CONTRACT_NOT_IN_FORCE,
            f"{contract.name} has no phase at {effective_time.isoformat()}",
            contract=contract.name,
            effective_time=effective_time.isoformat(),
        )
    return phase


def find_contract_phase(contract: Contract, effective_time: datetime) -> ContractPhase | None:
    """Return the phase with from_time <= effective_time < to_time, or None."""
    for phase in reversed(contract.phases):
        if phase.from_time <= effective_time and (phase.to_time is None or effective_time < phase.to_time):
            return phase
    return None


def card_phase_at(card: RateCard, effective_time: datetime) -> RateCardPhase:
    """Return the last phase with from_time <= effective_time. Refuses NO_PHASE_IN_FORCE."""
    begun = bisect_right(card.phases, effective_time, key=lambda phase: phase.from_time)
    if begun == 0:
        raise Refusal(
            Reason.NO_PHASE_IN_FORCE,
            f"{card.name} has no phase in force at {effective_time.isoformat()}",
            rate_card=card.name,
            effective_time=effective_time.isoformat(),
        )
    return card.phases[begun - 1]


def _event(state: bytes, event_type: type[E]) -> E:
    return msgspec.json.decode(msgspec.json.decode(state, type=_Fact).event, type=event_type)


def _card(stream: str, event: RateCardCreated) -> RateCard:
    return RateCard(
        name=stream,
        asset=event.asset,
        display_name=event.display_name,
        unit_definitions=event.unit_definitions,
    )


def _with_card(catalogue: Catalogue, card: RateCard) -> Catalogue:
    return msgspec.structs.replace(catalogue, rate_cards=put(catalogue.rate_cards, card.name, card))


def _with_contract(catalogue: Catalogue, contract: Contract) -> Catalogue:
    return msgspec.structs.replace(catalogue, contracts=put(catalogue.contracts, contract.name, contract))


def _with_plan(catalogue: Catalogue, stream: str, event: PlanPublished) -> Catalogue:
    published = Plan(
        name=stream,
        version=event.plan_version,
        asset=event.asset,
        phases=event.phases,
        display_name=event.display_name,
    )
    plans = put(catalogue.plans, stream, published)
    versioned = put(plans, _plan_version(stream, published.version), published)
    return msgspec.structs.replace(catalogue, plans=versioned)


def _plan_version(name: str, version: int) -> str:
    return f"{name}@{version}"


def _contract(stream: str, event: ContractSigned) -> Contract:
    return Contract(
        name=stream,
        customer=event.customer,
        wallet=event.wallet,
        plan=event.plan,
        plan_version=event.plan_version,
        asset=event.asset,
        start_time=event.start_time,
        cycle=event.cycle,
        phases=event.phases,
    )
