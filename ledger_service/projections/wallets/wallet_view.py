"""The wallet view, as a fold: wallets, their policies, their grants and what is left of them.

A `WalletTally` holds what a run of events did to one wallet. What has begun in the run (the wallet, a grant,
a hold) carries its whole row; what began before it carries differences only. Differences add up, so folding a
log in any pieces gives the same rows, and nothing has to be read back before it is written. Folded from the
first event of the log, a tally is the whole wallet.

Open holds and recurring grants to come are kept for the sweeper, which looks for what time has ended.

Where the rows are kept is `wallet_view_store`; how they are settled up to now is `views`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, assert_never

from ledger_service.domain.events import Draw
from ledger_service.domain.events.wallets import changes_policy
from ledger_service.projections.events.estimate_events import Escheated, Estimated, RefundPaid, Remote
from ledger_service.projections.events.movement_events import (
    ChargedBack,
    Lowered,
    Received,
    Returned,
    Sent,
    Settled,
)
from ledger_service.projections.events.payment_events import Activated, TopUpAsked, TopUpEnded
from ledger_service.projections.events.wallet_events import (
    Captured,
    Closed,
    Crossed,
    Debited,
    Expired,
    Extended,
    Granted,
    Held,
    Opened,
    PolicyChanged,
    Refunded,
    Released,
    Repaid,
    Reversed,
    Revoked,
    RolledOver,
    Updated,
    WalletEvent,
)
from ledger_service.projections.wallets.wallet_tallies import (
    ISSUED,
    LAPSED,
    PENDING,
    WITHDRAWN,
    GrantedAt,
    HoldTally,
    LotTally,
    OpenedAt,
    Tallies,
    WalletTally,
    lot_of,
    revoke,
)
from ledger_service.projections.wallets.wallet_view_movements import fold_movement
from ledger_service.projections.wallets.wallet_view_policies import (
    PolicyAt,
    replacement_of,
    without_replaced,
)

NAME: Final = "wallet_view"
"""Name in notification_tracking; the prefix of the projection's tables."""


def fold_wallet_view(tallies: Tallies, events: Iterable[WalletEvent]) -> None:
    """Add a run of events, in the order of the log, to the tallies."""
    for event in events:
        tally = tallies.get(event.wallet)
        if tally is None:
            tally = tallies[event.wallet] = WalletTally()
        tally.version = event.version
        change = event.change
        if isinstance(change, Debited):
            _fold_debit(tally, change)
        else:
            _fold_event(tally, event)


def count_rows(tallies: Tallies) -> int:
    """Return how many rows storing the tallies would write, for bounding them."""
    return len(tallies) + sum(
        [len(tally.lots) + len(tally.holds) + len(tally.transfers) for tally in tallies.values()]
    )


def _fold_event(tally: WalletTally, event: WalletEvent) -> None:  # noqa: C901, PLR0912
    match event.change:
        case Debited() as debited:
            _fold_debit(tally, debited)
        case Expired() as expired:
            _fold_expiry(tally, expired)
        case Granted() as granted:
            tally.granted_units += 0 if granted.pending else granted.amount_units
            _issue(tally, event.version, granted, event.effective_time)
        case Opened() | PolicyChanged() | Updated() | Closed() | Crossed() as told:
            _fold_wallet(tally, event, told)
        case Held() as held:
            _hold(tally, event.version).placed = held
            _reserve(tally, held.slices)
        case Captured() as captured:
            _fold_capture(tally, captured)
        case Released() as released:
            _hold(tally, released.hold_version).ended = True
            _give_back(tally, released.returned)
        case Reversed() as reversal:
            _fold_reversal(tally, reversal)
        case Revoked() as revoked:
            _fold_revocation(tally, revoked)
        case Refunded() as refunded:
            revoke(tally, refunded.grant_version, refunded.amount_units)
        case Extended() as extended:
            lot_of(tally, extended.grant_version).extended = extended
        case RolledOver() as rolled:
            lot_of(tally, rolled.grant_version).rolled_over_units += rolled.amount_units
            _issue(tally, event.version, _carried(rolled), rolled.lot.effective_time)
        case Repaid() as repaid:
            tally.debt_units -= repaid.amount_units
            lot_of(tally, repaid.grant_version).drawn_units += repaid.amount_units
        case Sent() | Received() | Settled() | Returned() | ChargedBack() | Lowered() as movement:
            fold_movement(tally, event, movement)
        case Activated() as activated:
            _activate(tally, activated)
        case TopUpAsked() | TopUpEnded() as top_up:
            _set_timers(tally, top_up)
        case Estimated() | Remote() | Escheated() | RefundPaid():
            pass
        case _ as unreachable:
            assert_never(unreachable)


def _fold_expiry(tally: WalletTally, expired: Expired) -> None:
    tally.expired_units += expired.amount_units
    lot = lot_of(tally, expired.grant_version)
    lot.expired_units += expired.amount_units
    if expired.pending:
        lot.payment_state = LAPSED


def _fold_revocation(tally: WalletTally, revoked: Revoked) -> None:
    revoke(tally, revoked.grant_version, revoked.amount_units)
    if revoked.pending:
        lot_of(tally, revoked.grant_version).payment_state = WITHDRAWN
    elif not (revoked.clawback or revoked.partial):
        _end_series(tally, revoked.grant_version)


def _activate(tally: WalletTally, activated: Activated) -> None:
    tally.granted_units += activated.lot.granted_units
    lot = lot_of(tally, activated.grant_version)
    lot.activated, lot.payment_state = activated, ISSUED


def _fold_wallet(
    tally: WalletTally, event: WalletEvent, told: Opened | PolicyChanged | Updated | Closed | Crossed
) -> None:
    """Fold what concerns the wallet as a whole; an alert changes nothing."""
    match told:
        case Opened():
            _open(tally, event, told)
        case PolicyChanged():
            if told.replaces_later:
                replacement = replacement_of(told, event.version, event.effective_time)
                tally.replacements.append(replacement)
                tally.policies = without_replaced(tally.policies, replacement)
            tally.policies.append(PolicyAt(event.version, event.effective_time, told))
        case Updated():
            if changes_policy(told.paths):
                policy = PolicyChanged("", "", told.shortfall_mode, told.overage_limit_units)
                tally.policies.append(PolicyAt(event.version, event.effective_time, policy, own=True))
        case Closed():
            tally.close_time = event.effective_time
        case Crossed():
            pass


def _open(tally: WalletTally, event: WalletEvent, opened: Opened) -> None:
    tally.opened = OpenedAt(opened, event.effective_time)
    policy = PolicyChanged("", "", opened.shortfall_mode, opened.overage_limit_units)
    tally.policies.append(PolicyAt(event.version, event.effective_time, policy, own=True))


def _issue(tally: WalletTally, version: int, granted: Granted, effective_time: datetime) -> None:
    lot = lot_of(tally, version)
    lot.issued = GrantedAt(granted, effective_time)
    if granted.pending:
        lot.payment_state = PENDING
    recurrence = granted.recurrence
    if recurrence is not None:
        last = recurrence.periods_left == 0
        tally.series[granted.series_version or version] = None if last else granted.expire_time


def _set_timers(tally: WalletTally, top_up: TopUpAsked | TopUpEnded) -> None:
    times: dict[str, datetime | None] = (
        {"DAY": top_up.day_end_time, "MONTH": top_up.month_end_time}
        if isinstance(top_up, TopUpAsked)
        else {"RETRY": top_up.retry_time}
    )
    tally.timers |= {timer: time for timer, time in times.items() if time is not None}


def _end_series(tally: WalletTally, grant_version: int) -> None:
    # A revoked grant does not come again, whichever of its periods was revoked.
    issued = lot_of(tally, grant_version).issued
    if issued is None:
        tally.revoked_grants.add(grant_version)
    else:
        tally.series[issued.granted.series_version or grant_version] = None


def _carried(rolled: RolledOver) -> Granted:
    """Return the grant that a lot which rolled over reads as."""
    terms = rolled.lot
    return Granted(
        amount_units=rolled.amount_units,
        category=terms.category,
        priority=terms.priority,
        scope=terms.scope,
        expire_time=terms.expire_time,
        consideration=terms.consideration,
        purchase_version=terms.purchase_version,
        recurrence=rolled.recurrence,
        finance=terms.finance,
    )


def _fold_debit(tally: WalletTally, debited: Debited) -> None:
    tally.debited_units += debited.amount_units
    tally.overage_units += debited.overage_units
    if debited.debt_units:
        tally.debt_units += debited.debt_units
    lots = tally.lots
    for draw in debited.draws:
        lot = lots.get(draw.grant_version)
        if lot is None:
            lot = lots[draw.grant_version] = LotTally()
        lot.drawn_units += draw.amount_units
        if draw.grant_version in debited.late_grants:
            lot.expired_units -= draw.amount_units
            tally.expired_units -= draw.amount_units


def _fold_capture(tally: WalletTally, captured: Captured) -> None:
    tally.debited_units += captured.amount_units
    tally.overage_units += captured.overage_units
    tally.debt_units += captured.debt_units
    _draw(tally, captured.draws)
    _draw(tally, captured.held_draws)
    _give_back(tally, captured.held_draws)
    _give_back(tally, captured.returned)
    hold = _hold(tally, captured.hold_version)
    hold.captured_units += sum(draw.amount_units for draw in captured.held_draws)
    hold.ended = hold.ended or captured.final


def _fold_reversal(tally: WalletTally, reversal: Reversed) -> None:
    tally.debited_units -= reversal.amount_units
    tally.overage_units -= reversal.overage_units
    tally.debt_units -= reversal.debt_units
    for each in reversal.returned:
        lot_of(tally, each.grant_version).drawn_units -= each.amount_units


def _draw(tally: WalletTally, draws: Iterable[Draw]) -> None:
    for draw in draws:
        lot_of(tally, draw.grant_version).drawn_units += draw.amount_units


def _reserve(tally: WalletTally, slices: Iterable[Draw]) -> None:
    for each in slices:
        lot_of(tally, each.grant_version).held_units += each.amount_units


def _give_back(tally: WalletTally, slices: Iterable[Draw]) -> None:
    for each in slices:
        lot_of(tally, each.grant_version).held_units -= each.amount_units


def _hold(tally: WalletTally, hold_version: int) -> HoldTally:
    hold = tally.holds.get(hold_version)
    if hold is None:
        hold = tally.holds[hold_version] = HoldTally()
    return hold
