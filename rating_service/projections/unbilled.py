"""What the overage of cycles comes to, roughly and at once, for contracts that are invoiced from an amount on. Pure.

It is an estimate: reversals are not taken off and each page is rounded up, so it is never below the truth. Whoever
acts on it computes the truth first.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction
from math import ceil

from rating_service.application.ports import OverageRow, UnbilledRow
from rating_service.domain.agreement import Contract, Money
from rating_service.domain.catalogue import Catalogue, find_contract_phase
from rating_service.domain.cycles import cycle_at
from rating_service.domain.exact import parse_exact
from rating_service.domain.index import find
from rating_service.domain.rounding import NANOS_PER_MAJOR


def unbilled_of(overages: Iterable[OverageRow], catalogue: Catalogue) -> list[UnbilledRow]:
    """Return by how much overages grow the cycles of contracts with an invoice threshold, by contract and cycle."""
    exact: dict[tuple[str, datetime], Fraction] = {}
    thresholds: dict[tuple[str, datetime], int] = {}
    for overage in overages:
        contract = find(catalogue.contracts, overage.contract)
        threshold = None if contract is None else _threshold(contract, overage)
        if contract is None or threshold is None:
            continue
        key = (contract.name, cycle_at(contract.cycle, overage.effective_time).start_time)
        nanos_per_unit = parse_exact(overage.price) * Fraction(NANOS_PER_MAJOR, 10**contract.asset.scale)
        exact[key] = exact.get(key, Fraction()) + overage.overage_units * nanos_per_unit
        thresholds[key] = threshold.nanos
    return [UnbilledRow(*key, ceil(nanos), thresholds[key]) for key, nanos in sorted(exact.items())]


def _threshold(contract: Contract, overage: OverageRow) -> Money | None:
    """Return the threshold of the phase in force, if the overage is in its currency."""
    phase = find_contract_phase(contract, overage.effective_time)
    threshold = None if phase is None else phase.terms.invoice_threshold
    return threshold if threshold is not None and threshold.currency_code == overage.currency_code else None
