"""What reports need from the outside: sums of usage by day, and balances true now. Adapters implement these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import NamedTuple, Protocol

from rating_service.domain.agreements.cycles import CycleBounds
from rating_service.domain.reports.remaining_credit import IncludedGrant, WalletBalance
from rating_service.domain.reports.usage_report import UsageGroup, UsageSums

ZoneOf = Callable[[str], str]
"""The zone in whose calendar a contract, by name, counts days."""


class UsageQuery(NamedTuple):
    """Days [from_day, to_day) of a wallet, of the contract only unless it is empty.

    `is_local` says that days are those of the contract's zone. `after` holds the values of the last group that was
    read, in the order of `groups`. A `filters` entry holds the values of which one must be met.
    """

    wallet: str
    contract: str
    from_day: date
    to_day: date
    is_local: bool = False
    groups: tuple[UsageGroup, ...] = ()
    filters: Mapping[UsageGroup, Sequence[str]] = {}
    after: tuple[str, ...] = ()
    limit: int = 1


class UsageRow(NamedTuple):
    """What a group adds up to; `values` are in the order of the query's groups, days as ISO 8601."""

    values: tuple[str, ...]
    sums: UsageSums


class UsageSheet(NamedTuple):
    """Groups in order, up to the query's limit, and what all of them add up to, from one state of the sums.

    Debits up to `position` are counted and no others; `has_other` says that some names are counted under OTHER.
    """

    rows: Sequence[UsageRow]
    total: UsageSums
    has_other: bool
    position: int


class RollupCheck(NamedTuple):
    """How the stored sums compare with those folded anew: rows that exist only here, or only there."""

    position: int
    row_count: int
    difference_count: int
    differences: Sequence[str]


class UsageFolds(Protocol):
    """Folding debits into sums by day. Every method raises StoreUnavailableError."""

    async def position(self) -> int:
        """Return the position up to which debits are folded."""

    async def fold(self, from_position: int, to_position: int, zone_of: ZoneOf) -> None:
        """Fold debits of (from, to] and move the position, in one transaction. Raises PositionMovedError."""

    async def check(self, zone_of: ZoneOf, *, known_position: int, repair: bool) -> RollupCheck:
        """Fold everything anew beside the stored sums and compare; with `repair` store what was folded.

        `zone_of` knows the contracts of a position; raises PositionMovedError if more than that is folded.
        """


class UsageReader(Protocol):
    """Reading the sums by day. Every method raises StoreUnavailableError."""

    async def sheet(self, query: UsageQuery) -> UsageSheet:
        """Return groups; one in which nothing is left is passed over."""

    async def included_grants(self, wallet: str, contract: str, cycle: CycleBounds) -> list[IncludedGrant]:
        """Return the grants that a cycle of a contract includes."""


class Rollup(Protocol):
    """The fold as reports see it."""

    async def catch_up(self, min_position: int) -> int:
        """Fold up to a position that was followed, and to the newest one if that is near; return how far it got."""

    async def check(self, *, repair: bool) -> RollupCheck:
        """Compare the stored sums with those folded anew."""


class WalletBalances(Protocol):
    """Balances from the ledger."""

    async def balance(self, wallet: str) -> WalletBalance:
        """Return a balance, true now. Raises LedgerRefused, LedgerUnavailableError."""
