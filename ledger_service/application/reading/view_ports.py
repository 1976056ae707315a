"""What the application reads from the projections, and in which shape.

Views follow the log a little behind; what must be true now is asked of the wallet itself. Every answer names
a position of the log and contains everything up to it, perhaps more; a caller who needs to see a write passes
its position as `min_position`. Time-driven facts need no event to be seen: reads settle what they show up to
`now`.

All methods raise StoreUnavailableError, and ProjectionBehind when `min_position` is not reached in time.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from ledger_service.domain.events import FinanceTerms, Recurrence
from ledger_service.domain.values import Asset, GrantCategory, Money, ShortfallMode


class WalletView(msgspec.Struct, frozen=True):
    """A wallet, with the policy in force at the instant of the read and its totals as recorded.

    debited_units counts overage and debt, and has reversals taken off; revoked_units counts refunds;
    debt_units is what later grants will repay.
    """

    name: str
    customer: str
    asset: Asset
    shortfall_mode: ShortfallMode
    overage_limit_units: int
    contract: str
    contract_phase: str
    open_time: datetime
    version: int
    granted_units: int
    debited_units: int
    overage_units: int
    expired_units: int
    debt_units: int
    revoked_units: int
    burn_down_order: str
    entity: str
    close_time: datetime | None = None


class GrantView(msgspec.Struct, frozen=True):
    """A grant and what is left of it, held units not included; what rolled over is a grant of its own.

    After its expiry nothing is left, whether or not that was recorded yet. Two things read as recorded: what
    holds reserve, and a lot of which part rolls over at its expiry. `recurrence` says what is still to come.
    """

    wallet: str
    grant_version: int
    amount_units: int
    category: GrantCategory
    priority: int
    scope: tuple[str, ...]
    effective_time: datetime
    expire_time: datetime | None
    consideration: Money | None
    reference: str
    contract: str
    drawn_units: int
    expired_units: int
    held_units: int
    revoked_units: int
    rolled_over_units: int
    remaining_units: int
    purchase_version: int
    recurrence: Recurrence | None
    transferred_units: int = 0
    """Sent to other wallets, what came back taken off."""
    transfer: str = ""
    """The transfer that brought it: wallets/{wallet}/transfers/{transfer} of the wallet it came from."""
    receivable: Money | None = None
    """Owed for it after a chargeback."""
    compensates_version: int = 0
    payment_state: str = ""
    """PENDING, LAPSED or WITHDRAWN for a grant that waits for its payment or did in vain; empty for all others."""
    top_up_version: int = 0
    finance: FinanceTerms | None = None
    """The terms of its sale, as its grant recorded them."""


class WalletPage(msgspec.Struct, frozen=True):
    """Wallets in the order of their names; an empty token means there are no more."""

    wallets: tuple[WalletView, ...]
    next_page_token: str
    position: int


class GrantPage(msgspec.Struct, frozen=True):
    """Grants of one wallet in the order they were issued; an empty token means there are no more."""

    grants: tuple[GrantView, ...]
    next_page_token: str
    position: int


class ProjectionPosition(msgspec.Struct, frozen=True):
    """How far a projection has come; head_position is that of the newest event of the log."""

    name: str
    position: int
    head_position: int


class Views(Protocol):
    """Reads of the projections of one shard."""

    async def list_wallets(
        self,
        *,
        now: datetime,
        page_size: int,
        page_token: str = "",
        customer: str = "",
        min_position: int = 0,
    ) -> WalletPage:
        """Return wallets, of one customer or of all. Raises PageTokenMalformed."""

    async def list_grants(
        self, wallet: str, *, now: datetime, page_size: int, page_token: str = "", min_position: int = 0
    ) -> GrantPage:
        """Return grants of a wallet; none if there is no such wallet. Raises PageTokenMalformed."""

    async def projection_positions(self) -> tuple[ProjectionPosition, ...]:
        """Return one entry a projection, in the order of their names."""
