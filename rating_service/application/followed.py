"""What is kept of the ledger's history, row by row, as a page of it becomes the effect that is stored."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class DebitRow(NamedTuple):
    """A debit as kept. `draws` and `charge` are the ledger's own JSON text.

    `contract`, `contract_phase`, `rate_card_phase`, `model` and what follows `charge` are taken out of it, and empty
    for a debit without one.
    """

    position: int
    wallet: str
    version: int
    effective_time: datetime
    usage: str
    amount_units: int
    overage_units: int
    draws: str
    contract: str
    contract_phase: str
    rate_card_phase: str
    charge: str | None
    adjusted_cycle_time: datetime | None = None
    feature: str = ""
    api_key: str = ""
    usage_user: str = ""
    model: str = ""


class ReversalRow(NamedTuple):
    """What was taken back of a debit. `returned` is JSON: units by grant."""

    position: int
    wallet: str
    version: int
    debit_version: int
    effective_time: datetime
    amount_units: int
    overage_units: int
    returned: str


class GrantRow(NamedTuple):
    """A grant that belongs to a cycle of a contract."""

    wallet: str
    version: int
    position: int
    contract: str
    effective_time: datetime
    expire_time: datetime | None
    amount_units: int


class WithdrawalRow(NamedTuple):
    """Units of a grant that were revoked."""

    position: int
    wallet: str
    grant_version: int
    amount_units: int


class UnbilledRow(NamedTuple):
    """What the overage of an open cycle has grown by, and from how much on its contract wants an invoice."""

    contract: str
    cycle_start_time: datetime
    nanos: int
    threshold_nanos: int


class PurchaseRow(NamedTuple):
    """A grant with a consideration. `position` is that of its payment, None while it waits for it."""

    wallet: str
    version: int
    position: int | None
    effective_time: datetime
    amount_units: int
    currency_code: str
    nanos: int
    reference: str
    top_up_version: int


class PaymentRow(NamedTuple):
    """The payment that a grant waited for."""

    wallet: str
    version: int
    position: int
    effective_time: datetime
