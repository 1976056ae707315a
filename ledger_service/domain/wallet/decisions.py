"""Which decision answers a command on one wallet, and which of them a closed wallet refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from ledger_service.domain.commands import (
    ActivateGrant,
    CaptureHold,
    ChargeBackGrant,
    CloseWallet,
    Command,
    Debit,
    DeclareBreakageRemote,
    ExtendGrant,
    GrantCredits,
    PlaceHold,
    ReceiveTransfer,
    RecordEscheat,
    RefundGrant,
    ReleaseHold,
    RequestTopUp,
    ReturnTransfer,
    ReverseDebit,
    ReviseBreakageEstimate,
    RevokeGrant,
    SettleRefund,
    SettleTopUp,
    SettleTransfer,
    SettleWallet,
    TransferCredits,
    UpdateWallet,
)
from ledger_service.domain.drafts import Draft
from ledger_service.domain.wallet.chargeback import charge_back_grant
from ledger_service.domain.wallet.closing import close_wallet
from ledger_service.domain.wallet.debit import debit
from ledger_service.domain.wallet.finance import (
    declare_remote,
    record_escheat,
    revise_estimate,
    settle_refund,
)
from ledger_service.domain.wallet.grant import grant
from ledger_service.domain.wallet.hold import capture_hold, place_hold, release_hold
from ledger_service.domain.wallet.pending_grant import activate_grant
from ledger_service.domain.wallet.reverse import reverse_debit
from ledger_service.domain.wallet.rules import update_wallet
from ledger_service.domain.wallet.settle import settle
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.top_up import request_top_up, settle_top_up
from ledger_service.domain.wallet.transfer import receive_transfer, return_transfer, settle_transfer, transfer
from ledger_service.domain.wallet.withdraw import extend_grant, refund_grant, revoke_grant

Decide = Callable[[Wallet, Any, datetime], list[Draft]]
WALLET_DECISIONS: Final[dict[type[Command], Decide]] = {
    Debit: debit,
    GrantCredits: grant,
    PlaceHold: place_hold,
    CaptureHold: capture_hold,
    ReleaseHold: release_hold,
    ReverseDebit: reverse_debit,
    RevokeGrant: revoke_grant,
    RefundGrant: refund_grant,
    ExtendGrant: extend_grant,
    ActivateGrant: activate_grant,
    RequestTopUp: request_top_up,
    SettleTopUp: settle_top_up,
    ChargeBackGrant: charge_back_grant,
    TransferCredits: transfer,
    ReceiveTransfer: receive_transfer,
    SettleTransfer: settle_transfer,
    ReturnTransfer: return_transfer,
    UpdateWallet: update_wallet,
    CloseWallet: close_wallet,
    ReviseBreakageEstimate: revise_estimate,
    DeclareBreakageRemote: declare_remote,
    RecordEscheat: record_escheat,
    SettleRefund: settle_refund,
    SettleWallet: settle,
}
"""What is decided on the state of one wallet that exists."""
NOT_WHEN_CLOSED: Final = frozenset(
    {
        Debit,
        GrantCredits,
        PlaceHold,
        ExtendGrant,
        ActivateGrant,
        RequestTopUp,
        TransferCredits,
        ReceiveTransfer,
        UpdateWallet,
    }
)
"""Commands that add or use credit or give orders; usage that was delivered is recorded all the same."""
