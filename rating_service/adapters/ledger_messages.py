"""Orders as the ledger's messages. On the path of every usage, so messages are built once, by constructor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import money_pb2, wallet_pb2, wallet_service_pb2
from rating_service.application.ports import Order
from rating_service.domain.usage import Charge

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def timestamp(instant: datetime) -> Timestamp:
    """Return an instant as a message; exact to the microsecond."""
    since = instant - _EPOCH
    return Timestamp(seconds=since // _SECOND, nanos=since.microseconds * 1_000)


def instant(message: Timestamp) -> datetime:
    """Return the instant behind a message, cut to microseconds."""
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)


def debit_request(order: Order, *, delivered: bool) -> wallet_service_pb2.DebitRequest:
    """Return the debit that an order asks for."""
    return wallet_service_pb2.DebitRequest(
        name=order.wallet,
        idempotency_key=order.usage,
        effective_time=timestamp(order.effective_time),
        feature=order.feature,
        delivered=delivered,
        charge=charge_message(order.charge),
    )


def charge_message(charge: Charge) -> wallet_pb2.Charge:
    """Return a charge as a message."""
    price = charge.overage_price
    return wallet_pb2.Charge(
        contract=charge.contract,
        contract_phase=charge.contract_phase,
        rate_card_phase=charge.rate_card_phase,
        phase_hash=charge.phase_hash,
        properties=charge.properties,
        lines=[
            wallet_pb2.ChargeLine(
                dimension=line.dimension,
                quantity=line.quantity,
                unit_size=line.unit_size,
                unit_price=line.unit_price,
                multiplier="" if line.multiplier == "1" else line.multiplier,
                exact_units=line.exact_units,
            )
            for line in charge.lines
        ],
        exact_units=charge.exact_units,
        overage_price=None
        if price is None
        else money_pb2.UnitPrice(currency_code=price.currency_code, price=price.price),
    )
