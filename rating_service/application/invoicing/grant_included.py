"""Granting included credit: what the plan of each contract wants, asked of the ledger and noted.

A plan is stored before the ledger hears of it, and what the ledger answered after it. In between anything may break:
the same plan asks for the same grants under the same keys again, and the ledger answers as it did.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from rating_service.application.invoicing.billing_ports import BillingStore, GrantOrder, IncludedGrants
from rating_service.application.metering.quarantine import Cause
from rating_service.application.ports import LedgerRefused
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.invoicing.allotted import (
    AllotmentState,
    Allotted,
    key_of,
    note_grant,
    note_withdrawal,
)
from rating_service.domain.invoicing.billing import ContractBilling, Failure, changed_cycle, planned

IN_FLIGHT_MAX: Final = 32
"""Contracts whose grants are asked for at once."""
ROUNDS_MAX: Final = 8
"""Times that the ledger is asked in one turn: a withdrawal tells an amount that is asked for next."""


class Credited(NamedTuple):
    """A contract's billing once its credit was granted, or why it could not be."""

    billing: ContractBilling
    failure: Failure | None


class Granted(NamedTuple):
    """What granting came to."""

    contracts: Sequence[Credited]
    grants_count: int


class _Note(NamedTuple):
    """What the ledger answered about an allotment."""

    allotted: Allotted
    grant: str = ""
    withdrawn_units: int | None = None


class _Answers(NamedTuple):
    notes: list[_Note]
    failure: Failure | None = None


class IncludedCredit:
    """Makes the included grants of contracts what they should be."""

    def __init__(
        self, *, store: BillingStore, grants: IncludedGrants, cause_of: Callable[[LedgerRefused], Cause]
    ) -> None:
        """Keep plans in a store and ask the ledger."""
        self._store = store
        self._grants = grants
        self._cause_of = cause_of

    async def grant(self, contracts: Mapping[str, Contract], now: datetime, position: int) -> Granted:
        """Grant what contracts include by now, as they were agreed at a position of the log.

        Raises LedgerUnavailableError, StoreUnavailableError; what the ledger refuses is returned.
        """
        found = await self._store.change(
            list(contracts), lambda billing: planned(billing, contracts[billing.contract], now, position)
        )
        billings = {each.contract: each for each in found}
        failures: dict[str, Failure] = {}
        grants_count = 0
        for _ in range(ROUNDS_MAX):
            waiting = [each for name, each in billings.items() if name not in failures and each.open_allotted]
            if not waiting:
                break
            answers = await self._ask_all(contracts, waiting, now)
            changed = await self._store.change(list(answers), partial(_noted, answers))
            billings |= {each.contract: each for each in changed}
            failures |= {name: each.failure for name, each in answers.items() if each.failure is not None}
            grants_count += sum(bool(note.grant) for each in answers.values() for note in each.notes)
        return Granted(
            [Credited(each, failures.get(each.contract)) for each in billings.values()], grants_count
        )

    async def _ask_all(
        self, contracts: Mapping[str, Contract], waiting: Sequence[ContractBilling], now: datetime
    ) -> dict[str, _Answers]:
        limit = asyncio.Semaphore(IN_FLIGHT_MAX)

        async def ask(billing: ContractBilling) -> _Answers:
            async with limit:
                return await self._ask(contracts[billing.contract], billing, now)

        outcomes = await asyncio.gather(*map(ask, waiting), return_exceptions=True)
        answers: dict[str, _Answers] = {}
        for billing, outcome in zip(waiting, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                raise outcome
            answers[billing.contract] = outcome
        return answers

    async def _ask(self, contract: Contract, billing: ContractBilling, now: datetime) -> _Answers:
        """Ask for what is known of a contract's allotments, up to the first that is refused."""
        notes: list[_Note] = []
        try:
            for each in billing.open_allotted:
                notes += await self._settle(contract, each)
        except LedgerRefused as refused:
            cause = self._cause_of(refused)
            return _Answers(notes, Failure(cause.reason, cause.message, now))
        return _Answers(notes)

    async def _settle(self, contract: Contract, allotted: Allotted) -> list[_Note]:
        """Grant what is wanted; withdraw what is not, which may have been granted without our hearing of it."""
        units = allotted.amount_units
        if not units:
            return []
        key = key_of(contract.name, allotted)
        order = GrantOrder(contract.wallet, contract.name, key, contract.cycle, allotted.allotment, units)
        grant = allotted.grant or await self._grants.grant(order)
        if allotted.state is AllotmentState.WANTED:
            return [_Note(allotted, grant)]
        withdrawn_units = await self._grants.withdraw(grant, key=f"{key}/withdraw", goes_on=allotted.goes_on)
        return [_Note(allotted, withdrawn_units=withdrawn_units)]


def _noted(answers: Mapping[str, _Answers], billing: ContractBilling) -> ContractBilling:
    for note in answers[billing.contract].notes:
        billing = changed_cycle(billing, note.allotted.allotment.cycle, _change_of(note))
    return billing


def _change_of(note: _Note) -> Callable[[tuple[Allotted, ...]], tuple[Allotted, ...]]:
    number, grant, units = note.allotted.number, note.grant, note.withdrawn_units
    if units is not None:
        return lambda cycle: note_withdrawal(cycle, number, units)
    return lambda cycle: note_grant(cycle, number, grant)
