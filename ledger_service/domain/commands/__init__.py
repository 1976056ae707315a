"""Commands: what callers ask for, in the domain's own words.

A command is data; the decision of the same name turns it into events. `Request` adds what every mutating
call carries. Times are UTC; a time of None means "now", as the server's clock has it when it decides.
"""

from __future__ import annotations

import msgspec

from ledger_service.domain.commands.agreements import (
    CreateRateCard,
    PublishPlan,
    PublishRateCardPhase,
    SignContract,
)
from ledger_service.domain.commands.base import (
    Command,
)
from ledger_service.domain.commands.billing import (
    RecordCreditNote,
    RecordInvoice,
)
from ledger_service.domain.commands.chargebacks import (
    ChargeBackGrant,
)
from ledger_service.domain.commands.contracts import (
    AcceptRateCardPhase,
    ChangePlan,
    EndContract,
    ExtendTrial,
    RejectRateCardPhase,
    ScheduleContractPhase,
    WithdrawRateCardPhase,
)
from ledger_service.domain.commands.debits import (
    Debit,
    DebitPart,
    DebitRecord,
    RecordAdjustment,
    ReverseDebit,
)
from ledger_service.domain.commands.entities import SetExchangeRate, SetFunctionalCurrency
from ledger_service.domain.commands.finance import (
    CloseAccountingPeriod,
    CreateBreakagePool,
    DeclareBreakageRemote,
    LockAccountingPeriod,
    RecordEscheat,
    ReviseBreakageEstimate,
    RevisePoolEstimate,
    SettleRefund,
)
from ledger_service.domain.commands.grants import (
    ExtendGrant,
    GrantCredits,
    RecurrenceTerms,
    RefundGrant,
    RevokeGrant,
)
from ledger_service.domain.commands.holds import (
    CaptureHold,
    OverHold,
    PlaceHold,
    ReleaseHold,
)
from ledger_service.domain.commands.top_ups import (
    ActivateGrant,
    RequestTopUp,
    SettleTopUp,
)
from ledger_service.domain.commands.transfers import (
    DestinationRecord,
    ReceiveTransfer,
    ReturnTransfer,
    SettleTransfer,
    TransferCredits,
)
from ledger_service.domain.commands.wallets import (
    CloseWallet,
    OpenWallet,
    SettleWallet,
    UpdateWallet,
)
from ledger_service.domain.events import BundledItemTerms, SaleTerms

__all__ = [
    "AcceptRateCardPhase",
    "ActivateGrant",
    "AnyCommand",
    "BundledItemTerms",
    "CaptureHold",
    "ChangePlan",
    "ChargeBackGrant",
    "CloseAccountingPeriod",
    "CloseWallet",
    "Command",
    "CreateBreakagePool",
    "CreateRateCard",
    "Debit",
    "DebitPart",
    "DebitRecord",
    "DeclareBreakageRemote",
    "DestinationRecord",
    "EndContract",
    "ExtendGrant",
    "ExtendTrial",
    "GrantCredits",
    "LockAccountingPeriod",
    "OpenWallet",
    "OverHold",
    "PlaceHold",
    "PublishPlan",
    "PublishRateCardPhase",
    "ReceiveTransfer",
    "RecordAdjustment",
    "RecordCreditNote",
    "RecordEscheat",
    "RecordInvoice",
    "RecurrenceTerms",
    "RefundGrant",
    "RejectRateCardPhase",
    "ReleaseHold",
    "Request",
    "RequestTopUp",
    "ReturnTransfer",
    "ReverseDebit",
    "ReviseBreakageEstimate",
    "RevisePoolEstimate",
    "RevokeGrant",
    "SaleTerms",
    "ScheduleContractPhase",
    "SetExchangeRate",
    "SetFunctionalCurrency",
    "SettleRefund",
    "SettleTopUp",
    "SettleTransfer",
    "SettleWallet",
    "SignContract",
    "TransferCredits",
    "UpdateWallet",
    "WithdrawRateCardPhase",
]

AnyCommand = (
    OpenWallet
    | UpdateWallet
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
    | TransferCredits
    | ReceiveTransfer
    | SettleTransfer
    | ReturnTransfer
    | ChargeBackGrant
    | ScheduleContractPhase
    | ExtendTrial
    | ChangePlan
    | EndContract
    | WithdrawRateCardPhase
    | CloseWallet
    | ActivateGrant
    | RequestTopUp
    | SettleTopUp
    | ReviseBreakageEstimate
    | DeclareBreakageRemote
    | RecordEscheat
    | SettleRefund
    | CreateBreakagePool
    | RevisePoolEstimate
    | LockAccountingPeriod
    | CloseAccountingPeriod
    | SetFunctionalCurrency
    | SetExchangeRate
    | AcceptRateCardPhase
    | RejectRateCardPhase
    | RecordAdjustment
    | RecordInvoice
    | RecordCreditNote
)


class Request(msgspec.Struct, frozen=True):
    """A command with its idempotency key (scoped to the command's own stream) and who sent it."""

    command: AnyCommand
    idempotency_key: str
    actor: str
