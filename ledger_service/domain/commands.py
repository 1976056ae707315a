"""Commands: what callers ask for, in the domain's own words.

A command is data; the decision of the same name turns it into events. `Request` adds what every mutating
call carries. Times are UTC; a time of None means "now", as the server's clock has it when it decides.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

import msgspec

from ledger_service.domain.agreement_events import Cycle, Multiplier, PlanPhase, Rate
from ledger_service.domain.events import Charge, Draw, LotTerms, RollOver
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
    burn_down_order: str = "default/1"


class RecurrenceTerms(Command, frozen=True):
    """How a grant comes again: every period, so many periods in all (0: for ever), and what rolls over."""

    period: str
    zone: str = "UTC"
    period_count: int = 0
    roll_over: RollOver | None = None


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
    purchase_version: int = 0
    recurrence: RecurrenceTerms | None = None


class Debit(Command, frozen=True):
    """Consume credit of a wallet: amount_units without a charge, what the charge says with one."""

    wallet: str
    amount_units: int = 0
    effective_time: datetime | None = None
    feature: str = ""
    delivered: bool = False
    charge: Charge | None = None
    take_available: bool = False
    late_hold_version: int = 0


class PlaceHold(Command, frozen=True):
    """Reserve credit for a while: all of it or none."""

    wallet: str
    amount_units: int
    ttl: timedelta | None = None
    feature: str = ""


class OverHold(Enum):
    """What becomes of a capture of more than is held."""

    REJECT = "REJECT"
    EXTRA_IF_AVAILABLE = "EXTRA_IF_AVAILABLE"


class CaptureHold(Command, frozen=True):
    """Turn a hold into a debit: amount_units without a charge, what the charge says with one."""

    wallet: str
    hold_version: int
    amount_units: int = 0
    final: bool = True
    over_hold: OverHold = OverHold.EXTRA_IF_AVAILABLE
    charge: Charge | None = None


class ReleaseHold(Command, frozen=True):
    """Give back what a hold reserves."""

    wallet: str
    hold_version: int


class DebitRecord(msgspec.Struct, frozen=True):
    """What the log says of a debit: facts that never change, looked up before the reversal is decided.

    `draws` are those that paid for it, in order, repayments of its debt at the end; `lots` are their terms.
    """

    debit_version: int
    draws: tuple[Draw, ...]
    overage_units: int
    lots: dict[int, LotTerms]


class ReverseDebit(Command, frozen=True):
    """Take back so many units of a debit; 0: all that is left of it."""

    wallet: str
    debit_version: int
    recorded: DebitRecord
    amount_units: int = 0


class RevokeGrant(Command, frozen=True):
    """Withdraw the unheld rest of a grant."""

    wallet: str
    grant_version: int
    reason: str = ""


class RefundGrant(Command, frozen=True):
    """Withdraw unheld units of a paid grant and owe their cost basis back; 0: all of them."""

    wallet: str
    grant_version: int
    amount_units: int = 0


class ExtendGrant(Command, frozen=True):
    """Let a lot live longer; None: for ever."""

    wallet: str
    grant_version: int
    expire_time: datetime | None = None


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
    | PlaceHold
    | CaptureHold
    | ReleaseHold
    | ReverseDebit
    | RevokeGrant
    | RefundGrant
    | ExtendGrant
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
