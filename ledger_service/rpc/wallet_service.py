"""WalletService: issuing and consuming credit."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from ledger_service.application.balance import balance_at
from ledger_service.application.calls import Outcome
from ledger_service.application.ports import LogReader
from ledger_service.application.replay import replay_wallet
from ledger_service.application.statement import StatementLine, read_statement
from ledger_service.application.view_ports import Views
from ledger_service.application.writer import Writer
from ledger_service.domain.commands import Request
from ledger_service.domain.names import check_name, check_range
from ledger_service.domain.refusals import Refusal, WalletNotFound
from ledger_service.domain.refusals.service import BatchTooLarge
from ledger_service.domain.wallet.state import Wallet
from ledger_service.rpc.balance_messages import write_balance
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.debit_messages import write_debit_response
from ledger_service.rpc.debit_stream_service import DebitStreamMethods
from ledger_service.rpc.page_tokens import read_page_token, write_page_token
from ledger_service.rpc.refusal_status import status_of
from ledger_service.rpc.top_up_service import TopUpMethods
from ledger_service.rpc.values import read_time, write_time
from ledger_service.rpc.view_messages import write_grant_view, write_wallet_view
from ledger_service.rpc.wallet_messages import write_granted, write_opened, write_updated, write_wallet
from ledger_service.rpc.wallet_requests import read_debit, read_grant, read_open_wallet, read_update_wallet
from ledger_service.rpc.watch_service import WatchMethods

BATCH_SIZE_MAX: Final = 5_000
"""Debits in one BatchDebit, about 2 MB with charges."""
PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000


class WalletServicer(
    TopUpMethods, DebitStreamMethods, WatchMethods, wallet_service_pb2_grpc.WalletServiceServicer
):
    """Turns requests into commands, and outcomes into answers."""

    def __init__(self, writer: Writer, reader: LogReader, views: Views) -> None:
        """Serve from a writer, the log and the views."""
        super().__init__(writer, reader)
        self._views = views

    async def OpenWallet(
        self, request: wallet_service_pb2.OpenWalletRequest, context: Context
    ) -> wallet_service_pb2.OpenWalletResponse:
        """Open a wallet."""
        outcome = await self._submit(read_open_wallet(request), request.idempotency_key, context)
        return wallet_service_pb2.OpenWalletResponse(
            wallet=write_opened(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def UpdateWallet(
        self, request: wallet_service_pb2.UpdateWalletRequest, context: Context
    ) -> wallet_service_pb2.UpdateWalletResponse:
        """Change a wallet's own policy and rules."""
        outcome = await self._submit(read_update_wallet(request), request.idempotency_key, context)
        return wallet_service_pb2.UpdateWalletResponse(
            wallet=write_updated(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def GetWallet(
        self, request: wallet_service_pb2.GetWalletRequest, context: Context
    ) -> wallet_service_pb2.GetWalletResponse:
        """Read a wallet's identity and policy."""
        wallet, version = await self._wallet(request.name)
        balance = balance_at(request.name, wallet, self._writer.now())
        return wallet_service_pb2.GetWalletResponse(
            wallet=write_wallet(request.name, wallet, version, balance)
        )

    async def GetBalance(
        self, request: wallet_service_pb2.GetBalanceRequest, context: Context
    ) -> wallet_service_pb2.GetBalanceResponse:
        """Read a wallet's balance, true now unless an instant is given."""
        if request.HasField("as_of_time") or request.HasField("as_of_record_time"):
            return wallet_service_pb2.GetBalanceResponse(balance=await self._balance_as_of(request))
        wallet, _ = await self._wallet(request.name)
        balance = balance_at(request.name, wallet, self._writer.now(), feature=request.feature)
        return wallet_service_pb2.GetBalanceResponse(balance=write_balance(balance))

    async def Grant(
        self, request: wallet_service_pb2.GrantRequest, context: Context
    ) -> wallet_service_pb2.GrantResponse:
        """Issue credit."""
        outcome = await self._submit(read_grant(request), request.idempotency_key, context)
        return wallet_service_pb2.GrantResponse(
            grant=write_granted(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def Debit(
        self, request: wallet_service_pb2.DebitRequest, context: Context
    ) -> wallet_service_pb2.DebitResponse:
        """Consume credit."""
        return write_debit_response(await self._submit(read_debit(request), request.idempotency_key, context))

    async def BatchDebit(
        self, request: wallet_service_pb2.BatchDebitRequest, context: Context
    ) -> wallet_service_pb2.BatchDebitResponse:
        """Consume credit for many usages."""
        items = request.requests
        if not 1 <= len(items) <= BATCH_SIZE_MAX:
            raise BatchTooLarge(
                f"requests must hold 1 to {BATCH_SIZE_MAX} debits, not {len(items)}", field="requests"
            )
        actor = actor_of(context)
        answers: list[Outcome | Refusal | None] = [None] * len(items)
        readable: list[int] = []
        requests: list[Request] = []
        for index, item in enumerate(items):
            try:
                requests.append(Request(read_debit(item), item.idempotency_key, actor))
            except Refusal as refusal:
                answers[index] = refusal
            else:
                readable.append(index)
        for index, answer in zip(readable, await self._writer.submit_many(requests), strict=True):
            answers[index] = answer
        # Results are written in place: a message that is handed to a constructor is copied once more.
        response = wallet_service_pb2.BatchDebitResponse()
        add_result = response.results.add
        for result in answers:
            _fill_result(add_result(), result)
        return response

    async def ListWallets(
        self, request: wallet_service_pb2.ListWalletsRequest, context: Context
    ) -> wallet_service_pb2.ListWalletsResponse:
        """List wallets by name."""
        page = await self._views.list_wallets(
            now=self._writer.now(),
            page_size=_page_size(request.page_size),
            page_token=request.page_token,
            customer=request.customer,
            min_position=request.min_position,
        )
        return wallet_service_pb2.ListWalletsResponse(
            wallets=[write_wallet_view(wallet) for wallet in page.wallets],
            next_page_token=page.next_page_token,
        )

    async def ListGrants(
        self, request: wallet_service_pb2.ListGrantsRequest, context: Context
    ) -> wallet_service_pb2.ListGrantsResponse:
        """List the grants of a wallet."""
        await self._wallet(request.name)
        page = await self._views.list_grants(
            request.name,
            now=self._writer.now(),
            page_size=_page_size(request.page_size),
            page_token=request.page_token,
            min_position=request.min_position,
        )
        return wallet_service_pb2.ListGrantsResponse(
            grants=[write_grant_view(grant) for grant in page.grants],
            next_page_token=page.next_page_token,
            position=page.position,
        )

    async def ListStatementLines(
        self, request: wallet_service_pb2.ListStatementLinesRequest, context: Context
    ) -> wallet_service_pb2.ListStatementLinesResponse:
        """List what happened to a wallet."""
        await self._wallet(request.name)
        after = read_page_token(request.page_token, tuple[int, int]) if request.page_token else (0, 0)
        page = await read_statement(
            self._reader,
            request.name,
            after=after,
            limit=_page_size(request.page_size),
            from_time=read_time(request.from_time, field="from_time")
            if request.HasField("from_time")
            else None,
            to_time=read_time(request.to_time, field="to_time") if request.HasField("to_time") else None,
        )
        return wallet_service_pb2.ListStatementLinesResponse(
            lines=[_write_line(line) for line in page.lines],
            next_page_token=write_page_token(page.next_after) if page.next_after else "",
        )

    async def _balance_as_of(self, request: wallet_service_pb2.GetBalanceRequest) -> wallet_pb2.Balance:
        check_name(request.name, collection="wallets", field="name")
        now = self._writer.now()
        replay = await replay_wallet(
            self._reader,
            request.name,
            effective_until=read_time(request.as_of_time, field="as_of_time")
            if request.HasField("as_of_time")
            else now,
            recorded_until=read_time(request.as_of_record_time, field="as_of_record_time")
            if request.HasField("as_of_record_time")
            else now,
            feature=request.feature,
        )
        return write_balance(replay.balance)

    async def _wallet(self, name: str) -> tuple[Wallet, int]:
        check_name(name, collection="wallets", field="name")
        reading = await self._writer.read(name)
        if not isinstance(reading.state, Wallet):
            raise WalletNotFound(f"{name} does not exist", field="name")
        return reading.state, reading.version


def _page_size(asked: int) -> int:
    limit = asked or PAGE_SIZE_DEFAULT
    check_range(limit, low=1, high=PAGE_SIZE_MAX, field="page_size")
    return limit


def _fill_result(result: wallet_service_pb2.BatchDebitResult, answer: Outcome | Refusal | None) -> None:
    if isinstance(answer, Refusal):
        result.error.CopyFrom(status_of(answer))
    else:
        assert answer is not None, "a debit records something"
        write_debit_response(answer, result.response)


def _write_line(line: StatementLine) -> wallet_pb2.StatementLine:
    return wallet_pb2.StatementLine(
        version=line.version,
        effective_time=write_time(line.effective_time),
        record_time=write_time(line.record_time),
        topic=line.topic,
        change_units=line.change_units,
        posted_units=line.posted_units,
        overage_units=line.overage_units,
        description=line.description,
    )
