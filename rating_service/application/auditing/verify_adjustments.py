"""Verification of adjustments: the cycle behind each is priced again, as history stood when it was decided.

Which adjustments there are is read from what was followed; what they say is read from the ledger itself, and each is
compared with the plan that the same history gives again (`domain/corrections/adjustment_check.py`). Blocking work
runs in a worker thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple, Protocol

from rating_service.application.auditing.document_findings import DocumentCheck, Finding
from rating_service.application.invoicing.invoice_basis import contract_of
from rating_service.application.invoicing.invoice_ports import InvoiceFacts
from rating_service.application.reratings.rerating_case import Case, adjustment_orders
from rating_service.application.reratings.rerating_ports import ReratingFacts
from rating_service.domain.agreements.agreement import Contract, RateCard
from rating_service.domain.agreements.catalogue import EMPTY, evolve
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.index import find
from rating_service.domain.corrections.adjustment_check import (
    RecordedAdjustment,
    batches,
    differences,
    knows_all_before,
    terms_differ,
)
from rating_service.domain.corrections.rerating import CardPrices
from rating_service.domain.corrections.rerating_plan import AdjustmentOrder
from rating_service.domain.debits import DebitFact

PHASES: Final = "/phases/"


class AdjustmentIndex(Protocol):
    """Which adjustments were followed. Every method raises StoreUnavailableError."""

    async def adjusted(self, contract: str) -> list[str]:
        """Return the contracts that have adjustments, only this one unless it is empty, by name."""

    async def adjustments(self, contract: str) -> list[DebitFact]:
        """Return a contract's adjustments, in the order of the log."""


class AdjustmentLedger(Protocol):
    """The ledger's own record of adjustments. Raises LedgerRefused, LedgerUnavailableError."""

    async def recorded(self, followed: DebitFact) -> RecordedAdjustment | None:
        """Return what the ledger has where an adjustment was followed, None if that is none."""


class Checked(NamedTuple):
    """An adjustment that was checked, and what is wrong about it."""

    debit: str
    findings: Sequence[Finding]


class _Agreed(NamedTuple):
    """What was agreed up to a position of the log."""

    contract: Contract | None
    card: RateCard | None


class AdjustmentVerification:
    """Verifies adjustments."""

    def __init__(
        self,
        *,
        index: AdjustmentIndex,
        ledger: AdjustmentLedger,
        usage: ReratingFacts,
        agreements: InvoiceFacts,
    ) -> None:
        """Price usage again by what was agreed, and compare with the ledger's record."""
        self._index = index
        self._ledger = ledger
        self._usage = usage
        self._agreements = agreements

    async def verify(self, contract: str) -> AsyncIterator[Checked]:
        """Yield every adjustment, only a contract's unless it is empty.

        Raises LedgerRefused, LedgerUnavailableError, StoreUnavailableError.
        """
        for each in await self._index.adjusted(contract):
            followed = await self._index.adjustments(each)
            recorded: list[RecordedAdjustment] = []
            for debit in followed:
                in_ledger = await self._ledger.recorded(debit)
                if in_ledger is not None:
                    recorded.append(in_ledger)
                if in_ledger is None or in_ledger.debit != debit:
                    yield Checked(debit.name, [_finding(debit, _DIFFERS_FROM_LEDGER, _FOLLOWED_OTHERWISE)])
            for batch in batches(recorded):
                found = await asyncio.to_thread(self._batch_findings, batch, followed)
                for place, adjustment in enumerate(batch):
                    yield Checked(adjustment.debit.name, found[place])

    def _batch_findings(
        self, batch: Sequence[RecordedAdjustment], followed: Sequence[DebitFact]
    ) -> list[list[Finding]]:
        """Return what is wrong about each adjustment of a plan."""
        first = batch[0]
        wrong = knows_all_before(batch, _of_same_cycle(first, followed))
        if wrong:
            return [[_finding(each.debit, _DIFFERS_FROM_HISTORY, wrong)] for each in batch]
        agreed = self._agreed(first, first.adjustment.watermark_position)
        orders = self._planned(first, agreed)
        if orders is None:
            text = f"{first.charge.rate_card_phase} or {first.charge.contract} was not known at its position"
            return [[_finding(each.debit, _NOT_COMPUTABLE, text)] for each in batch]
        return [self._findings(each, orders, agreed) for each in batch]

    def _findings(
        self, recorded: RecordedAdjustment, orders: Sequence[AdjustmentOrder], agreed: _Agreed
    ) -> list[Finding]:
        numbered = {order.charge.adjustment.number: order for order in orders if order.charge.adjustment}
        found = list(differences(recorded, numbered.get(recorded.adjustment.number)))
        later = self._agreed(recorded, recorded.debit.position)
        contracts = [each.contract for each in (agreed, later) if each.contract is not None]
        terms = terms_differ(recorded, contracts)
        return [
            _finding(recorded.debit, _DIFFERS_FROM_HISTORY, each)
            for each in [*found, *([terms] if terms else [])]
        ]

    def _planned(self, first: RecordedAdjustment, agreed: _Agreed) -> list[AdjustmentOrder] | None:
        """Return the plan that history gives for the cycle of an adjustment, None if it cannot be made."""
        contract, card = agreed
        if contract is None or card is None:
            return None
        phase = next((each for each in card.phases if each.name == first.charge.rate_card_phase), None)
        if phase is None or not phase.retroactive:
            return None
        case = Case(card, phase, None, True, [], first.record_time)
        cycle = CycleBounds(first.adjustment.cycle_start_time, first.adjustment.cycle_end_time)
        with self._usage.open() as reader:
            return adjustment_orders(
                reader, CardPrices(card), case, contract, cycle, first.adjustment.watermark_position
            )

    def _agreed(self, recorded: RecordedAdjustment, position: int) -> _Agreed:
        """Return the contract and the rate card of an adjustment as they were known at a position."""
        card_name = recorded.charge.rate_card_phase.partition(PHASES)[0]
        with self._agreements.open() as facts:
            contract = contract_of(
                recorded.charge.contract, facts.agreements(recorded.charge.contract, position)
            )
            catalogue = EMPTY
            for event in facts.agreements(card_name, position):
                catalogue = evolve(catalogue, event.stream, event.topic, event.state)
        return _Agreed(contract, find(catalogue.rate_cards, card_name))


_DIFFERS_FROM_LEDGER: Final = DocumentCheck.ADJUSTMENT_DIFFERS_FROM_LEDGER
_DIFFERS_FROM_HISTORY: Final = DocumentCheck.ADJUSTMENT_DIFFERS_FROM_HISTORY
_NOT_COMPUTABLE: Final = DocumentCheck.ADJUSTMENT_NOT_COMPUTABLE
_FOLLOWED_OTHERWISE: Final = "what was followed of it is not what the ledger has"


def _of_same_cycle(first: RecordedAdjustment, followed: Sequence[DebitFact]) -> list[DebitFact]:
    """Return the adjustments of the same card and cycle."""
    card = first.charge.rate_card_phase.partition(PHASES)[0]
    return [
        debit
        for debit in followed
        if debit.charge is not None
        and debit.charge.adjustment is not None
        and debit.charge.rate_card_phase.partition(PHASES)[0] == card
        and debit.charge.adjustment.cycle_start_time == first.adjustment.cycle_start_time
    ]


def _finding(debit: DebitFact, check: DocumentCheck, description: str) -> Finding:
    return Finding(check, debit.name, description)
