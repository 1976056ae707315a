"""Invoices in mid-cycle: what an open cycle's overage has come to, as soon as that reaches the phase's threshold.

The follower keeps an estimate of each cycle that is never below the truth, and makes a contract due when it reaches
the threshold. Here the truth is reckoned, at a later position than the estimate was read at; if it reaches the
threshold an invoice takes all of it. The estimate becomes the truth with what came since on top, so that what came
between the two is counted twice, and never not at all.

Each crossing has one invoice: a contract's invoices are numbered, of two that were reckoned from the same earlier
ones the store takes one, and the other is reckoned anew, when nothing is left that reaches the threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from rating_service.application.invoicing.billing_ports import BillingStore, Unbilled
from rating_service.application.invoicing.invoices import BelowThresholdError, Invoicing
from rating_service.domain.agreements.agreement import Contract, Money
from rating_service.domain.agreements.catalogue import find_contract_phase
from rating_service.domain.agreements.cycles import cycle_at


class Thresholds:
    """Issues invoices in mid-cycle."""

    def __init__(self, *, store: BillingStore, invoicing: Invoicing) -> None:
        """Read estimates from a store."""
        self._store = store
        self._invoicing = invoicing

    async def reached(self, contracts: Mapping[str, Contract], now: datetime) -> dict[str, Unbilled]:
        """Return what is unbilled in the open cycle of each contract that is estimated to have come so far."""
        concerned = [name for name, contract in contracts.items() if threshold_at(contract, now) is not None]
        if not concerned:
            return {}
        found = await self._store.unbilled(concerned)
        return {each.contract: each for each in _at_threshold(found, contracts, now)}

    async def issue(self, contract: Contract, unbilled: Unbilled, now: datetime) -> Sequence[str]:
        """Invoice what a cycle has come to, if it has in truth; return the name of the invoice."""
        threshold = threshold_at(contract, now)
        assert threshold is not None, "only contracts with a threshold have reached it"
        moment = max(unbilled.cycle_start_time, contract.start_time)
        try:
            issued = await self._invoicing.issue_threshold(contract.name, moment, at_least=threshold)
        except BelowThresholdError as below:
            await self._store.correct_unbilled(unbilled, below.net_nanos)
            return []
        await self._store.correct_unbilled(unbilled, 0)
        return [] if issued.replayed else [issued.invoice.name]


def threshold_at(contract: Contract, now: datetime) -> Money | None:
    """Return from how much on a contract is invoiced in mid-cycle, None if it is not."""
    phase = find_contract_phase(contract, now)
    return None if phase is None else phase.terms.invoice_threshold


def _at_threshold(
    found: Iterable[Unbilled], contracts: Mapping[str, Contract], now: datetime
) -> Iterable[Unbilled]:
    for each in found:
        contract = contracts[each.contract]
        threshold = threshold_at(contract, now)
        is_open = cycle_at(contract.cycle, now).start_time == each.cycle_start_time
        if is_open and threshold is not None and each.nanos >= threshold.nanos:
            yield each
