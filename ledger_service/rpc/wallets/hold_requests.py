"""Requests about holds, reversals and withdrawn grants, read into commands."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import wallet_service_pb2
from ledger_service.domain.commands import (
    CaptureHold,
    ExtendGrant,
    OverHold,
    PlaceHold,
    RefundGrant,
    ReleaseHold,
    RevokeGrant,
)
from ledger_service.domain.names import check_feature, check_idempotency_key, check_name, check_text
from ledger_service.domain.refusals import ValueUnspecified
from ledger_service.rpc.part_names import PartName, read_part_name
from ledger_service.rpc.values import read_duration, read_money, read_time
from ledger_service.rpc.wallets.charge_requests import read_charge

OVER_HOLD: Final = {
    wallet_service_pb2.OVER_HOLD_UNSPECIFIED: OverHold.EXTRA_IF_AVAILABLE,
    wallet_service_pb2.OVER_HOLD_EXTRA_IF_AVAILABLE: OverHold.EXTRA_IF_AVAILABLE,
    wallet_service_pb2.OVER_HOLD_REJECT: OverHold.REJECT,
}


def read_hold(request: wallet_service_pb2.HoldRequest) -> PlaceHold:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="wallets", field="name")
    check_idempotency_key(request.idempotency_key)
    if request.feature:
        check_feature(request.feature, field="feature")
    if request.api_key:
        check_feature(request.api_key, field="api_key")
    if request.user:
        check_feature(request.user, field="user")
    check_text(request.estimate_of, field="estimate_of")
    return PlaceHold(
        wallet=request.name,
        amount_units=request.amount_units,
        ttl=read_duration(request.ttl, field="ttl") if request.HasField("ttl") else None,
        feature=request.feature,
        api_key=request.api_key,
        user=request.user,
        estimate_of=request.estimate_of,
    )


def read_capture(request: wallet_service_pb2.CaptureHoldRequest) -> CaptureHold:
    """Return the command. Raises Refusal."""
    hold = _read_part(request.name, request.idempotency_key, "holds")
    over_hold = OVER_HOLD.get(request.over_hold)
    if over_hold is None:
        raise ValueUnspecified("over_hold must be REJECT or EXTRA_IF_AVAILABLE", field="over_hold")
    return CaptureHold(
        wallet=hold.wallet,
        hold_version=hold.version,
        amount_units=request.amount_units,
        final=not request.keep_open,
        over_hold=over_hold,
        charge=read_charge(request.charge) if request.HasField("charge") else None,
    )


def read_release(request: wallet_service_pb2.ReleaseHoldRequest) -> ReleaseHold:
    """Return the command. Raises Refusal."""
    hold = _read_part(request.name, request.idempotency_key, "holds")
    return ReleaseHold(hold.wallet, hold.version)


def read_reversed_debit(request: wallet_service_pb2.ReverseDebitRequest) -> PartName:
    """Return the debit to reverse. Raises Refusal."""
    return _read_part(request.name, request.idempotency_key, "debits")


def read_revoke(request: wallet_service_pb2.RevokeGrantRequest) -> RevokeGrant:
    """Return the command. Raises Refusal."""
    grant = _read_part(request.name, request.idempotency_key, "grants")
    return RevokeGrant(grant.wallet, grant.version, request.reason, request.amount_units, request.goes_on)


def read_refund(request: wallet_service_pb2.RefundGrantRequest) -> RefundGrant:
    """Return the command. Raises Refusal."""
    grant = _read_part(request.name, request.idempotency_key, "grants")
    return RefundGrant(
        grant.wallet,
        grant.version,
        request.amount_units,
        request.paid,
        request.exchange_rate,
        read_money(request.tax) if request.HasField("tax") else None,
    )


def read_extend(request: wallet_service_pb2.ExtendGrantRequest) -> ExtendGrant:
    """Return the command. Raises Refusal."""
    grant = _read_part(request.name, request.idempotency_key, "grants")
    expire_time = (
        read_time(request.expire_time, field="expire_time") if request.HasField("expire_time") else None
    )
    return ExtendGrant(grant.wallet, grant.version, expire_time)


def _read_part(name: str, idempotency_key: str, collection: str) -> PartName:
    part = read_part_name(name, collection=collection)
    check_idempotency_key(idempotency_key)
    return part
