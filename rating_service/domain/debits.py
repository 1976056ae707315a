"""Facts of a wallet that invoices are made of: debits, reversals and grants, decoded from the ledger's events.

A capture of a hold is a debit like any other. A grant that rolled over is a grant of the same category.
"""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from rating_service.domain.agreements.agreement import Money, Record
from rating_service.domain.usage import Charge

DEBIT_TOPIC: Final = "wallet.CreditsDebited.v1"
CAPTURE_TOPIC: Final = "wallet.HoldCaptured.v1"
REVERSAL_TOPIC: Final = "wallet.DebitReversed.v1"
GRANT_TOPIC: Final = "wallet.CreditsGranted.v1"
ROLL_OVER_TOPIC: Final = "wallet.CreditsRolledOver.v1"
ACTIVATION_TOPIC: Final = "wallet.GrantActivated.v1"


class GrantCategory(Enum):
    """Where credit came from."""

    PAID = "PAID"
    PROMOTIONAL = "PROMOTIONAL"
    INCLUDED = "INCLUDED"


class Draw(msgspec.Struct, frozen=True, array_like=True):
    """Units taken from the lot of the grant at `grant_version` in the same wallet."""

    grant_version: int
    amount_units: int


class DebitFact(Record, frozen=True):
    """Credit was consumed. Draws, overage and debt add up to `amount_units`; later grants repay debt."""

    position: int
    wallet: str
    version: int
    effective_time: datetime
    amount_units: int
    overage_units: int = 0
    draws: tuple[Draw, ...] = ()
    charge: Charge | None = None
    usage: str = ""
    feature: str = ""

    @property
    def billed_time(self) -> datetime:
        """The instant whose cycle the debit belongs to: that of its usage, or where an adjusted cycle begins."""
        adjustment = None if self.charge is None else self.charge.adjustment
        return self.effective_time if adjustment is None else adjustment.cycle_start_time

    @property
    def name(self) -> str:
        """The debit's resource name."""
        return f"{self.wallet}/debits/{self.version}"


class GrantFact(Record, frozen=True):
    """Credit was issued; `version` is what draws refer to. A pending one waits for its payment."""

    wallet: str
    version: int
    effective_time: datetime
    amount_units: int
    category: GrantCategory
    expire_time: datetime | None = None
    contract: str = ""
    consideration: Money | None = None
    reference: str = ""
    top_up_version: int = 0
    pending: bool = False


class ActivationFact(Record, frozen=True):
    """The payment that the grant at `grant_version` waited for came; its credit begins at `effective_time`."""

    position: int
    wallet: str
    grant_version: int
    effective_time: datetime


class Returned(Record, frozen=True):
    """Units that went back to the lot of a grant."""

    grant_version: int
    amount_units: int


class ReversalFact(Record, frozen=True):
    """A debit was taken back, in part or whole."""

    position: int
    wallet: str
    version: int
    debit_version: int
    effective_time: datetime
    amount_units: int
    overage_units: int = 0
    returned: tuple[Returned, ...] = ()


class _Debited(Record, frozen=True):
    amount_units: int
    draws: tuple[Draw, ...] = ()
    overage_units: int = 0
    feature: str = ""
    charge: Charge | None = None


class _DebitFact(Record, frozen=True):
    event: _Debited
    effective_time: datetime
    idempotency_key: str = ""


class _Granted(Record, frozen=True):
    amount_units: int
    category: GrantCategory
    expire_time: datetime | None = None
    contract: str = ""
    consideration: Money | None = None
    reference: str = ""
    top_up_version: int = 0
    pending: bool = False


class _GrantFact(Record, frozen=True):
    event: _Granted
    effective_time: datetime


class _Captured(Record, frozen=True):
    amount_units: int
    held_draws: tuple[Draw, ...] = ()
    draws: tuple[Draw, ...] = ()
    overage_units: int = 0
    feature: str = ""
    charge: Charge | None = None


class _CaptureFact(Record, frozen=True):
    event: _Captured
    effective_time: datetime
    idempotency_key: str = ""


class _Reversed(Record, frozen=True):
    debit_version: int
    amount_units: int
    returned: tuple[Returned, ...] = ()
    overage_units: int = 0


class _ReversalFact(Record, frozen=True):
    event: _Reversed
    effective_time: datetime


class _LotTerms(Record, frozen=True):
    category: GrantCategory
    expire_time: datetime | None = None


class _ActivatedLot(Record, frozen=True):
    effective_time: datetime


class _Activated(Record, frozen=True):
    grant_version: int
    lot: _ActivatedLot


class _ActivationFact(Record, frozen=True):
    event: _Activated


class _RolledOver(Record, frozen=True):
    amount_units: int
    lot: _LotTerms


class _RollOverFact(Record, frozen=True):
    event: _RolledOver
    effective_time: datetime


_debits: Final = msgspec.json.Decoder(_DebitFact)
_captures: Final = msgspec.json.Decoder(_CaptureFact)
_reversals: Final = msgspec.json.Decoder(_ReversalFact)
_grants: Final = msgspec.json.Decoder(_GrantFact)
_activations: Final = msgspec.json.Decoder(_ActivationFact)
_roll_overs: Final = msgspec.json.Decoder(_RollOverFact)


def decode_debit(*, position: int, stream: str, version: int, state: bytes) -> DebitFact:
    """Return the debit behind an event of DEBIT_TOPIC. Raises msgspec.ValidationError."""
    fact = _debits.decode(state)
    return DebitFact(
        position=position,
        wallet=stream,
        version=version,
        effective_time=fact.effective_time,
        amount_units=fact.event.amount_units,
        overage_units=fact.event.overage_units,
        draws=fact.event.draws,
        charge=fact.event.charge,
        usage=fact.idempotency_key,
        feature=fact.event.feature,
    )


def decode_grant(*, stream: str, version: int, state: bytes) -> GrantFact:
    """Return the grant behind an event of GRANT_TOPIC. Raises msgspec.ValidationError."""
    fact = _grants.decode(state)
    return GrantFact(
        wallet=stream,
        version=version,
        effective_time=fact.effective_time,
        amount_units=fact.event.amount_units,
        category=fact.event.category,
        expire_time=fact.event.expire_time,
        contract=fact.event.contract,
        consideration=fact.event.consideration,
        reference=fact.event.reference,
        top_up_version=fact.event.top_up_version,
        pending=fact.event.pending,
    )


def decode_activation(*, position: int, stream: str, state: bytes) -> ActivationFact:
    """Return the payment behind an event of ACTIVATION_TOPIC. Raises msgspec.ValidationError."""
    event = _activations.decode(state).event
    return ActivationFact(position, stream, event.grant_version, event.lot.effective_time)


def decode_capture(*, position: int, stream: str, version: int, state: bytes) -> DebitFact:
    """Return the debit behind an event of CAPTURE_TOPIC. Raises msgspec.ValidationError."""
    fact = _captures.decode(state)
    return DebitFact(
        position=position,
        wallet=stream,
        version=version,
        effective_time=fact.effective_time,
        amount_units=fact.event.amount_units,
        overage_units=fact.event.overage_units,
        draws=fact.event.held_draws + fact.event.draws,
        charge=fact.event.charge,
        usage=fact.idempotency_key,
        feature=fact.event.feature,
    )


def decode_reversal(*, position: int, stream: str, version: int, state: bytes) -> ReversalFact:
    """Return the reversal behind an event of REVERSAL_TOPIC. Raises msgspec.ValidationError."""
    fact = _reversals.decode(state)
    return ReversalFact(
        position=position,
        wallet=stream,
        version=version,
        debit_version=fact.event.debit_version,
        effective_time=fact.effective_time,
        amount_units=fact.event.amount_units,
        overage_units=fact.event.overage_units,
        returned=fact.event.returned,
    )


def decode_roll_over(*, stream: str, version: int, state: bytes) -> GrantFact:
    """Return the grant behind an event of ROLL_OVER_TOPIC, which names no contract. Raises msgspec.ValidationError."""
    fact = _roll_overs.decode(state)
    return GrantFact(
        wallet=stream,
        version=version,
        effective_time=fact.effective_time,
        amount_units=fact.event.amount_units,
        category=fact.event.lot.category,
        expire_time=fact.event.lot.expire_time,
    )
