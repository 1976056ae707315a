"""A ledger in memory behind a real gRPC server: what rating needs of it, and failures on demand.

It stores the facts that a test publishes, numbers them, streams them to followers, and turns debits into
facts with the same arithmetic of carried fractions as the ledger. It decides nothing that rating relies on
others to decide; the acceptance tests run against the real one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from credits.ledger.v1 import (
    contract_service_pb2_grpc,
    history_service_pb2,
    history_service_pb2_grpc,
    meter_totals_pb2,
    money_pb2,
    price_model_pb2,
    sandbox_service_pb2,
    sandbox_service_pb2_grpc,
    wallet_pb2,
    wallet_service_pb2,
    wallet_service_pb2_grpc,
)
from tests.fakes.fake_contracts import FakeContracts

WAIT_SECONDS_MAX: Final = 20

PAGE_EVENTS_MAX = 1_000
LIFE_SECONDS = 0.2
MeterKey = tuple[str, str, datetime, datetime, str]


def iso(instant: datetime) -> str:
    """Return an instant as the ledger stores it."""
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


class FakeLedger:
    """The log and the wallets. `lots` holds what is left of each grant, by wallet and version."""

    def __init__(self) -> None:
        self.events: list[history_service_pb2.Event] = []
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.hard_wallets: set[str] = set()
        self.unavailable_calls = 0
        self.debits_go_on = asyncio.Event()
        self.debits_go_on.set()
        self.debits_waiting = 0
        self.batch_calls = 0
        self.stale_debits = 0
        self.totals: dict[MeterKey, list[int]] = {}
        self.note_came = asyncio.Event()
        self.stall_before, self.stall_after = asyncio.Event(), asyncio.Event()
        self.notes_go_on()
        self._versions: dict[str, int] = {}
        self._lots: dict[str, dict[int, int]] = {}
        self._fractions: dict[str, Decimal] = {}
        self._answers: dict[tuple[str, str], wallet_service_pb2.DebitResponse] = {}
        self._grown = asyncio.Condition()

    async def turn(self) -> None:
        """Wait, as a single debit does before it is decided, until debits go on."""
        self.debits_waiting += 1
        try:
            await self.debits_go_on.wait()
        finally:
            self.debits_waiting -= 1

    async def until_waiting(self, debits: int) -> None:
        """Wait until so many single debits wait for their turn."""
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while self.debits_waiting != debits:  # noqa: ASYNC110, it hangs on calls of others
                await asyncio.sleep(0.005)

    async def publish(
        self,
        stream: str,
        topic: str,
        event: dict[str, Any],
        *,
        effective_time: datetime | None = None,
        key: str = "",
    ) -> history_service_pb2.Event:
        """Append a fact and tell the followers."""
        appended = self._append(stream, topic, event, effective_time or self.now, key)
        async with self._grown:
            self._grown.notify_all()
        return appended

    def notes_stall(self, *, after_record: bool) -> None:
        """Let credit notes wait before or after they are recorded, until `notes_go_on`."""
        (self.stall_after if after_record else self.stall_before).clear()

    def notes_go_on(self) -> None:
        """Let credit notes be recorded and answered."""
        self.stall_before.set()
        self.stall_after.set()

    async def grant(self, wallet: str, amount_units: int, **event: Any) -> int:
        """Append a grant and return its version."""
        event = {"amount_units": amount_units, "category": "PROMOTIONAL", **event}
        effective_time = event.pop("effective_time", self.now)
        granted = await self.publish(wallet, "wallet.CreditsGranted.v1", event, effective_time=effective_time)
        self._lots.setdefault(wallet, {})[granted.version] = amount_units
        return granted.version

    async def debit(
        self, request: wallet_service_pb2.DebitRequest
    ) -> wallet_service_pb2.DebitResponse | status_pb2.Status:
        """Append a debit, or answer a retry, or refuse with INSUFFICIENT_CREDIT."""
        earlier = self._answers.get((request.name, request.idempotency_key))
        if earlier is not None:
            return earlier
        stale = self._stale(request)
        if stale is not None:
            return stale
        exact = Decimal(request.charge.exact_units or request.amount_units) + self._fractions.get(
            request.name, 0
        )
        amount_units = max(int(exact.to_integral_value(ROUND_FLOOR)), 0)
        draws, overage_units = self._draw(request.name, amount_units)
        if overage_units and request.name in self.hard_wallets and not request.delivered:
            return refusal("INSUFFICIENT_CREDIT", grpc.StatusCode.FAILED_PRECONDITION)
        for version, units in draws:
            self._lots[request.name][version] -= units
        self._fractions[request.name] = exact - amount_units
        for line in _metered(request.charge):
            total = self.totals.setdefault(_meter_key(request, line), [0, 0])
            total[0] += line.quantity
            total[1] += 1
        effective_time = request.effective_time.ToDatetime(tzinfo=UTC)
        event: dict[str, Any] = {
            "amount_units": amount_units,
            "draws": draws,
            "burn_down_order": "default/1",
            "overage_units": overage_units,
            "feature": request.feature,
            "api_key": request.api_key,
            "user": request.user,
        }
        if request.HasField("charge"):
            event["charge"] = charge_json(request.charge)
        stored = self._append(
            request.name, "wallet.CreditsDebited.v1", event, effective_time, request.idempotency_key
        )
        debit = wallet_pb2.Debit(
            name=f"{request.name}/debits/{stored.version}",
            amount_units=amount_units,
            overage_units=overage_units,
            api_key=request.api_key,
            user=request.user,
            draws=[
                wallet_pb2.Draw(grant=f"{request.name}/grants/{version}", amount_units=units)
                for version, units in draws
            ],
            effective_time=request.effective_time,
            burn_down_order="default/1",
        )
        replay = wallet_service_pb2.DebitResponse(debit=debit, replayed=True, position=stored.position)
        replay.debit.charge.CopyFrom(request.charge)
        self._answers[request.name, request.idempotency_key] = replay
        return wallet_service_pb2.DebitResponse(debit=debit, position=stored.position)

    async def pages(
        self, after: int, topics: set[str]
    ) -> AsyncIterator[history_service_pb2.FollowEventsResponse]:
        """Yield the log after a position, for ever; an empty page now and then shows life."""
        while True:
            head = len(self.events)
            found = self.events[after : min(after + PAGE_EVENTS_MAX, head)]
            after += len(found)
            yield history_service_pb2.FollowEventsResponse(
                events=[event for event in found if not topics or event.topic in topics],
                position=after,
                head_position=head,
            )
            if after == len(self.events):
                await self._growth(after)

    async def notify(self) -> None:
        """Tell the followers that the log has grown."""
        async with self._grown:
            self._grown.notify_all()

    async def _growth(self, after: int) -> None:
        try:
            async with asyncio.timeout(LIFE_SECONDS), self._grown:
                await self._grown.wait_for(lambda: len(self.events) > after)
        except TimeoutError:
            return

    def meter_totals(self, wallet: str) -> meter_totals_pb2.GetMeterTotalsResponse:
        """Return what a wallet has counted."""
        answer = meter_totals_pb2.GetMeterTotalsResponse()
        for (name, contract, start, end, meter), (quantity, usages) in self.totals.items():
            if name == wallet:
                total = answer.totals.add(contract=contract).total
                total.meter, total.quantity, total.usages = meter, quantity, usages
                total.cycle_start_time.FromDatetime(start)
                total.cycle_end_time.FromDatetime(end)
        return answer

    def balance(self, wallet: str) -> wallet_pb2.Balance:
        """Return what the lots of a wallet hold; they are promotional and never expire."""
        lots = self._lots.get(wallet, {})
        left = sum(lots.values())
        balance = wallet_pb2.Balance(
            name=wallet,
            asset=money_pb2.Asset(code="CREDIT", scale=6),
            posted_units=left,
            available_units=left,
            lots=[
                wallet_pb2.LotBalance(
                    grant=f"{wallet}/grants/{version}",
                    posted_units=units,
                    category=wallet_pb2.GRANT_CATEGORY_PROMOTIONAL,
                )
                for version, units in lots.items()
            ],
        )
        balance.as_of_time.FromDatetime(self.now)
        return balance

    def _stale(self, request: wallet_service_pb2.DebitRequest) -> status_pb2.Status | None:
        """Return the refusal of a charge that was priced on other totals than those counted."""
        true = meter_totals_pb2.StaleTotals()
        for line in _metered(request.charge):
            total = true.totals.add()
            total.CopyFrom(line.total_before)
            total.quantity, total.usages = self.totals.get(_meter_key(request, line), (0, 0))
        if list(true.totals) == [line.total_before for line in _metered(request.charge)]:
            return None
        self.stale_debits += 1
        status = refusal("TOTALS_STALE", grpc.StatusCode.ABORTED)
        status.details.add().Pack(true)
        return status

    def _draw(self, wallet: str, amount_units: int) -> tuple[list[tuple[int, int]], int]:
        draws = []
        for version, left in sorted(self._lots.get(wallet, {}).items()):
            units = min(left, amount_units)
            if units:
                draws.append((version, units))
                amount_units -= units
        return draws, amount_units

    def _append(
        self, stream: str, topic: str, event: dict[str, Any], effective_time: datetime, key: str
    ) -> history_service_pb2.Event:
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        fact = {
            "event": event,
            "record_time": iso(self.now),
            "effective_time": iso(effective_time),
            "previous_hash": "0" * 64,
            "idempotency_key": key,
        }
        stored = history_service_pb2.Event(
            position=len(self.events) + 1,
            stream=stream,
            version=version,
            topic=topic,
            state=json.dumps(fact, separators=(",", ":")).encode(),
        )
        self.events.append(stored)
        return stored


def _metered(charge: wallet_pb2.Charge) -> list[wallet_pb2.ChargeLine]:
    return [line for line in charge.lines if line.HasField("total_before")]


def _meter_key(request: wallet_service_pb2.DebitRequest, line: wallet_pb2.ChargeLine) -> MeterKey:
    total = line.total_before
    start, end = (each.ToDatetime(tzinfo=UTC) for each in (total.cycle_start_time, total.cycle_end_time))
    return request.name, request.charge.contract, start, end, total.meter


def part_kind(part: price_model_pb2.ChargePart) -> str:
    """Return what a part of a line is, as the ledger stores it."""
    return price_model_pb2.ChargePartKind.Name(part.kind).removeprefix("CHARGE_PART_KIND_")


def charge_json(charge: wallet_pb2.Charge) -> dict[str, Any]:
    """Return a charge as the ledger stores it."""
    lines = [
        {
            "dimension": line.dimension,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "exact_units": line.exact_units,
            "unit_size": line.unit_size,
            "multiplier": line.multiplier or "1",
            "model": line.model or "unit",
            "parts": [{"kind": part_kind(part), "exact_units": part.exact_units} for part in line.parts],
        }
        for line in charge.lines
    ]
    stored: dict[str, Any] = {
        "contract": charge.contract,
        "contract_phase": charge.contract_phase,
        "rate_card_phase": charge.rate_card_phase,
        "phase_hash": charge.phase_hash,
        "lines": lines,
        "exact_units": charge.exact_units,
        "properties": dict(charge.properties),
    }
    if charge.HasField("overage_price"):
        price = charge.overage_price
        stored["overage_price"] = {"currency_code": price.currency_code, "price": price.price}
    return stored


def refusal(reason: str, code: grpc.StatusCode) -> status_pb2.Status:
    """Return a refusal as the ledger gives it."""
    detail = AnyMessage()
    detail.Pack(
        error_details_pb2.ErrorInfo(domain="ledger.credits", reason=reason, metadata={"from": "ledger"})
    )
    return status_pb2.Status(code=code.value[0], message="refused by the ledger", details=[detail])


class _Wallets(wallet_service_pb2_grpc.WalletServiceServicer):
    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger

    async def Debit(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        await _maybe_unavailable(self._ledger, context)
        await self._ledger.turn()
        outcome = await self._ledger.debit(request)
        await self._ledger.notify()
        if isinstance(outcome, status_pb2.Status):
            await context.abort_with_status(rpc_status.to_status(outcome))
        return outcome

    async def GetMeterTotals(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        return self._ledger.meter_totals(request.name)

    async def GetBalance(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        return wallet_service_pb2.GetBalanceResponse(balance=self._ledger.balance(request.name))

    async def GetWallet(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        return wallet_service_pb2.GetWalletResponse(wallet=wallet_pb2.Wallet(name=request.name))

    async def BatchDebit(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        self._ledger.batch_calls += 1
        await _maybe_unavailable(self._ledger, context)
        answer = wallet_service_pb2.BatchDebitResponse()
        for each in request.requests:
            outcome = await self._ledger.debit(each)
            if isinstance(outcome, status_pb2.Status):
                answer.results.add(error=outcome)
            else:
                answer.results.add(response=outcome)
        await self._ledger.notify()
        return answer


class _History(history_service_pb2_grpc.HistoryServiceServicer):
    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger

    async def ReadEvents(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        events = [
            event
            for event in self._ledger.events
            if request.stream and event.stream == request.stream and event.version > request.after
        ]
        return history_service_pb2.ReadEventsResponse(
            events=[event for event in events if not request.topics or event.topic in request.topics],
            head_position=len(self._ledger.events),
        )

    async def FollowEvents(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        async for page in self._ledger.pages(request.after_position, set(request.topics)):
            yield page


class _Sandbox(sandbox_service_pb2_grpc.SandboxServiceServicer):
    def __init__(self, ledger: FakeLedger) -> None:
        self._ledger = ledger

    async def GetClock(self, request: Any, context: Any) -> Any:  # noqa: N802, the name is the protos'
        answer = sandbox_service_pb2.GetClockResponse()
        answer.now.FromDatetime(self._ledger.now)
        return answer


async def _maybe_unavailable(ledger: FakeLedger, context: Any) -> None:
    if ledger.unavailable_calls > 0:
        ledger.unavailable_calls -= 1
        await context.abort(grpc.StatusCode.UNAVAILABLE, "down")


async def start_fake_ledger(ledger: FakeLedger, address: str = "127.0.0.1:0") -> tuple[grpc.aio.Server, str]:
    """Serve a ledger and return the server with its address."""
    server = grpc.aio.server(
        options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 * 1024 * 1024)]
    )
    wallet_service_pb2_grpc.add_WalletServiceServicer_to_server(_Wallets(ledger), server)  # type: ignore[abstract]
    history_service_pb2_grpc.add_HistoryServiceServicer_to_server(_History(ledger), server)  # type: ignore[abstract]
    contract_service_pb2_grpc.add_ContractServiceServicer_to_server(FakeContracts(ledger), server)  # type: ignore[abstract]
    sandbox_service_pb2_grpc.add_SandboxServiceServicer_to_server(_Sandbox(ledger), server)  # type: ignore[abstract]
    port = server.add_insecure_port(address)
    await server.start()
    return server, f"127.0.0.1:{port}"
