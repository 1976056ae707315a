"""A wallet's balance at an instant: posted, held, available and pending. Settled for the reader, not recorded."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.values import Asset, Money
from ledger_service.domain.wallet.alerts import measure
from ledger_service.domain.wallet.burn_down import Lot
from ledger_service.domain.wallet.payments import OpenTopUp, PendingGrant
from ledger_service.domain.wallet.settle import settled
from ledger_service.domain.wallet.state import Hold, Wallet, debt_units, in_transit_units


class Balance(msgspec.Struct, frozen=True):
    """What a wallet holds; available = posted - held. Lots in burn-down order, pending ones last.

    A lot that has expired counts, as posted and held, as long as holds keep units of it. With a feature, lots
    and the sums over them are those that a debit for it may draw; all else is the whole wallet's.
    """

    name: str
    asset: Asset
    as_of_time: datetime
    posted_units: int
    held_units: int
    pending_units: int
    overage_units: int
    debt_units: int
    debited_units: int
    expired_units: int
    revoked_units: int
    lots: tuple[Lot, ...]
    holds: tuple[Hold, ...]
    burn_down_order: str
    in_transit_units: int = 0
    """Sent to other wallets and not known to have arrived."""
    receivables: tuple[Money, ...] = ()
    """Owed for grants that were charged back, by currency."""
    close_time: datetime | None = None
    pending_grants: tuple[PendingGrant, ...] = ()
    """Grants that wait for a payment, oldest first; in no other figure."""
    open_top_ups: tuple[OpenTopUp, ...] = ()
    entitlement_units: int = 0
    entitlement_used_units: int = 0
    """What the lots in force were issued with, and what of it is debited or held: as alerts measure it."""

    @property
    def awaiting_payment_units(self) -> int:
        """Return what grants hold back that wait for a payment."""
        return sum(each.granted.amount_units for each in self.pending_grants)

    @property
    def available_units(self) -> int:
        """Return what may be spent."""
        return self.posted_units - self.held_units


def balance_at(name: str, wallet: Wallet, instant: datetime, *, feature: str = "") -> Balance:
    """Return the balance at an instant; with a feature, of the lots that a debit for it may draw."""
    wallet = settled(wallet, instant)
    lots = [lot for lot in wallet.lots if not feature or not lot.scope or feature in lot.scope]
    active = [lot for lot in lots if lot.effective_time <= instant]
    pending = [lot for lot in lots if lot.effective_time > instant]
    owed_units = debt_units(wallet)
    figures = measure(wallet, instant)
    return Balance(
        name=name,
        asset=wallet.asset,
        as_of_time=instant,
        posted_units=sum(lot.remaining_units + lot.held_units for lot in active),
        held_units=sum(lot.held_units for lot in active),
        pending_units=sum(lot.remaining_units for lot in pending),
        overage_units=wallet.overage_units,
        debt_units=owed_units,
        debited_units=wallet.drawn_units + wallet.overage_units + owed_units,
        expired_units=wallet.expired_units,
        revoked_units=wallet.revoked_units,
        lots=(*active, *pending),
        holds=wallet.holds,
        burn_down_order=wallet.burn_down_order,
        in_transit_units=in_transit_units(wallet),
        receivables=_receivables(wallet),
        close_time=wallet.close_time,
        pending_grants=wallet.payments.pending_grants,
        open_top_ups=wallet.payments.open_top_ups,
        entitlement_units=figures.entitlement_units,
        entitlement_used_units=figures.entitlement_units - figures.available_units,
    )


def _receivables(wallet: Wallet) -> tuple[Money, ...]:
    totals: dict[str, int] = {}
    for version, owed in wallet.receivables.items():
        nanos = owed.nanos + wallet.owed_tax.get(version, 0)
        totals[owed.currency_code] = totals.get(owed.currency_code, 0) + nanos
    return tuple(Money(code, nanos) for code, nanos in sorted(totals.items()) if nanos)
