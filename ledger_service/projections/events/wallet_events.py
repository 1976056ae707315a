"""Reads stored wallet events into narrow structs that hold only what the projections fold.

Decoding is the projector's hot path: members that no projection needs (charges, hashes, keys) are skipped by the parser
and never become objects. The stored form is owned by `domain.events`; a test holds each struct to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Final, Generic, TypeVar

import msgspec

from ledger_service.application.ports import StoredEvent
from ledger_service.domain.events import Draw, FinanceTerms, LotTerms, Recurrence, Return
from ledger_service.domain.topics import UnknownTopicError
from ledger_service.domain.values import DEFAULT_ENTITY, Asset, GrantCategory, Money, ShortfallMode, UnitPrice
from ledger_service.projections.events.estimate_events import ESTIMATE_TYPES, AnyEstimate
from ledger_service.projections.events.movement_events import MOVEMENT_TYPES, AnyMovement
from ledger_service.projections.events.payment_events import PAYMENT_TYPES, AnyPayment

WALLET_STREAM_PREFIX: Final = "wallets/"


class Narrow(msgspec.Struct, frozen=True, gc=False):
    """Base of the narrow structs: acyclic, so the garbage collector need not look at them."""


class Opened(Narrow, frozen=True):
    """What the projections need of WalletOpened."""

    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    burn_down_order: str = "default/1"
    entity: str = DEFAULT_ENTITY


class PolicyChanged(Narrow, frozen=True):
    """What the projections need of WalletPolicyChanged."""

    contract: str
    contract_phase: str
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    ended_contract: str = ""
    replaces_later: bool = False


class Updated(Narrow, frozen=True):
    """What the projections need of WalletUpdated."""

    paths: tuple[str, ...]
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0


class Closed(Narrow, frozen=True):
    """WalletClosed: that it happened is all."""


class Crossed(Narrow, frozen=True):
    """ThresholdCrossed: no projection folds alerts."""


class Granted(Narrow, frozen=True):
    """What the projections need of CreditsGranted."""

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
    compensates_version: int = 0
    pending: bool = False
    top_up_version: int = 0
    finance: FinanceTerms | None = None


class OveragePrice(Narrow, frozen=True):
    """What the projections need of a Charge."""

    overage_price: UnitPrice | None = None


class Debited(Narrow, frozen=True):
    """What the projections need of CreditsDebited."""

    amount_units: int
    draws: tuple[Draw, ...]
    overage_units: int = 0
    debt_units: int = 0
    late_grants: tuple[int, ...] = ()
    feature: str = ""
    charge: OveragePrice | None = None


class Expired(Narrow, frozen=True):
    """What the projections need of CreditsExpired."""

    grant_version: int
    amount_units: int
    pending: bool = False


class Held(Narrow, frozen=True):
    """What the projections need of CreditsHeld."""

    amount_units: int
    slices: tuple[Draw, ...]
    expire_time: datetime


class Captured(Narrow, frozen=True):
    """What the projections need of HoldCaptured."""

    hold_version: int
    amount_units: int
    held_draws: tuple[Draw, ...]
    final: bool = True
    returned: tuple[Draw, ...] = ()
    draws: tuple[Draw, ...] = ()
    overage_units: int = 0
    debt_units: int = 0
    feature: str = ""
    charge: OveragePrice | None = None


class Released(Narrow, frozen=True):
    """What the projections need of HoldReleased."""

    hold_version: int
    returned: tuple[Draw, ...]


class Reversed(Narrow, frozen=True):
    """What the projections need of DebitReversed."""

    amount_units: int
    returned: tuple[Return, ...] = ()
    overage_units: int = 0
    debt_units: int = 0
    feature: str = ""
    overage_price: UnitPrice | None = None


class Revoked(Narrow, frozen=True):
    """What the projections need of GrantRevoked."""

    grant_version: int
    amount_units: int
    clawback: bool = False
    pending: bool = False
    partial: bool = False


class Refunded(Narrow, frozen=True):
    """What the projections need of GrantRefunded."""

    grant_version: int
    amount_units: int
    refund: Money
    paid: bool = False
    exchange_rate: str = ""
    tax: Money | None = None


class Extended(Narrow, frozen=True):
    """What the projections need of GrantExpiryExtended."""

    grant_version: int
    expire_time: datetime | None = None


class RolledOver(Narrow, frozen=True):
    """What the projections need of CreditsRolledOver."""

    grant_version: int
    amount_units: int
    lot: LotTerms
    recurrence: Recurrence


class Repaid(Narrow, frozen=True):
    """What the projections need of DebtRepaid."""

    grant_version: int
    amount_units: int


Change = (
    Opened
    | PolicyChanged
    | Updated
    | Closed
    | Crossed
    | Granted
    | Debited
    | Expired
    | Held
    | Captured
    | Released
    | Reversed
    | Revoked
    | Refunded
    | Extended
    | RolledOver
    | Repaid
    | AnyMovement
    | AnyPayment
    | AnyEstimate
)
C_co = TypeVar("C_co", bound=Change, covariant=True)

NARROW_TYPES: Final[dict[str, type[Change]]] = {
    "wallet.CreditsDebited.v1": Debited,
    "wallet.CreditsGranted.v1": Granted,
    "wallet.CreditsExpired.v1": Expired,
    "wallet.CreditsHeld.v1": Held,
    "wallet.HoldCaptured.v1": Captured,
    "wallet.HoldReleased.v1": Released,
    "wallet.DebitReversed.v1": Reversed,
    "wallet.GrantRevoked.v1": Revoked,
    "wallet.GrantRefunded.v1": Refunded,
    "wallet.GrantExpiryExtended.v1": Extended,
    "wallet.CreditsRolledOver.v1": RolledOver,
    "wallet.DebtRepaid.v1": Repaid,
    **PAYMENT_TYPES,
    "wallet.WalletOpened.v1": Opened,
    "wallet.WalletPolicyChanged.v1": PolicyChanged,
    "wallet.WalletUpdated.v1": Updated,
    **MOVEMENT_TYPES,
    **ESTIMATE_TYPES,
    "wallet.WalletClosed.v1": Closed,
    "wallet.ThresholdCrossed.v1": Crossed,
}


class WalletEvent(Narrow, frozen=True):
    """One event of a wallet's stream, narrowed."""

    wallet: str
    version: int
    effective_time: datetime
    change: Change
    record_time: datetime
    position: int = 0


class _Stored(Narrow, Generic[C_co], frozen=True):
    """The stored envelope without the members that no projection needs."""

    event: C_co
    effective_time: datetime
    record_time: datetime


_DECODERS: Final[dict[str, msgspec.json.Decoder[_Stored[Change]]]] = {
    topic: msgspec.json.Decoder(_Stored[narrow])  # type: ignore[valid-type]
    for topic, narrow in NARROW_TYPES.items()
}


def read_wallet_events(page: Iterable[StoredEvent]) -> list[WalletEvent]:
    """Return the wallet events of a page in order; other streams concern no projection here.

    Raises UnknownTopicError, msgspec.ValidationError: without a fact a projection is wrong for ever.
    """
    return [_narrow(stored) for stored in page if stored.stream.startswith(WALLET_STREAM_PREFIX)]


def _narrow(stored: StoredEvent) -> WalletEvent:
    decoder = _DECODERS.get(stored.topic)
    if decoder is None:
        raise UnknownTopicError(
            f"topic {stored.topic!r} of stream {stored.stream!r} is not known to the projections"
        )
    fact = decoder.decode(stored.state)
    return WalletEvent(
        stored.stream, stored.version, fact.effective_time, fact.event, fact.record_time, stored.position
    )


def rolls_over(recurrence: Recurrence | None) -> bool:
    """Return whether part of a lot's rest carries on at its expiry."""
    roll_over = None if recurrence is None else recurrence.roll_over
    return roll_over is not None and roll_over.times_left > 0


def utc_day(time: datetime) -> date:
    """Return the day of an instant in UTC, whatever zone the instant is written in."""
    return (time if time.tzinfo is UTC else time.astimezone(UTC)).date()
