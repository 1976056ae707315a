"""Chargebacks: the bank took a payment back, be the credit used or not.

A bank takes back what was paid, the tax in it: of an amount, at most what the grant's consideration and tax have left
(what was refunded or moved to another wallet is not there any more), the tax is the same part as of all that is left,
rounded down, and the rest is consideration. That is divided once: unheld units of the lot are withdrawn as by a
refund, as many as cover it, but nothing is owed to the customer; what they do not cover was used, has expired or is
held, and is a receivable, with its part of the tax: credit that was used was supplied, and the state keeps its tax.
Units that return later, from a hold, a reversed debit or a transfer, are withdrawn then and lower the
receivable by their cost basis; so at any time amount = cost basis of units withdrawn + receivable. A whole
chargeback ends the grant; a partial one leaves what exceeds it. Bonuses are clawed back in proportion to the
units withdrawn, as by a refund.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from ledger_service.domain.commands import ChargeBackGrant
from ledger_service.domain.drafts import Draft
from ledger_service.domain.events import GrantChargedBack
from ledger_service.domain.names import check_money, check_text
from ledger_service.domain.refusals import (
    AmountNotPositive,
    ChargebackExceedsGrant,
    FieldMalformed,
    GrantAlreadyChargedBack,
    GrantNotRefundable,
)
from ledger_service.domain.values import Money
from ledger_service.domain.wallet.cost_basis import Basis
from ledger_service.domain.wallet.lots import find
from ledger_service.domain.wallet.settle import begin
from ledger_service.domain.wallet.state import Wallet, basis_of
from ledger_service.domain.wallet.tax_right import TaxRight, tax_owed_after, tax_right
from ledger_service.domain.wallet.withdraw import claw_back_bonuses


def charge_back_grant(wallet: Wallet, command: ChargeBackGrant, now: datetime) -> list[Draft]:
    """Return what fell due, the chargeback, and the clawback of bonuses.

    Raises GrantNotRefundable, GrantAlreadyChargedBack, ChargebackExceedsGrant, AmountNotPositive and what the
    checks of its fields raise.
    """
    check_text(command.reference, field="reference")
    version, terms = command.grant_version, command.recorded
    if terms.consideration is None:
        raise GrantNotRefundable(f"grant {version} carries no consideration", field="name")
    tape = begin(command.wallet, wallet, now)
    if version in tape.wallet.receivables:
        raise GrantAlreadyChargedBack(f"grant {version} was charged back before", field="name")
    basis = basis_of(tape.wallet, version, terms.consideration, terms.granted_units)
    right = tax_right(tape.wallet, version, terms.consideration, terms.granted_units, terms.finance)
    taken = _taken(basis, right, command.amount)
    amount, tax = taken.consideration, taken.tax
    whole = amount.nanos == basis.left_nanos
    lot = find(tape.wallet.lots, version)
    unheld_units = lot.remaining_units if lot is not None else 0
    units = unheld_units if whole else basis.covering_units(amount.nanos, unheld_units)
    covered = min(basis.refund_nanos(units), amount.nanos)
    tax_receivable = tax_owed_after(tax.nanos, receivable_nanos=amount.nanos, reduction_nanos=covered)
    event = GrantChargedBack(
        grant_version=version,
        amount=amount,
        revoked_units=units,
        receivable=Money(amount.currency_code, amount.nanos - covered),
        granted_units=terms.granted_units,
        whole=whole,
        reference=command.reference,
        tax=tax if tax.nanos else None,
        tax_receivable=Money(tax.currency_code, tax_receivable) if tax_receivable else None,
    )
    tape.add(event, now, answers=True)
    claw_back_bonuses(tape, version, now)
    return tape.drafts


class _Taken(msgspec.Struct, frozen=True):
    """What a bank took back."""

    consideration: Money
    tax: Money


def _taken(basis: Basis, right: TaxRight, asked: Money | None) -> _Taken:
    currency = basis.consideration.currency_code
    if asked is not None:
        check_money(asked, field="amount")
        if asked.currency_code != currency:
            raise FieldMalformed(f"the grant was paid in {currency}", field="amount.currency_code")
        if asked.nanos == 0:
            raise AmountNotPositive("amount must be above 0", field="amount")
    tax_nanos = right.credit_left_nanos
    left_nanos = basis.left_nanos + tax_nanos
    nanos = left_nanos if asked is None else asked.nanos
    if nanos > left_nanos or basis.left_nanos == 0:
        raise ChargebackExceedsGrant(
            f"{left_nanos} nanos are left of the grant's consideration and its tax",
            field="amount",
            left_nanos=left_nanos,
        )
    tax = tax_nanos * nanos // left_nanos
    return _Taken(Money(currency, nanos - tax), Money(currency, tax))
