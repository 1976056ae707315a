"""The facts that the ledger records, and their stable topics.

An event is what happened, in the past tense; a `Fact` is an event with what every event carries: both clocks,
who did it, the idempotency key and fingerprint of the command, and the hash of the event before it in its
stream. Stored forms are frozen by `tests/contract/golden_events.json`: fields may be added with a default,
never renamed or removed; a new form gets a new topic version and an upcaster in `topics.py`.

Times are UTC datetimes with microseconds, amounts are integer units of the wallet's asset, money is integer
nanos (10^-9 of the currency's major unit), exact figures are decimal text.
"""

from __future__ import annotations

from datetime import (
    datetime,
)
from typing import (
    Generic,
    TypeVar,
)

from ledger_service.domain.events.agreements import (
    Commitment,
    ContractPhase,
    ContractSigned,
    Cycle,
    IncludedRollOver,
    Multiplier,
    MultiplierTier,
    PhaseCard,
    PlanPhase,
    PlanPublished,
    Rate,
    RateCardCreated,
    RateCardPhasePublished,
    TaxRate,
)
from ledger_service.domain.events.alerts import (
    ThresholdCrossed,
)
from ledger_service.domain.events.billing import (
    BilledAmount,
    CreditNoteIssued,
    InvoiceIssued,
)
from ledger_service.domain.events.chargebacks import (
    GrantChargedBack,
    ReceivableLowered,
)
from ledger_service.domain.events.contracts import (
    ContractEnded,
    ContractPhaseScheduled,
    PlanChanged,
    RateCardPhaseWithdrawn,
    TrialExtended,
)
from ledger_service.domain.events.debits import (
    Adjustment,
    Charge,
    ChargeLine,
    CreditsDebited,
    DebitReversed,
    DebtRepaid,
    Draw,
    MeterMoved,
    Repayment,
    Return,
    TakenBack,
)
from ledger_service.domain.events.entities import ExchangeRateSet, FunctionalCurrencySet
from ledger_service.domain.events.finance import (
    AccountingPeriodClosed,
    AccountingPeriodLocked,
    BreakageDeclaredRemote,
    BreakageEstimateRevised,
    BreakagePoolCreated,
    BundledItem,
    BundledItemTerms,
    ConsiderationEscheated,
    FinanceTerms,
    PoolEstimateRevised,
    RefundSettled,
    SaleTerms,
)
from ledger_service.domain.events.grants import (
    CreditsExpired,
    CreditsGranted,
    CreditsRolledOver,
    GrantExpiryExtended,
    GrantRefunded,
    GrantRevoked,
    LotTerms,
    Recurrence,
    RollOver,
)
from ledger_service.domain.events.holds import (
    CreditsHeld,
    HoldCaptured,
    HoldReleased,
)
from ledger_service.domain.events.price_models import (
    Bracket,
    ChargePart,
    PriceModel,
    RunningTotal,
)
from ledger_service.domain.events.proposals import (
    RateCardPhaseAccepted,
    RateCardPhaseProposed,
    RateCardPhaseRejected,
)
from ledger_service.domain.events.rules import (
    AlertRules,
    AutoTopUp,
    Budget,
    FastRise,
    SpendCap,
    WalletRules,
)
from ledger_service.domain.events.top_ups import (
    GrantActivated,
    TopUpOutcome,
    TopUpRequested,
    TopUpSettled,
)
from ledger_service.domain.events.transfers import (
    CreditsTransferredIn,
    CreditsTransferredOut,
    TransferReturned,
    TransferSettled,
    TransferSlice,
)
from ledger_service.domain.events.wallets import (
    WalletClosed,
    WalletOpened,
    WalletPolicyChanged,
    WalletUpdated,
)
from ledger_service.domain.record import (
    Record,
)

__all__ = [
    "AccountingPeriodClosed",
    "AccountingPeriodLocked",
    "Adjustment",
    "AlertRules",
    "AutoTopUp",
    "BilledAmount",
    "Bracket",
    "BreakageDeclaredRemote",
    "BreakageEstimateRevised",
    "BreakagePoolCreated",
    "Budget",
    "BundledItem",
    "BundledItemTerms",
    "Charge",
    "ChargeLine",
    "ChargePart",
    "Commitment",
    "ConsiderationEscheated",
    "ContractEnded",
    "ContractPhase",
    "ContractPhaseScheduled",
    "ContractSigned",
    "CreditNoteIssued",
    "CreditsDebited",
    "CreditsExpired",
    "CreditsGranted",
    "CreditsHeld",
    "CreditsRolledOver",
    "CreditsTransferredIn",
    "CreditsTransferredOut",
    "Cycle",
    "DebitReversed",
    "DebtRepaid",
    "Draw",
    "Event",
    "ExchangeRateSet",
    "Fact",
    "FastRise",
    "FinanceTerms",
    "FunctionalCurrencySet",
    "GrantActivated",
    "GrantChargedBack",
    "GrantExpiryExtended",
    "GrantRefunded",
    "GrantRevoked",
    "HoldCaptured",
    "HoldReleased",
    "IncludedRollOver",
    "InvoiceIssued",
    "LotTerms",
    "MeterMoved",
    "Multiplier",
    "MultiplierTier",
    "PhaseCard",
    "PlanChanged",
    "PlanPhase",
    "PlanPublished",
    "PoolEstimateRevised",
    "PriceModel",
    "Rate",
    "RateCardCreated",
    "RateCardPhaseAccepted",
    "RateCardPhaseProposed",
    "RateCardPhasePublished",
    "RateCardPhaseRejected",
    "RateCardPhaseWithdrawn",
    "ReceivableLowered",
    "Recurrence",
    "RefundSettled",
    "Repayment",
    "Return",
    "RollOver",
    "RunningTotal",
    "SaleTerms",
    "SpendCap",
    "TakenBack",
    "TaxRate",
    "ThresholdCrossed",
    "TopUpOutcome",
    "TopUpRequested",
    "TopUpSettled",
    "TransferReturned",
    "TransferSettled",
    "TransferSlice",
    "TrialExtended",
    "WalletClosed",
    "WalletOpened",
    "WalletPolicyChanged",
    "WalletRules",
    "WalletUpdated",
]

Event = (
    WalletOpened
    | WalletPolicyChanged
    | WalletUpdated
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
    | CreditsTransferredOut
    | CreditsTransferredIn
    | TransferSettled
    | TransferReturned
    | GrantChargedBack
    | ReceivableLowered
    | ContractPhaseScheduled
    | TrialExtended
    | PlanChanged
    | ContractEnded
    | RateCardPhaseWithdrawn
    | RateCardPhaseProposed
    | RateCardPhaseAccepted
    | RateCardPhaseRejected
    | WalletClosed
    | ThresholdCrossed
    | GrantActivated
    | TopUpRequested
    | TopUpSettled
    | BreakageEstimateRevised
    | BreakageDeclaredRemote
    | ConsiderationEscheated
    | RefundSettled
    | BreakagePoolCreated
    | PoolEstimateRevised
    | AccountingPeriodLocked
    | AccountingPeriodClosed
    | FunctionalCurrencySet
    | ExchangeRateSet
    | InvoiceIssued
    | CreditNoteIssued
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
