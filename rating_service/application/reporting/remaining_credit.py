"""What a customer can still spend: the ledger's balance, and what the present cycle includes."""

from __future__ import annotations

from typing import NamedTuple

from rating_service.application.names import checked_position
from rating_service.application.ports import Clock, History
from rating_service.application.reporting.report_ports import UsageReader, WalletBalances
from rating_service.application.reporting.usage_reports import check_subject, subject_of
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.catalogue import find_contract_phase
from rating_service.domain.agreements.cycles import CycleBounds, cycle_at
from rating_service.domain.reports.remaining_credit import (
    CreditPart,
    IncludedCredit,
    WalletBalance,
    credit_parts,
    included_credit,
)


class RemainingCredit(NamedTuple):
    """A balance with its parts; `cycle` and `included` are of a contract that is in force now."""

    balance: WalletBalance
    parts: list[CreditPart]
    position: int
    cycle: CycleBounds | None = None
    included: IncludedCredit | None = None


class CreditReporting:
    """Reads remaining credit."""

    def __init__(
        self, *, history: History, reader: UsageReader, balances: WalletBalances, clock: Clock
    ) -> None:
        """Read balances from the ledger, and grants of a cycle from what was followed."""
        self._history = history
        self._reader = reader
        self._balances = balances
        self._clock = clock

    async def remaining(self, name: str, *, min_position: int) -> RemainingCredit:
        """Return what can be spent now. Refuses UNKNOWN_CONTRACT; a wallet that is unknown the ledger refuses."""
        check_subject(name)
        if checked_position(min_position):
            await self._history.wait_for(min_position)
        subject = subject_of(self._history, name)
        balance = await self._balances.balance(subject.wallet)
        position = self._history.position
        parts = credit_parts(balance)
        cycle = await self._cycle_now(subject.contract)
        if cycle is None or subject.contract is None:
            return RemainingCredit(balance, parts, position)
        grants = await self._reader.included_grants(subject.wallet, subject.contract.name, cycle)
        return RemainingCredit(balance, parts, position, cycle, included_credit(grants, balance.lots))

    async def _cycle_now(self, contract: Contract | None) -> CycleBounds | None:
        """Return the cycle that holds the present, None if the contract is not in force."""
        now = await self._clock.now()
        if contract is None or find_contract_phase(contract, now) is None:
            return None
        return cycle_at(contract.cycle, now)
