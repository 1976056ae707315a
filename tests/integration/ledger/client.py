"""A caller of the ledger for tests: one channel, every stub, and the requests in few words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

import grpc
import msgspec
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from credits.ledger.v1 import (
    contract_service_pb2_grpc,
    finance_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
    meter_totals_pb2,
    money_pb2,
    price_model_pb2,
    rate_card_service_pb2_grpc,
    sandbox_service_pb2,
    sandbox_service_pb2_grpc,
    wallet_pb2,
    wallet_rules_pb2,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)

UNITS_MAX: Final = 2**63 - 1
CUSTOMER: Final = "customers/acme"
CREDIT: Final = money_pb2.Asset(code="CREDIT", scale=6)
PAID: Final = wallet_pb2.GRANT_CATEGORY_PAID
PROMOTIONAL: Final = wallet_pb2.GRANT_CATEGORY_PROMOTIONAL
HARD: Final = wallet_pb2.SHORTFALL_MODE_HARD
SOFT: Final = wallet_pb2.SHORTFALL_MODE_SOFT
DEBITED: Final = "wallet.CreditsDebited.v1"
GRANTED: Final = "wallet.CreditsGranted.v1"

NO_ALERTS: Final = wallet_rules_pb2.WalletRules(alerts=wallet_rules_pb2.AlertRules())

CALL_SECONDS: Final = 30.0
"""Longest wait for an answer."""

_OPTIONS: Final = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
)
T = TypeVar("T")


def key() -> str:
    """Return a fresh idempotency key."""
    return uuid4().hex


def timestamp(instant: datetime) -> Timestamp:
    """Return an instant for the wire."""
    message = Timestamp()
    message.FromDatetime(instant)
    return message


def instant_of(message: Timestamp) -> datetime:
    """Return a timestamp as UTC."""
    return message.ToDatetime(tzinfo=UTC)


class Client:
    """Speaks to one server; the stubs take requests as they are, the methods build the usual ones."""

    def __init__(self, address: str, credentials: grpc.ChannelCredentials | None = None) -> None:
        self.channel = (
            grpc.aio.secure_channel(address, credentials, options=_OPTIONS)
            if credentials
            else grpc.aio.insecure_channel(address, options=_OPTIONS)
        )
        self.wallets = wallet_service_pb2_grpc.WalletServiceStub(self.channel)
        self.history = history_service_pb2_grpc.HistoryServiceStub(self.channel)
        self.finance = finance_service_pb2_grpc.FinanceServiceStub(self.channel)
        self.rate_cards = rate_card_service_pb2_grpc.RateCardServiceStub(self.channel)
        self.contracts = contract_service_pb2_grpc.ContractServiceStub(self.channel)
        self.sandbox = sandbox_service_pb2_grpc.SandboxServiceStub(self.channel)
        self.health: Any = health_pb2_grpc.HealthStub(self.channel)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.channel.close()

    async def open_wallet(
        self,
        *,
        granted_units: int = 0,
        mode: wallet_pb2.ShortfallMode.ValueType = HARD,
        overage_limit_units: int = 0,
        customer: str = CUSTOMER,
        rules: wallet_rules_pb2.WalletRules = NO_ALERTS,
    ) -> str:
        """Open a wallet with a fresh name, with one open paid grant unless it is 0, and return its name.

        It has no alerts unless told, so that its events are those that a test asks for.
        """
        request = wallet_service_pb2.OpenWalletRequest(
            wallet_id=f"w-{key()}",
            wallet=wallet_pb2.Wallet(
                customer=customer,
                asset=CREDIT,
                shortfall_mode=mode,
                overage_limit_units=overage_limit_units,
                rules=rules,
            ),
            idempotency_key="open",
        )
        response = await self.wallets.OpenWallet(request, timeout=CALL_SECONDS)
        if granted_units:
            await self.grant(response.wallet.name, granted_units)
        return response.wallet.name

    async def grant(
        self, wallet: str, amount_units: int, *, idempotency_key: str = "", **fields: Any
    ) -> wallet_service_pb2.GrantResponse:
        """Issue paid credit, unless the grant's fields say otherwise."""
        grant = wallet_pb2.Grant(**{"amount_units": amount_units, "category": PAID} | fields)
        request = wallet_service_pb2.GrantRequest(
            name=wallet, idempotency_key=idempotency_key or key(), grant=grant
        )
        return await self.wallets.Grant(request, timeout=CALL_SECONDS)

    async def debit(
        self, wallet: str, amount_units: int, *, idempotency_key: str = "", **fields: Any
    ) -> wallet_service_pb2.DebitResponse:
        """Debit, with a fresh key unless one is given."""
        request = wallet_service_pb2.DebitRequest(
            name=wallet, amount_units=amount_units, idempotency_key=idempotency_key or key(), **fields
        )
        return await self.wallets.Debit(request, timeout=CALL_SECONDS)

    async def balance(self, wallet: str) -> wallet_pb2.Balance:
        """Return a wallet's balance."""
        request = wallet_service_pb2.GetBalanceRequest(name=wallet)
        return (await self.wallets.GetBalance(request, timeout=CALL_SECONDS)).balance

    async def events(
        self, *, stream: str = "", topics: tuple[str, ...] = ()
    ) -> list[history_service_pb2.Event]:
        """Return all events of a stream, or of the log."""
        found: list[history_service_pb2.Event] = []
        while True:
            last = (found[-1].version if stream else found[-1].position) if found else 0
            request = history_service_pb2.ReadEventsRequest(
                stream=stream, after=last, page_size=5_000, topics=topics
            )
            page = await self.history.ReadEvents(request, timeout=CALL_SECONDS)
            found += page.events
            if len(page.events) < 5_000:
                return found

    async def debit_as(self, actor: str, wallet: str, amount_units: int, idempotency_key: str) -> None:
        """Debit under a name that the caller gives itself."""
        request = wallet_service_pb2.DebitRequest(
            name=wallet, amount_units=amount_units, idempotency_key=idempotency_key
        )
        await self.wallets.Debit(request, timeout=CALL_SECONDS, metadata=(("x-credits-actor", actor),))

    async def actors(self, stream: str) -> list[str]:
        """Return who caused each event of a stream."""
        return [
            msgspec.json.decode(event.state).get("actor", "") for event in await self.events(stream=stream)
        ]

    async def clock(self) -> datetime:
        """Return the sandbox's clock."""
        response = await self.sandbox.GetClock(sandbox_service_pb2.GetClockRequest(), timeout=CALL_SECONDS)
        return instant_of(response.now)

    async def advance(self, to_time: datetime) -> None:
        """Move the sandbox's clock."""
        request = sandbox_service_pb2.AdvanceClockRequest(to_time=timestamp(to_time))
        await self.sandbox.AdvanceClock(request, timeout=CALL_SECONDS)

    async def serves(self, service: str = "") -> bool:
        """Ask the health service; a server that does not answer does not serve."""
        try:
            response = await self.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=1)
        except grpc.aio.AioRpcError:
            return False
        return bool(response.status == health_pb2.HealthCheckResponse.SERVING)


class Refused:
    """A refusal as a caller sees it."""

    def __init__(self, status: status_pb2.Status) -> None:
        self.code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
        self.message = status.message
        self.field = ""
        self.reason = self.domain = ""
        self.metadata: dict[str, str] = {}
        self.retry_after_nanos = 0
        self.true_totals: list[price_model_pb2.RunningTotal] = []
        for detail in status.details:
            self._read(detail)

    @classmethod
    def by_channel(cls, error: grpc.aio.AioRpcError) -> Self:
        """Return what the channel says when no server answered."""
        return cls(status_pb2.Status(code=error.code().value[0], message=error.details() or ""))

    def _read(self, detail: Any) -> None:
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        stale = meter_totals_pb2.StaleTotals()
        if detail.Unpack(info):
            self.reason, self.domain, self.metadata = info.reason, info.domain, dict(info.metadata)
        elif detail.Unpack(request):
            [violation] = request.field_violations
            assert violation.reason == self.reason, "both details give one reason"
            self.field = violation.field
        elif detail.Unpack(retry):
            self.retry_after_nanos = retry.retry_delay.nanos
        elif detail.Unpack(stale):
            self.true_totals = list(stale.totals)

    def __repr__(self) -> str:
        return f"Refused({self.code.name}, {self.reason}, {self.field}: {self.message})"


def refused_by(error: grpc.aio.AioRpcError) -> Refused:
    """Return the refusal in an error. Fails if the server gave no rich status."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # the types know only blocking calls
    assert status is not None, error
    return Refused(status)


async def refusal(call: Awaitable[Any]) -> Refused:
    """Return how a call is refused. Fails if it is not."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return refused_by(error)
    raise AssertionError(f"not refused: {answer}")


async def send(method: Callable[..., Any], request: Message) -> Any:
    """Send a request as it is."""
    return await method(request, timeout=CALL_SECONDS)
