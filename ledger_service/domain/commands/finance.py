"""Commands on estimates of breakage, refunds that were paid and accounting periods."""

from __future__ import annotations

from datetime import date

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import LotTerms
from ledger_service.domain.values import BreakageMethod


class ReviseBreakageEstimate(Command, frozen=True):
    """Expect another part of some lots never to be used."""

    wallet: str
    grant_versions: tuple[int, ...]
    expected_breakage: str = ""
    expected_redeemed_units: int = 0


class DeclareBreakageRemote(Command, frozen=True):
    """Expect what is left of some lots never to be used."""

    wallet: str
    grant_versions: tuple[int, ...]


class RecordEscheat(Command, frozen=True):
    """Note that a fraction of what was not used of a lot belongs to the state.

    `recorded` are the terms of the lot as it began, looked up in the log: the lot may have expired.
    """

    wallet: str
    grant_version: int
    fraction: str
    recorded: LotTerms
    jurisdiction: str = ""


class SettleRefund(Command, frozen=True):
    """Note that a refund was paid."""

    wallet: str
    refund_version: int
    reference: str = ""


class CreateBreakagePool(Command, frozen=True):
    """Begin a cohort of lots whose breakage is estimated together."""

    pool: str
    currency_code: str
    method: BreakageMethod
    entity: str = ""
    term: str = ""
    jurisdiction: str = ""
    expected_breakage: str = ""
    escheat_fraction: str = ""


class RevisePoolEstimate(Command, frozen=True):
    """Expect another part of a pool never to be used."""

    pool: str
    expected_breakage: str = ""
    expected_redeemed_units: int = 0


class LockAccountingPeriod(Command, frozen=True):
    """Post nothing to a period any more."""

    period: str
    from_day: date
    to_day: date


class CloseAccountingPeriod(Command, frozen=True):
    """Record the figures of a locked period by their hash."""

    period: str
    from_day: date
    to_day: date
    locked_position: int
    figures_hash: str
