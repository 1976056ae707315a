"""Commands on purchases whose payment was taken back."""

from __future__ import annotations

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import LotTerms
from ledger_service.domain.values import Money


class ChargeBackGrant(Command, frozen=True):
    """Note that the bank took a payment back, tax included; None: all that the grant still has.

    `recorded` are the terms of the lot as it began, looked up in the log: the lot may be used up.
    """

    wallet: str
    grant_version: int
    recorded: LotTerms
    amount: Money | None = None
    reference: str = ""
