"""Conclusions: what a simulation added up becomes contracts and an outcome."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rating_service.domain.agreements.agreement import Asset, Contract, Money, PlanPhase, Record
from rating_service.domain.exact import parse_exact
from rating_service.domain.simulation.amounts import amount_text, percent_text
from rating_service.domain.simulation.bills import Bills, Span, bills_of, compared
from rating_service.domain.simulation.candidate import Candidate
from rating_service.domain.simulation.cells import Cell
from rating_service.domain.simulation.fold import Simulation
from rating_service.domain.simulation.movers import Change, bill_change, movers_of, unit_change
from rating_service.domain.simulation.outcome import (
    CandidateOutcome,
    ContractOutcome,
    Outcome,
    TierOutcome,
    UnrateableOutcome,
)
from rating_service.domain.simulation.roll_up import RollUp
from rating_service.domain.simulation.sums_text import Teller


class Question(Record, frozen=True):
    """What a simulation is to answer. `baseline` are terms in place of every contract's own."""

    asset: Asset
    span_from: datetime
    span_to: datetime
    candidates: tuple[Candidate, ...]
    threshold_percent: str
    movers_max: int
    baseline: PlanPhase | None = None
    watermark_position: int = 0


class Conclusion(Record, frozen=True):
    """Every contract with usage or a bill, in the order of their names, and the whole picture."""

    contracts: tuple[ContractOutcome, ...]
    outcome: Outcome


class _Concluded:
    """One contract with its sums, while the picture is made."""

    __slots__ = ("best", "bills", "cell", "contract")

    def __init__(self, contract: Contract, cell: Cell, bills: Bills, best: int) -> None:
        self.contract = contract
        self.cell = cell
        self.bills = bills
        self.best = best


def conclude(
    question: Question,
    simulation: Simulation,
    contracts: Sequence[Contract],
    *,
    other_asset_contract_count: int = 0,
) -> Conclusion:
    """Return what the usage so far adds up to. `contracts` are those selected. Refuses MIXED_CURRENCIES."""
    rolled = simulation.rolled_up()
    teller = Teller(question.asset, simulation.cost_currency)
    concluded = _concluded(question, simulation, rolled, contracts)
    outcome = Outcome(
        asset=question.asset,
        from_time=question.span_from,
        to_time=question.span_to,
        contract_count=len(concluded),
        reversed_count=simulation.reversed_count,
        total=teller.sums("", rolled.total),
        months=tuple(
            teller.sums(f"{month // 12:04}-{month % 12 + 1:02}", rolled.months[month])
            for month in sorted(rolled.months)
        ),
        models=teller.view(rolled.models),
        features=teller.view(rolled.features),
        dimensions=teller.dimensions(simulation.dimensions),
        candidates=tuple(
            _candidate_outcome(question, simulation, concluded, place)
            for place in range(len(question.candidates))
        ),
        bills_now=_added([each.bills.now for each in concluded]),
        best_now_count=sum(each.best < 0 and _is_comparable(each.bills) for each in concluded),
        watermark_position=question.watermark_position,
        other_asset_contract_count=other_asset_contract_count,
    )
    return Conclusion(tuple(_contract_outcome(teller, each) for each in concluded), outcome)


def _concluded(
    question: Question, simulation: Simulation, rolled: RollUp, contracts: Sequence[Contract]
) -> list[_Concluded]:
    """Return the contracts with usage, and those whose bill a candidate's plan would change."""
    has_plan = any(candidate.terms for candidate in question.candidates)
    by_cycle: dict[str, dict[datetime, Cell]] = {}
    for (name, place), cell in rolled.cycles.items():
        by_cycle.setdefault(name, {})[simulation.cycles.places[place].start_time] = cell
    span = Span(question.span_from, question.span_to)
    found: list[_Concluded] = []
    for contract in sorted(contracts, key=lambda each: each.name):
        used = rolled.contracts.get(contract.name)
        if used is None and not has_plan:
            continue
        cells = by_cycle.get(contract.name, {})
        bills = bills_of(contract, span, question.candidates, cells, baseline=question.baseline)
        if used is None and bills.now is None and not any(bills.simulated):
            continue
        cell = Cell(len(question.candidates)) if used is None else used
        found.append(_Concluded(contract, cell, bills, compared(bills)[1]))
    return found


def _contract_outcome(teller: Teller, each: _Concluded) -> ContractOutcome:
    return ContractOutcome(
        contract=each.contract.name,
        customer=each.contract.customer,
        sums=teller.sums(each.contract.name, each.cell),
        bill_now=each.bills.now,
        bills=compared(each.bills)[0],
        best_candidate=each.best,
    )


def _candidate_outcome(
    question: Question, simulation: Simulation, concluded: Sequence[_Concluded], place: int
) -> CandidateOutcome:
    changes = [change for each in concluded if (change := _change(question, each, place)) is not None]
    movers = movers_of(
        changes,
        threshold_percent=parse_exact(question.threshold_percent),
        movers_max=question.movers_max,
    )
    return CandidateOutcome(
        label=question.candidates[place].label,
        bills=_added([each.bills.simulated[place] for each in concluded]),
        dearer_count=movers.dearer_count,
        cheaper_count=movers.cheaper_count,
        moved_count=movers.moved_count,
        winners=movers.winners,
        losers=movers.losers,
        tiers=_tiers(simulation, place),
        unrateable=_unrateable(simulation, place),
        best_count=sum(each.best == place for each in concluded),
    )


def _change(question: Question, each: _Concluded, place: int) -> Change | None:
    """Return what a candidate changes for a contract, None if that cannot be compared."""
    side = each.cell.sides[place]
    if question.candidates[place].terms is None:
        return unit_change(each.contract, now=each.cell.now - side.unrateable_now, simulated=side.amount)
    now, simulated = each.bills.now, each.bills.simulated[place]
    if now is None or simulated is None or now.currency_code != simulated.currency_code:
        return None
    return bill_change(each.contract, now=now, simulated=simulated)


def _is_comparable(bills: Bills) -> bool:
    now = bills.now
    if now is None:
        return False
    return any(bill is not None and bill.currency_code == now.currency_code for bill in bills.simulated)


def _added(bills: Sequence[Money | None]) -> tuple[Money, ...]:
    """Return the sum of bills by currency, in the order of the codes."""
    sums: dict[str, int] = {}
    for bill in bills:
        if bill is not None:
            sums[bill.currency_code] = sums.get(bill.currency_code, 0) + bill.nanos
    return tuple(Money(currency, sums[currency]) for currency in sorted(sums))


def _tiers(simulation: Simulation, place: int) -> tuple[TierOutcome, ...]:
    tiers = simulation.tiers[place].by_tier
    totals: dict[tuple[str, str, str], int] = {}
    for key, tier in tiers.items():
        totals[key[:3]] = totals.get(key[:3], 0) + tier.quantity
    return tuple(
        TierOutcome(
            dimension=key.dimension,
            model=key.model,
            match=key.match,
            tier=key.tier,
            price=tier.price,
            quantity=tier.quantity,
            units=amount_text(tier.amount),
            share_percent=percent_text(tier.quantity, totals[key[:3]]),
        )
        for key, tier in sorted(tiers.items(), key=lambda each: each[0])
    )


def _unrateable(simulation: Simulation, place: int) -> tuple[UnrateableOutcome, ...]:
    noted = simulation.unrateable[place]
    ranked = sorted(noted.items(), key=lambda each: (-each[1].count, each[0]))
    return tuple(
        UnrateableOutcome(
            reason=key.reason,
            dimension=key.dimension,
            property=key.property,
            usage_count=kind.count,
            units_now=amount_text(kind.now),
            message=kind.message,
            examples=tuple(kind.examples),
        )
        for key, kind in ranked
    )
