"""Opening wallets and issuing credit."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ledger_service.domain.commands import GrantCredits, OpenWallet
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import CreditsGranted, WalletOpened
from ledger_service.domain.names import (
    check_asset,
    check_feature,
    check_money,
    check_name,
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
    WalletExists,
)
from ledger_service.domain.settle import settle
from ledger_service.domain.values import UNITS_MAX, GrantCategory
from ledger_service.domain.wallet import Wallet

PRIORITY_MAX: Final = 1_000_000
SCOPE_SIZE_MAX: Final = 32
"""Most features that one grant may be restricted to."""


def open_wallet(wallet: Wallet | None, command: OpenWallet, now: datetime) -> list[Draft]:
    """Return the opening. Raises WalletExists and what the checks of its fields raise."""
    check_name(command.customer, collection="customers", field="wallet.customer")
    check_asset(command.asset, field="wallet.asset")
    check_range(command.overage_limit_units, low=0, high=UNITS_MAX, field="wallet.overage_limit_units")
    if wallet is not None:
        raise WalletExists(f"{command.wallet} was opened before", field="wallet_id")
    event = WalletOpened(command.customer, command.asset, command.shortfall_mode, command.overage_limit_units)
    return [Draft(command.wallet, event, now, answers=True)]


def grant(wallet: Wallet, command: GrantCredits, now: datetime) -> list[Draft]:
    """Return the expiries that fell due and the grant.

    The effective time may lie in the past or the future. A lot that has expired already when it is granted is
    recorded all the same, and settled as expired.
    Raises AmountNotPositive, AmountOutOfRange, TimesOutOfOrder and what the checks of its fields raise.
    """
    effective_time = command.effective_time or now
    _check_grant(command)
    check_span(effective_time, command.expire_time, field="grant.expire_time")
    if wallet.granted_units + command.amount_units > UNITS_MAX:
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
    )
    return [*settle(command.wallet, wallet, now), Draft(command.wallet, event, effective_time, answers=True)]


def _check_grant(command: GrantCredits) -> None:
    if command.amount_units <= 0:
        raise AmountNotPositive("grant.amount_units must be above 0", field="grant.amount_units")
    if command.amount_units > UNITS_MAX:
        raise AmountOutOfRange(f"grant.amount_units exceeds {UNITS_MAX}", field="grant.amount_units")
    check_range(command.priority, low=0, high=PRIORITY_MAX, field="grant.priority")
    check_text(command.reference, field="grant.reference")
    if len(command.scope) > SCOPE_SIZE_MAX:
        raise FieldTooLong(f"grant.scope exceeds {SCOPE_SIZE_MAX} features", field="grant.scope")
    for feature in command.scope:
        check_feature(feature, field="grant.scope")
    if len(set(command.scope)) < len(command.scope):
        raise FieldMalformed("grant.scope names a feature twice", field="grant.scope")
    if command.consideration is not None:
        if command.category is not GrantCategory.PAID:
            raise FieldNotAllowed(
                f"a {command.category.value} grant carries no consideration", field="grant.consideration"
            )
        check_money(command.consideration, field="grant.consideration")
    if command.contract and command.category is not GrantCategory.INCLUDED:
        raise FieldNotAllowed("only an INCLUDED grant names a contract", field="grant.contract")
