"""What is recorded of a wallet as a whole."""

from __future__ import annotations

from typing import Final

from ledger_service.domain.events.rules import SpendCap, WalletRules
from ledger_service.domain.record import Record
from ledger_service.domain.values import DEFAULT_ENTITY, Asset, ShortfallMode


class WalletOpened(Record, frozen=True):
    """A customer's wallet in one asset began; `entity` is the legal entity that owns its business, for ever."""

    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    burn_down_order: str = "default/1"
    rules: WalletRules = WalletRules()
    entity: str = DEFAULT_ENTITY


POLICY_PATHS: Final = ("shortfall_mode", "overage_limit_units")
"""What an update names to change the wallet's own policy; every other path is a rule."""


def changes_policy(paths: tuple[str, ...]) -> bool:
    """Say whether an update of these paths changes the wallet's own policy."""
    return any(path in paths for path in POLICY_PATHS)


class WalletPolicyChanged(Record, frozen=True):
    """From the effective time a contract phase decides what happens when credit runs out; without one, the wallet.

    `ended_contract` is the contract that ends where no phase begins; events of old lack it. With `replaces_later`
    nothing holds any more that this contract had brought for the same instant or later ones before. `spend_cap` is
    the phase's own, beside that of the wallet's rules; `alert_percents`, if there are any, stand for those of the
    wallet's rules while the phase lasts.
    """

    contract: str
    contract_phase: str
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    ended_contract: str = ""
    replaces_later: bool = False
    spend_cap: SpendCap | None = None
    alert_percents: tuple[int, ...] = ()


class WalletUpdated(Record, frozen=True):
    """The wallet's own policy and rules changed; `paths` names what was asked, the rest stayed as it was."""

    paths: tuple[str, ...]
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    rules: WalletRules = WalletRules()


class WalletClosed(Record, frozen=True):
    """The wallet takes no credit and no orders any more; with `forfeit` what it still held was revoked before."""

    forfeit: bool = False
    forfeited_units: int = 0
