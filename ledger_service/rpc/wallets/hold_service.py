"""The methods of WalletService that change holds, take debits back and withdraw or extend grants."""

from __future__ import annotations

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.application.ports import LogReader
from ledger_service.application.procedures import holds, reversals
from ledger_service.application.writing.calls import Outcome
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.commands import AnyCommand, Request
from ledger_service.domain.events import GrantRefunded, GrantRevoked, HoldReleased
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.part_names import write_part_name
from ledger_service.rpc.values import write_money
from ledger_service.rpc.wallets.debit_messages import write_debit, write_draws, write_hold, write_reversal
from ledger_service.rpc.wallets.hold_requests import (
    read_capture,
    read_extend,
    read_hold,
    read_refund,
    read_release,
    read_reversed_debit,
    read_revoke,
)


class HoldMethods:
    """Part of the WalletServicer."""

    def __init__(self, writer: Writer, reader: LogReader) -> None:
        """Serve from a writer and the log."""
        self._writer = writer
        self._reader = reader

    async def Hold(
        self, request: wallet_service_pb2.HoldRequest, context: Context
    ) -> wallet_service_pb2.HoldResponse:
        """Reserve credit."""
        outcome = await self._submit(read_hold(request), request.idempotency_key, context)
        return wallet_service_pb2.HoldResponse(
            hold=write_hold(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def CaptureHold(
        self, request: wallet_service_pb2.CaptureHoldRequest, context: Context
    ) -> wallet_service_pb2.CaptureHoldResponse:
        """Turn a hold into a debit."""
        outcome = await holds.capture(
            self._writer,
            self._reader,
            read_capture(request),
            key=request.idempotency_key,
            actor=actor_of(context),
            allow_late=request.allow_late,
        )
        return wallet_service_pb2.CaptureHoldResponse(
            debit=write_debit(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def ReleaseHold(
        self, request: wallet_service_pb2.ReleaseHoldRequest, context: Context
    ) -> wallet_service_pb2.ReleaseHoldResponse:
        """Give back what a hold reserves."""
        outcome = await holds.release(
            self._writer,
            self._reader,
            read_release(request),
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        event = outcome.fact.event
        assert isinstance(event, HoldReleased)
        return wallet_service_pb2.ReleaseHoldResponse(
            returned=write_draws(outcome.stream, event.returned),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def ReverseDebit(
        self, request: wallet_service_pb2.ReverseDebitRequest, context: Context
    ) -> wallet_service_pb2.ReverseDebitResponse:
        """Take a debit back."""
        debit = read_reversed_debit(request)
        outcome = await reversals.reverse(
            self._writer,
            self._reader,
            wallet=debit.wallet,
            debit_version=debit.version,
            amount_units=request.amount_units,
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        return wallet_service_pb2.ReverseDebitResponse(
            reversal=write_reversal(outcome), replayed=outcome.replayed, position=outcome.position
        )

    async def RevokeGrant(
        self, request: wallet_service_pb2.RevokeGrantRequest, context: Context
    ) -> wallet_service_pb2.RevokeGrantResponse:
        """Withdraw the unheld rest of a grant."""
        outcome = await self._submit(read_revoke(request), request.idempotency_key, context)
        event = outcome.fact.event
        assert isinstance(event, GrantRevoked)
        return wallet_service_pb2.RevokeGrantResponse(
            revoked_units=event.amount_units, replayed=outcome.replayed, position=outcome.position
        )

    async def RefundGrant(
        self, request: wallet_service_pb2.RefundGrantRequest, context: Context
    ) -> wallet_service_pb2.RefundGrantResponse:
        """Withdraw unheld units of a paid grant and owe their cost basis and its tax back."""
        outcome = await self._submit(read_refund(request), request.idempotency_key, context)
        event = outcome.fact.event
        assert isinstance(event, GrantRefunded)
        return wallet_service_pb2.RefundGrantResponse(
            refunded_units=event.amount_units,
            refund=write_money(event.refund),
            tax=write_money(event.tax) if event.tax is not None else None,
            name=write_part_name(outcome.stream, "refunds", outcome.version),
            replayed=outcome.replayed,
            position=outcome.position,
        )

    async def ExtendGrant(
        self, request: wallet_service_pb2.ExtendGrantRequest, context: Context
    ) -> wallet_service_pb2.ExtendGrantResponse:
        """Let a grant live longer."""
        outcome = await self._submit(read_extend(request), request.idempotency_key, context)
        return wallet_service_pb2.ExtendGrantResponse(replayed=outcome.replayed, position=outcome.position)

    async def _submit(self, command: AnyCommand, key: str, context: Context) -> Outcome:
        outcome = await self._writer.submit(Request(command, key, actor_of(context)))
        assert outcome is not None, "a keyed command records something"
        return outcome
