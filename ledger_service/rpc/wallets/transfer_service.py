"""The methods of WalletService that move credit between wallets and note chargebacks."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import money_pb2, transfer_pb2
from ledger_service.application.ports import LogReader
from ledger_service.application.procedures import chargebacks, transfers
from ledger_service.application.procedures.transfers import Transferred, TransferState
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.events import CreditsTransferredOut, GrantChargedBack, TransferSlice
from ledger_service.domain.names import check_idempotency_key, check_name
from ledger_service.domain.values import Money
from ledger_service.rpc.calls import Context, actor_of
from ledger_service.rpc.part_names import read_part_name, write_part_name
from ledger_service.rpc.values import read_money, write_money, write_time

STATE_WIRE: Final = {
    TransferState.IN_TRANSIT: transfer_pb2.TRANSFER_STATE_IN_TRANSIT,
    TransferState.SETTLED: transfer_pb2.TRANSFER_STATE_SETTLED,
    TransferState.RETURNED: transfer_pb2.TRANSFER_STATE_RETURNED,
}


class TransferMethods:
    """Part of the WalletServicer."""

    _writer: Writer
    _reader: LogReader

    async def TransferCredits(
        self, request: transfer_pb2.TransferCreditsRequest, context: Context
    ) -> transfer_pb2.TransferCreditsResponse:
        """Move credit to another wallet."""
        check_name(request.name, collection="wallets", field="name")
        check_name(request.destination, collection="wallets", field="destination")
        check_idempotency_key(request.idempotency_key)
        transferred = await transfers.transfer(
            self._writer,
            self._reader,
            wallet=request.name,
            destination=request.destination,
            amount_units=request.amount_units,
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        return transfer_pb2.TransferCreditsResponse(
            transfer=_write_transfer(transferred),
            replayed=transferred.outcome.replayed,
            position=transferred.outcome.position,
        )

    async def ChargeBackGrant(
        self, request: transfer_pb2.ChargeBackGrantRequest, context: Context
    ) -> transfer_pb2.ChargeBackGrantResponse:
        """Note that the bank took a payment back."""
        grant = read_part_name(request.name, collection="grants")
        check_idempotency_key(request.idempotency_key)
        outcome = await chargebacks.charge_back(
            self._writer,
            self._reader,
            wallet=grant.wallet,
            grant_version=grant.version,
            amount=read_money(request.amount) if request.HasField("amount") else None,
            reference=request.reference,
            key=request.idempotency_key,
            actor=actor_of(context),
        )
        event = outcome.fact.event
        assert isinstance(event, GrantChargedBack)
        return transfer_pb2.ChargeBackGrantResponse(
            amount=_with_tax(event.amount, event.tax),
            revoked_units=event.revoked_units,
            receivable=_with_tax(event.receivable, event.tax_receivable),
            tax=write_money(event.tax) if event.tax is not None else None,
            receivable_tax=write_money(event.tax_receivable) if event.tax_receivable is not None else None,
            replayed=outcome.replayed,
            position=outcome.position,
        )


def _with_tax(money: Money, tax: Money | None) -> money_pb2.Money:
    return write_money(money if tax is None else Money(money.currency_code, money.nanos + tax.nanos))


def _write_transfer(transferred: Transferred) -> transfer_pb2.Transfer:
    outcome = transferred.outcome
    event = outcome.fact.event
    assert isinstance(event, CreditsTransferredOut)
    return transfer_pb2.Transfer(
        name=write_part_name(outcome.stream, "transfers", outcome.version),
        destination=event.destination,
        amount_units=event.amount_units,
        slices=[_write_slice(outcome.stream, each) for each in event.slices],
        state=STATE_WIRE[transferred.state],
        effective_time=write_time(outcome.fact.effective_time),
        burn_down_order=event.burn_down_order,
    )


def _write_slice(source: str, each: TransferSlice) -> transfer_pb2.TransferSlice:
    return transfer_pb2.TransferSlice(
        grant=write_part_name(source, "grants", each.grant_version),
        amount_units=each.amount_units,
        consideration=write_money(each.consideration) if each.consideration is not None else None,
    )
