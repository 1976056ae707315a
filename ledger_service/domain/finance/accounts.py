"""Accounts: what amounts are posted to, and the names that a chart gives them.

Code and store know an account by its member here; a chart only says what it is called in a report, so another chart
needs no rebuild.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

import msgspec


class AccountKind(Enum):
    """Which side of the books an account is on. Assets grow by debits, the others by credits."""

    ASSET = "ASSET"
    LIABILITY = "LIABILITY"
    REVENUE = "REVENUE"
    EXPENSE = "EXPENSE"


class Account(Enum):
    """One account."""

    CASH = "CASH"
    ACCOUNTS_RECEIVABLE = "ACCOUNTS_RECEIVABLE"
    UNBILLED_RECEIVABLE = "UNBILLED_RECEIVABLE"
    """Revenue that was earned and is on no invoice yet: overage, and plans that are billed in arrears."""
    CONTRACT_LIABILITY = "CONTRACT_LIABILITY"
    REFUND_LIABILITY = "REFUND_LIABILITY"
    CUSTOMER_CREDIT = "CUSTOMER_CREDIT"
    """What credit notes gave to be used up by later invoices."""
    SALES_TAX_PAYABLE = "SALES_TAX_PAYABLE"
    UNCLAIMED_PROPERTY_PAYABLE = "UNCLAIMED_PROPERTY_PAYABLE"
    REVENUE_USAGE = "REVENUE_USAGE"
    REVENUE_BREAKAGE = "REVENUE_BREAKAGE"
    REVENUE_OVERAGE = "REVENUE_OVERAGE"
    REVENUE_PLAN = "REVENUE_PLAN"
    """Base fees, seats and what else is recognised by time."""
    REVENUE_PRODUCT = "REVENUE_PRODUCT"
    """What was sold together with credit at one price and is no credit."""
    EXCHANGE_DIFFERENCE = "EXCHANGE_DIFFERENCE"
    ROUNDING = "ROUNDING"
    """Fractions of a cent between what usage cost and what an invoice says."""


KINDS: Final[Mapping[Account, AccountKind]] = {
    Account.CASH: AccountKind.ASSET,
    Account.ACCOUNTS_RECEIVABLE: AccountKind.ASSET,
    Account.UNBILLED_RECEIVABLE: AccountKind.ASSET,
    Account.CONTRACT_LIABILITY: AccountKind.LIABILITY,
    Account.REFUND_LIABILITY: AccountKind.LIABILITY,
    Account.CUSTOMER_CREDIT: AccountKind.LIABILITY,
    Account.SALES_TAX_PAYABLE: AccountKind.LIABILITY,
    Account.UNCLAIMED_PROPERTY_PAYABLE: AccountKind.LIABILITY,
    Account.REVENUE_USAGE: AccountKind.REVENUE,
    Account.REVENUE_BREAKAGE: AccountKind.REVENUE,
    Account.REVENUE_OVERAGE: AccountKind.REVENUE,
    Account.REVENUE_PLAN: AccountKind.REVENUE,
    Account.REVENUE_PRODUCT: AccountKind.REVENUE,
    Account.EXCHANGE_DIFFERENCE: AccountKind.EXPENSE,
    Account.ROUNDING: AccountKind.EXPENSE,
}
NAMES_DEFAULT: Final[Mapping[Account, str]] = {
    Account.CASH: "Cash",
    Account.ACCOUNTS_RECEIVABLE: "AccountsReceivable",
    Account.UNBILLED_RECEIVABLE: "UnbilledReceivable",
    Account.CONTRACT_LIABILITY: "ContractLiability",
    Account.REFUND_LIABILITY: "RefundLiability",
    Account.CUSTOMER_CREDIT: "CustomerCredit",
    Account.SALES_TAX_PAYABLE: "SalesTaxPayable",
    Account.UNCLAIMED_PROPERTY_PAYABLE: "UnclaimedPropertyPayable",
    Account.REVENUE_USAGE: "Revenue:Usage",
    Account.REVENUE_BREAKAGE: "Revenue:Breakage",
    Account.REVENUE_OVERAGE: "Revenue:Overage",
    Account.REVENUE_PLAN: "Revenue:Plan",
    Account.REVENUE_PRODUCT: "Revenue:Product",
    Account.EXCHANGE_DIFFERENCE: "FX",
    Account.ROUNDING: "Rounding",
}


class Chart(msgspec.Struct, frozen=True):
    """What an operator calls the accounts; those that `names` leaves out have their default name."""

    names: Mapping[Account, str] = {}

    def name(self, account: Account) -> str:
        """Return what an account is called."""
        return self.names.get(account) or NAMES_DEFAULT[account]


DEFAULT_CHART: Final = Chart()
