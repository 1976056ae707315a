"""The method of WalletService that reads running totals."""

from __future__ import annotations

from credits.ledger.v1 import meter_totals_pb2
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.events import RunningTotal
from ledger_service.domain.names import check_name
from ledger_service.domain.refusals import WalletNotFound
from ledger_service.domain.wallet.state import Wallet
from ledger_service.domain.wallet.totals import CycleTotals
from ledger_service.rpc.calls import Context
from ledger_service.rpc.charge_parts import write_total


class MeterTotalsMethods:
    """Part of the WalletServicer."""

    _writer: Writer

    async def GetMeterTotals(
        self, request: meter_totals_pb2.GetMeterTotalsRequest, context: Context
    ) -> meter_totals_pb2.GetMeterTotalsResponse:
        """Read what a wallet has counted; it includes every debit that was answered before."""
        check_name(request.name, collection="wallets", field="name")
        if request.contract:
            check_name(request.contract, collection="contracts", field="contract")
        wallet = (await self._writer.read(request.name)).state
        if not isinstance(wallet, Wallet):
            raise WalletNotFound(f"{request.name} does not exist", field="name")
        return meter_totals_pb2.GetMeterTotalsResponse(
            totals=[
                meter_totals_pb2.MeterTotal(contract=cycle.contract, total=write_total(total))
                for cycle in wallet.totals
                if request.contract in ("", cycle.contract)
                for total in _totals_of(cycle)
            ]
        )


def _totals_of(cycle: CycleTotals) -> list[RunningTotal]:
    return [
        RunningTotal(meter, total.quantity, total.usages, cycle.cycle_start_time, cycle.cycle_end_time)
        for meter, total in sorted(cycle.meters.items())
    ]
