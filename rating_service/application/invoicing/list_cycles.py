"""Listing billing cycles: how far each is, and what keeps one from its invoice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from rating_service.application.invoicing.billing_ports import BillingStore
from rating_service.application.invoicing.invoice_names import invoice_name
from rating_service.application.names import check_contract, checked_page_size, last_of_page, page_token
from rating_service.application.ports import Clock, History, InvoiceStore
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Contract
from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.agreements.index import find
from rating_service.domain.invoicing.billing import (
    ContractBilling,
    CycleState,
    Failure,
    cycles_until,
    issue_time,
    state_of,
)

SCANNED_CONTRACTS_MAX: Final = 500
"""Contracts looked at for one page: a page ends there, with a token to go on, however few cycles it found."""


class ListedCycle(NamedTuple):
    """A cycle of a contract. `invoice` is its name, empty until it is issued."""

    contract: str
    cycle: CycleBounds
    state: CycleState
    issue_time: datetime
    invoice: str = ""
    failure: Failure | None = None


class CyclePage(NamedTuple):
    """Cycles by contract and time, and the token of the next page, empty if there is none."""

    cycles: list[ListedCycle]
    next_page_token: str


class CycleQuery(NamedTuple):
    """Which cycles are asked for: of a contract unless it is empty, in a state unless it is None."""

    contract: str = ""
    state: CycleState | None = None
    only_failed: bool = False


class CycleListing:
    """Lists cycles that have begun."""

    def __init__(
        self,
        *,
        history: History,
        store: BillingStore,
        invoices: InvoiceStore,
        clock: Clock,
        grace: timedelta,
    ) -> None:
        """List what was followed and stored."""
        self._history = history
        self._store = store
        self._invoices = invoices
        self._clock = clock
        self._grace = grace

    async def page(self, query: CycleQuery, *, page_size: int, token: str) -> CyclePage:
        """Return a page of cycles. Refuses UNKNOWN_CONTRACT, PAGE_TOKEN_MALFORMED and sizes out of range."""
        limit = checked_page_size(page_size)
        last_contract, last_start = _place(token)
        if query.contract:
            check_contract(query.contract, field="contract")
            catalogues.contract(self._history.catalogue, query.contract)
        now = await self._clock.now()
        found: list[ListedCycle] = []
        billings = await self._billings(query, last_contract)
        for billing in billings:
            after = last_start if billing.contract == last_contract else None
            for cycle, contract in self._cycles(billing, query, after, now):
                listed = await self._listed(contract, billing, cycle, now)
                if query.state in (None, listed.state):
                    found.append(listed)
                if len(found) == limit:
                    return CyclePage(found, _token(billing.contract, cycle.start_time))
        more = len(billings) == SCANNED_CONTRACTS_MAX and not query.contract
        return CyclePage(found, _token(billings[-1].contract, None) if more else "")

    async def _billings(self, query: CycleQuery, last_contract: str) -> list[ContractBilling]:
        """Return the contracts to look at: the one that the page before ended in, and those after it."""
        if query.contract:
            return await self._store.page(after="", limit=1, contract=query.contract)
        again = await self._store.page(after="", limit=1, contract=last_contract) if last_contract else []
        return [
            *again,
            *await self._store.page(after=last_contract, limit=SCANNED_CONTRACTS_MAX - len(again)),
        ]

    def _cycles(
        self, billing: ContractBilling, query: CycleQuery, after: datetime | None, now: datetime
    ) -> Iterator[tuple[CycleBounds, Contract]]:
        contract = find(self._history.catalogue.contracts, billing.contract)
        if contract is None or (query.only_failed and billing.failure is None):
            return
        begin = contract.start_time
        if query.state in (CycleState.OPEN, CycleState.DRAFT):
            begin = billing.billed_until or begin
        for cycle in cycles_until(contract, max(begin, after or begin), now):
            if after is None or cycle.start_time > after:
                yield cycle, contract

    async def _listed(
        self, contract: Contract, billing: ContractBilling, cycle: CycleBounds, now: datetime
    ) -> ListedCycle:
        state = state_of(contract, cycle, billing, now)
        if state is CycleState.DRAFT and await self._invoices.of_cycle(contract.name, cycle.start_time):
            state = CycleState.ISSUED
        failure = billing.failure
        if failure is not None and failure.cycle_start_time not in (None, cycle.start_time):
            failure = None
        is_issued = state is CycleState.ISSUED
        return ListedCycle(
            contract.name,
            cycle,
            state,
            issue_time(contract, cycle, self._grace),
            invoice_name(contract.name, cycle) if is_issued else "",
            None if is_issued else failure,
        )


def _token(contract: str, start: datetime | None) -> str:
    return page_token(f"{contract} {'' if start is None else start.isoformat()}")


def _place(token: str) -> tuple[str, datetime | None]:
    """Return the contract and the cycle after which a page begins; without a cycle, all of the contract are done."""
    text = last_of_page(token)
    if not text:
        return "", None
    contract, separator, start = text.partition(" ")
    try:
        instant = datetime.fromisoformat(start) if start else datetime.max.replace(tzinfo=UTC)
    except ValueError:
        separator = ""
    if not separator:
        raise RequestRefused(
            RequestReason.PAGE_TOKEN_MALFORMED, "page_token was not given by this service", field="page_token"
        )
    return contract, instant
