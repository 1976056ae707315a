"""What is recorded of a wallet as a whole."""

from __future__ import annotations

from ledger_service.domain.record import Record
from ledger_service.domain.values import Asset, ShortfallMode


class WalletOpened(Record, frozen=True):
    """A customer's wallet in one asset began."""

    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    burn_down_order: str = "default/1"


class WalletPolicyChanged(Record, frozen=True):
    """From the effective time a contract phase decides what happens when credit runs out; without one, the wallet."""

    contract: str
    contract_phase: str
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
