"""Messages as the application's values, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from credits.ledger.v1 import money_pb2, price_model_pb2
from credits.rating.v1 import invoice_service_pb2, rating_service_pb2
from rating_service.application.invoicing.trace_line import LineDebit
from rating_service.application.ports import LedgerEvent
from rating_service.application.refusals import RequestReason, RequestRefused
from rating_service.domain.agreements.agreement import Money, UnitPrice
from rating_service.domain.price_models.running_total import RunningTotal
from rating_service.domain.usage import Usage

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_SECONDS_MIN: Final = -62_135_596_800
_SECONDS_MAX: Final = 253_402_300_799
"""0001-01-01 and the last second of 9999, the range of a Timestamp."""
_NANOS_MAX: Final = 999_999_999


def read_instant(message: Timestamp, *, field: str) -> datetime:
    """Return the instant behind a timestamp, cut to microseconds. Refuses TIME_MALFORMED."""
    seconds, nanos = message.seconds, message.nanos
    if not (_SECONDS_MIN <= seconds <= _SECONDS_MAX and 0 <= nanos <= _NANOS_MAX):
        raise RequestRefused(
            RequestReason.TIME_MALFORMED, f"{field} is not an instant of the years 1 to 9999", field=field
        )
    return _EPOCH + timedelta(seconds=seconds, microseconds=nanos // 1_000)


def required_instant(request: invoice_service_pb2.IssueInvoiceRequest) -> datetime:
    """Return the request's cycle_time. Refuses FIELD_REQUIRED, TIME_MALFORMED."""
    if not request.HasField("cycle_time"):
        raise RequestRefused(RequestReason.FIELD_REQUIRED, "cycle_time is required", field="cycle_time")
    return read_instant(request.cycle_time, field="cycle_time")


def read_usage(message: rating_service_pb2.Usage) -> Usage:
    """Return the usage behind a message. Refuses FIELD_REQUIRED, TIME_MALFORMED."""
    if not message.HasField("effective_time"):
        raise RequestRefused(
            RequestReason.FIELD_REQUIRED, "usage.effective_time is required", field="usage.effective_time"
        )
    # A comprehension copies a map in two thirds of the time that dict() of its items takes.
    quantities, properties = message.quantities, message.properties
    return Usage(
        read_instant(message.effective_time, field="usage.effective_time"),
        {name: quantities[name] for name in quantities},
        {name: properties[name] for name in properties},
        message.id,
        message.contract,
        message.feature,
        message.api_key,
        message.user,
    )


def read_totals(messages: Mapping[str, price_model_pb2.RunningTotal]) -> dict[str, RunningTotal]:
    """Return running totals by dimension; a quantity of no usage is that of one. Refuses NUMBER_OUT_OF_RANGE."""
    totals: dict[str, RunningTotal] = {}
    for dimension, message in messages.items():
        quantity, usages = message.quantity, message.usages
        if quantity < 0 or usages < 0:
            raise RequestRefused(
                RequestReason.NUMBER_OUT_OF_RANGE,
                f"the total before of {dimension[:64]!r} is negative",
                field=f"totals_before.{dimension[:64]}",
            )
        totals[dimension] = RunningTotal(quantity, usages or int(quantity > 0))
    return totals


def timestamp(instant: datetime | None) -> Timestamp | None:
    """Return an instant as a message; exact to the microsecond."""
    if instant is None:
        return None
    message = Timestamp()
    write_instant(message, instant)
    return message


def write_instant(message: Timestamp, instant: datetime) -> None:
    """Write an instant into a message; exact to the microsecond."""
    since = instant - _EPOCH
    message.seconds, message.nanos = since // _SECOND, since.microseconds * 1_000


def money(amount: Money) -> money_pb2.Money:
    """Return money as a message."""
    return money_pb2.Money(currency_code=amount.currency_code, nanos=amount.nanos)


def unit_price(price: UnitPrice | None) -> money_pb2.UnitPrice | None:
    """Return a price as a message."""
    if price is None:
        return None
    return money_pb2.UnitPrice(currency_code=price.currency_code, price=price.price)


def line_debit(traced: LineDebit) -> invoice_service_pb2.LineDebit:
    """Return a debit's part in a line as a message."""
    debit = traced.debit
    return invoice_service_pb2.LineDebit(
        debit=debit.name,
        position=debit.position,
        usage=debit.usage,
        amount_units=traced.amount_units,
        effective_time=timestamp(debit.effective_time),
    )


def line_event(event: LedgerEvent) -> invoice_service_pb2.LineEvent:
    """Return an event behind a line as a message."""
    return invoice_service_pb2.LineEvent(
        stream=event.stream, version=event.version, position=event.position, topic=event.topic
    )
