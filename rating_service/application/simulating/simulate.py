"""Simulations: what is asked is checked and made a job, and at most SIMULATIONS_MAX of them run at once.

What a candidate names (a card, a phase, a plan) is looked up here, in the catalogue of the newest position that was
followed; recorded usage counts up to the watermark.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Final

from rating_service.application.names import check_contract, check_rate_card
from rating_service.application.ports import History
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.application.simulating.simulation_job import (
    Selection,
    SimulationJob,
    SimulationRunner,
    Told,
)
from rating_service.application.simulating.traffic_check import check_traffic
from rating_service.application.simulating.traffic_model import TrafficModel
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Asset, Plan, PlanPhase, RateCard, RateCardPhase, Record
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.exact import parse_exact
from rating_service.domain.prices.phase_cards import cards_of
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.simulation.candidate import Candidate
from rating_service.domain.simulation.card_check import first_problem
from rating_service.domain.simulation.conclude import Question

SIMULATIONS_MAX: Final = 2
"""Simulations at once, each a process: more would only share the cores."""
CANDIDATES_MAX: Final = 8
SELECTED_MAX: Final = 10_000
"""Contracts, and customers, that a request may name."""
SPAN_MAX: Final = timedelta(days=3_653)
LABEL_LENGTH_MAX: Final = 100
THRESHOLD_PERCENT_DEFAULT: Final = "20"
THRESHOLD_PERCENT_MAX: Final = 1_000_000
MOVERS_DEFAULT: Final = 20
MOVERS_MAX: Final = 1_000
INLINE_CARD: Final = "rateCards/candidate"


class CandidateRequest(Record, frozen=True):
    """Where a candidate's rates and terms come from; what is not given is empty."""

    label: str = ""
    inline_card: RateCard | None = None
    rate_card: str = ""
    inline_plan: Plan | None = None
    plan: str = ""


class SimulationRequest(Record, frozen=True):
    """What is asked. A threshold may be empty and movers_max 0 for their defaults."""

    candidates: tuple[CandidateRequest, ...]
    from_time: datetime
    to_time: datetime
    selection: Selection = Selection()
    watermark_position: int = 0
    traffic: TrafficModel | None = None
    baseline: CandidateRequest | None = None
    threshold_percent: str = ""
    movers_max: int = 0


class Simulating:
    """Takes requests and tells what comes of them. Changes nothing."""

    def __init__(
        self, *, history: History, runner: SimulationRunner, simulations_max: int = SIMULATIONS_MAX
    ) -> None:
        """Run jobs by a runner, by what was followed."""
        self._history = history
        self._runner = runner
        self._simulations_max = simulations_max
        self._running = 0

    async def simulate(self, request: SimulationRequest) -> AsyncGenerator[Told, None]:
        """Tell how far it is, then contracts, then the outcome. Closing the generator stops the work.

        Refuses what is malformed, UNKNOWN_CONTRACT, UNKNOWN_CUSTOMER, UNKNOWN_RATE_CARD, UNKNOWN_PLAN,
        NO_PHASE_IN_FORCE, ASSET_DIFFERS, MIXED_CURRENCIES, HISTORY_BEHIND, SIMULATIONS_BUSY.
        """
        _check(request)
        await self._history.wait_for(request.watermark_position)
        job = self._job(request)
        if self._running >= self._simulations_max:
            raise RequestRefused(
                RequestReason.SIMULATIONS_BUSY,
                f"{self._running} simulations run already, as many as there may be",
                simulations_max=str(self._simulations_max),
            )
        self._running += 1
        try:
            async with aclosing(self._runner.run(job)) as running:
                async for told in running:
                    yield told
        finally:
            self._running -= 1

    def _job(self, request: SimulationRequest) -> SimulationJob:
        catalogue = self._history.catalogue
        candidates = tuple(
            _candidate(catalogue, each, f"candidates[{place}]")
            for place, each in enumerate(request.candidates)
        )
        baseline = None if request.baseline is None else _candidate(catalogue, request.baseline, "baseline")
        asset = candidates[0].asset
        for place, each in enumerate((*candidates, *((baseline,) if baseline else ()))):
            if each.asset != asset:
                field = f"candidates[{place}]" if place < len(candidates) else "baseline"
                raise _differs(field, each.asset, asset)
        for name in request.selection.contracts:
            contract = catalogues.contract(catalogue, name)
            if contract.asset != asset:
                raise _differs(name, contract.asset, asset)
        if request.selection.replaced_rate_card:
            catalogues.rate_card(catalogue, request.selection.replaced_rate_card)
        question = Question(
            asset=asset,
            span_from=request.from_time,
            span_to=request.to_time,
            candidates=candidates,
            threshold_percent=request.threshold_percent or THRESHOLD_PERCENT_DEFAULT,
            movers_max=request.movers_max or MOVERS_DEFAULT,
            baseline=baseline.terms if baseline else None,
            watermark_position=0 if request.traffic else request.watermark_position or self._history.position,
        )
        return SimulationJob(question, request.selection, request.traffic, baseline)


def _check(request: SimulationRequest) -> None:
    """Refuse what no catalogue could make sense of."""
    _check_count("candidates", len(request.candidates), CANDIDATES_MAX)
    if not request.candidates:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "candidates is required", field="candidates")
    if request.to_time <= request.from_time:
        raise RequestRefused(
            RequestReason.EMPTY_SPAN, "to_time must be later than from_time", field="to_time"
        )
    if request.to_time - request.from_time > SPAN_MAX:
        raise _out_of_range("to_time", f"lies more than {SPAN_MAX.days} days after from_time")
    if request.watermark_position < 0:
        raise _out_of_range("recorded.watermark_position", "is negative")
    if not 0 <= request.movers_max <= MOVERS_MAX:
        raise _out_of_range("movers_max", f"{request.movers_max} is outside 1 to {MOVERS_MAX}")
    _check_threshold(request.threshold_percent)
    _check_selection(request.selection)
    if request.traffic is not None:
        check_traffic(request.traffic, request.from_time, request.to_time)
    elif request.baseline is not None:
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED,
            "recorded usage has its own prices: a baseline is for synthetic usage",
            field="baseline",
        )


def _check_threshold(text: str) -> None:
    try:
        if not text or 0 <= parse_exact(text) <= THRESHOLD_PERCENT_MAX:
            return
    except ValueError:
        pass
    raise RequestRefused(
        RequestReason.FIELD_MALFORMED,
        f"threshold_percent {text[:40]!r} is not decimal text from 0 to {THRESHOLD_PERCENT_MAX}",
        field="threshold_percent",
    )


def _check_selection(selection: Selection) -> None:
    for field, names in (("contracts", selection.contracts), ("customers", selection.customers)):
        _check_count(f"recorded.{field}", len(names), SELECTED_MAX)
    for place, name in enumerate(selection.contracts):
        check_contract(name, field=f"recorded.contracts[{place}]")
    if not 1 <= selection.share_percent <= 100:
        raise _out_of_range("recorded.share_percent", f"{selection.share_percent} is outside 1 to 100")
    if selection.replaced_rate_card:
        check_rate_card(selection.replaced_rate_card, field="recorded.replaced_rate_card")


def _candidate(catalogue: Catalogue, request: CandidateRequest, field: str) -> Candidate:
    """Return a candidate with its phases and terms. Refuses what is malformed or not there."""
    if len(request.label) > LABEL_LENGTH_MAX:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG,
            f"{field}.label has {len(request.label)} characters, more than {LABEL_LENGTH_MAX}",
            field=f"{field}.label",
        )
    plan = _plan(catalogue, request)
    terms = _terms(plan, f"{field}.inline_plan")
    cards = _cards(catalogue, request, terms, field)
    for card in cards:
        if card.asset != cards[0].asset:
            raise _differs(f"{field}, {card.name}", card.asset, cards[0].asset)
    if plan is not None and plan.asset != cards[0].asset:
        raise _differs(f"{field}, the plan", plan.asset, cards[0].asset)
    label = request.label or (plan.name if plan else "") or cards[0].name
    return Candidate(label, cards[0].asset, cards, terms)


def _cards(
    catalogue: Catalogue, request: CandidateRequest, terms: PlanPhase | None, field: str
) -> tuple[RateCard, ...]:
    """Return the cards that a candidate prices by: one that is given, or all that its plan names."""
    if request.inline_card is not None:
        return (_checked_card(request.inline_card, f"{field}.inline_card"),)
    if request.rate_card:
        return (_published(catalogue, request.rate_card, f"{field}.rate_card"),)
    if terms is None:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, f"{field} needs a card or a plan", field=field)
    names = dict.fromkeys(cards_of(terms))
    return tuple(_published(catalogue, name, f"{field}.inline_plan") for name in names)


def _plan(catalogue: Catalogue, request: CandidateRequest) -> Plan | None:
    if request.inline_plan is not None:
        return request.inline_plan
    if not request.plan:
        return None
    found = catalogues.plan(catalogue, request.plan)
    if found is None:
        raise Refusal(Reason.UNKNOWN_PLAN, f"there is no {request.plan[:120]!r}", plan=request.plan[:120])
    return found


def _terms(plan: Plan | None, field: str) -> PlanPhase | None:
    """Return the terms of a plan's last phase, the one that stays."""
    if plan is None:
        return None
    if not plan.phases:
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED, f"{field}.phases is required", field=f"{field}.phases"
        )
    terms = plan.phases[-1]
    if terms.included_units < 0:
        raise _out_of_range(f"{field}.phases[{len(plan.phases) - 1}].included_units", "is negative")
    return terms


def _published(catalogue: Catalogue, name: str, field: str) -> RateCard:
    """Return a published card, with all its phases or with the one that the name means."""
    card_name, separator, number = name.partition("/phases/")
    check_rate_card(card_name, field=field)
    card = catalogues.rate_card(catalogue, card_name)
    phases = [phase for phase in card.phases if not separator or phase.name == name]
    if not phases:
        message = f"{card_name} has no phase {number}" if separator else f"{card_name} has no phase"
        raise Refusal(Reason.NO_PHASE_IN_FORCE, message, rate_card=card_name)
    return RateCard(card.name, card.asset, tuple(phases))


def _checked_card(card: RateCard, field: str) -> RateCard:
    """Return an inline card with its phases in order. Refuses FIELD_REQUIRED, FIELD_MALFORMED."""
    if not card.phases:
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED, f"{field}.phases is required", field=f"{field}.phases"
        )
    if not card.asset.code or not 0 <= card.asset.scale <= 18:
        raise RequestRefused(
            RequestReason.FIELD_MALFORMED,
            f"{field}.asset needs a code and a scale of 0 to 18",
            field=f"{field}.asset",
        )
    named: list[RateCardPhase] = []
    for place, phase in enumerate(card.phases):
        problem = first_problem(phase, scale=card.asset.scale)
        if problem is not None:
            at = f"{field}.phases[{place}].{problem.field}"
            raise RequestRefused(RequestReason.FIELD_MALFORMED, f"{at}: {problem.message}", field=at)
        named.append(phase)
    name = card.name or INLINE_CARD
    return RateCard(name, card.asset, tuple(sorted(named, key=lambda each: each.from_time)))


def _differs(what: str, asset: Asset, wanted: Asset) -> Refusal:
    message = (
        f"{what} is in {asset.code} of scale {asset.scale}, and not in {wanted.code} of scale {wanted.scale}"
    )
    return Refusal(Reason.ASSET_DIFFERS, message, asset=asset.code, wanted_asset=wanted.code)


def _check_count(field: str, count: int, count_max: int) -> None:
    if count > count_max:
        raise RequestRefused(
            RequestReason.FIELD_TOO_LONG, f"{field} has {count} entries, more than {count_max}", field=field
        )


def _out_of_range(field: str, text: str) -> RequestRefused:
    return RequestRefused(RequestReason.NUMBER_OUT_OF_RANGE, f"{field} {text}", field=field)
