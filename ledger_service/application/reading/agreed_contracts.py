"""Contracts as they stood on a day, by both clocks, from the facts of their streams.

What is agreed counts from when it was recorded or from when it took effect, whichever came first: a contract that was
signed today for a time that is past held then, and one for a time to come is promised today.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import NamedTuple

import msgspec

from ledger_service.domain.agreement.contract import Contract, evolve_contract
from ledger_service.domain.events import (
    BilledAmount,
    ContractSigned,
    CreditNoteIssued,
    Event,
    Fact,
    InvoiceIssued,
)


class AgreedFact(NamedTuple):
    """A fact of a contract, and its version in the contract's stream."""

    version: int
    fact: Fact[Event]


class AgreedContract(msgspec.Struct, frozen=True):
    """All that was recorded of a contract, in order, and the legal entity that keeps it in its books."""

    name: str
    entity: str
    facts: Sequence[AgreedFact]


class Billed(NamedTuple):
    """What an invoice billed, or a credit note gave back of one."""

    currency_code: str
    amount: BilledAmount
    invoice: str


class Stood(msgspec.Struct, frozen=True):
    """A contract as it stood, and what was billed of it before and given back by credit notes."""

    contract: Contract
    billed: tuple[Billed, ...]
    credited: tuple[Billed, ...]


def midnight(day: date) -> datetime:
    """Return the beginning of a day (UTC)."""
    return datetime.combine(day, time(), UTC)


def stood_at(agreed: AgreedContract, at: datetime, *, known_before: date | None) -> Stood | None:
    """Return a contract as it stood at an instant, by what was recorded before a day; None if there was none."""
    known = midnight(known_before or date.max)
    contract: Contract | None = None
    billed: list[Billed] = []
    credited: list[Billed] = []
    for version, fact in agreed.facts:
        event = fact.event
        if fact.record_time >= known:
            break
        if isinstance(event, InvoiceIssued | CreditNoteIssued):
            if event.issue_time < at:
                documents = billed if isinstance(event, InvoiceIssued) else credited
                documents += (Billed(event.currency_code, amount, event.invoice) for amount in event.amounts)
        elif _agreed_time(fact) < at:
            contract = evolve_contract(contract, fact, version)
    if contract is None or not contract.phases:
        return None
    return Stood(contract, tuple(billed), tuple(credited))


def _agreed_time(fact: Fact[Event]) -> datetime:
    event = fact.event
    effective_time = event.start_time if isinstance(event, ContractSigned) else fact.effective_time
    return min(fact.record_time, effective_time)
