"""Builds what changes plans from its parts. Beside `bootstrap`, which knows every other concrete class."""

from __future__ import annotations

from typing import NamedTuple

from rating_service.adapters.clocks import SystemClock
from rating_service.adapters.ledger.plan_change_client import PlanChangeClient
from rating_service.application.changing_plans.migrate_contracts import Migration
from rating_service.application.changing_plans.plan_changes import PlanChanging
from rating_service.bootstrap_billing import Opened
from rating_service.rpc.causes import cause_of
from rating_service.settings import Settings


class PlanChangeParts(NamedTuple):
    """What changes plans."""

    changing: PlanChanging
    migration: Migration


def build_plan_changes(settings: Settings, opened: Opened) -> PlanChangeParts:
    """Return the parts that change plans."""
    plans = PlanChangeClient(opened.channel)
    clock = opened.ledger if settings.sandbox else SystemClock()
    changing = PlanChanging(
        plans=plans, ledger=opened.ledger, history=opened.follower, clock=clock, cause_of=cause_of
    )
    migration = Migration(
        changing=changing,
        plans=plans,
        ledger=opened.ledger,
        history=opened.follower,
        clock=clock,
        cause_of=cause_of,
    )
    return PlanChangeParts(changing, migration)
