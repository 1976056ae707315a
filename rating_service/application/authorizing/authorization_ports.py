"""What authorizing needs from the outside: a limiter, and the ledger's holds. Adapters implement these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple, Protocol

from rating_service.application.ports import Posted
from rating_service.domain.authorizing.authorization import CapStanding, Denial, EntitlementStanding, Spender
from rating_service.domain.authorizing.rate_windows import Decision, Share
from rating_service.domain.usage import Charge


class Limiter(Protocol):
    """Rate limits over the last minute. Every method raises RequestRefused if its store is away.

    What they mean is said by domain.rate_windows.MinuteWindows.
    """

    async def decide(self, shares: Sequence[Share], *, entry: str, now: datetime, takes: bool) -> Decision:
        """Take the shares if every window has room and `takes`, in one step."""

    async def give_back(self, names: Iterable[str], *, entry: str) -> None:
        """Forget what an entry took."""

    async def correct(self, name: str, *, entry: str, estimated: int, actual: int, now: datetime) -> None:
        """Put the actual amount in place of the estimate, once."""


class OverHold(Enum):
    """What becomes of a capture of more than is held; the ledger's default is EXTRA_IF_AVAILABLE."""

    UNSPECIFIED = "UNSPECIFIED"
    REJECT = "REJECT"
    EXTRA_IF_AVAILABLE = "EXTRA_IF_AVAILABLE"


class HoldOrder(NamedTuple):
    """A hold to be asked of the ledger. No `ttl` means the ledger's default.

    `estimate_of` stands for what is priced: under one key and for the same, what was held first stays.
    """

    wallet: str
    key: str
    amount_units: int
    estimate_of: str
    spender: Spender
    ttl: timedelta | None = None


class CaptureOrder(NamedTuple):
    """A hold to be captured with the price of what was used."""

    hold: str
    key: str
    charge: Charge
    over_hold: OverHold = OverHold.UNSPECIFIED
    allow_late: bool = False


class Held(NamedTuple):
    """A hold that was placed, now or by an earlier call with its key."""

    name: str
    create_time: datetime
    """A retry is answered with that of the first call."""


class Released(NamedTuple):
    """What a hold gave back."""

    amount_units: int
    replayed: bool


class WalletStanding(NamedTuple):
    """What a wallet has to spend for a feature, and how its caps and its entitlement stand."""

    available_units: int
    caps: Sequence[CapStanding]
    entitlement: EntitlementStanding | None = None


class WalletHolds(Protocol):
    """Holds of wallets. Every method raises LedgerRefused and LedgerUnavailableError."""

    async def hold(self, order: HoldOrder, now: datetime) -> Held | Denial:
        """Place a hold, or return why credit or a cap does not allow it; other refusals are raised."""

    async def capture(self, order: CaptureOrder) -> Posted:
        """Turn a hold into a debit."""

    async def release(self, hold: str, *, key: str) -> Released:
        """Give a hold back."""

    async def standing(self, wallet: str, feature: str) -> WalletStanding:
        """Read what there is to spend."""
