"""What an invoice is ordered by and rests on: a contract as of a watermark, and which invoices came before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from rating_service.application.ports import InvoiceHead, LedgerEvent
from rating_service.domain.agreements.agreement import Contract, TaxRate
from rating_service.domain.agreements.catalogue import EMPTY, evolve
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.index import find
from rating_service.domain.debits import DebitFact
from rating_service.domain.documents.invoice_document import InvoiceKind


class InvoiceOrder(msgspec.Struct, frozen=True):
    """Which invoice to compute. `before_sequence` leaves out that invoice and later ones; 0 leaves out none.

    `as_known` leaves out those that have counted later facts. `expected` are debits that are only foreseen.
    """

    contract: str
    cycle_time: datetime
    watermark_position: int
    kind: InvoiceKind = InvoiceKind.CYCLE
    taxes: tuple[TaxRate, ...] | None = None
    before_sequence: int = 0
    as_known: bool = False
    expected: tuple[DebitFact, ...] = ()
    name: str = ""
    issue_time: datetime | None = None


class Basis(msgspec.Struct, frozen=True):
    """What an invoice rests on: the contract and its events as of the watermark, and the invoices before it."""

    contract: Contract
    events: Sequence[LedgerEvent]
    cycle: CycleBounds
    heads: Sequence[InvoiceHead]
    closing: Sequence[InvoiceHead]

    @property
    def closed_by(self) -> InvoiceHead | None:
        """The invoice that closed the cycle, if one did."""
        same = (head for head in self.closing if head.cycle.start_time == self.cycle.start_time)
        return next(same, None)

    def advance_of(self, kind: InvoiceKind) -> InvoiceHead | None:
        """Return the invoice that billed the cycle's fees in advance, if such a one is asked for."""
        same = (head for head in self.heads if head.kind is kind is InvoiceKind.ADVANCE)
        return next(same, None)

    @property
    def sequence(self) -> int:
        """Which invoice of the contract the next one is."""
        return self.heads[-1].sequence + 1 if self.heads else 1

    @property
    def counted_position(self) -> int:
        """The position up to which closing invoices have counted facts of earlier cycles."""
        return max((head.watermark_position for head in self.closing), default=0)


def contract_of(name: str, events: Sequence[LedgerEvent]) -> Contract | None:
    """Return a contract after the events of its stream, None if it was not signed."""
    catalogue = EMPTY
    for event in events:
        catalogue = evolve(catalogue, event.stream, event.topic, event.state)
    return find(catalogue.contracts, name)
