"""Facts of a wallet that invoices are made of: debits and grants, decoded from the ledger's events."""

from __future__ import annotations

from datetime import datetime
from enum import Enum
from typing import Final

import msgspec

from rating_service.domain.agreement import Record
from rating_service.domain.usage import Charge

DEBIT_TOPIC: Final = "wallet.CreditsDebited.v1"
GRANT_TOPIC: Final = "wallet.CreditsGranted.v1"


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
    """Credit was consumed. Draws and overage add up to `amount_units`."""

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
    def name(self) -> str:
        """The debit's resource name."""
        return f"{self.wallet}/debits/{self.version}"


class GrantFact(Record, frozen=True):
    """Credit was issued; `version` is what draws refer to."""

    wallet: str
    version: int
    effective_time: datetime
    amount_units: int
    category: GrantCategory
    expire_time: datetime | None = None
    contract: str = ""


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


class _GrantFact(Record, frozen=True):
    event: _Granted
    effective_time: datetime


_debits: Final = msgspec.json.Decoder(_DebitFact)
_grants: Final = msgspec.json.Decoder(_GrantFact)


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
    )
