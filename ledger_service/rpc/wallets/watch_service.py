"""The method of WalletService that follows a wallet's balance.

A watcher sleeps until a commit has touched its wallet, and then reads the state that the writer holds in
memory: an idle wallet costs a message in HEARTBEAT_SECONDS, a busy one at most one in INTERVAL_SECONDS. States in
between may be left out; alerts never are, for they are read from the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Final

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.application.ports import LogReader
from ledger_service.application.reading.alerts import ALERTS_PER_READ, read_alerts
from ledger_service.application.reading.balance import balance_at
from ledger_service.application.writing.writer import Writer
from ledger_service.domain.names import check_name, check_range
from ledger_service.domain.refusals import WalletNotFound
from ledger_service.domain.wallet.state import Wallet
from ledger_service.rpc.calls import Context
from ledger_service.rpc.wallets.alert_messages import write_alert
from ledger_service.rpc.wallets.balance_messages import write_balance

INTERVAL_SECONDS: Final = 0.02
"""Shortest time between two messages: faster than people see, slower than wallets change."""
HEARTBEAT_SECONDS: Final = 5.0
"""How often an idle stream shows that it is alive, with the balance that time alone may have changed."""
VERSION_MAX: Final = 2**63 - 1


class WatchMethods:
    """Part of the WalletServicer."""

    _writer: Writer
    _reader: LogReader

    async def WatchBalance(
        self, request: wallet_service_pb2.WatchBalanceRequest, context: Context
    ) -> AsyncGenerator[wallet_service_pb2.WatchBalanceResponse, None]:
        """Send the balance, and again whenever the wallet's stream has grown."""
        check_name(request.name, collection="wallets", field="name")
        check_range(request.after_version, low=0, high=VERSION_MAX, field="after_version")
        known_version = request.after_version
        alive = True
        with self._writer.watch(request.name) as grown:
            while True:
                grown.clear()
                response = await self._read(request, known_version)
                if response.version > known_version or not alive:
                    yield response
                    known_version = max(known_version, response.version)
                    await asyncio.sleep(INTERVAL_SECONDS)
                if len(response.alerts) < ALERTS_PER_READ:
                    alive = await _is_set_within(grown, HEARTBEAT_SECONDS)

    async def _read(
        self, request: wallet_service_pb2.WatchBalanceRequest, known_version: int
    ) -> wallet_service_pb2.WatchBalanceResponse:
        # Taken first: what is committed while the state is read may or may not be in it.
        position = self._writer.committed_position
        reading = await self._writer.read(request.name)
        if not isinstance(reading.state, Wallet):
            raise WalletNotFound(f"{request.name} does not exist", field="name")
        balance = balance_at(request.name, reading.state, self._writer.now(), feature=request.feature)
        response = wallet_service_pb2.WatchBalanceResponse(
            balance=write_balance(balance), version=reading.version, position=position
        )
        # The log is asked only when the state says that there is something; a watcher that knows nothing begins now.
        if 0 < known_version < reading.state.usage.alert_version:
            found = await read_alerts(self._reader, request.name, after=known_version)
            alerts = [alert for alert in found if alert.version <= reading.version]
            response.alerts.extend([write_alert(alert) for alert in alerts])
            if len(alerts) == ALERTS_PER_READ:
                # A full page may not be all: the rest is read after its last one, at once.
                response.version = alerts[-1].version
        return response


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
