"""When time alone does something to a wallet next."""

from __future__ import annotations

import msgspec

from ledger_service.domain.wallet.auto_top_up import next_request_time
from ledger_service.domain.wallet.recurrence import may_come
from ledger_service.domain.wallet.state import Wallet


def with_due_time(wallet: Wallet) -> Wallet:
    """Return the wallet with the earliest instant at which time alone does something."""
    instants = [lot.expire_time for lot in wallet.lots if lot.expire_time is not None and lot.remaining_units]
    instants += [hold.expire_time for hold in wallet.holds]
    instants += [
        each.next_time
        for each in wallet.series
        if may_come(each, wallet.granted_units + wallet.received_units)
    ]
    instants += [
        each.granted.expire_time
        for each in wallet.payments.pending_grants
        if each.granted.expire_time is not None
    ]
    request_time = next_request_time(wallet)
    if request_time is not None:
        instants.append(request_time)
    return msgspec.structs.replace(wallet, next_due_time=min(instants, default=None))
