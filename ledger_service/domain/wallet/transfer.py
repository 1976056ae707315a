"""Transfers: moving credit to another wallet of the same customer and asset.

The two wallets share no transaction. A transfer is made of facts, each decided by one wallet alone: the source
sends (units leave their lots and are on their way), the destination receives (once, whatever is repeated, for
its key follows from the source's stream and version), and the source notes that it arrived, or takes the units
back if the destination refuses for good. Each step may be lost and given again.

A transfer takes what a debit could draw now, in burn-down order, whatever the scope; never held units, nor
credit that belongs to a contract's cycle (INCLUDED), which stays with the contract's wallet. A slice keeps
category, priority, scope, effective time, expiry, cost basis and tax right. It does not keep recurrence and roll-over,
which are policy on the grant, nor the link of a bonus to its purchase, which names a grant of the source.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec

from ledger_service.domain.commands import ReceiveTransfer, ReturnTransfer, SettleTransfer, TransferCredits
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    CreditsTransferredIn,
    CreditsTransferredOut,
    Return,
    TransferReturned,
    TransferSettled,
    TransferSlice,
)
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    AssetMismatch,
    CustomerMismatch,
    InsufficientCredit,
    TransferToItself,
)
from ledger_service.domain.values import UNITS_MAX, Asset, GrantCategory, Money
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.lots import terms_of
from ledger_service.domain.wallet.sale_terms import of_part
from ledger_service.domain.wallet.settle import begin, lapse_returned
from ledger_service.domain.wallet.state import Transit, Wallet, basis_of, issued_units
from ledger_service.domain.wallet.tax_right import tax_right


def transfer(wallet: Wallet, command: TransferCredits, now: datetime) -> list[Draft]:
    """Return what fell due and the departure, all of the amount or nothing.

    Another customer's wallet is refused: moving credit that was sold from one customer to another is a sale.
    Raises AmountNotPositive, AmountOutOfRange, TransferToItself, AssetMismatch, CustomerMismatch,
    InsufficientCredit.
    """
    if command.amount_units <= 0:
        raise AmountNotPositive("amount_units must be above 0", field="amount_units")
    if command.amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"amount_units exceeds {UNITS_MAX}", field="amount_units")
    if command.destination == command.wallet:
        raise TransferToItself("destination is the wallet itself", field="destination")
    _check_same(wallet, command.recorded.customer, command.recorded.asset, field="destination")
    tape = begin(command.wallet, wallet, now)
    movable = [lot for lot in tape.wallet.lots if _is_movable(lot, now)]
    available_units = sum(lot.remaining_units for lot in movable)
    if command.amount_units > available_units:
        raise InsufficientCredit(
            f"{available_units} units can be transferred, {command.amount_units} are asked for",
            field="amount_units",
            available_units=available_units,
            amount_units=command.amount_units,
        )
    slices = tuple(_slices(tape.wallet, movable, command.amount_units))
    event = CreditsTransferredOut(
        command.destination, command.amount_units, slices, tape.wallet.burn_down_order
    )
    return tape.end(event, now)


def receive_transfer(wallet: Wallet, command: ReceiveTransfer, now: datetime) -> list[Draft]:
    """Return what fell due and the arrival: one lot a slice; the last event answers.

    What expired on the way expires at once, and what arrives repays debts. Every refusal here is for good.
    Raises AssetMismatch, CustomerMismatch, AmountOutOfRange.
    """
    _check_same(wallet, command.customer, command.asset, field="destination")
    tape = begin(command.wallet, wallet, now)
    amount_units = sum(each.amount_units for each in command.slices)
    if issued_units(tape.wallet) + amount_units > UNITS_MAX:
        raise AmountOutOfRange(
            f"all that came into {command.wallet} would exceed {UNITS_MAX} units", field="amount_units"
        )
    count = len(command.slices)
    arrived: list[Return] = []
    for number, each in enumerate(command.slices, start=1):
        lot = msgspec.structs.replace(
            each.lot,
            granted_units=each.amount_units,
            consideration=each.consideration,
            purchase_version=0,
            recurrence=None,
            series_version=0,
            finance=of_part(each.lot.finance, tax=each.tax),
        )
        event = CreditsTransferredIn(
            command.source, command.transfer_version, number, count, each.amount_units, lot
        )
        tape.add(event, now, answers=number == count)
        arrived.append(Return(tape.wallet.version, each.amount_units, lot))
    lapse_returned(tape, now, arrived, rolls_over=False)
    return tape.drafts


def settle_transfer(wallet: Wallet, command: SettleTransfer, now: datetime) -> list[Draft]:
    """Return what fell due and the settlement; nothing if the transfer is not on its way any more."""
    if find_transfer(wallet, command.transfer_version) is None:
        return []
    tape = begin(command.wallet, wallet, now)
    tape.add(TransferSettled(command.transfer_version), now)
    return tape.drafts


def return_transfer(wallet: Wallet, command: ReturnTransfer, now: datetime) -> list[Draft]:
    """Return what fell due and the return; nothing if the transfer is not on its way any more.

    Units go back to their own lots; what lapsed on the way ends at once.
    """
    transit = find_transfer(wallet, command.transfer_version)
    if transit is None:
        return []
    tape = begin(command.wallet, wallet, now)
    slices = tuple(_as_extended(tape.wallet, each) for each in transit.slices)
    tape.add(TransferReturned(command.transfer_version, slices, command.reason), now)
    returned = [Return(each.grant_version, each.amount_units, each.lot) for each in slices]
    lapse_returned(tape, now, returned, rolls_over=False)
    return tape.drafts


def find_transfer(wallet: Wallet, transfer_version: int) -> Transit | None:
    """Return a transfer that is on its way."""
    return next((each for each in wallet.transfers if each.transfer_version == transfer_version), None)


def _check_same(wallet: Wallet, customer: str, asset: Asset, *, field: str) -> None:
    if wallet.asset != asset:
        raise AssetMismatch("the wallets do not count the same asset", field=field)
    if wallet.customer != customer:
        raise CustomerMismatch("the wallets are not of the same customer", field=field)


def _is_movable(lot: Lot, now: datetime) -> bool:
    return (
        lot.remaining_units > 0
        and lot.category is not GrantCategory.INCLUDED
        and lot.effective_time <= now
        and (lot.expire_time is None or now < lot.expire_time)
    )


def _slices(wallet: Wallet, lots: list[Lot], amount_units: int) -> Iterator[TransferSlice]:
    for lot in lots:
        units = min(lot.remaining_units, amount_units)
        amount_units -= units
        if units:
            yield _slice(wallet, lot, units)


def _slice(wallet: Wallet, lot: Lot, units: int) -> TransferSlice:
    paid = lot.consideration
    if paid is None:
        return TransferSlice(lot.grant_version, units, terms_of(lot))
    basis = basis_of(wallet, lot.grant_version, paid, lot.granted_units)
    right = tax_right(wallet, lot.grant_version, paid, lot.granted_units, lot.finance)
    carried = Money(paid.currency_code, basis.moved_nanos(units))
    return TransferSlice(lot.grant_version, units, terms_of(lot), carried, right.due(units))


def _as_extended(wallet: Wallet, each: TransferSlice) -> TransferSlice:
    if each.grant_version not in wallet.extended_grants:
        return each
    lot = msgspec.structs.replace(each.lot, expire_time=wallet.extended_grants[each.grant_version])
    return msgspec.structs.replace(each, lot=lot)
