"""Closing: a wallet that takes no credit and no orders any more.

A wallet is closed when nothing in it can change by time alone: no credit, none that comes, no holds, no debts
and no contract. What happens afterwards is only the record of what happened before: usage that was delivered
is overage, for metered facts are never dropped, and what a reversal returns is revoked at once.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.commands import CloseWallet
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import GrantRevoked, WalletClosed
from ledger_service.domain.refusals import WalletInUse, WalletIsClosed, WalletNotEmpty
from ledger_service.domain.wallet.settle import begin
from ledger_service.domain.wallet.state import Wallet, debt_units, policy_at, posted_units
from ledger_service.domain.wallet.tape import Tape

FORFEITED = "forfeited"


def close_wallet(wallet: Wallet, command: CloseWallet, now: datetime) -> list[Draft]:
    """Return what fell due, the revocation of what is forfeited, and the closing.

    Raises WalletIsClosed, WalletInUse, WalletNotEmpty.
    """
    check_open(wallet, command.wallet)
    tape = begin(command.wallet, wallet, now)
    _check_unused(tape.wallet, command.wallet, now)
    units = posted_units(tape.wallet)
    if not command.forfeit and (units or tape.wallet.series):
        raise WalletNotEmpty(
            f"{command.wallet} holds {units} units and {len(tape.wallet.series)} of its grants come again",
            field="forfeit",
            posted_units=units,
        )
    _forfeit(tape, now)
    return tape.end(WalletClosed(command.forfeit, units), now)


def check_open(wallet: Wallet, name: str) -> None:
    """Refuse a command that a closed wallet does not take. Raises WalletIsClosed."""
    if wallet.close_time is not None:
        raise WalletIsClosed(f"{name} was closed at {wallet.close_time.isoformat()}", field="name")


def _check_unused(wallet: Wallet, name: str, now: datetime) -> None:
    if wallet.holds:
        raise WalletInUse(f"{name} has {len(wallet.holds)} holds", field="name", holds=len(wallet.holds))
    if wallet.transfers:
        raise WalletInUse(
            f"{name} has {len(wallet.transfers)} transfers on their way",
            field="name",
            transfers=len(wallet.transfers),
        )
    waiting = len(wallet.payments.open_top_ups) + len(wallet.payments.pending_grants)
    if waiting:
        raise WalletInUse(
            f"{name} has {waiting} top-ups or grants that wait for a payment", field="name", payments=waiting
        )
    owed_units = debt_units(wallet)
    if owed_units:
        raise WalletInUse(f"{name} owes {owed_units} units", field="name", debt_units=owed_units)
    contract = _contract_from(wallet, now)
    if contract:
        raise WalletInUse(f"{contract} has a phase now or later", field="name", contract=contract)


def _contract_from(wallet: Wallet, now: datetime) -> str:
    ahead = [policy for policy in wallet.policies if policy.from_time > now]
    return next((each.contract for each in (policy_at(wallet, now), *ahead) if each.contract), "")


def _forfeit(tape: Tape, now: datetime) -> None:
    for lot in tape.wallet.lots:
        tape.add(GrantRevoked(lot.grant_version, lot.remaining_units, FORFEITED), now)
    # A series outlives the lot of its newest period where that is used up.
    for series in tape.wallet.series:
        tape.add(GrantRevoked(series.series_version, 0, FORFEITED), now)
