"""Charges on the wire, read and checked: usage that a debit or a capture pays for."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import wallet_pb2
from ledger_service.domain.events import Charge, ChargeLine
from ledger_service.domain.names import (
    check_currency,
    check_exact,
    check_name,
    check_price,
    check_range,
    check_text,
    check_unit_price,
    check_word,
)
from ledger_service.domain.refusals import FieldNotAllowed, FieldRequired, FieldTooLong
from ledger_service.domain.values import UNITS_MAX
from ledger_service.rpc.charge_parts import read_model, read_parts, read_total
from ledger_service.rpc.values import read_unit_price

CHARGE_LINES_MAX: Final = 64
PROPERTIES_MAX: Final = 32


def read_charge(charge: wallet_pb2.Charge) -> Charge:
    """Return a charge. Raises Refusal."""
    if charge.HasField("adjustment"):
        raise FieldNotAllowed("charge.adjustment is recorded by RecordAdjustment", field="charge.adjustment")
    if charge.contract:
        check_name(charge.contract, collection="contracts", field="charge.contract")
    if not charge.rate_card_phase:
        raise FieldRequired("charge.rate_card_phase is required", field="charge.rate_card_phase")
    for field in ("contract_phase", "rate_card_phase", "phase_hash"):
        check_text(getattr(charge, field), field=f"charge.{field}")
    if not charge.lines:
        raise FieldRequired("charge.lines is required", field="charge.lines")
    if len(charge.lines) > CHARGE_LINES_MAX:
        raise FieldTooLong(f"charge.lines exceeds {CHARGE_LINES_MAX} lines", field="charge.lines")
    properties = dict(charge.properties)
    if len(properties) > PROPERTIES_MAX:
        raise FieldTooLong(f"charge.properties exceeds {PROPERTIES_MAX}", field="charge.properties")
    for key, value in properties.items():
        check_word(key, field="charge.properties")
        check_text(value, field="charge.properties")
    price = read_unit_price(charge.overage_price) if charge.HasField("overage_price") else None
    if price is not None:
        check_unit_price(price, field="charge.overage_price")
    return Charge(
        charge.contract,
        charge.contract_phase,
        charge.rate_card_phase,
        charge.phase_hash,
        tuple([_read_line(line) for line in charge.lines]),
        charge.exact_units,
        properties,
        price,
        _read_cost(charge),
        charge.cost_currency,
    )


def _read_cost(charge: wallet_pb2.Charge) -> str:
    if charge.cost_currency:
        check_currency(charge.cost_currency, field="charge.cost_currency")
    if charge.provider_cost:
        check_exact(charge.provider_cost, field="charge.provider_cost")
    return charge.provider_cost


def _read_line(line: wallet_pb2.ChargeLine) -> ChargeLine:
    dimension, quantity, unit_price = line.dimension, line.quantity, line.unit_price
    check_word(dimension, field="charge.lines.dimension")
    check_range(quantity, low=0, high=UNITS_MAX, field="charge.lines.quantity")
    model = read_model(line)
    # A line of parts, as of free units, bounds or an outcome, has its prices there.
    if unit_price or (model == "unit" and not line.parts):
        check_price(unit_price, field="charge.lines.unit_price")
    multiplier = line.multiplier or "1"
    if multiplier != "1":
        check_price(multiplier, field="charge.lines.multiplier")
    if line.provider_cost:
        check_exact(line.provider_cost, field="charge.lines.provider_cost")
    unit_size = line.unit_size or 1
    parts, total = read_parts(line), read_total(line)
    return ChargeLine(
        dimension,
        quantity,
        unit_price,
        line.exact_units,
        unit_size,
        multiplier,
        model,
        parts,
        total,
        line.provider_cost,
    )
