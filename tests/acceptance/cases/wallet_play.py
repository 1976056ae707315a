"""A wallet case while it is played: its wallet, the names that grants and debits got, and what it holds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Final

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_service_pb2
from tests.acceptance.cases.amounts import from_units, to_units
from tests.acceptance.cases.resets import Cut, Lookahead, Terms
from tests.acceptance.cases.services import call
from tests.acceptance.cases.timeline import Playing, Session
from tests.acceptance.cases.verdicts import Unsupported

NO_HOLD: Final = 2**63 - 1
"""Number of a hold that does not exist."""
ASSET_CODE: Final = "CREDIT"
PAGE_SIZE: Final = 1_000


class WalletPlay:
    """One wallet of a case. Ids are those of the case file; one id stands for a grant and its children."""

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
        """By id, the name of the newest."""
        self.ids: dict[str, str] = {}
        """By name, the id."""
        self.cuts: dict[str, Cut] = {}
        """By name, the reset at which a grant was or will be ended."""
        self.voided: set[str] = set()
        """Names of grants that were voided."""
        self.terms: dict[str, Terms] = {}
        self.ahead = Lookahead()
        self.ranks: dict[str, int] = {}
        """By id, the place in the burn order, where resets give lots another expiry."""
        self.debits: dict[str, wallet_pb2.Debit] = {}
        self.holds: dict[str, str] = {}
        self.returned: dict[str, dict[str, int]] = {}
        """By debit's name and grant's name, what reversals gave back."""
        self.results: list[str] = []
        self.over_hold = wallet_service_pb2.OVER_HOLD_EXTRA_IF_AVAILABLE
        self.take_available = False
        self.late_usage_grace = timedelta(0)
        self.entity = ""
        """Whose books it is in; the default ones if empty."""
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
        returned = dict(self.returned.get(debit.name, {}))
        net: list[list[object]] = []
        # The last draw goes back first.
        for draw in reversed(debit.draws):
            back = min(returned.get(draw.grant, 0), draw.amount_units)
            returned[draw.grant] = returned.get(draw.grant, 0) - back
            if back < draw.amount_units:
                net.insert(0, [self.ids.get(draw.grant, draw.grant), self.amount(draw.amount_units - back)])
        return net

    async def open(self, session: Session) -> None:
        """Open the wallet."""
        wallet = wallet_pb2.Wallet(
            customer=f"customers/{self.wallet_id}",
            asset=money_pb2.Asset(code=ASSET_CODE, scale=self.scale),
            shortfall_mode=self.shortfall_mode,
            entity=self.entity,
        )
        if self.late_usage_grace:
            wallet.rules.late_usage_grace.FromTimedelta(self.late_usage_grace)
        request = wallet_service_pb2.OpenWalletRequest(
            wallet_id=self.wallet_id, wallet=wallet, idempotency_key=self.playing.next_key()
        )
        self.position = (await call(session.services.wallets.OpenWallet, request)).position

    async def grant(self, session: Session, grant_id: str, grant: wallet_pb2.Grant) -> None:
        """Issue a grant, or a child of it, and remember its name."""
        request = wallet_service_pb2.GrantRequest(
            name=self.name, idempotency_key=self.playing.next_key(), grant=grant
        )
        answer = await call(session.services.wallets.Grant, request)
        self.grants[grant_id] = answer.grant.name
        self.ids[answer.grant.name] = grant_id
        self.position = answer.position

    async def debit(
        self,
        session: Session,
        *,
        amount_units: int,
        feature: str = "",
        delivered: bool,
        take_available: bool = False,
    ) -> wallet_pb2.Debit:
        """Debit the wallet now. Raises Refused."""
        request = wallet_service_pb2.DebitRequest(
            name=self.name,
            idempotency_key=self.playing.next_key(),
            amount_units=amount_units,
            feature=feature,
            delivered=delivered,
            take_available=take_available,
        )
        answer = await call(session.services.wallets.Debit, request)
        self.position = answer.position
        return answer.debit

    async def hold(
        self, session: Session, hold_id: str, *, amount_units: int, ttl: timedelta, feature: str
    ) -> None:
        """Reserve credit and remember the hold's name. Raises Refused."""
        request = wallet_service_pb2.HoldRequest(
            name=self.name,
            idempotency_key=self.playing.next_key(),
            amount_units=amount_units,
            feature=feature,
        )
        request.ttl.FromTimedelta(ttl)
        answer = await call(session.services.wallets.Hold, request)
        self.holds[hold_id] = answer.hold.name
        self.position = answer.position

    async def capture(
        self, session: Session, hold_id: str, *, amount_units: int, final: bool, allow_late: bool
    ) -> wallet_pb2.Debit:
        """Capture a hold. Raises Refused."""
        request = wallet_service_pb2.CaptureHoldRequest(
            name=self._hold(hold_id),
            idempotency_key=self.playing.next_key(),
            amount_units=amount_units,
            keep_open=not final,
            over_hold=self.over_hold,
            allow_late=allow_late,
        )
        answer = await call(session.services.wallets.CaptureHold, request)
        self.position = answer.position
        return answer.debit

    async def release(self, session: Session, hold_id: str) -> None:
        """Release a hold. Raises Refused."""
        request = wallet_service_pb2.ReleaseHoldRequest(
            name=self._hold(hold_id), idempotency_key=self.playing.next_key()
        )
        self.position = (await call(session.services.wallets.ReleaseHold, request)).position

    async def reverse(self, session: Session, debit_id: str, *, amount_units: int) -> None:
        """Take a debit back; 0: all that is left of it. Raises Refused, Unsupported."""
        debit = self.debits.get(debit_id)
        if debit is None:
            raise Unsupported(f"the reversal of {debit_id}, which debited nothing")
        request = wallet_service_pb2.ReverseDebitRequest(
            name=debit.name, idempotency_key=self.playing.next_key(), amount_units=amount_units
        )
        answer = await call(session.services.wallets.ReverseDebit, request)
        returned = self.returned.setdefault(debit.name, {})
        for each in answer.reversal.returned:
            returned[each.grant] = returned.get(each.grant, 0) + each.amount_units
        self.position = answer.position

    async def revoke(self, session: Session, grant_id: str) -> None:
        """Withdraw the rest of a grant. Raises Refused, Unsupported."""
        if grant_id not in self.grants:
            raise Unsupported(f"the void of {grant_id}, which was not granted before")
        name = self.grants[grant_id]
        self.voided.add(name)
        if name in self.cuts and self.cuts[name].carried_units is not None:
            # A reset has ended it and nothing went on.
            return
        request = wallet_service_pb2.RevokeGrantRequest(name=name, idempotency_key=self.playing.next_key())
        self.position = (await call(session.services.wallets.RevokeGrant, request)).position

    def _hold(self, hold_id: str) -> str:
        # A hold that was refused has no name; that of one that never was is refused as the case expects.
        return self.holds.get(hold_id, f"{self.name}/holds/{NO_HOLD}")


class Reading:
    """What a wallet holds at the session's instant, read when it is first asked for."""

    def __init__(self, session: Session, play: WalletPlay) -> None:
        """Read nothing yet."""
        self._session = session
        self._play = play
        self._balance: wallet_pb2.Balance | None = None
        self._grants: list[wallet_pb2.Grant] | None = None

    async def balance(self) -> wallet_pb2.Balance:
        """Return the balance."""
        if self._balance is None:
            request = wallet_service_pb2.GetBalanceRequest(name=self._play.name)
            self._balance = (await call(self._session.services.wallets.GetBalance, request)).balance
        return self._balance

    async def spendable(self, grant_id: str) -> Decimal | None:
        """Return what may be spent of a grant, 0 before it is issued; None if the case has no such grant."""
        if grant_id not in self._play.grants:
            return Decimal(0) if grant_id in self._play.planned_grants else None
        balance = await self.balance()
        now = balance.as_of_time.ToNanoseconds()
        units = [
            lot.posted_units - lot.held_units
            for lot in balance.lots
            if self._play.ids.get(lot.grant) == grant_id and lot.effective_time.ToNanoseconds() <= now
        ]
        return self._play.amount(sum(units))

    async def issued(self) -> list[wallet_pb2.Grant]:
        """Return every grant and every child of one, from a view that has seen all that the case did."""
        if self._grants is None:
            self._grants = [grant for grant in await self._list_grants() if grant.name in self._play.ids]
        return self._grants

    async def _list_grants(self) -> list[wallet_pb2.Grant]:
        found: list[wallet_pb2.Grant] = []
        token = ""
        # What time did is recorded after the last call: the view must have seen that too.
        head_position = await self._session.services.head_position()
        while True:
            request = wallet_service_pb2.ListGrantsRequest(
                name=self._play.name,
                page_size=PAGE_SIZE,
                page_token=token,
                min_position=head_position,
            )
            page = await call(self._session.services.wallets.ListGrants, request)
            found += page.grants
            token = page.next_page_token
            if not token:
                return found
