"""Authorize: whether a request may run, decided in the order of what it costs to find out.

First the agreement and the rate limits, in memory; then the ledger, in one round trip: a hold decides credit, caps and
budgets at once, and without one they are read. What the limits took is given back unless the answer is yes, so a
limit counts allowed requests only. An answer of no is an answer; what is raised is a request that makes no sense, or
a part that is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import uuid4

import msgspec

from rating_service.application.authorizing.authorization_ports import (
    Held,
    HoldOrder,
    Limiter,
    WalletHolds,
    WalletStanding,
)
from rating_service.application.authorizing.authorization_request import Request, check_request
from rating_service.application.authorizing.tickets import Ticket, ticket_text
from rating_service.application.metering.rate_usage import UsageRating
from rating_service.application.names import checked_position
from rating_service.application.ports import Clock, History, LedgerRefused, LedgerUnavailableError
from rating_service.domain.agreements.agreement import Contract, PlanPhase, ShortfallMode
from rating_service.domain.agreements.catalogue import contract as contract_of
from rating_service.domain.agreements.catalogue import find_contract_phase
from rating_service.domain.authorizing.authorization import (
    CapStanding,
    Denial,
    DenialReason,
    EntitlementStanding,
    LimitStanding,
    RateLimit,
    cap_denials,
    cap_standings,
    counting_caps,
    entitlement_denials,
    longest_wait,
    needed_units,
    not_in_force,
    rate_denials,
    rate_limits,
    rate_standings,
    slow_down,
    token_count,
)
from rating_service.domain.authorizing.rate_windows import Decision
from rating_service.domain.refusals import Reason, Refusal
from rating_service.domain.usage import Charge, Usage

MALFORMED: Final = frozenset({Reason.NO_QUANTITIES, Reason.NEGATIVE_QUANTITY, Reason.INVALID_PROPERTY})
"""What pricing refuses because the request makes no sense under any agreement."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it may run. Denials are empty if it may; the rest is what was found out until then."""

    denials: tuple[Denial, ...] = ()
    limits: tuple[LimitStanding, ...] = ()
    charge: Charge | None = None
    units: int = 0
    authorization: str = ""
    hold: str = ""
    slow_down: timedelta = timedelta()
    upgrade_hint: str = ""
    is_advisory: bool = False

    @property
    def retry_after(self) -> timedelta | None:
        """When asking again can help."""
        return longest_wait(self.denials) if self.denials else None


class _Case(msgspec.Struct, frozen=True):
    """A request with all that was in force when it came."""

    request: Request
    contract: Contract
    phase: PlanPhase
    now: datetime
    entry: str
    charge: Charge | None
    units: int


class _Credit(msgspec.Struct, frozen=True):
    """What the ledger said."""

    denials: tuple[Denial, ...] = ()
    held: Held | None = None
    caps: tuple[CapStanding, ...] = ()
    entitlement: EntitlementStanding | None = None


class Authorizing:
    """Answers whether requests may run."""

    def __init__(
        self,
        *,
        wallets: WalletHolds,
        history: History,
        limiter: Limiter,
        clock: Clock,
        rating: UsageRating,
    ) -> None:
        """Decide by what was followed, by a limiter and by the ledger."""
        self._rating = rating
        self._wallets = wallets
        self._history = history
        self._limiter = limiter
        self._clock = clock

    async def authorize(self, request: Request) -> Answer:
        """Return whether a request may run now.

        Raises Refusal (UNKNOWN_CONTRACT and what MALFORMED says), RequestRefused, LedgerRefused,
        LedgerUnavailableError.
        """
        check_request(request)
        await self._history.wait_for(checked_position(request.min_position))
        now = await self._clock.now()
        contract = contract_of(self._history.catalogue, request.contract)
        phase = find_contract_phase(contract, now)
        if phase is None:
            return Answer(denials=(not_in_force(contract.phases, now),))
        denials = entitlement_denials(phase.terms, request.spender.feature)
        priced = await self._priced(request, now)
        if isinstance(priced, Denial):
            denials.append(priced)
        charge = None if isinstance(priced, Denial) else priced
        entry = request.key or uuid4().hex
        units = 0 if charge is None else needed_units(charge)
        case = _Case(request, contract, phase.terms, now, entry, charge, units)
        return await self._limited(case, denials)

    async def _priced(self, request: Request, now: datetime) -> Charge | Denial:
        """Return the charge; one that is priced by running totals costs a read of the wallet's."""
        usage = Usage(
            now,
            request.quantities,
            request.properties,
            contract=request.contract,
            feature=request.spender.feature,
        )
        try:
            return (await self._rating.quote(usage, by_rate_card="", min_position=0)).charge
        except Refusal as refusal:
            if refusal.reason in MALFORMED:
                raise
            return Denial(DenialReason.UNRATEABLE, f"{refusal.reason.value}: {refusal.message}")

    async def _limited(self, case: _Case, denials: list[Denial]) -> Answer:
        """Go on with the rate limits; they are only looked at if the answer is no already."""
        request = case.request
        tokens = token_count(request.quantities)
        limits = rate_limits(case.contract.name, case.phase, request.spender.api_key, tokens)
        decision = await self._limiter.decide(
            [limit.share for limit in limits], entry=case.entry, now=case.now, takes=not denials
        )
        denials += rate_denials(limits, decision.standings)
        standings = rate_standings(limits, decision.standings)
        if denials:
            return _no(case, denials, standings)
        allowed = False
        try:
            credit = await self._credit(case)
            allowed = not credit.denials
        finally:
            if not allowed:
                await self._give_back(case, limits, decision)
        standings += cap_standings(credit.caps)
        if credit.denials:
            return _no(case, credit.denials, standings)
        return _yes(case, tokens, credit, standings)

    async def _give_back(self, case: _Case, limits: Sequence[RateLimit], decision: Decision) -> None:
        if decision.is_fresh:
            await self._limiter.give_back([limit.share.window for limit in limits], entry=case.entry)

    async def _credit(self, case: _Case) -> _Credit:
        if not case.request.place_hold or not case.units:
            return _as_read(case, await self._standing(case))
        order = HoldOrder(
            case.contract.wallet,
            case.entry,
            case.units,
            _estimate_of(case.request),
            case.request.spender,
            case.request.hold_ttl,
        )
        if not case.phase.slow_down_from_percent:
            return _as_held(case, await self._wallets.hold(order, case.now), None)
        # Side by side, so that it stays one round trip; how the wallet stands is advice, and no reason to fail.
        held, standing = await asyncio.gather(
            self._wallets.hold(order, case.now), self._standing(case), return_exceptions=True
        )
        if isinstance(held, BaseException):
            raise held
        if isinstance(standing, LedgerRefused | LedgerUnavailableError):
            return _as_held(case, held, None)
        if isinstance(standing, BaseException):
            raise standing
        return _as_held(case, held, standing)

    async def _standing(self, case: _Case) -> WalletStanding:
        return await self._wallets.standing(case.contract.wallet, case.request.spender.feature)


def _estimate_of(request: Request) -> str:
    """Return what stands for a request's usage: its price may be another when the call is sent again."""
    usage = (request.contract, sorted(request.quantities.items()), sorted(request.properties.items()))
    return sha256(msgspec.json.encode(usage)).hexdigest()


def _as_read(case: _Case, standing: WalletStanding) -> _Credit:
    """Return what a wallet's standing says of a request that reserves nothing."""
    caps = tuple(counting_caps(standing.caps, case.request.spender))
    denials = cap_denials(caps, case.units, case.now)
    if case.units > standing.available_units and case.phase.shortfall_mode is ShortfallMode.HARD:
        denials.append(
            Denial(
                DenialReason.INSUFFICIENT_CREDIT,
                f"{standing.available_units} units are available and {case.units} are needed",
            )
        )
    return _Credit(tuple(denials), None, caps, standing.entitlement)


def _as_held(case: _Case, held: Held | Denial, read: WalletStanding | None) -> _Credit:
    """Return what the ledger's answer to a hold says; where the phase allows overage, none is needed."""
    caps = () if read is None else tuple(counting_caps(read.caps, case.request.spender))
    entitlement = None if read is None else read.entitlement
    if isinstance(held, Held):
        return _Credit((), held, caps, entitlement)
    is_short = held.reason is DenialReason.INSUFFICIENT_CREDIT
    if is_short and case.phase.shortfall_mode is not ShortfallMode.HARD:
        return _Credit((), None, caps, entitlement)
    return _Credit((held,), None, caps, entitlement)


def _no(case: _Case, denials: Sequence[Denial], standings: Sequence[LimitStanding]) -> Answer:
    return Answer(
        denials=tuple(denials),
        limits=tuple(standings),
        charge=case.charge,
        units=case.units,
        upgrade_hint=case.phase.upgrade_hint,
    )


def _yes(case: _Case, tokens: int, credit: _Credit, standings: Sequence[LimitStanding]) -> Answer:
    spender = case.request.spender
    delay = slow_down(case.phase, credit.caps, credit.entitlement)
    held = credit.held
    ticket = Ticket(
        entry=case.entry,
        contract=case.contract.name,
        wallet=case.contract.wallet,
        time=case.now if held is None else held.create_time,
        tokens=tokens,
        feature=spender.feature,
        api_key=spender.api_key,
        user=spender.user,
        hold="" if held is None else held.name,
        properties=case.request.properties,
    )
    return Answer(
        limits=tuple(standings),
        charge=case.charge,
        units=case.units,
        authorization=ticket_text(ticket),
        hold=ticket.hold,
        slow_down=delay,
        upgrade_hint=case.phase.upgrade_hint if delay else "",
        is_advisory=held is None,
    )
