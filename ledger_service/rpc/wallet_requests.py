"""Wallet requests on the wire, read into commands. Forms are checked here by the domain's own checks."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import wallet_pb2, wallet_service_pb2
from ledger_service.domain.commands import Debit, GrantCredits, OpenWallet
from ledger_service.domain.events import Charge, ChargeLine
from ledger_service.domain.names import (
    check_feature,
    check_id,
    check_idempotency_key,
    check_name,
    check_price,
    check_range,
    check_text,
    check_unit_price,
    check_word,
)
from ledger_service.domain.refusals import FieldRequired, FieldTooLong
from ledger_service.domain.values import UNITS_MAX, ShortfallMode
from ledger_service.rpc.values import (
    read_asset,
    read_category,
    read_money,
    read_shortfall,
    read_time,
    read_unit_price,
)

CHARGE_LINES_MAX: Final = 64
PROPERTIES_MAX: Final = 32


def read_open_wallet(request: wallet_service_pb2.OpenWalletRequest) -> OpenWallet:
    """Return the command. Raises Refusal."""
    check_id(request.wallet_id, field="wallet_id")
    check_idempotency_key(request.idempotency_key)
    wallet = request.wallet
    mode = ShortfallMode.HARD
    if wallet.shortfall_mode:
        mode = read_shortfall(wallet.shortfall_mode, field="wallet.shortfall_mode")
    return OpenWallet(
        wallet=f"wallets/{request.wallet_id}",
        customer=wallet.customer,
        asset=read_asset(wallet.asset),
        shortfall_mode=mode,
        overage_limit_units=wallet.overage_limit_units,
    )


def read_grant(request: wallet_service_pb2.GrantRequest) -> GrantCredits:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="wallets", field="name")
    check_idempotency_key(request.idempotency_key)
    grant = request.grant
    effective = (
        read_time(grant.effective_time, field="grant.effective_time")
        if grant.HasField("effective_time")
        else None
    )
    expire = (
        read_time(grant.expire_time, field="grant.expire_time") if grant.HasField("expire_time") else None
    )
    return GrantCredits(
        wallet=request.name,
        amount_units=grant.amount_units,
        category=read_category(grant.category, field="grant.category"),
        priority=grant.priority,
        scope=tuple(grant.scope),
        effective_time=effective,
        expire_time=expire,
        consideration=read_money(grant.consideration) if grant.HasField("consideration") else None,
        contract=grant.contract,
        reference=grant.reference,
    )


def read_debit(request: wallet_service_pb2.DebitRequest) -> Debit:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="wallets", field="name")
    check_idempotency_key(request.idempotency_key)
    feature = request.feature
    if feature:
        check_feature(feature, field="feature")
    return Debit(
        request.name,
        request.amount_units,
        read_time(request.effective_time, field="effective_time")
        if request.HasField("effective_time")
        else None,
        feature,
        request.delivered,
        _read_charge(request.charge) if request.HasField("charge") else None,
    )


def _read_charge(charge: wallet_pb2.Charge) -> Charge:
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
    )


def _read_line(line: wallet_pb2.ChargeLine) -> ChargeLine:
    dimension, quantity, unit_price = line.dimension, line.quantity, line.unit_price
    check_word(dimension, field="charge.lines.dimension")
    check_range(quantity, low=0, high=UNITS_MAX, field="charge.lines.quantity")
    check_price(unit_price, field="charge.lines.unit_price")
    multiplier = line.multiplier or "1"
    if multiplier != "1":
        check_price(multiplier, field="charge.lines.multiplier")
    return ChargeLine(dimension, quantity, unit_price, line.exact_units, line.unit_size or 1, multiplier)
