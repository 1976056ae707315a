"""Orders as the ledger's messages.

This is on the path of every usage, so messages are written in place: handing a finished message to the
constructor of another copies it, and a charge built that way is copied three times, at twice the cost.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import price_model_pb2, wallet_pb2, wallet_service_pb2
from rating_service.application.ports import Order
from rating_service.domain.usage import Charge, ChargeLine, TotalBefore

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)


def instant(message: Timestamp) -> datetime:
    """Return the instant behind a message, cut to microseconds."""
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1_000)


def write_debit(request: wallet_service_pb2.DebitRequest, order: Order, *, delivered: bool) -> None:
    """Write the debit that an order asks for into an empty request."""
    request.name = order.wallet
    request.idempotency_key = order.usage
    request.feature = order.feature
    request.api_key = order.api_key
    request.user = order.user
    request.delivered = delivered
    write_instant(request.effective_time, order.effective_time)
    write_charge(request.charge, order.charge)


def write_instant(message: Timestamp, moment: datetime) -> None:
    """Write an instant into a message; exact to the microsecond."""
    since = moment - _EPOCH
    message.seconds = since // _SECOND
    message.nanos = since.microseconds * 1_000


def write_charge(message: wallet_pb2.Charge, charge: Charge) -> None:
    """Write a charge into an empty message."""
    message.contract = charge.contract
    message.contract_phase = charge.contract_phase
    message.rate_card_phase = charge.rate_card_phase
    message.phase_hash = charge.phase_hash
    message.exact_units = charge.exact_units
    properties = message.properties
    for name, value in charge.properties.items():
        properties[name] = value
    add_line = message.lines.add
    for line in charge.lines:
        written = add_line(
            dimension=line.dimension,
            quantity=line.quantity,
            unit_size=line.unit_size,
            unit_price=line.unit_price,
            multiplier="" if line.multiplier == "1" else line.multiplier,
            exact_units=line.exact_units,
        )
        if line.model != "unit" or line.parts or line.provider_cost:
            _write_terms(written, line)
    if charge.provider_cost:
        message.provider_cost = charge.provider_cost
        message.cost_currency = charge.cost_currency
    price = charge.overage_price
    if price is not None:
        message.overage_price.currency_code = price.currency_code
        message.overage_price.price = price.price


def _write_terms(message: wallet_pb2.ChargeLine, line: ChargeLine) -> None:
    """Write what a line has beyond a linear price."""
    message.model = "" if line.model == "unit" else line.model
    message.provider_cost = line.provider_cost
    for part in line.parts:
        message.parts.add(
            kind=price_model_pb2.ChargePartKind.Value(f"CHARGE_PART_KIND_{part.kind}"),
            tier=part.tier,
            quantity=part.quantity,
            price=part.price,
            exact_units=part.exact_units,
        )
    before = line.total_before
    if before is not None:
        message.total_before.meter = before.meter
        message.total_before.quantity = before.quantity
        message.total_before.usages = before.usages
        if before.cycle_start_time is not None:
            write_instant(message.total_before.cycle_start_time, before.cycle_start_time)
        if before.cycle_end_time is not None:
            write_instant(message.total_before.cycle_end_time, before.cycle_end_time)


def read_total(message: price_model_pb2.RunningTotal) -> TotalBefore:
    """Return a running total that the ledger tells."""
    return TotalBefore(
        message.meter,
        message.quantity,
        message.usages,
        instant(message.cycle_start_time),
        instant(message.cycle_end_time),
    )


def charge_message(charge: Charge) -> wallet_pb2.Charge:
    """Return a charge as a message."""
    message = wallet_pb2.Charge()
    write_charge(message, charge)
    return message
