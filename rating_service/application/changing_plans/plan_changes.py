"""Changing plans: shown first, and then done exactly as it was shown.

The figures follow from the contract as it stands, the instant and two plan versions. A token pins all of them: the
ledger refuses it once the contract has changed, and nothing else can move the figures. The instant lies ahead of the
clock, so that no usage in between is priced by a plan that was already left. A token is no secret: one that was
tampered with is another request, and does what that request may do.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

import msgspec

from rating_service.application.changing_plans.plan_change_ports import (
    ChangedPlan,
    PlanChangeOrder,
    PlanLedger,
    Timing,
)
from rating_service.application.metering.quarantine import Cause
from rating_service.application.names import check_contract, check_plan
from rating_service.application.ports import Clock, History, Ledger, LedgerRefused
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Contract, ContractPhase
from rating_service.domain.agreements.agreement_events import PlanChanged
from rating_service.domain.agreements.contract_life import changed
from rating_service.domain.invoicing.plan_change import PlanChangeFigures, plan_change_figures

VALID_FOR_DEFAULT: Final = timedelta(minutes=2)
VALID_FOR_MAX: Final = timedelta(hours=1)
CONTRACT_CHANGED: Final = "CONTRACT_CHANGED"
PHASE_IN_PAST: Final = "PHASE_IN_PAST"
"""Reasons with which the ledger refuses what was true when it was shown."""


class PlanChangeRequest(NamedTuple):
    """What is to change. Without an instant a change at once takes effect where its preview ends to be valid."""

    contract: str
    plan: str
    plan_version: int
    timing: Timing
    from_time: datetime | None = None
    valid_for: timedelta | None = None
    take_trial: bool = False


class Previewed(NamedTuple):
    """What a change comes to, and the token that commits it."""

    figures: PlanChangeFigures
    token: str


class Committed(NamedTuple):
    """What was changed."""

    figures: PlanChangeFigures
    replayed: bool
    position: int


class _Ticket(msgspec.Struct, frozen=True):
    """What a token says: the change, pinned, and what it was shown to come to."""

    from_time: datetime
    plan: str
    plan_version: int
    take_trial: bool
    change_version: int
    figures: PlanChangeFigures


class _Sealed(msgspec.Struct, frozen=True):
    ticket: msgspec.Raw
    digest: str


class PlanChanging:
    """Previews and commits changes of plan."""

    def __init__(
        self,
        *,
        plans: PlanLedger,
        ledger: Ledger,
        history: History,
        clock: Clock,
        cause_of: Callable[[LedgerRefused], Cause],
    ) -> None:
        """Ask the ledger what a change records, and reckon from the followed history."""
        self._plans = plans
        self._ledger = ledger
        self._history = history
        self._clock = clock
        self._cause_of = cause_of

    async def preview(self, request: PlanChangeRequest) -> Previewed:
        """Return what a change would come to. Refuses what the ledger would refuse, and MIXED_CURRENCIES."""
        check_contract(request.contract, field="contract")
        check_plan(request.plan, field="plan")
        order = await self._pinned(request)
        version = await self._plans.change_version(request.contract)
        order = order._replace(expected_change_version=version)
        tried = await self._plans.try_change(order)
        figures = await self.figures(request.contract, tried)
        ticket = _Ticket(
            tried.from_time, tried.plan, tried.plan_version, request.take_trial, version, figures
        )
        return Previewed(figures, _sealed(ticket))

    async def commit(self, token: str, *, key: str) -> Committed:
        """Change the plan as it was shown. Refuses PREVIEW_STALE, PREVIEW_EXPIRED, PREVIEW_MALFORMED."""
        ticket = _opened(token)
        order = PlanChangeOrder(
            ticket.figures.contract,
            ticket.plan,
            ticket.plan_version,
            Timing.AT_ONCE,
            ticket.from_time,
            ticket.take_trial,
            ticket.change_version,
        )
        try:
            done = await self._plans.change(order, key=key)
        except LedgerRefused as refused:
            reason = self._cause_of(refused).reason
            if reason == CONTRACT_CHANGED:
                raise RequestRefused(
                    RequestReason.PREVIEW_STALE,
                    f"{order.contract} has changed since the preview: preview again",
                    field="token",
                ) from None
            if reason == PHASE_IN_PAST:
                raise RequestRefused(
                    RequestReason.PREVIEW_EXPIRED,
                    f"the preview was valid until {ticket.from_time.isoformat()}: preview again",
                    field="token",
                ) from None
            raise
        return Committed(ticket.figures, done.replayed, done.position)

    async def figures(self, contract: str, tried: ChangedPlan) -> PlanChangeFigures:
        """Return what a change that the ledger would record comes to."""
        await self._history.wait_for(await self._ledger.head_position())
        catalogue = self._history.catalogue
        before = catalogues.contract(catalogue, contract)
        plan = catalogues.plan(catalogue, tried.plan, tried.plan_version)
        assert plan is not None, "the ledger knows the plan, and all of its log was followed"
        terms = {phase.key: phase for phase in plan.phases}
        phases = tuple(ContractPhase(span.from_time, terms[span.key], span.to_time) for span in tried.phases)
        return plan_change_figures(before, _changed(before, tried, phases), tried.from_time)

    async def _pinned(self, request: PlanChangeRequest) -> PlanChangeOrder:
        """Return the order with the instant that it takes effect."""
        if request.timing is Timing.AT_CYCLE_END:
            if request.from_time is not None or request.valid_for is not None:
                field = "from_time" if request.from_time is not None else "valid_for"
                raise RequestRefused(
                    RequestReason.FIELD_MALFORMED, "the end of the cycle is the instant", field=field
                )
            return _order(request, None)
        if request.from_time is not None:
            if request.valid_for is not None:
                raise RequestRefused(
                    RequestReason.FIELD_MALFORMED, "valid_for goes without from_time", field="valid_for"
                )
            return _order(request, request.from_time)
        valid_for = VALID_FOR_DEFAULT if request.valid_for is None else request.valid_for
        if not timedelta(0) < valid_for <= VALID_FOR_MAX:
            raise RequestRefused(
                RequestReason.NUMBER_OUT_OF_RANGE,
                f"valid_for must be above 0 and at most {VALID_FOR_MAX}",
                field="valid_for",
            )
        return _order(request, await self._clock.now() + valid_for)


def _order(request: PlanChangeRequest, from_time: datetime | None) -> PlanChangeOrder:
    return PlanChangeOrder(
        request.contract, request.plan, request.plan_version, request.timing, from_time, request.take_trial
    )


def _changed(before: Contract, tried: ChangedPlan, phases: tuple[ContractPhase, ...]) -> Contract:
    return changed(before, PlanChanged(tried.from_time, tried.plan, tried.plan_version, phases))


def _sealed(ticket: _Ticket) -> str:
    text = msgspec.json.encode(ticket)
    sealed = _Sealed(msgspec.Raw(text), sha256(text).hexdigest()[:16])
    return urlsafe_b64encode(msgspec.json.encode(sealed)).decode()


def _opened(token: str) -> _Ticket:
    """Return what a token says. Refuses FIELD_REQUIRED, PREVIEW_MALFORMED."""
    if not token:
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "token is required", field="token")
    try:
        sealed = msgspec.json.decode(b64decode(token, altchars=b"-_", validate=True), type=_Sealed)
        ticket = msgspec.json.decode(sealed.ticket, type=_Ticket)
    except (Base64Error, ValueError, msgspec.MsgspecError):
        raise _malformed() from None
    if sha256(bytes(sealed.ticket)).hexdigest()[:16] != sealed.digest:
        raise _malformed()
    return ticket


def _malformed() -> RequestRefused:
    return RequestRefused(
        RequestReason.PREVIEW_MALFORMED, "token was not given by this service, or is cut off", field="token"
    )
