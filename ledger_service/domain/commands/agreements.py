"""Commands on rate cards, plans and contracts."""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import Bracket, Cycle, Multiplier, PlanPhase, Rate
from ledger_service.domain.values import Asset, Counters


class CreateRateCard(Command, frozen=True):
    """Create rateCards/{rate_card} without phases."""

    rate_card: str
    asset: Asset
    display_name: str = ""
    unit_definitions: dict[str, str] = {}


class PublishRateCardPhase(Command, frozen=True):
    """Let rates apply from an instant on."""

    rate_card: str
    from_time: datetime
    rates: tuple[Rate, ...]
    multipliers: tuple[Multiplier, ...] = ()
    retroactive: bool = False
    brackets: tuple[Bracket, ...] = ()
    counters: Counters = Counters.CARRY
    cost_currency: str = ""


class PublishPlan(Command, frozen=True):
    """Publish the next version of plans/{plan}."""

    plan: str
    asset: Asset
    phases: tuple[PlanPhase, ...]
    display_name: str = ""


class SignContract(Command, frozen=True):
    """Bind a customer to a plan version (0: the newest). A cycle without anchor begins at start_time."""

    contract: str
    customer: str
    wallet: str
    plan: str
    plan_version: int
    start_time: datetime
    cycle: Cycle
