"""Changing the plan of many contracts, one after the other.

Each contract is changed by itself, under a key made of the migration's id, so a migration that broke off is simply
sent again. One that the ledger refuses stops no other. Contracts are those that follow the plan when the migration
runs, and those that it, or somebody else, has brought to the new version already: they are told as unchanged.

A migration of many contracts takes its time, and customers change plans themselves. So each contract is looked at
again when its turn comes, as it is by the version to which the change is pinned. Who has left the plan by then, or is
to leave it for another one, is left alone and told as refused.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from enum import Enum
from typing import Final, NamedTuple

from rating_service.application.changing_plans.plan_change_ports import PlanChangeOrder, PlanLedger, Timing
from rating_service.application.changing_plans.plan_changes import CONTRACT_CHANGED, PlanChanging
from rating_service.application.metering.quarantine import Cause
from rating_service.application.names import check_id, check_plan
from rating_service.application.ports import Clock, History, Ledger, LedgerRefused
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements import catalogue as catalogues
from rating_service.domain.agreements.agreement import Contract, PlanFrom
from rating_service.domain.agreements.contract_life import end_of, plan_at
from rating_service.domain.agreements.index import values
from rating_service.domain.invoicing.plan_change import PlanChangeFigures
from rating_service.domain.refusals import Refusal

KEY_PREFIX: Final = "migration/"
PLAN_LEFT: Final = "PLAN_LEFT"
"""Reason of a contract that is left alone."""
ROUNDS_MAX: Final = 8
"""How often a contract is looked at because it changes all the time."""


class MigrationState(Enum):
    """What became of one contract."""

    PREVIEWED = "PREVIEWED"
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"
    REFUSED = "REFUSED"


class MigrationRequest(NamedTuple):
    """Which contracts change to which plan version, and when. A `from_plan_version` of 0 means all versions."""

    migration_id: str
    from_plan: str
    from_plan_version: int
    plan: str
    plan_version: int
    timing: Timing
    from_time: datetime | None
    take_trial: bool
    validate_only: bool


class Migrated(NamedTuple):
    """What became of one contract, and how far the migration is."""

    contracts_count: int
    contracts_done: int
    contract: str
    state: MigrationState
    figures: PlanChangeFigures | None = None
    reason: str = ""
    message: str = ""


class Migration:
    """Changes plans in bulk."""

    def __init__(
        self,
        *,
        changing: PlanChanging,
        plans: PlanLedger,
        ledger: Ledger,
        history: History,
        clock: Clock,
        cause_of: Callable[[LedgerRefused], Cause],
    ) -> None:
        """Change by the ledger what the followed history says is to change."""
        self._changing = changing
        self._plans = plans
        self._ledger = ledger
        self._history = history
        self._clock = clock
        self._cause_of = cause_of

    async def run(self, request: MigrationRequest) -> AsyncIterator[Migrated]:
        """Yield each contract once it is done, by name.

        Refuses what is malformed before anything is changed. Raises LedgerUnavailableError, and LedgerRefused while
        the ledger is busy: sent again, the migration goes on where it was.
        """
        _check(request)
        await self._history.wait_for(await self._ledger.head_position())
        now = await self._clock.now()
        contracts = sorted(_contracts_of(self._history, request, now), key=lambda each: each.name)
        for number, contract in enumerate(contracts, start=1):
            done = Migrated(len(contracts), number, contract.name, MigrationState.UNCHANGED)
            if _follows(contract, request):
                yield done
                continue
            yield await self._one(request, done)

    async def _one(self, request: MigrationRequest, done: Migrated) -> Migrated:
        for _ in range(ROUNDS_MAX - 1):
            migrated = await self._tried(request, done)
            if migrated.reason != CONTRACT_CHANGED:
                return migrated
        return await self._tried(request, done)

    async def _tried(self, request: MigrationRequest, done: Migrated) -> Migrated:
        order = PlanChangeOrder(
            done.contract,
            request.plan,
            request.plan_version,
            request.timing,
            request.from_time,
            request.take_trial,
        )
        try:
            version = await self._plans.change_version(done.contract)
            order = order._replace(expected_change_version=version)
            await self._history.wait_for(await self._ledger.head_position())
            contract = catalogues.contract(self._history.catalogue, done.contract)
            if _follows(contract, request):
                return done
            if not _leaves(contract, request, await self._clock.now()):
                return _left_alone(contract, done)
            figures = await self._changing.figures(done.contract, await self._plans.try_change(order))
            if request.validate_only:
                return done._replace(state=MigrationState.PREVIEWED, figures=figures)
            await self._plans.change(order, key=f"{KEY_PREFIX}{request.migration_id}")
        except LedgerRefused as refused:
            if refused.is_passing:
                raise
            cause = self._cause_of(refused)
            return done._replace(state=MigrationState.REFUSED, reason=cause.reason, message=cause.message)
        except Refusal as refused:
            return done._replace(
                state=MigrationState.REFUSED, reason=refused.reason.value, message=refused.message
            )
        return done._replace(state=MigrationState.CHANGED, figures=figures)


def _check(request: MigrationRequest) -> None:
    check_id(request.migration_id, field="migration_id")
    check_plan(request.from_plan, field="from_plan")
    check_plan(request.plan, field="plan")
    if request.plan_version < 1:
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED,
            "plan_version is required: versions count from 1",
            field="plan_version",
        )
    if request.from_plan_version < 0:
        raise RequestRefused(
            RequestReason.NUMBER_OUT_OF_RANGE, "from_plan_version is negative", field="from_plan_version"
        )
    if (request.timing is Timing.AT_ONCE) != (request.from_time is not None):
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED,
            "from_time is required with AT_ONCE, and only there: a run that is resumed must not move it",
            field="from_time",
        )


def _contracts_of(history: History, request: MigrationRequest, now: datetime) -> Iterator[Contract]:
    for contract in values(history.catalogue.contracts):
        end = end_of(contract)
        if end is not None and end <= now:
            continue
        if _is_on(contract, request, now) or (_follows(contract, request) and _came_from(contract, request)):
            yield contract


def _is_on(contract: Contract, request: MigrationRequest, now: datetime) -> bool:
    """Tell whether a contract follows the plan that is to be left."""
    current = plan_at(contract, max(now, contract.start_time))
    wanted = (request.from_plan, request.from_plan_version)
    return (current.plan, current.plan_version) == wanted or (current.plan, 0) == wanted


def _leaves(contract: Contract, request: MigrationRequest, now: datetime) -> bool:
    """Tell whether a contract follows the plan that is to be left, and is to leave it for no other by itself."""
    return _is_on(contract, request, now) and _plans_of(contract)[-1].plan == request.from_plan


def _left_alone(contract: Contract, done: Migrated) -> Migrated:
    last = _plans_of(contract)[-1]
    message = f"{contract.name} follows {last.plan} from {last.from_time.isoformat()} on"
    return done._replace(state=MigrationState.REFUSED, reason=PLAN_LEFT, message=message)


def _follows(contract: Contract, request: MigrationRequest) -> bool:
    last = _plans_of(contract)[-1]
    return (last.plan, last.plan_version) == (request.plan, request.plan_version)


def _came_from(contract: Contract, request: MigrationRequest) -> bool:
    return any(each.plan == request.from_plan for each in _plans_of(contract))


def _plans_of(contract: Contract) -> tuple[PlanFrom, ...]:
    signed = PlanFrom(contract.start_time, contract.plan, contract.plan_version)
    return (signed, *contract.plan_changes)
