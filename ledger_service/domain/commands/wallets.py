"""Commands on a wallet as a whole."""

from __future__ import annotations

from ledger_service.domain.commands.base import Command
from ledger_service.domain.events import WalletRules
from ledger_service.domain.values import DEFAULT_ENTITY, Asset, ShortfallMode


class OpenWallet(Command, frozen=True):
    """Open wallets/{wallet}. `books_currency` is that of its entity's books, if it is known: see RequestTopUp."""

    wallet: str
    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int = 0
    burn_down_order: str = "default/1"
    rules: WalletRules = WalletRules()
    entity: str = DEFAULT_ENTITY
    books_currency: str = ""


class UpdateWallet(Command, frozen=True):
    """Change what `paths` name of a wallet's own policy and rules, from now on; other fields are not looked at."""

    wallet: str
    paths: tuple[str, ...]
    shortfall_mode: ShortfallMode = ShortfallMode.HARD
    overage_limit_units: int = 0
    rules: WalletRules = WalletRules()
    books_currency: str = ""


class CloseWallet(Command, frozen=True):
    """Close a wallet; with `forfeit` what it still holds is revoked first."""

    wallet: str
    forfeit: bool = False


class SettleWallet(Command, frozen=True):
    """Record what time has done to an idle wallet. Needs no key: a second one finds nothing to do."""

    wallet: str
