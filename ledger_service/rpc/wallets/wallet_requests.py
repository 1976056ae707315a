"""Wallet requests on the wire, read into commands. Forms are checked here by the domain's own checks."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import wallet_closing_pb2, wallet_pb2, wallet_service_pb2
from ledger_service.domain.commands import (
    CloseWallet,
    Debit,
    GrantCredits,
    OpenWallet,
    RecurrenceTerms,
    UpdateWallet,
)
from ledger_service.domain.events import RollOver
from ledger_service.domain.names import check_feature, check_id, check_idempotency_key, check_name
from ledger_service.domain.refusals import FieldMalformed, FieldNotAllowed
from ledger_service.domain.values import DEFAULT_ENTITY, ShortfallMode
from ledger_service.domain.wallet.burn_down import DEFAULT_ORDER
from ledger_service.rpc.part_names import read_part_name
from ledger_service.rpc.values import read_asset, read_category, read_money, read_shortfall, read_time
from ledger_service.rpc.wallets.charge_requests import read_charge
from ledger_service.rpc.wallets.rules_messages import read_rules
from ledger_service.rpc.wallets.sale_messages import read_sale_terms

ZONE_DEFAULT: Final = "UTC"


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
        burn_down_order=wallet.burn_down_order or DEFAULT_ORDER,
        rules=read_rules(wallet.rules, field="wallet.rules"),
        entity=wallet.entity or DEFAULT_ENTITY,
    )


def read_update_wallet(request: wallet_service_pb2.UpdateWalletRequest) -> UpdateWallet:
    """Return the command. Raises Refusal."""
    wallet = request.wallet
    check_name(wallet.name, collection="wallets", field="wallet.name")
    check_idempotency_key(request.idempotency_key)
    paths = tuple(sorted(set(request.update_mask.paths)))
    mode = ShortfallMode.HARD
    if "shortfall_mode" in paths and wallet.shortfall_mode:
        mode = read_shortfall(wallet.shortfall_mode, field="wallet.shortfall_mode")
    return UpdateWallet(
        wallet=wallet.name,
        paths=paths,
        shortfall_mode=mode,
        overage_limit_units=wallet.overage_limit_units,
        rules=read_rules(wallet.rules, field="wallet.rules"),
    )


def read_close_wallet(request: wallet_closing_pb2.CloseWalletRequest) -> CloseWallet:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="wallets", field="name")
    check_idempotency_key(request.idempotency_key)
    return CloseWallet(request.name, request.forfeit)


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
    purchase_version = _read_own(grant.purchase, request.name, "grants", "purchase")
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
        purchase_version=purchase_version,
        compensates_version=_read_own(grant.compensates, request.name, "debits", "compensates"),
        recurrence=_read_recurrence(grant.recurrence) if grant.HasField("recurrence") else None,
        pending=grant.pending,
        finance=read_sale_terms(grant.finance, field="grant.finance") if grant.HasField("finance") else None,
    )


def _read_own(name: str, wallet: str, collection: str, member: str) -> int:
    """Return the version of a part of the wallet itself, 0 if none is named."""
    if not name:
        return 0
    field = f"grant.{member}"
    part = read_part_name(name, collection=collection, field=field)
    if part.wallet != wallet:
        raise FieldMalformed(f"{field} is not one of the {collection} of {wallet}", field=field)
    return part.version


def _read_recurrence(recurrence: wallet_pb2.Recurrence) -> RecurrenceTerms:
    roll_over = None
    if recurrence.HasField("roll_over"):
        wire = recurrence.roll_over
        cap_units = wire.cap_units if wire.HasField("cap_units") else None
        roll_over = RollOver(wire.percent, wire.times, cap_units)
    anchor_time = None
    if recurrence.HasField("anchor_time"):
        anchor_time = read_time(recurrence.anchor_time, field="grant.recurrence.anchor_time")
    return RecurrenceTerms(
        recurrence.period, recurrence.zone or ZONE_DEFAULT, recurrence.period_count, roll_over, anchor_time
    )


def read_debit(request: wallet_service_pb2.DebitRequest) -> Debit:
    """Return the command of a debit on its own. Raises Refusal."""
    if request.group:
        raise FieldNotAllowed("group is for the items of a BatchDebit", field="group")
    return read_batched_debit(request)


def read_batched_debit(request: wallet_service_pb2.DebitRequest) -> Debit:
    """Return the command of a debit that may belong to a group. Raises Refusal."""
    check_name(request.name, collection="wallets", field="name")
    check_idempotency_key(request.idempotency_key)
    feature, api_key, user = request.feature, request.api_key, request.user
    if feature:
        check_feature(feature, field="feature")
    if api_key:
        check_feature(api_key, field="api_key")
    if user:
        check_feature(user, field="user")
    return Debit(
        request.name,
        request.amount_units,
        read_time(request.effective_time, field="effective_time")
        if request.HasField("effective_time")
        else None,
        feature,
        request.delivered,
        read_charge(request.charge) if request.HasField("charge") else None,
        request.take_available,
        api_key=api_key,
        user=user,
    )
