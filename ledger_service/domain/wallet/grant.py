"""Opening wallets and issuing credit."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec

from ledger_service.domain.calendar import check_period, check_zone, periods_before
from ledger_service.domain.commands import GrantCredits, OpenWallet, RecurrenceTerms
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import CreditsGranted, Recurrence, RollOver, WalletOpened
from ledger_service.domain.exact import exact
from ledger_service.domain.names import (
    check_asset,
    check_feature,
    check_id,
    check_money,
    check_name,
    check_price,
    check_range,
    check_span,
    check_text,
)
from ledger_service.domain.refusals import (
    AmountNotPositive,
    AmountOutOfRange,
    FieldMalformed,
    FieldNotAllowed,
    FieldTooLong,
    GrantNotActive,
    NumberOutOfRange,
    WalletExists,
)
from ledger_service.domain.values import UNITS_MAX, GrantCategory
from ledger_service.domain.wallet.burn_down import ORDERS
from ledger_service.domain.wallet.lots import find
from ledger_service.domain.wallet.pending_grant import check_pending
from ledger_service.domain.wallet.recurrence import boundary, due_steps
from ledger_service.domain.wallet.rules import check_rules
from ledger_service.domain.wallet.sale_terms import with_sale_terms
from ledger_service.domain.wallet.settle import begin, repay
from ledger_service.domain.wallet.state import Wallet, issued_units

PERIOD_COUNT_MAX: Final = 100_000
"""Eleven years of hours."""
DUE_STEPS_MAX: Final = 10_000
"""Most periods and roll-overs of a backdated grant that may be due when it is made: one settling records them all."""
PERCENT_MAX: Final = 100
PRIORITY_MAX: Final = 1_000_000
SCOPE_SIZE_MAX: Final = 32
"""Most features that one grant may be restricted to."""


def open_wallet(wallet: Wallet | None, command: OpenWallet, now: datetime) -> list[Draft]:
    """Return the opening. Raises WalletExists and what the checks of its fields raise."""
    check_name(command.customer, collection="customers", field="wallet.customer")
    check_asset(command.asset, field="wallet.asset")
    check_range(command.overage_limit_units, low=0, high=UNITS_MAX, field="wallet.overage_limit_units")
    check_rules(command.rules, field="wallet.rules")
    check_id(command.entity, field="wallet.entity")
    if command.burn_down_order not in ORDERS:
        raise FieldMalformed(
            f"wallet.burn_down_order {command.burn_down_order[:40]!r} is none of {', '.join(ORDERS)}",
            field="wallet.burn_down_order",
        )
    if wallet is not None:
        raise WalletExists(f"{command.wallet} was opened before", field="wallet_id")
    event = WalletOpened(
        command.customer,
        command.asset,
        command.shortfall_mode,
        command.overage_limit_units,
        command.burn_down_order,
        command.rules,
        command.entity,
    )
    return [Draft(command.wallet, event, now, answers=True)]


def grant(wallet: Wallet, command: GrantCredits, now: datetime) -> list[Draft]:
    """Return the expiries that fell due and the grant.

    The effective time may lie in the past or the future. A lot that has expired already when it is granted is
    recorded all the same, and settled as expired.
    Raises AmountNotPositive, AmountOutOfRange, NumberOutOfRange, TimesOutOfOrder and what the checks of its
    fields raise.
    """
    effective_time = command.effective_time or now
    _check_grant(command)
    check_span(effective_time, command.expire_time, field="grant.expire_time")
    tape = begin(command.wallet, wallet, now)
    if issued_units(tape.wallet) + command.amount_units > UNITS_MAX:
        raise AmountOutOfRange(
            f"all grants of {command.wallet} together would exceed {UNITS_MAX} units",
            field="grant.amount_units",
        )
    if command.contract and command.contract not in {policy.contract for policy in wallet.policies}:
        raise FieldMalformed(f"{command.contract} is not this wallet's contract", field="grant.contract")
    event = CreditsGranted(
        amount_units=command.amount_units,
        category=command.category,
        priority=command.priority,
        scope=tuple(sorted(command.scope)),
        expire_time=command.expire_time,
        consideration=command.consideration,
        contract=command.contract,
        reference=command.reference,
        purchase_version=command.purchase_version,
        compensates_version=command.compensates_version,
        pending=command.pending,
    )
    if command.finance is not None:
        event = with_sale_terms(event, command.finance)
    if command.pending:
        check_pending(tape.wallet, command)
    if command.recurrence is not None:
        event = _recurring(event, command.recurrence, effective_time, now)
    _check_bonus(tape.wallet, command)
    tape.add(event, effective_time, answers=True)
    # The grant may repay debts, and a backdated one may have expired or come again already.
    repay(tape, now)
    return tape.drafts


def _recurring(
    event: CreditsGranted, terms: RecurrenceTerms, effective_time: datetime, now: datetime
) -> CreditsGranted:
    check_period(terms.period, field="grant.recurrence.period")
    check_zone(terms.zone, field="grant.recurrence.zone")
    check_range(terms.period_count, low=0, high=PERIOD_COUNT_MAX, field="grant.recurrence.period_count")
    if event.expire_time is not None:
        raise FieldNotAllowed("a recurring grant expires with its period", field="grant.expire_time")
    if event.consideration is not None:
        raise FieldNotAllowed(
            "each period of a paid recurring grant is a purchase of its own", field="grant.consideration"
        )
    if terms.roll_over is not None:
        _check_roll_over(terms.roll_over)
    recurrence = Recurrence(
        period=terms.period,
        anchor_time=terms.anchor_time or effective_time,
        zone=terms.zone,
        periods_left=terms.period_count - 1 if terms.period_count else None,
        roll_over=terms.roll_over,
        periods_before=_periods_before(terms, effective_time),
    )
    expire_time = boundary(recurrence, 1)
    if due_steps(recurrence, now, most=DUE_STEPS_MAX) > DUE_STEPS_MAX:
        raise NumberOutOfRange(
            f"more than {DUE_STEPS_MAX} periods and roll-overs would be due at once",
            field="grant.recurrence.period",
        )
    return msgspec.structs.replace(event, expire_time=expire_time, recurrence=recurrence)


def _periods_before(terms: RecurrenceTerms, effective_time: datetime) -> int | None:
    if terms.anchor_time is None:
        return None
    return periods_before(effective_time, terms.anchor_time, terms.period, terms.zone)


def _check_roll_over(roll_over: RollOver) -> None:
    field = "grant.recurrence.roll_over"
    check_price(roll_over.percent, field=f"{field}.percent")
    if exact(roll_over.percent) > PERCENT_MAX:
        raise NumberOutOfRange(f"{field}.percent must not exceed {PERCENT_MAX}", field=f"{field}.percent")
    check_range(roll_over.times_left, low=1, high=PERIOD_COUNT_MAX, field=f"{field}.times")
    if roll_over.cap_units is not None:
        check_range(roll_over.cap_units, low=1, high=UNITS_MAX, field=f"{field}.cap_units")


def _check_bonus(wallet: Wallet, command: GrantCredits) -> None:
    if not command.purchase_version:
        return
    purchase = find(wallet.lots, command.purchase_version)
    if purchase is None or purchase.consideration is None:
        raise GrantNotActive(
            f"grant {command.purchase_version} is no purchase that has anything left", field="grant.purchase"
        )
    if command.purchase_version in wallet.purchased_units:
        raise GrantNotActive(
            f"grant {command.purchase_version} was refunded or charged back in part: "
            "its bonus would be clawed back at once",
            field="grant.purchase",
        )
    if command.category is not GrantCategory.PROMOTIONAL:
        raise FieldNotAllowed("a bonus is PROMOTIONAL", field="grant.category")


def _check_grant(command: GrantCredits) -> None:
    check_lot_terms(command.amount_units, command.priority, command.scope, field="grant")
    check_text(command.reference, field="grant.reference")
    if command.consideration is not None:
        if command.category is not GrantCategory.PAID:
            raise FieldNotAllowed(
                f"a {command.category.value} grant carries no consideration", field="grant.consideration"
            )
        check_money(command.consideration, field="grant.consideration")
    if command.compensates_version and command.category is not GrantCategory.PROMOTIONAL:
        raise FieldNotAllowed("goodwill is PROMOTIONAL, never cash", field="grant.category")
    if command.contract and command.category is not GrantCategory.INCLUDED:
        raise FieldNotAllowed("only an INCLUDED grant names a contract", field="grant.contract")


def check_lot_terms(amount_units: int, priority: int, scope: tuple[str, ...], *, field: str) -> None:
    """Refuse an amount, a priority or a scope that no lot can have."""
    if amount_units <= 0:
        raise AmountNotPositive(f"{field}.amount_units must be above 0", field=f"{field}.amount_units")
    if amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"{field}.amount_units exceeds {UNITS_MAX}", field=f"{field}.amount_units")
    check_range(priority, low=0, high=PRIORITY_MAX, field=f"{field}.priority")
    if len(scope) > SCOPE_SIZE_MAX:
        raise FieldTooLong(f"{field}.scope exceeds {SCOPE_SIZE_MAX} features", field=f"{field}.scope")
    for feature in scope:
        check_feature(feature, field=f"{field}.scope")
    if len(set(scope)) < len(scope):
        raise FieldMalformed(f"{field}.scope names a feature twice", field=f"{field}.scope")
