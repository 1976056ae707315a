"""The journal, as a fold: from an event, and the lots and pools it touches, to what it posts and their new state.

`post` is the one way in which an event changes the books. The projector adds up what a run of events posts; who asks
what one event posted folds the stream of its wallet and looks after each event. `touched` names what must be known
before: the lots, and the wallets whose scale prices overage.

Here it is decided which accounts an event moves; how much of a lot is revenue is decided in domain/finance.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction

from ledger_service.domain.events import Draw, TransferSlice
from ledger_service.domain.finance.estimates import estimate_of
from ledger_service.domain.finance.lots import (
    PaidLot,
    declared_remote,
    escheated,
    estimated,
    extended,
    refunded,
    reserved,
    rolled_over,
    sent,
    used_after_all,
)
from ledger_service.domain.finance.postings import Days
from ledger_service.projections.bookkeeping.book_folds import post_book_event
from ledger_service.projections.bookkeeping.books import Books, LotKey, OpenLot, change, flush
from ledger_service.projections.bookkeeping.journal_overage import post_overage
from ledger_service.projections.bookkeeping.journal_refunds import (
    move_tax,
    post_chargeback,
    post_lowered,
    post_refund,
    post_settlement,
)
from ledger_service.projections.bookkeeping.journal_sales import begin_lot, issue, share_with_bonus
from ledger_service.projections.events.book_events import BookEvent
from ledger_service.projections.events.estimate_events import Escheated, Estimated, Remote
from ledger_service.projections.events.movement_events import ChargedBack, Lowered, Received, Returned, Sent
from ledger_service.projections.events.payment_events import Activated
from ledger_service.projections.events.wallet_events import (
    Captured,
    Change,
    Debited,
    Expired,
    Extended,
    Granted,
    Held,
    Opened,
    Refunded,
    Released,
    Repaid,
    Reversed,
    Revoked,
    RolledOver,
    WalletEvent,
    utc_day,
)


def post(books: Books, event: WalletEvent | BookEvent) -> None:
    """Take up an event. Its lots, pools and wallets must be in the books."""
    if isinstance(event, BookEvent):
        post_book_event(books, event)
        return
    debited = event.change
    if type(debited) is not Debited:
        _post_rule(books, event, event.change)
        return
    # The path of every request.
    lots, wallet = books.lots, event.wallet
    record_day = utc_day(event.record_time)
    days = Days(utc_day(event.effective_time), record_day, debited.feature)
    for draw in debited.draws:
        held = lots.get((wallet, draw.grant_version))  # type: ignore[call-overload]
        if held is None:
            continue
        if draw.grant_version in debited.late_grants:
            _draw_late(books, held, Days(record_day, record_day, debited.feature), draw.amount_units)
            continue
        if held.days != days:
            flush(books, held)
            held.days = days
        held.drawn_units += draw.amount_units
    if debited.overage_units:
        post_overage(books, event, debited.overage_units, debited.charge, days)


def days_of(event: WalletEvent, product: str = "") -> Days:
    """Return when an event of a wallet counts."""
    return Days(utc_day(event.effective_time), utc_day(event.record_time), product)


def _post_rule(books: Books, event: WalletEvent, change: Change) -> None:  # noqa: C901, PLR0912
    days = days_of(event)
    match change:
        case Granted():
            if not change.pending:
                issue(books, event, change)
                share_with_bonus(books, event, change)
        case Opened(asset=asset, entity=entity):
            books.scales[event.wallet] = asset.scale
            books.entities[event.wallet] = entity
            books.opened.add(event.wallet)
        case Expired(version, units):
            _expire(books, event, version, units)
        case Revoked():
            _revoke(books, event, change)
        case Repaid(version, units):
            _draw(books, event.wallet, (Draw(version, units),), days)
        case Held(slices=slices):
            _reserve(books, event.wallet, slices, sign=1)
        case Released(returned=returned):
            _reserve(books, event.wallet, returned, sign=-1)
        case Captured():
            _capture(books, event, change)
        case Reversed():
            _reverse(books, event, change)
        case Extended(version, expire_time):
            _extend(books, event.wallet, version, expire_time)
        case RolledOver():
            _roll_over(books, event, change)
        case Activated(version, terms):
            begin_lot(books, LotKey(event.wallet, version), terms, terms.granted_units, days, sold=True)
        case Sent(slices=slices):
            _transfer(books, event, slices, sign=1)
        case Returned(slices=slices):
            _transfer(books, event, slices, sign=-1)
        case Received():
            key = LotKey(event.wallet, event.version)
            begin_lot(books, key, change.lot, change.amount_units, days, sold=False)
        case _:
            _post_finance(books, event, change, days)


def _post_finance(books: Books, event: WalletEvent, told: Change, days: Days) -> None:
    match told:
        case Refunded():
            post_refund(books, event, told, days)
        case ChargedBack():
            post_chargeback(books, event, told, days)
        case Lowered():
            post_lowered(books, event, told, days)
        case Estimated(grant_versions=versions):
            expected = estimate_of(
                expected_breakage=told.expected_breakage,
                expected_redeemed_units=told.expected_redeemed_units,
                of_units=told.expected_of_units,
            )
            for held in _held(books, event.wallet, versions):
                lot = flush(books, held)
                after = estimated(lot, numerator=expected.numerator, denominator=expected.denominator)
                change(books, held, after, days)
        case Remote(grant_versions=versions):
            for held in _held(books, event.wallet, versions):
                change(books, held, declared_remote(flush(books, held)), days)
        case Escheated(grant_version=version, fraction=fraction):
            for held in _held(books, event.wallet, (version,)):
                change(books, held, escheated(flush(books, held), Fraction(fraction)), days)
        case _:
            post_settlement(books, event, told, days)


def _held(books: Books, wallet: str, versions: Iterable[int]) -> list[OpenLot]:
    found = (books.lots.get(LotKey(wallet, version)) for version in versions)
    return [held for held in found if held is not None]


def _draw(books: Books, wallet: str, draws: Iterable[Draw], days: Days, *, sign: int = 1) -> None:
    for draw in draws:
        held = books.lots.get(LotKey(wallet, draw.grant_version))
        if held is None:
            continue
        if held.days != days:
            flush(books, held)
            held.days = days
        held.drawn_units += sign * draw.amount_units


def _draw_late(books: Books, held: OpenLot, days: Days, units: int) -> None:
    # What had been recognised as breakage turns into usage on the day of the record: the days before may be closed.
    if held.lot.pool and books.pools[held.lot.pool].escheat_fraction:
        change(books, held, used_after_all(flush(books, held), units), days)
        return
    if held.days != days:
        flush(books, held)
        held.days = days
    held.drawn_units += units
    held.expired_units -= units


def _end(books: Books, held: OpenLot, days: Days, units: int) -> None:
    if held.days != days:
        flush(books, held)
        held.days = days
    held.expired_units += units


def _expire(books: Books, event: WalletEvent, version: int, units: int) -> None:
    days = days_of(event)
    for held in _held(books, event.wallet, (version,)):
        fraction = books.pools[held.lot.pool].escheat_fraction if held.lot.pool else Fraction(0)
        # What ends is measured by itself, whatever moved before it on the same day.
        before = flush(books, held).breakage_nanos if fraction else 0
        _end(books, held, days, units)
        lot = flush(books, held) if fraction else held.lot
        ended, unused = lot.breakage_nanos - before, lot.recognisable_nanos - lot.usage_nanos
        if fraction and ended > 0:
            change(books, held, escheated(lot, fraction * Fraction(ended, unused)), days)


def _revoke(books: Books, event: WalletEvent, revoked: Revoked) -> None:
    for held in _held(books, event.wallet, (revoked.grant_version,)):
        if revoked.clawback:
            # What the bonus shared is in the refund of its purchase already.
            after = refunded(flush(books, held), units=revoked.amount_units, nanos=0)
            change(books, held, after, days_of(event))
        else:
            _end(books, held, days_of(event), revoked.amount_units)


def _reserve(books: Books, wallet: str, slices: Iterable[Draw], *, sign: int) -> None:
    for each in slices:
        held = books.lots.get(LotKey(wallet, each.grant_version))
        if held is not None:
            held.lot = reserved(held.lot, sign * each.amount_units)
            held.ruled = True


def _capture(books: Books, event: WalletEvent, captured: Captured) -> None:
    _reserve(books, event.wallet, captured.held_draws, sign=-1)
    _reserve(books, event.wallet, captured.returned, sign=-1)
    days = days_of(event, captured.feature)
    _draw(books, event.wallet, (*captured.held_draws, *captured.draws), days)
    if captured.overage_units:
        post_overage(books, event, captured.overage_units, captured.charge, days)


def _reverse(books: Books, event: WalletEvent, reversal: Reversed) -> None:
    days = days_of(event, reversal.feature)
    draws = [Draw(each.grant_version, each.amount_units) for each in reversal.returned]
    _draw(books, event.wallet, draws, days, sign=-1)
    if reversal.overage_units:
        post_overage(books, event, -reversal.overage_units, reversal, days)


def _extend(books: Books, wallet: str, version: int, expire_time: datetime | None) -> None:
    # A bonus is extended by itself, and its purchase is not.
    for held in _held(books, wallet, (version,)):
        if LotKey(wallet, version) not in books.shares:
            held.lot = extended(held.lot, expire_time)
            held.ruled = True


def _transfer(books: Books, event: WalletEvent, slices: Iterable[TransferSlice], *, sign: int) -> None:
    for each in slices:
        key = LotKey(event.wallet, each.grant_version)
        held = books.lots.get(key)
        if held is not None and key in books.shares:
            # What the units of a bonus shared stays with its purchase.
            after = refunded(flush(books, held), units=sign * each.amount_units, nanos=0)
            change(books, held, after, days_of(event))
        elif held is not None and each.consideration is not None:
            lot = flush(books, held)
            nanos = lot.in_own_currency(each.consideration.nanos)
            after = sent(lot, units=sign * each.amount_units, nanos=sign * nanos)
            change(books, held, after, days_of(event))
            move_tax(books, held, each.tax, days_of(event), sign=sign)


def _roll_over(books: Books, event: WalletEvent, rolled: RolledOver) -> None:
    for held in _held(books, event.wallet, (rolled.grant_version,)):
        lot = flush(books, held)
        after = rolled_over(lot, rolled.amount_units)
        change(books, held, after, days_of(event))
        carried = PaidLot(
            entity=lot.entity,
            product=lot.product,
            pool=lot.pool,
            currency_code=lot.currency_code,
            consideration_nanos=after.rolled_nanos - lot.rolled_nanos,
            amount_units=rolled.amount_units,
            effective_day=utc_day(event.effective_time),
            expire_time=rolled.lot.expire_time,
            as_recorded=rolled.recurrence.roll_over is not None
            and rolled.recurrence.roll_over.times_left > 0,
            estimate_numerator=lot.estimate_numerator,
            estimate_denominator=lot.estimate_denominator,
            exchange_rate=lot.exchange_rate,
        )
        key = LotKey(event.wallet, event.version)
        books.lots[key] = OpenLot(carried)
        books.begun.add(key)
        if carried.pool:
            books.pools[carried.pool].note(None, carried, utc_day(event.record_time))
