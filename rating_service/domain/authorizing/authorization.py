"""Authorization: what is asked of limits and of the ledger before a request runs, and what the answers mean. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import Final, NamedTuple

from rating_service.domain.agreements.agreement import ContractPhase, PlanPhase, Record
from rating_service.domain.authorizing.rate_windows import Share, Standing
from rating_service.domain.exact import parse_exact
from rating_service.domain.usage import Charge

TOKENS: Final = "tokens"
"""A dimension of this name, or that ends in _ and it, counts tokens."""
UNITS_MAX: Final = 2**63 - 1


class DenialReason(Enum):
    """Why a request may not run; rating finds those up to RATE_LIMITED_TOKENS itself."""

    CONTRACT_NOT_IN_FORCE = "CONTRACT_NOT_IN_FORCE"
    NOT_ENTITLED = "NOT_ENTITLED"
    UNRATEABLE = "UNRATEABLE"
    RATE_LIMITED_REQUESTS = "RATE_LIMITED_REQUESTS"
    RATE_LIMITED_TOKENS = "RATE_LIMITED_TOKENS"
    SPEND_CAP = "SPEND_CAP"
    BUDGET = "BUDGET"
    INSUFFICIENT_CREDIT = "INSUFFICIENT_CREDIT"


class LimitKind(Enum):
    """What a limit counts."""

    REQUESTS_PER_MINUTE = "REQUESTS_PER_MINUTE"
    TOKENS_PER_MINUTE = "TOKENS_PER_MINUTE"
    SPEND_CAP = "SPEND_CAP"
    BUDGET = "BUDGET"


class Denial(Record, frozen=True):
    """One reason against a request. `wait` is when asking again can help; None: waiting alone does not."""

    reason: DenialReason
    message: str
    wait: timedelta | None = None


class LimitStanding(Record, frozen=True):
    """A limit that counts the request, and what remains of it."""

    kind: LimitKind
    limit: int
    remaining: int
    api_key: str = ""
    budget: str = ""


class CapStanding(Record, frozen=True):
    """A spend cap or budget of the wallet as the ledger has it; `budget` is empty for a spend cap."""

    limit_units: int
    used_units: int
    remaining_units: int
    budget: str = ""
    api_key: str = ""
    user: str = ""
    feature: str = ""
    period_end_time: datetime | None = None


class EntitlementStanding(Record, frozen=True):
    """What a wallet's lots in force were issued with, and what of it is debited or held."""

    entitled_units: int
    used_units: int


class Spender(NamedTuple):
    """On whose account a request runs; empty where nobody is named."""

    api_key: str
    user: str
    feature: str


class RateLimit(NamedTuple):
    """A limit of requests or tokens a minute, of the contract or of an API key, and what a request takes of it."""

    kind: LimitKind
    api_key: str
    share: Share


def window_names(contract: str, api_key: str) -> dict[LimitKind, tuple[str, ...]]:
    """Return the windows that count a request, by what they count.

    The braces keep the windows of one contract together in a store that is spread over servers.
    """
    owners = (f"{{{contract}}}", f"{{{contract}}}/keys/{api_key}") if api_key else (f"{{{contract}}}",)
    return {
        LimitKind.REQUESTS_PER_MINUTE: tuple(f"{owner}/requests" for owner in owners),
        LimitKind.TOKENS_PER_MINUTE: tuple(f"{owner}/tokens" for owner in owners),
    }


def rate_limits(contract: str, phase: PlanPhase, api_key: str, tokens: int) -> list[RateLimit]:
    """Return the limits that a phase sets for a request of so many tokens."""
    limits = {
        LimitKind.REQUESTS_PER_MINUTE: (1, phase.requests_per_minute, phase.key_requests_per_minute),
        LimitKind.TOKENS_PER_MINUTE: (tokens, phase.tokens_per_minute, phase.key_tokens_per_minute),
    }
    found = []
    for kind, names in window_names(contract, api_key).items():
        amount, *maxima = limits[kind]
        for name, limit, owner in zip(names, maxima, ("", api_key), strict=False):
            if limit:
                found.append(RateLimit(kind, owner, Share(name, limit, amount)))
    return found


def token_count(quantities: Mapping[str, int]) -> int:
    """Return how many tokens quantities hold."""
    return sum(
        quantity
        for dimension, quantity in quantities.items()
        if dimension == TOKENS or dimension.endswith(f"_{TOKENS}")
    )


def needed_units(charge: Charge) -> int:
    """Return the whole units that a charge needs at most: rounded up, 0 if it gives something back."""
    exact = parse_exact(charge.exact_units)
    return max(-(-exact.numerator // exact.denominator), 0)


def not_in_force(phases: Sequence[ContractPhase], now: datetime) -> Denial:
    """Return the denial of a contract without a phase now; waiting helps if a phase begins later."""
    begins = min((phase.from_time for phase in phases if phase.from_time > now), default=None)
    text = "the contract has no phase in force"
    if begins is None:
        return Denial(DenialReason.CONTRACT_NOT_IN_FORCE, text)
    return Denial(
        DenialReason.CONTRACT_NOT_IN_FORCE, f"{text} before {begins.isoformat()}", wait=begins - now
    )


def entitlement_denials(phase: PlanPhase, feature: str) -> list[Denial]:
    """Return the denial of a feature that the phase does not list; one that lists none entitles to all."""
    if not phase.features or feature in phase.features:
        return []
    what = f"feature {feature}" if feature else "a request that names no feature"
    return [Denial(DenialReason.NOT_ENTITLED, f"phase {phase.key} does not entitle to {what}")]


def rate_denials(limits: Sequence[RateLimit], standings: Sequence[Standing]) -> list[Denial]:
    """Return the denials of limits that have no room."""
    return [
        _rate_denial(limit, standing)
        for limit, standing in zip(limits, standings, strict=True)
        if not standing.fits
    ]


def rate_standings(limits: Sequence[RateLimit], standings: Sequence[Standing]) -> list[LimitStanding]:
    """Return what remains of rate limits."""
    return [
        LimitStanding(limit.kind, limit.share.limit, max(limit.share.limit - standing.used, 0), limit.api_key)
        for limit, standing in zip(limits, standings, strict=True)
    ]


def counting_caps(caps: Iterable[CapStanding], spender: Spender) -> list[CapStanding]:
    """Return the caps that count what a spender spends."""
    return [
        cap
        for cap in caps
        if cap.api_key in ("", spender.api_key)
        and cap.user in ("", spender.user)
        and cap.feature in ("", spender.feature)
    ]


def cap_denials(caps: Iterable[CapStanding], units: int, now: datetime) -> list[Denial]:
    """Return the denials of caps without room for so many units."""
    return [
        Denial(
            DenialReason.BUDGET if cap.budget else DenialReason.SPEND_CAP,
            f"{_cap_name(cap)} of {cap.limit_units} units has room for {cap.remaining_units}, {units} are needed",
            wait=cap_wait(cap, units, now),
        )
        for cap in caps
        if units > cap.remaining_units
    ]


def cap_wait(cap: CapStanding, units: int, now: datetime) -> timedelta | None:
    """Return when a cap is whole again; None if it never is, or if even then it had no room."""
    if cap.period_end_time is None or units > cap.limit_units:
        return None
    return max(cap.period_end_time - now, timedelta())


def cap_standings(caps: Iterable[CapStanding]) -> list[LimitStanding]:
    """Return what remains of caps."""
    return [
        LimitStanding(
            LimitKind.BUDGET if cap.budget else LimitKind.SPEND_CAP,
            cap.limit_units,
            cap.remaining_units,
            cap.api_key,
            cap.budget,
        )
        for cap in caps
    ]


def slow_down(
    phase: PlanPhase, caps: Iterable[CapStanding], entitlement: EntitlementStanding | None = None
) -> timedelta:
    """Return how long a request is to wait, evenly from the phase's percentage to 100 % of what is used most.

    That is a cap or the entitlement; a wallet that is entitled to nothing is slowed down by caps alone. Rounded
    down to a microsecond.
    """
    start = phase.slow_down_from_percent
    if not start:
        return timedelta()
    delay_us = phase.slow_down_max_delay_ms * 1_000
    uses = [(cap.used_units, cap.limit_units) for cap in caps]
    if entitlement is not None and entitlement.entitled_units:
        uses.append((entitlement.used_units, entitlement.entitled_units))
    return timedelta(microseconds=max((_delay_us(*use, start, delay_us) for use in uses), default=0))


def longest_wait(denials: Sequence[Denial]) -> timedelta | None:
    """Return when asking again can help for every denial; None if for one of them it never does."""
    waits = [denial.wait for denial in denials if denial.wait is not None]
    return max(waits, default=None) if len(waits) == len(denials) else None


def _delay_us(used_units: int, limit_units: int, start: int, delay_us: int) -> int:
    if not limit_units:
        return delay_us
    above = min(used_units, limit_units) * 100 - start * limit_units
    return max(delay_us * above // ((100 - start) * limit_units), 0)


def _rate_denial(limit: RateLimit, standing: Standing) -> Denial:
    share = limit.share
    is_tokens = limit.kind is LimitKind.TOKENS_PER_MINUTE
    what = "tokens" if is_tokens else "requests"
    whose = f"API key {limit.api_key}" if limit.api_key else "the contract"
    return Denial(
        DenialReason.RATE_LIMITED_TOKENS if is_tokens else DenialReason.RATE_LIMITED_REQUESTS,
        f"{whose} may use {share.limit} {what} a minute; {standing.used} are used and {share.amount} more are asked",
        wait=standing.wait,
    )


def _cap_name(cap: CapStanding) -> str:
    return f"budget {cap.budget}" if cap.budget else "the spend cap"
