"""Commands: what callers ask for, in the domain's own words.

A command is data; the decision of the same name turns it into events. `Request` adds what every mutating
call carries. Times are UTC; a time of None means "now", as the server's clock has it when it decides.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.agreement_events import Cycle, Multiplier, PlanPhase, Rate
from ledger_service.domain.events import Charge
from ledger_service.domain.values import Asset, GrantCategory, Money, ShortfallMode


class Command(msgspec.Struct, frozen=True):
    """Base of all commands."""


class OpenWallet(Command, frozen=True):
    """Open wallets/{wallet}."""

    wallet: str
    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0


class GrantCredits(Command, frozen=True):
    """Issue credit to a wallet."""

    wallet: str
    amount_units: int
    category: GrantCategory
    priority: int = 0
    scope: tuple[str, ...] = ()
    effective_time: datetime | None = None
    expire_time: datetime | None = None
    consideration: Money | None = None
    contract: str = ""
    reference: str = ""


class Debit(Command, frozen=True):
    """Consume credit of a wallet: amount_units without a charge, what the charge says with one."""

    wallet: str
    amount_units: int = 0
    effective_time: datetime | None = None
    feature: str = ""
    delivered: bool = False
    charge: Charge | None = None


class SettleWallet(Command, frozen=True):
    """Record what time has done to an idle wallet. Needs no key: a second one finds nothing to do."""

    wallet: str


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


AnyCommand = (
    OpenWallet
    | GrantCredits
    | Debit
    | SettleWallet
    | CreateRateCard
    | PublishRateCardPhase
    | PublishPlan
    | SignContract
)


class Request(msgspec.Struct, frozen=True):
    """A command with its idempotency key (scoped to the command's own stream) and who sent it."""

    command: AnyCommand
    idempotency_key: str
    actor: str
