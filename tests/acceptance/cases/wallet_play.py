"""A wallet case while it is played: its wallet, the names that grants and debits got, and what it holds."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_service_pb2
from tests.acceptance.cases.amounts import from_units, to_units
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Playing, Session

ASSET_CODE: Final = "CREDIT"
PAGE_SIZE: Final = 1_000


class WalletPlay:
    """One wallet of a case. Ids are those of the case file."""

    def __init__(
        self,
        playing: Playing,
        *,
        wallet_id: str,
        scale: int,
        shortfall_mode: wallet_pb2.ShortfallMode.ValueType,
    ) -> None:
        """Open nothing yet."""
        self.playing = playing
        self.wallet_id = wallet_id
        self.scale = scale
        self.shortfall_mode = shortfall_mode
        self.planned_grants: set[str] = set()
        self.grants: dict[str, str] = {}
        self.debits: dict[str, wallet_pb2.Debit] = {}
        self.results: list[str] = []
        self.position = 0

    @property
    def name(self) -> str:
        """Return the wallet's resource name."""
        return f"wallets/{self.wallet_id}"

    def units(self, amount: Decimal) -> int:
        """Return an amount in the wallet's units. Raises Unsupported."""
        return to_units(amount, self.scale)

    def amount(self, units: int) -> Decimal:
        """Return units as an amount of the case."""
        return from_units(units, self.scale)

    def draws_of(self, debit_id: str) -> list[list[object]] | None:
        """Return what a debit drew, in order, as [grant id, amount]; None if it was not made."""
        debit = self.debits.get(debit_id)
        if debit is None:
            return None
        ids = {name: grant_id for grant_id, name in self.grants.items()}
        return [[ids.get(draw.grant, draw.grant), self.amount(draw.amount_units)] for draw in debit.draws]

    async def open(self, session: Session) -> None:
        """Open the wallet."""
        wallet = wallet_pb2.Wallet(
            customer=f"customers/{self.wallet_id}",
            asset=money_pb2.Asset(code=ASSET_CODE, scale=self.scale),
            shortfall_mode=self.shortfall_mode,
        )
        request = wallet_service_pb2.OpenWalletRequest(
            wallet_id=self.wallet_id, wallet=wallet, idempotency_key=self.playing.next_key()
        )
        self.position = (await call(session.services.wallets.OpenWallet, request)).position

    async def grant(self, session: Session, grant_id: str, grant: wallet_pb2.Grant) -> None:
        """Issue a grant and remember its name."""
        request = wallet_service_pb2.GrantRequest(
            name=self.name, idempotency_key=self.playing.next_key(), grant=grant
        )
        answer = await call(session.services.wallets.Grant, request)
        self.grants[grant_id] = answer.grant.name
        self.position = answer.position

    async def debit(
        self, session: Session, *, amount_units: int, feature: str = "", delivered: bool
    ) -> wallet_pb2.Debit:
        """Debit the wallet now. Raises Refused."""
        request = wallet_service_pb2.DebitRequest(
            name=self.name,
            idempotency_key=self.playing.next_key(),
            amount_units=amount_units,
            feature=feature,
            delivered=delivered,
        )
        answer = await call(session.services.wallets.Debit, request)
        self.position = answer.position
        return answer.debit


class Reading:
    """What a wallet holds at the session's instant, read when it is first asked for."""

    def __init__(self, session: Session, play: WalletPlay) -> None:
        """Read nothing yet."""
        self._session = session
        self._play = play
        self._balance: wallet_pb2.Balance | None = None
        self._grants: dict[str, wallet_pb2.Grant] | None = None

    async def balance(self) -> wallet_pb2.Balance:
        """Return the balance."""
        if self._balance is None:
            request = wallet_service_pb2.GetBalanceRequest(name=self._play.name)
            self._balance = (await call(self._session.services.wallets.GetBalance, request)).balance
        return self._balance

    async def spendable(self, grant_id: str) -> Decimal | None:
        """Return what may be spent of a grant, 0 before it is issued; None if the case has no such grant."""
        name = self._play.grants.get(grant_id)
        if name is None:
            return Decimal(0) if grant_id in self._play.planned_grants else None
        balance = await self.balance()
        now = balance.as_of_time.ToNanoseconds()
        units = [
            lot.posted_units - lot.held_units
            for lot in balance.lots
            if lot.grant == name and lot.effective_time.ToNanoseconds() <= now
        ]
        return self._play.amount(sum(units))

    async def grants(self) -> dict[str, wallet_pb2.Grant]:
        """Return every grant by its id, from a view that has seen all that the case did."""
        if self._grants is None:
            by_name = {grant.name: grant for grant in await self._list_grants()}
            self._grants = {
                grant_id: by_name[name] for grant_id, name in self._play.grants.items() if name in by_name
            }
        return self._grants

    async def _list_grants(self) -> list[wallet_pb2.Grant]:
        found: list[wallet_pb2.Grant] = []
        token = ""
        while True:
            request = wallet_service_pb2.ListGrantsRequest(
                name=self._play.name,
                page_size=PAGE_SIZE,
                page_token=token,
                min_position=self._play.position,
            )
            page = await call(self._session.services.wallets.ListGrants, request)
            found += page.grants
            token = page.next_page_token
            if not token:
                return found
