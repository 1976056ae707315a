"""WalletService: issuing and consuming credit."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import wallet_closing_pb2, wallet_pb2, wallet_service_pb2, wallet_service_pb2_grpc
from ledger_service.application.ports import LogReader
from ledger_service.application.procedures.entity_books import for_entity_books, in_entity_books
from ledger_service.application.procedures.goodwill import check_compensated_debit
from ledger_service.application.reading.balance import balance_at
from ledger_service.application.reading.page_tokens import StatementToken, decode_token, encode_token
from ledger_service.application.reading.replay import replay_wallet
from ledger_service.application.reading.statement import StatementLine, read_statement
from ledger_service.application.reading.view_ports import Views
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.names import check_name, check_range
from ledger_service.domain.refusals import WalletNotFound
from ledger_service.domain.refusals.service import PageTokenMalformed
from ledger_service.domain.wallet.room import cap_uses
from ledger_service.domain.wallet.settle import settled
from ledger_service.domain.wallet.state import Wallet
from ledger_service.rpc.calls import Context
from ledger_service.rpc.values import read_time, write_time
from ledger_service.rpc.wallets.adjustment_service import AdjustmentMethods
from ledger_service.rpc.wallets.balance_messages import write_balance
from ledger_service.rpc.wallets.batch_debit_service import BatchDebitMethods
from ledger_service.rpc.wallets.cap_messages import write_cap_use
from ledger_service.rpc.wallets.debit_messages import write_debit_response
from ledger_service.rpc.wallets.debit_stream_service import DebitStreamMethods
from ledger_service.rpc.wallets.meter_totals_service import MeterTotalsMethods
from ledger_service.rpc.wallets.top_up_service import TopUpMethods
from ledger_service.rpc.wallets.transfer_service import TransferMethods
from ledger_service.rpc.wallets.view_messages import write_grant_view, write_wallet_view
from ledger_service.rpc.wallets.wallet_messages import (
    write_closed,
    write_granted,
    write_opened,
    write_updated,
    write_wallet,
)
from ledger_service.rpc.wallets.wallet_requests import (
    read_close_wallet,
    read_debit,
    read_grant,
    read_open_wallet,
    read_update_wallet,
)
from ledger_service.rpc.wallets.watch_service import WatchMethods

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1_000


class WalletServicer(
    BatchDebitMethods,
    TransferMethods,
    TopUpMethods,
    DebitStreamMethods,
    WatchMethods,
    MeterTotalsMethods,
    AdjustmentMethods,
    wallet_service_pb2_grpc.WalletServiceServicer,
):
    """Turns requests into commands, and outcomes into answers."""

    def __init__(
        self, writer: Writer, reader: LogReader, views: Views, *, functional_currency: str = ""
    ) -> None:
        """Serve from a writer, the log and the views; a sale in another currency than the books' needs a rate."""
        self._functional_currency = functional_currency
        super().__init__(writer, reader)
        self._views = views

    async def OpenWallet(
        self, request: wallet_service_pb2.OpenWalletRequest, context: Context
    ) -> wallet_service_pb2.OpenWalletResponse:
        """Open a wallet."""
        command = await for_entity_books(
            self._writer, read_open_wallet(request), functional_currency=self._functional_currency
        )
        outcome = await self._submit(command, request.idempotency_key, context)
        return wallet_service_pb2.OpenWalletResponse(
            wallet=write_opened(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def UpdateWallet(
        self, request: wallet_service_pb2.UpdateWalletRequest, context: Context
    ) -> wallet_service_pb2.UpdateWalletResponse:
        """Change a wallet's own policy and rules."""
        command = await for_entity_books(
            self._writer, read_update_wallet(request), functional_currency=self._functional_currency
        )
        outcome = await self._submit(command, request.idempotency_key, context)
        return wallet_service_pb2.UpdateWalletResponse(
            wallet=write_updated(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def CloseWallet(
        self, request: wallet_closing_pb2.CloseWalletRequest, context: Context
    ) -> wallet_closing_pb2.CloseWalletResponse:
        """Close a wallet for ever."""
        return write_closed(await self._submit(read_close_wallet(request), request.idempotency_key, context))

    async def GetWallet(
        self, request: wallet_service_pb2.GetWalletRequest, context: Context
    ) -> wallet_service_pb2.GetWalletResponse:
        """Read a wallet's identity and policy, and how its caps stand."""
        wallet, version = await self._wallet(request.name)
        now = self._writer.now()
        balance = balance_at(request.name, wallet, now)
        return wallet_service_pb2.GetWalletResponse(
            wallet=write_wallet(request.name, wallet, version, balance),
            cap_uses=[write_cap_use(use) for use in cap_uses(settled(wallet, now), now)],
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
        command = await in_entity_books(
            self._writer, read_grant(request), functional_currency=self._functional_currency
        )
        if command.compensates_version:
            await self._wallet(request.name)
            await check_compensated_debit(self._reader, command)
        outcome = await self._submit(command, request.idempotency_key, context)
        return wallet_service_pb2.GrantResponse(
            grant=write_granted(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def Debit(
        self, request: wallet_service_pb2.DebitRequest, context: Context
    ) -> wallet_service_pb2.DebitResponse:
        """Consume credit."""
        return write_debit_response(await self._submit(read_debit(request), request.idempotency_key, context))

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
        page = await read_statement(
            self._reader,
            request.name,
            after=_statement_after(request.page_token, request.name),
            limit=_page_size(request.page_size),
            from_time=read_time(request.from_time, field="from_time")
            if request.HasField("from_time")
            else None,
            to_time=read_time(request.to_time, field="to_time") if request.HasField("to_time") else None,
        )
        return wallet_service_pb2.ListStatementLinesResponse(
            lines=[_write_line(line) for line in page.lines],
            next_page_token=encode_token(StatementToken(request.name, *page.next_after))
            if page.next_after
            else "",
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


def _statement_after(page_token: str, wallet: str) -> tuple[int, int]:
    if not page_token:
        return 0, 0
    token = decode_token(page_token, StatementToken)
    if token.wallet != wallet:
        raise PageTokenMalformed("the page token is of another wallet's statement", field="page_token")
    return token.after_version, token.posted_units


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
