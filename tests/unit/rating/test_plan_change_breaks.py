"""Changes of plan that end at any step or meet another: each is done once, and to what it was shown for."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Final, cast

import msgspec
import pytest

from rating_service.application.changing_plans.migrate_contracts import (
    Migration,
    MigrationRequest,
    MigrationState,
)
from rating_service.application.changing_plans.plan_change_ports import (
    ChangedPlan,
    PhaseSpan,
    PlanChangeOrder,
    Timing,
)
from rating_service.application.changing_plans.plan_changes import (
    CONTRACT_CHANGED,
    PlanChangeRequest,
    PlanChanging,
)
from rating_service.application.metering.quarantine import Cause
from rating_service.application.ports import Ledger, LedgerRefused, LedgerUnavailableError
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Contract, ContractPhase, Plan, PlanFrom
from rating_service.domain.agreements.catalogue import Catalogue
from rating_service.domain.agreements.index import Index, empty_index, put
from tests.breaks import (
    Breaks,
    Failures,
    Killed,
    Steps,
    Turns,
    at_every_break,
    at_every_failure,
    in_every_order,
    stepped,
)
from tests.unit.rating.builders import CREDIT, FEBRUARY, JANUARY, contract, plan_phase

MIGRATION: Final = MigrationRequest(
    migration_id="to-pro",
    from_plan="plans/starter",
    from_plan_version=0,
    plan="plans/pro",
    plan_version=1,
    timing=Timing.AT_ONCE,
    from_time=FEBRUARY,
    take_trial=False,
    validate_only=False,
)
PLANS: Final = tuple(
    Plan(f"plans/{name}", 1, CREDIT, (plan_phase(name, fee=fee),))
    for name, fee in (("starter", "10"), ("pro", "20"), ("team", "30"))
)


class Agreements:
    """The ledger: contracts, each with the version of its last change, and what was changed under which key."""

    def __init__(self) -> None:
        names = ("contracts/acme", "contracts/beta")
        starter = ContractPhase(JANUARY, PLANS[0].phases[0])
        self.contracts = {name: msgspec.structs.replace(contract(starter), name=name) for name in names}
        self.versions = dict.fromkeys(names, 1)
        self.position = 2
        self.changes: dict[tuple[str, str], ChangedPlan] = {}

    async def head_position(self) -> int:
        return self.position

    async def change_version(self, contract: str) -> int:
        return self.versions[contract]

    async def try_change(self, order: PlanChangeOrder) -> ChangedPlan:
        if order.expected_change_version not in (0, self.versions[order.contract]):
            raise LedgerRefused(CONTRACT_CHANGED)
        assert order.from_time is not None
        span = PhaseSpan(order.plan.removeprefix("plans/"), order.from_time, None)
        return ChangedPlan(order.from_time, order.plan, order.plan_version, [span])

    async def change(self, order: PlanChangeOrder, *, key: str) -> ChangedPlan:
        first = self.changes.get((order.contract, key))
        if first is not None:
            assert first.plan == order.plan
            return first._replace(replayed=True)
        changed = await self.try_change(order)
        before = self.contracts[order.contract]
        [plan] = [each for each in PLANS if each.name == order.plan]
        old, new = before.phases[-1], ContractPhase(changed.from_time, plan.phases[0])
        self.contracts[order.contract] = msgspec.structs.replace(
            before,
            phases=(*before.phases[:-1], msgspec.structs.replace(old, to_time=changed.from_time), new),
            plan_changes=(*before.plan_changes, PlanFrom(changed.from_time, plan.name, 1)),
        )
        self.versions[order.contract] += 1
        self.position += 1
        self.changes[order.contract, key] = changed
        return changed

    def plans_of(self, name: str) -> list[str]:
        """Return the plans that a contract came to, one after the other."""
        return [each.plan for each in self.contracts[name].plan_changes]


class Followed:
    """History that follows when it is waited for, and a clock that stands still."""

    def __init__(self, agreements: Agreements) -> None:
        self._agreements = agreements
        self.position = 0
        self.catalogue = Catalogue()

    async def wait_for(self, position: int) -> None:
        if position > self.position:
            self.position = position
            self.catalogue = _catalogue(self._agreements.contracts)

    async def now(self) -> datetime:
        return JANUARY


def _catalogue(contracts: dict[str, Contract]) -> Catalogue:
    plans: Index[Plan] = empty_index()
    found: Index[Contract] = empty_index()
    for plan in PLANS:
        plans = put(put(plans, plan.name, plan), f"{plan.name}@1", plan)
    for each in contracts.values():
        found = put(found, each.name, each)
    return Catalogue(plans=plans, contracts=found)


def _cause(refusal: Any) -> Cause:
    return Cause("ledger.credits", refusal.status, "", is_unrateable=False)


class World:
    """Two contracts on a plan, which outlive the processes that change it."""

    def __init__(self) -> None:
        self.agreements = Agreements()

    def started(self, steps: Steps) -> tuple[PlanChanging, Migration]:
        """Return what changes plans as a new process has it."""
        plans = stepped(self.agreements, steps)
        followed = Followed(self.agreements)
        parts: dict[str, Any] = {
            "plans": plans,
            "ledger": cast("Ledger", plans),
            "history": stepped(followed, steps),
            "clock": followed,
            "cause_of": _cause,
        }
        changing = PlanChanging(**parts)
        return changing, Migration(changing=changing, **parts)


async def migrate(world: World, steps: Steps) -> list[MigrationState]:
    """Run the migration and return what became of each contract."""
    _, migration = world.started(steps)
    return [each.state async for each in migration.run(MIGRATION)]


async def upgrade(world: World, steps: Steps) -> None:
    """Let a customer change to another plan, as it was shown."""
    changing, _ = world.started(steps)
    request = PlanChangeRequest("contracts/beta", "plans/team", 1, Timing.AT_ONCE, FEBRUARY)
    previewed = await changing.preview(request)
    await changing.commit(previewed.token, key="upgrade")


async def test_a_migration_that_ends_at_any_step_goes_on_when_it_is_sent_again() -> None:
    async def play(breaks: Breaks) -> None:
        world = World()
        with suppress(Killed):
            await migrate(world, breaks)
        states = await migrate(world, Breaks(0, after=True))

        assert MigrationState.REFUSED not in states
        assert [world.agreements.plans_of(name) for name in world.agreements.contracts] == [["plans/pro"]] * 2

    await at_every_break(play)


@pytest.mark.parametrize(
    "failure",
    [LedgerUnavailableError("away"), LedgerRefused("QUEUE_FULL", is_passing=True)],
    ids=["away", "busy"],
)
async def test_a_migration_that_the_ledger_does_not_answer_refuses_nobody(failure: Exception) -> None:
    async def play(failures: Failures) -> None:
        world = World()
        with suppress(type(failure)):
            assert MigrationState.REFUSED not in await migrate(world, failures)
        failures.heal()
        states = await migrate(world, failures)

        assert MigrationState.REFUSED not in states
        assert [world.agreements.plans_of(name) for name in world.agreements.contracts] == [["plans/pro"]] * 2

    await at_every_failure(failure, play)


async def test_a_migration_that_is_sent_twice_at_once_changes_each_contract_once_and_refuses_none() -> None:
    async def play(turns: Turns) -> None:
        world = World()
        states: list[MigrationState] = []

        async def process(steps: Steps) -> None:
            states.extend(await migrate(world, steps))

        await turns.run(process, process)

        assert MigrationState.REFUSED not in states
        assert [world.agreements.plans_of(name) for name in world.agreements.contracts] == [["plans/pro"]] * 2

    await in_every_order(play)


async def test_a_migration_leaves_alone_who_has_left_the_plan_meanwhile() -> None:
    async def play(turns: Turns) -> None:
        world = World()

        async def upgrading(steps: Steps) -> None:
            with suppress(RequestRefused, LedgerRefused):
                await upgrade(world, steps)

        await turns.run(partial(migrate, world), upgrading)

        # Whoever is migrated before his change was done is told to look again, or changes what he came to.
        came_to = world.agreements.plans_of("contracts/beta")
        assert came_to in (["plans/team"], ["plans/pro"], ["plans/pro", "plans/team"])
        assert world.agreements.plans_of("contracts/acme") == ["plans/pro"]

    await in_every_order(play)


async def test_a_change_of_plan_is_done_once_after_any_break() -> None:
    async def play(breaks: Breaks) -> None:
        world = World()
        changing, _ = world.started(Breaks(0, after=True))
        request = PlanChangeRequest("contracts/beta", "plans/team", 1, Timing.AT_ONCE, FEBRUARY)
        token = (await changing.preview(request)).token
        again, _ = world.started(breaks)
        with suppress(Killed):
            await again.commit(token, key="upgrade")
        done = await changing.commit(token, key="upgrade")

        assert world.agreements.plans_of("contracts/beta") == ["plans/team"]
        assert done.figures.plan == "plans/team"

    await at_every_break(play)


async def test_a_change_beside_another_is_done_to_the_plan_for_which_it_was_shown() -> None:
    async def play(turns: Turns) -> None:
        world = World()
        shown: dict[str, str] = {}

        async def change(plan: str, steps: Steps) -> None:
            changing, _ = world.started(steps)
            request = PlanChangeRequest("contracts/beta", plan, 1, Timing.AT_ONCE, FEBRUARY)
            with suppress(LedgerRefused):
                previewed = await changing.preview(request)
                shown[plan] = previewed.figures.previous_plan
                try:
                    await changing.commit(previewed.token, key=plan)
                except RequestRefused as refused:
                    stale.append(refused.reason)

        stale: list[RequestReason] = []
        await turns.run(partial(change, "plans/pro"), partial(change, "plans/team"))

        plans = ["plans/starter", *world.agreements.plans_of("contracts/beta")]
        assert len(plans) > 1
        assert [shown[plan] for plan in plans[1:]] == plans[:-1]
        assert set(stale) <= {RequestReason.PREVIEW_STALE}

    await in_every_order(play)
