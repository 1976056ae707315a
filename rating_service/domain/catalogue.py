"""The catalogue: every rate card, plan and contract, folded from the ledger's log.

It says what was in force at an instant. A catalogue never changes; `evolve` returns the next one, so that a
caller may keep the catalogue of any position of the log.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from rating_service.domain.agreement import Contract, ContractPhase, Plan, RateCard, RateCardPhase, Record

AGREEMENT_TOPICS: Final = (
    "rate_card.RateCardCreated.v1",
    "rate_card.RateCardPhasePublished.v1",
    "plan.PlanPublished.v1",
    "contract.ContractSigned.v1",
)
"""Topics that change a catalogue."""


class UnknownTopicError(Exception):
    """The log holds a topic of which it is not known whether it changes prices."""


class Catalogue(Record):
    """What was agreed up to a position of the log."""


EMPTY: Final = Catalogue()


def evolve(catalogue: Catalogue, stream: str, topic: str, state: bytes) -> Catalogue:
    """Return the catalogue after one event of the log, given in the order of the log.

    Topics that are not about the agreement leave it as it is. Raises UnknownTopicError for a topic of no known
    family, msgspec.ValidationError.
    """
    raise NotImplementedError


def contract(catalogue: Catalogue, name: str) -> Contract:
    """Return contracts/{contract}. Refuses UNKNOWN_CONTRACT."""
    raise NotImplementedError


def rate_card(catalogue: Catalogue, name: str) -> RateCard:
    """Return rateCards/{rate_card}. Refuses UNKNOWN_RATE_CARD."""
    raise NotImplementedError


def plan(catalogue: Catalogue, name: str, version: int = 0) -> Plan | None:
    """Return a version of plans/{plan}, the newest for version 0, or None."""
    raise NotImplementedError


def contract_phase_at(contract: Contract, effective_time: datetime) -> ContractPhase:
    """Return the phase with from_time <= effective_time < to_time. Refuses CONTRACT_NOT_IN_FORCE."""
    raise NotImplementedError


def card_phase_at(card: RateCard, effective_time: datetime) -> RateCardPhase:
    """Return the last phase with from_time <= effective_time. Refuses NO_PHASE_IN_FORCE."""
    raise NotImplementedError
