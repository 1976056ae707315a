"""The parts of a charge line on the wire: tiers, fees, packages, and the running total before them."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import price_model_pb2, wallet_pb2
from ledger_service.domain.events import ChargeLine, ChargePart, RunningTotal
from ledger_service.domain.names import check_exact, check_price, check_range, check_text, check_word
from ledger_service.domain.refusals import FieldTooLong, ValueUnspecified
from ledger_service.domain.values import UNITS_MAX
from ledger_service.domain.wallet.totals import METER_LENGTH_MAX
from ledger_service.rpc.values import fill_time, read_time

PARTS_MAX: Final = 256
"""Most parts of a line: each of 64 tiers may give a quantity and a fee, and the bounds two more."""
_PREFIX: Final = "CHARGE_PART_KIND_"
_KINDS: Final = {
    value.number: value.name.removeprefix(_PREFIX)
    for value in price_model_pb2.ChargePartKind.DESCRIPTOR.values
    if value.number
}


def read_parts(line: wallet_pb2.ChargeLine) -> tuple[ChargePart, ...]:
    """Return the parts of a line. Raises FieldTooLong, ValueUnspecified and what checks of fields raise."""
    if len(line.parts) > PARTS_MAX:
        raise FieldTooLong(f"charge.lines.parts exceeds {PARTS_MAX}", field="charge.lines.parts")
    return tuple([_read_part(part) for part in line.parts])


def read_model(line: wallet_pb2.ChargeLine) -> str:
    """Return the name of a line's price model. Raises FieldMalformed."""
    if not line.model:
        return "unit"
    check_word(line.model, field="charge.lines.model")
    return line.model


def read_total(line: wallet_pb2.ChargeLine) -> RunningTotal | None:
    """Return the running total before a line's usage, if it has one. Raises FieldTooLong, NumberOutOfRange."""
    if not line.HasField("total_before"):
        return None
    total = line.total_before
    check_text(total.meter, field="charge.lines.total_before.meter", length_max=METER_LENGTH_MAX)
    check_range(total.quantity, low=0, high=UNITS_MAX, field="charge.lines.total_before.quantity")
    check_range(total.usages, low=0, high=UNITS_MAX, field="charge.lines.total_before.usages")
    field = "charge.lines.total_before"
    # That a cycle is required is the domain's rule.
    start_time = (
        read_time(total.cycle_start_time, field=f"{field}.cycle_start_time")
        if total.HasField("cycle_start_time")
        else None
    )
    end_time = (
        read_time(total.cycle_end_time, field=f"{field}.cycle_end_time")
        if total.HasField("cycle_end_time")
        else None
    )
    return RunningTotal(total.meter, total.quantity, total.usages, start_time, end_time)


def write_total(total: RunningTotal) -> price_model_pb2.RunningTotal:
    """Return a running total as a message."""
    message = price_model_pb2.RunningTotal(meter=total.meter, quantity=total.quantity, usages=total.usages)
    if total.cycle_start_time is not None:
        fill_time(message.cycle_start_time, total.cycle_start_time)
    if total.cycle_end_time is not None:
        fill_time(message.cycle_end_time, total.cycle_end_time)
    return message


def write_terms(message: wallet_pb2.ChargeLine, line: ChargeLine) -> None:
    """Write what a line has beyond a linear price."""
    message.model = "" if line.model == "unit" else line.model
    message.provider_cost = line.provider_cost
    for part in line.parts:
        message.parts.add(
            kind=price_model_pb2.ChargePartKind.Value(f"{_PREFIX}{part.kind}"),
            tier=part.tier,
            quantity=part.quantity,
            price=part.price,
            exact_units=part.exact_units,
        )
    if line.total_before is not None:
        message.total_before.CopyFrom(write_total(line.total_before))


def _read_part(part: price_model_pb2.ChargePart) -> ChargePart:
    kind = _KINDS.get(part.kind)
    if kind is None:
        raise ValueUnspecified("charge.lines.parts.kind is required", field="charge.lines.parts.kind")
    if part.price:
        check_price(part.price, field="charge.lines.parts.price")
    # What a part takes back is below 0; a line is not.
    check_exact(part.exact_units.removeprefix("-"), field="charge.lines.parts.exact_units")
    check_range(part.tier, low=0, high=UNITS_MAX, field="charge.lines.parts.tier")
    check_range(part.quantity, low=0, high=UNITS_MAX, field="charge.lines.parts.quantity")
    return ChargePart(kind, part.exact_units, part.tier, part.quantity, part.price)
