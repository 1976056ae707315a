"""Top-ups: asking for credit at a price of its own, and granting it when its payment succeeded.

How a payment is made is not the ledger's: it records that one is asked for and, later, how it went. What an
automatic top-up asks for, and when, is in auto_top_up.
"""

from __future__ import annotations

from datetime import datetime

from ledger_service.domain.calendar import add_period, check_period
from ledger_service.domain.commands import RequestTopUp, SettleTopUp
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import (
    CreditsGranted,
    Fact,
    SaleTerms,
    TopUpRequested,
    TopUpSettled,
)
from ledger_service.domain.names import check_money, check_span, check_text
from ledger_service.domain.refusals import (
    AmountOutOfRange,
    FieldNotAllowed,
    TimeMalformed,
    TopUpNotOpen,
    TopUpsFull,
)
from ledger_service.domain.values import UNITS_MAX, GrantCategory
from ledger_service.domain.wallet.auto_top_up import back_off
from ledger_service.domain.wallet.evolve import evolve
from ledger_service.domain.wallet.grant import check_lot_terms
from ledger_service.domain.wallet.low_credit import request_if_low
from ledger_service.domain.wallet.payments import OPEN_TOP_UPS_MAX, OpenTopUp, find_open
from ledger_service.domain.wallet.sale_terms import with_sale_terms
from ledger_service.domain.wallet.settle import begin, repay
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.tape import Tape
from ledger_service.domain.wallet.top_up_terms import ASKED, check_asked, settled_terms


def request_top_up(wallet: Wallet, command: RequestTopUp, now: datetime) -> list[Draft]:
    """Return what fell due and the request.

    Raises TopUpsFull, AmountNotPositive, AmountOutOfRange, TimesOutOfOrder and what the checks of its fields raise.
    """
    check_lot_terms(command.amount_units, command.priority, command.scope, field="top_up")
    check_text(command.reference, field="top_up.reference")
    check_money(command.price, field="top_up.price")
    check_span(now, command.expire_time, field="top_up.expire_time")
    if command.valid_for:
        check_period(command.valid_for, field="top_up.valid_for")
        if command.expire_time is not None:
            raise FieldNotAllowed(
                "a top-up has valid_for or expire_time, not both", field="top_up.expire_time"
            )
    if command.finance is not None:
        check_asked(
            command.finance,
            price=command.price,
            amount_units=command.amount_units,
            books_currency=command.books_currency,
        )
    tape = begin(command.wallet, wallet, now)
    asked = [each for each in tape.wallet.payments.open_top_ups if not each.requested.automatic]
    if len(asked) >= OPEN_TOP_UPS_MAX:
        raise TopUpsFull(f"{OPEN_TOP_UPS_MAX} top-ups of {command.wallet} are open", field="name")
    _check_total(tape.wallet, command.wallet, command.amount_units, field="top_up.amount_units")
    event = TopUpRequested(
        amount_units=command.amount_units,
        price=command.price,
        valid_for=command.valid_for,
        expire_time=command.expire_time,
        priority=command.priority,
        scope=tuple(sorted(command.scope)),
        reference=command.reference,
        finance=None if command.finance == SaleTerms() else command.finance,
    )
    return tape.end(event, now)


def settle_top_up(wallet: Wallet, command: SettleTopUp, now: datetime) -> list[Draft]:
    """Return what fell due, the settlement, and on success the grant.

    Raises TopUpNotOpen, AmountOutOfRange, ExchangeRateRequired and what the checks of its fields raise.
    """
    check_text(command.payment_reference, field="payment_reference")
    check_text(command.failure_reason, field="failure_reason")
    succeeded = command.succeeded
    if succeeded and command.failure_reason:
        raise FieldNotAllowed("a top-up that succeeded has no failure_reason", field="failure_reason")
    if not succeeded:
        _check_unpaid(command)
    tape = begin(command.wallet, wallet, now)
    top_up = find_open(tape.wallet.payments, command.top_up_version)
    if top_up is None:
        raise TopUpNotOpen(f"top-up {command.top_up_version} is not open", field="name")
    settled = TopUpSettled(
        top_up_version=command.top_up_version,
        outcome=command.outcome,
        payment_reference=command.payment_reference,
        failure_reason=command.failure_reason,
        retry_time=None if succeeded else _retry_time(tape.wallet, top_up, now),
        tax=command.tax,
        exchange_rate=command.exchange_rate,
    )
    if not succeeded:
        return tape.end(settled, now)
    _check_total(tape.wallet, command.wallet, top_up.requested.amount_units, field="name")
    sold = _grant_of(top_up, command.payment_reference, now)
    sold = with_sale_terms(sold, settled_terms(top_up.requested, command), field=ASKED)
    tape.add(settled, now, answers=True)
    tape.add(sold, now)
    repay(tape, now)
    return tape.drafts


def _check_unpaid(command: SettleTopUp) -> None:
    for name, stated in (("tax", command.tax is not None), ("exchange_rate", bool(command.exchange_rate))):
        if stated:
            raise FieldNotAllowed(f"nothing was paid that has a {name}", field=name)


def with_auto_top_up(name: str, wallet: Wallet | None, drafts: list[Draft], now: datetime) -> list[Draft]:
    """Return what a command decided, and after it the automatic top-up that it makes due."""
    version = 0 if wallet is None else wallet.version
    for draft in drafts:
        if draft.stream == name:
            version += 1
            fact = Fact(draft.event, now, draft.effective_time, "", fingerprint="-" if draft.answers else "")
            wallet = evolve(wallet, fact, version)
    assert wallet is not None, "the command has a wallet"
    tape = Tape(name, wallet, now)
    request_if_low(tape, now)
    return [*drafts, *tape.drafts]


def _grant_of(top_up: OpenTopUp, payment_reference: str, now: datetime) -> CreditsGranted:
    requested = top_up.requested
    return CreditsGranted(
        amount_units=requested.amount_units,
        category=GrantCategory.PAID,
        priority=requested.priority,
        scope=requested.scope,
        expire_time=_expire_time(top_up, now),
        consideration=requested.price,
        reference=requested.reference or payment_reference,
        top_up_version=top_up.top_up_version,
    )


def _expire_time(top_up: OpenTopUp, now: datetime) -> datetime | None:
    """Return when credit that is settled now expires.

    A period counts from the settlement. An instant that the payment missed moves on by as much as it lay after
    the request: nobody pays for credit that is gone already. Beyond the calendar's end it never expires.
    """
    requested = top_up.requested
    try:
        if requested.valid_for:
            return add_period(now, requested.valid_for, requested.zone)
        if requested.expire_time is not None and requested.expire_time <= now:
            return now + (requested.expire_time - top_up.request_time)
    except (TimeMalformed, OverflowError):
        return None
    return requested.expire_time


def _retry_time(wallet: Wallet, top_up: OpenTopUp, now: datetime) -> datetime | None:
    rule = wallet.rules.auto_top_up
    if not top_up.requested.automatic or rule is None:
        return None
    return now + back_off(rule, wallet.payments.automatic.failure_count + 1)


def _check_total(wallet: Wallet, name: str, amount_units: int, *, field: str) -> None:
    if wallet.granted_units + wallet.received_units + amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"all grants of {name} together would exceed {UNITS_MAX} units", field=field)
