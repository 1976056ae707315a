"""The methods of WalletService about payments that credit waits for: activations and top-ups."""

from __future__ import annotations

from credits.ledger.v1 import top_up_pb2
from ledger_service.application.procedures import top_ups
from ledger_service.application.procedures.entity_books import for_entity_books, received_in_entity_books
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.wallets.hold_service import HoldMethods
from ledger_service.rpc.wallets.top_up_messages import (
    read_activate,
    read_request_top_up,
    read_settle_top_up,
    write_activated,
    write_requested,
    write_settled,
)


class TopUpMethods(HoldMethods):
    """Part of the WalletServicer; it submits commands as the methods about holds do."""

    _functional_currency: str

    async def ActivateGrant(
        self, request: top_up_pb2.ActivateGrantRequest, context: Context
    ) -> top_up_pb2.ActivateGrantResponse:
        """Issue what a pending grant held back."""
        command = await received_in_entity_books(self._writer, read_activate(request))
        return write_activated(await self._submit(command, request.idempotency_key, context))

    async def RequestTopUp(
        self, request: top_up_pb2.RequestTopUpRequest, context: Context
    ) -> top_up_pb2.RequestTopUpResponse:
        """Ask for credit at a price of its own."""
        command = await for_entity_books(
            self._writer, read_request_top_up(request), functional_currency=self._functional_currency
        )
        return write_requested(await self._submit(command, request.idempotency_key, context))

    async def SettleTopUp(
        self, request: top_up_pb2.SettleTopUpRequest, context: Context
    ) -> top_up_pb2.SettleTopUpResponse:
        """Say how a top-up's payment went."""
        outcome = await top_ups.settle(
            self._writer,
            self._reader,
            read_settle_top_up(request),
            functional_currency=self._functional_currency,
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        return write_settled(outcome)
