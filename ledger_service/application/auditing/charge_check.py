"""Checks of charges: every one is priced again from what was agreed when it was recorded.

A charge names a phase of a rate card, and its contract and its phase if it has one. All of it must have been in
force at the charge's effective time, as known when the charge was recorded; rating follows the log, so it may have
priced by what a change replaced shortly before. A charge that states no phase_hash and names a phase that was never
published is its caller's own reckoning: it cannot be priced again, and is counted.

That the running totals of one meter follow from line to line is not checked here; `_check_line` gets each line with
its total before, in the order of the log.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from decimal import DecimalException
from fractions import Fraction
from typing import Final

import msgspec

from ledger_service.domain.agreement.adjust import adjustment_adds_up
from ledger_service.domain.agreement.contract import Contract
from ledger_service.domain.agreement.phase_cards import card_for
from ledger_service.domain.agreement.rate_card import RateCard, hash_phase, phase_of
from ledger_service.domain.agreement.repricing import PhasePrices, Repriced, meter_root, prepare, reprice
from ledger_service.domain.agreement.repricing_match import NotPriceableError
from ledger_service.domain.events import (
    Adjustment,
    Charge,
    ChargeLine,
    ContractPhase,
    CreditsDebited,
    Event,
    Fact,
    HoldCaptured,
    PlanPhase,
    RateCardPhasePublished,
)
from ledger_service.domain.exact import fraction_text

FOLLOWING_MAX: Final = timedelta(minutes=10)
"""How long after a change was recorded a charge may still be priced by what it replaced: rating follows the log."""

Broken = Iterator[tuple[str, str]]
"""Name and description of each check that fails."""


class _Known(msgspec.Struct, frozen=True):
    """What was known of a card or a contract from a record time on."""

    since: datetime
    state: RateCard | Contract


class _Published(msgspec.Struct, frozen=True):
    """A phase as it was published, and where its counters began."""

    card: str
    phase: RateCardPhasePublished
    prices: PhasePrices


class ChargeCheck:
    """Follows what is agreed, in the order of the log, and checks the charges in between."""

    def __init__(self) -> None:
        """Begin before the first event."""
        self._phases: dict[str, _Published] = {}
        self._known: dict[str, list[_Known]] = {}
        self.repriced = 0
        self.not_repriced = 0

    def learn(self, stream: str, fact: Fact[Event], state: RateCard | Contract) -> Broken:
        """Take note of a rate card or a contract after an event of its stream, and check a phase's own hash."""
        known = self._known.setdefault(stream, [])
        known.append(_Known(fact.record_time, state))
        while len(known) > 1 and known[1].since + FOLLOWING_MAX < fact.record_time:
            del known[0]
        phase = phase_of(fact.event)
        if isinstance(state, RateCard) and phase is not None:
            prices = prepare(
                phase, scale=state.asset.scale, meter_root=meter_root(stream, state.phases, phase)
            )
            self._phases[f"{stream}/phases/{phase.phase}"] = _Published(stream, phase, prices)
            if phase.phase_hash != hash_phase(stream, state.asset, phase):
                yield "PHASE_HASH", f"phase {phase.phase} is not what its hash says"

    def check(self, wallet: str, fact: Fact[Event], charge: Charge) -> Broken:
        """Check the charge of a debit or a capture."""
        published = self._phases.get(charge.rate_card_phase)
        if published is None and not charge.phase_hash:
            self.not_repriced += 1
            return
        self.repriced += 1
        if published is None:
            yield "CHARGE_PHASE", f"{charge.rate_card_phase} was not published before"
            return
        if charge.adjustment is not None:
            yield from self._check_adjustment(fact, charge, charge.adjustment, published)
            return
        yield from self._check_phase(fact, charge, published)
        if charge.contract:
            yield from self._check_contract(wallet, fact, charge, published)
        yield from _check_price(charge, published.prices)

    def _check_adjustment(
        self, fact: Fact[Event], charge: Charge, adjustment: Adjustment, published: _Published
    ) -> Broken:
        """Check that an adjustment follows from an accepted phase, and that its figures add up."""
        if charge.phase_hash != published.phase.phase_hash:
            yield "CHARGE_HASH", f"phase_hash is not that of {charge.rate_card_phase}"
        if not any(
            isinstance(known, RateCard) and published.phase.phase in known.accepted
            for known in self._as_known(published.card, fact.record_time)
        ):
            yield "ADJUSTMENT_PHASE", f"{charge.rate_card_phase} was not accepted before"
        if not _adds_up(charge, adjustment):
            yield "ADJUSTMENT_TOTAL", "what was charged, adjusted and left does not make what it costs"
        if charge.lines:
            yield "CHARGE_TOTAL", "an adjustment is no usage and has no lines"

    def _check_phase(self, fact: Fact[Event], charge: Charge, published: _Published) -> Broken:
        if charge.phase_hash != published.phase.phase_hash:
            yield "CHARGE_HASH", f"phase_hash is not that of {charge.rate_card_phase}"
        at = fact.effective_time
        number = published.phase.phase
        if not any(
            _card_phase_at(known, at) == number for known in self._as_known(published.card, fact.record_time)
        ):
            yield "CHARGE_PHASE", f"{charge.rate_card_phase} was not in force at {at.isoformat()}"

    def _check_contract(
        self, wallet: str, fact: Fact[Event], charge: Charge, published: _Published
    ) -> Broken:
        at = fact.effective_time
        phases = [
            (known, phase)
            for known in self._as_known(charge.contract, fact.record_time)
            if isinstance(known, Contract) and (phase := _contract_phase_at(known, at)) is not None
        ]
        if not phases:
            yield "CHARGE_CONTRACT", f"{charge.contract} was not in force at {at.isoformat()}"
            return
        if all(known.signed.wallet != wallet for known, _ in phases):
            yield "CHARGE_CONTRACT", f"{charge.contract} is charged to another wallet"
        named = [phase.terms for _, phase in phases if phase.terms.key == charge.contract_phase]
        if not named:
            yield (
                "CHARGE_CONTRACT",
                f"phase {charge.contract_phase!r} of {charge.contract} was not in force at {at.isoformat()}",
            )
        elif not any(_is_priced_by(terms, published, fact, charge) for terms in named):
            yield (
                "CHARGE_CONTRACT",
                f"{charge.contract} is not priced by {published.card} at {at.isoformat()}",
            )
        elif all(terms.overage_price != charge.overage_price for terms in named):
            yield "CHARGE_CONTRACT", f"overage_price is not that of phase {charge.contract_phase!r}"

    def _as_known(self, stream: str, record_time: datetime) -> Iterator[RateCard | Contract]:
        """Yield what was known of a card or a contract at a record time, and what was replaced just before."""
        known = self._known.get(stream, [])
        for place, each in enumerate(known):
            replaced_time = known[place + 1].since if place + 1 < len(known) else None
            if replaced_time is None or replaced_time + FOLLOWING_MAX >= record_time:
                yield each.state


def _is_priced_by(terms: PlanPhase, published: _Published, fact: Fact[Event], charge: Charge) -> bool:
    """Say whether a charge's usage falls under its card, with or without what the card itself derived."""
    event = fact.event
    feature = event.feature if isinstance(event, CreditsDebited | HoldCaptured) else ""
    phase = published.phase
    derived = {each.property for each in phase.brackets}
    derived |= {name for each in phase.brackets for name in each.sum_of}
    derived |= {name for each in phase.multipliers for name in each.sum_of}
    own = {name: value for name, value in charge.properties.items() if name not in derived}
    return published.card in (
        card_for(terms, feature, charge.properties),
        card_for(terms, feature, own),
    )


def _check_price(charge: Charge, prices: PhasePrices) -> Broken:
    try:
        again = reprice(prices, charge)
    except NotPriceableError as error:
        yield "CHARGE_PRICE", str(error)
        return
    yield from _check_lines(charge, again)
    yield from _check_sums(charge)
    if charge.provider_cost and charge.cost_currency != again.cost_currency:
        yield "CHARGE_TOTAL", f"cost_currency is {charge.cost_currency!r}, not {again.cost_currency!r}"


def _adds_up(charge: Charge, adjustment: Adjustment) -> bool:
    try:
        return adjustment_adds_up(charge, adjustment)
    except (ValueError, DecimalException):
        return False


def _check_sums(charge: Charge) -> Broken:
    """Check that the charge is the sum of its lines, whatever they say."""
    costs = [line.provider_cost for line in charge.lines]
    total = _sum_text(line.exact_units for line in charge.lines)
    cost = _sum_text(costs) if all(costs) else ""
    if charge.exact_units != total:
        yield "CHARGE_TOTAL", f"exact_units is {charge.exact_units}, and the lines add up to {total}"
    if charge.provider_cost != cost:
        yield "CHARGE_TOTAL", f"provider_cost is {charge.provider_cost!r}, and the lines add up to {cost!r}"


def _sum_text(figures: Iterable[str]) -> str:
    try:
        return fraction_text(sum(map(Fraction, figures), Fraction(0)))
    except (ValueError, DecimalException):
        return "no decimal"


def _check_lines(charge: Charge, again: Repriced) -> Broken:
    if [line.dimension for line in charge.lines] != [line.dimension for line in again.lines]:
        yield "CHARGE_PRICE", "the lines are not those of the rate card, in its order"
        return
    for line, expected in zip(charge.lines, again.lines, strict=True):
        yield from _check_line(line, expected)


def _check_line(line: ChargeLine, expected: ChargeLine) -> Broken:
    if line != expected:
        said = [
            f"{name} is {_said(getattr(line, name))}, not {_said(getattr(expected, name))}"
            for name in ChargeLine.__struct_fields__
            if getattr(line, name) != getattr(expected, name)
        ]
        yield "CHARGE_PRICE", f"{line.dimension}: {'; '.join(said)}"


def _said(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _card_phase_at(card: object, instant: datetime) -> int | None:
    assert isinstance(card, RateCard), "a phase is one of a rate card"
    begun = [phase.phase for phase in card.phases if phase.from_time <= instant]
    return begun[-1] if begun else None


def _contract_phase_at(contract: Contract, instant: datetime) -> ContractPhase | None:
    for phase in contract.phases:
        if phase.from_time <= instant and (phase.to_time is None or instant < phase.to_time):
            return phase
    return None
