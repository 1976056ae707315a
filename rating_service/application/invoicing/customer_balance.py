"""The customer balance: what credit notes settled as credit have left for later invoices of their contract.

It is nowhere stored: it is what the notes come to less what the issued invoices say they have applied. Credit stays
with its contract and its currency, so that the bills of one contract can be checked by themselves.
"""

from __future__ import annotations

from typing import NamedTuple

from rating_service.application.credit_note_ports import CreditBalances, OpenNote
from rating_service.application.names import check_contract
from rating_service.domain.agreements.agreement import Money
from rating_service.domain.documents.invoice_document import OpenCredit


class Balance(NamedTuple):
    """Sums by currency, and the notes behind them, the oldest first."""

    sums: dict[str, int]
    notes: list[OpenNote]


class CustomerBalances:
    """Reads balances, for people and for invoices."""

    def __init__(self, store: CreditBalances) -> None:
        """Read them from a store."""
        self._store = store

    async def of_contract(self, contract: str) -> Balance:
        """Return what later invoices of a contract will apply."""
        check_contract(contract, field="contract")
        notes = await self._store.open_notes(contract)
        sums: dict[str, int] = {}
        for note in notes:
            sums[note.currency_code] = sums.get(note.currency_code, 0) + note.open_nanos
        return Balance(sums, notes)

    async def open_credits(self, contract: str) -> tuple[OpenCredit, ...]:
        """Return what an invoice of the contract may apply, in the order in which it does: the oldest first."""
        return tuple(
            OpenCredit(note.credit_note, Money(note.currency_code, note.open_nanos))
            for note in await self._store.open_notes(contract)
        )
