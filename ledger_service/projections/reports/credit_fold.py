"""What is left of the grants of one wallet at the beginning of a day, as it was known on a day.

The wallet view's own fold, of those events that count before the day and were recorded before the other. Late usage
takes an expiry back; where that expiry is not before the day, there is none to take back yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time

from ledger_service.application.ports import StoredEvent
from ledger_service.application.reporting.credit_outstanding import CreditLeft
from ledger_service.domain.values import Asset
from ledger_service.projections.events.wallet_events import Debited, WalletEvent, read_wallet_events, utc_day
from ledger_service.projections.wallets.wallet_tallies import ISSUED, GrantedAt, LotTally, WalletTally
from ledger_service.projections.wallets.wallet_view import fold_wallet_view


class CreditFold:
    """Takes the events of one wallet after another."""

    def __init__(self, to_day: date, *, known_before: date | None, now: datetime) -> None:
        """Look at the beginning of a day; without `known_before` what time has ended by now has ended."""
        self._to_day = to_day
        self._known_before = known_before
        self._end = datetime.combine(to_day, time(), UTC)
        self._due = min(now, self._end) if known_before is None else None
        self._tally = WalletTally()
        self._late: dict[int, int] = {}

    def take(self, stored: StoredEvent) -> None:
        """Add the next event; those of contracts give and take no credit."""
        for event in read_wallet_events([stored]):
            known = self._known_before is None or utc_day(event.record_time) < self._known_before
            if known and utc_day(event.effective_time) < self._to_day:
                self._add(event)

    def left(self, wallet: str) -> Iterator[CreditLeft]:
        """Yield what is left of the wallet's grants, and begin anew."""
        tally, late = self._tally, self._late
        self._tally, self._late = WalletTally(), {}
        if tally.opened is None:
            return
        opened = tally.opened.opened
        asset = Asset(opened.asset.code, opened.asset.scale)
        for version, lot in tally.lots.items():
            issued = lot.issued
            if (
                issued is None
                or issued.effective_time >= self._end
                or lot.payment_state not in {None, ISSUED}
            ):
                continue
            units = self._units(lot, issued, late.get(version, 0))
            purchase = issued.granted.purchase_version
            if units > 0:
                yield CreditLeft(
                    f"{wallet}/grants/{version}",
                    opened.entity,
                    asset,
                    issued.granted.category.value,
                    units,
                    f"{wallet}/grants/{purchase}" if purchase else "",
                )

    def _add(self, event: WalletEvent) -> None:
        fold_wallet_view({event.wallet: self._tally}, [event])
        if isinstance(event.change, Debited):
            for draw in event.change.draws:
                if draw.grant_version in event.change.late_grants:
                    self._late[draw.grant_version] = self._late.get(draw.grant_version, 0) + draw.amount_units

    def _units(self, lot: LotTally, issued: GrantedAt, late_units: int) -> int:
        expire_time = _expire_time(lot, issued)
        gone = lot.drawn_units + lot.expired_units + lot.revoked_units + lot.rolled_over_units
        left = issued.granted.amount_units - gone - lot.transferred_units
        if expire_time is not None and expire_time >= self._end:
            left -= late_units
        if expire_time is not None and self._due is not None and expire_time <= self._due:
            # What holds reserve is not theirs to end.
            left = min(left, lot.held_units)
        return left


def _expire_time(lot: LotTally, issued: GrantedAt) -> datetime | None:
    if lot.extended is not None:
        return lot.extended.expire_time
    if lot.activated is not None:
        return lot.activated.lot.expire_time
    return issued.granted.expire_time
