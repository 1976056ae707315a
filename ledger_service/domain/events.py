"""The facts that the ledger records, and their stable topics.

An event is what happened, in the past tense; a `Fact` is an event with what every event carries: both clocks,
who did it, the idempotency key and fingerprint of the command, and the hash of the event before it in its
stream. Stored forms are frozen by `tests/contract/golden_events.json`: fields may be added with a default,
never renamed or removed; a new form gets a new topic version and an upcaster in `topics.py`.

Times are UTC datetimes with microseconds, amounts are integer units of the wallet's asset, money is integer
nanos (10^-9 of the currency's major unit), exact figures are decimal text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from ledger_service.domain.agreement_events import (
    ContractSigned,
    PlanPublished,
    RateCardCreated,
    RateCardPhasePublished,
)
from ledger_service.domain.record import Record
from ledger_service.domain.values import Asset, GrantCategory, Money, ShortfallMode, UnitPrice


class WalletOpened(Record, frozen=True):
    """A customer's wallet in one asset began."""

    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    burn_down_order: str = "default/1"


class WalletPolicyChanged(Record, frozen=True):
    """From the effective time a contract phase decides what happens when credit runs out; without one, the wallet."""

    contract: str
    contract_phase: str
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0


class RollOver(Record, frozen=True):
    """What moves on at a lot's expiry: min(cap, floor(percent of the rest), the rest), so many times."""

    percent: str
    times_left: int
    cap_units: int | None = None


class Recurrence(Record, frozen=True):
    """A grant issued anew every period, in the calendar of a zone; None of periods left means for ever."""

    period: str
    anchor_time: datetime
    zone: str = "UTC"
    number: int = 1
    periods_left: int | None = None
    roll_over: RollOver | None = None


class CreditsGranted(Record, frozen=True):
    """Credit was issued; its lot may be drawn in [effective time, expire_time).

    `purchase_version` names the paid grant that a bonus came with. A recurring grant expires at the end of its
    period, where the next one is issued by the passing of time alone; `series_version` names the first.
    """

    amount_units: int
    category: GrantCategory
    priority: int = 0
    scope: tuple[str, ...] = ()
    expire_time: datetime | None = None
    consideration: Money | None = None
    contract: str = ""
    reference: str = ""
    purchase_version: int = 0
    recurrence: Recurrence | None = None
    series_version: int = 0


class Draw(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Units taken from the lot of the grant at `grant_version` in the same stream."""

    grant_version: int
    amount_units: int


class ChargeLine(Record, frozen=True):
    """One dimension of a charge: quantity / unit_size x unit_price x multiplier, exact."""

    dimension: str
    quantity: int
    unit_price: str
    exact_units: str
    unit_size: int = 1
    multiplier: str = "1"


class Charge(Record, frozen=True):
    """Usage priced under the phase in force."""

    contract: str
    contract_phase: str
    rate_card_phase: str
    phase_hash: str
    lines: tuple[ChargeLine, ...]
    exact_units: str
    properties: dict[str, str] = {}
    overage_price: UnitPrice | None = None


class CreditsDebited(Record, frozen=True):
    """Credit was consumed. Draws, overage and debt add up to amount_units.

    Overage is final, debt is repaid by later grants. `requested_units` is set where the debit took what there
    was; `late_hold_version` names the hold that had timed out before its capture.
    """

    amount_units: int
    draws: tuple[Draw, ...]
    burn_down_order: str
    overage_units: int = 0
    feature: str = ""
    delivered: bool = False
    charge: Charge | None = None
    debt_units: int = 0
    take_available: bool = False
    requested_units: int = 0
    late_hold_version: int = 0


class CreditsHeld(Record, frozen=True):
    """Slices of lots were reserved; the hold is named by this event's version."""

    amount_units: int
    slices: tuple[Draw, ...]
    expire_time: datetime
    burn_down_order: str
    feature: str = ""


class HoldCaptured(Record, frozen=True):
    """A hold became a debit. `held_draws` come from its slices, `draws` from lots for what exceeds it.

    held_draws, draws, overage and debt add up to amount_units; `returned` slices went back to their lots.
    """

    hold_version: int
    amount_units: int
    held_draws: tuple[Draw, ...]
    burn_down_order: str
    final: bool = True
    returned: tuple[Draw, ...] = ()
    draws: tuple[Draw, ...] = ()
    overage_units: int = 0
    debt_units: int = 0
    feature: str = ""
    charge: Charge | None = None


class HoldReleased(Record, frozen=True):
    """What a hold still reserved went back to its lots, by request or because its time was over."""

    hold_version: int
    returned: tuple[Draw, ...]
    timed_out: bool = False


class LotTerms(Record, frozen=True):
    """The terms of a lot: as its grant has them, unless it was extended."""

    category: GrantCategory
    priority: int
    granted_units: int
    effective_time: datetime
    expire_time: datetime | None = None
    scope: tuple[str, ...] = ()
    consideration: Money | None = None
    purchase_version: int = 0
    recurrence: Recurrence | None = None
    series_version: int = 0


class Return(Record, frozen=True):
    """Units that went back to the lot of a grant."""

    grant_version: int
    amount_units: int
    lot: LotTerms


class DebitReversed(Record, frozen=True):
    """A debit was taken back in part or whole: overage first, then debt, then its draws, last one first."""

    debit_version: int
    amount_units: int
    returned: tuple[Return, ...] = ()
    overage_units: int = 0
    debt_units: int = 0


class GrantRevoked(Record, frozen=True):
    """Unheld units of a grant were withdrawn: all of them, or as a clawback a refunded purchase's part of its bonus."""

    grant_version: int
    amount_units: int
    reason: str = ""
    clawback: bool = False


class GrantRefunded(Record, frozen=True):
    """Unheld units of a paid grant were withdrawn, and their cost basis is owed back.

    The refunds of a grant add up to the floor of consideration x refunded units / granted units.
    """

    grant_version: int
    amount_units: int
    refund: Money


class GrantExpiryExtended(Record, frozen=True):
    """A lot lives longer; None means for ever."""

    grant_version: int
    expire_time: datetime | None = None


class CreditsRolledOver(Record, frozen=True):
    """At a lot's expiry part of its rest moved into a new lot of the same terms, named by this event's version."""

    grant_version: int
    amount_units: int
    lot: LotTerms
    recurrence: Recurrence


class Repayment(msgspec.Struct, frozen=True, array_like=True):
    """Units of the debt of the debit at `debit_version` in the same stream."""

    debit_version: int
    amount_units: int


class DebtRepaid(Record, frozen=True):
    """A lot paid back what earlier debits owed, oldest debt first."""

    grant_version: int
    amount_units: int
    repayments: tuple[Repayment, ...]


class CreditsExpired(Record, frozen=True):
    """Time ended a lot; what was left in it is gone. The effective time is the exact instant of expiry."""

    grant_version: int
    amount_units: int


Event = (
    WalletOpened
    | WalletPolicyChanged
    | CreditsGranted
    | CreditsDebited
    | CreditsExpired
    | CreditsHeld
    | HoldCaptured
    | HoldReleased
    | DebitReversed
    | GrantRevoked
    | GrantRefunded
    | GrantExpiryExtended
    | CreditsRolledOver
    | DebtRepaid
    | RateCardCreated
    | RateCardPhasePublished
    | PlanPublished
    | ContractSigned
)
E_co = TypeVar("E_co", bound=Event, covariant=True)


class Fact(Record, Generic[E_co], frozen=True):
    """An event as stored: what every event carries, beside its stream, version and topic."""

    event: E_co
    record_time: datetime
    effective_time: datetime
    previous_hash: str
    actor: str = ""
    idempotency_key: str = ""
    fingerprint: str = ""
