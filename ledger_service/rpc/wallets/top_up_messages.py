"""Top-ups and activations on the wire: requests read into commands, and answers."""

from __future__ import annotations

from typing import Final

from credits.ledger.v1 import top_up_pb2, wallet_pb2
from ledger_service.application.reading.balance import Balance
from ledger_service.application.writing.calls import Outcome
from ledger_service.domain.commands import ActivateGrant, RequestTopUp, SettleTopUp
from ledger_service.domain.events import GrantActivated, TopUpOutcome, TopUpRequested, TopUpSettled
from ledger_service.domain.names import check_idempotency_key, check_name
from ledger_service.domain.refusals import ValueUnspecified
from ledger_service.domain.wallet.payments import OpenTopUp
from ledger_service.rpc.part_names import read_part_name, write_part_name
from ledger_service.rpc.values import read_money, read_time, write_money, write_time
from ledger_service.rpc.wallets.sale_messages import read_sale_terms, write_stated_terms

OUTCOME: Final = {
    top_up_pb2.TOP_UP_OUTCOME_SUCCEEDED: TopUpOutcome.SUCCEEDED,
    top_up_pb2.TOP_UP_OUTCOME_FAILED: TopUpOutcome.FAILED,
    top_up_pb2.TOP_UP_OUTCOME_CANCELLED: TopUpOutcome.CANCELLED,
}
OUTCOME_WIRE: Final = {value: key for key, value in OUTCOME.items()}
GRANT_STATE_WIRE: Final = {
    "": wallet_pb2.GRANT_STATE_ISSUED,
    "PENDING": wallet_pb2.GRANT_STATE_PENDING,
    "LAPSED": wallet_pb2.GRANT_STATE_LAPSED,
    "WITHDRAWN": wallet_pb2.GRANT_STATE_WITHDRAWN,
}
"""By the view's payment state."""


def read_activate(request: top_up_pb2.ActivateGrantRequest) -> ActivateGrant:
    """Return the command. Raises Refusal."""
    grant = read_part_name(request.name, collection="grants")
    check_idempotency_key(request.idempotency_key)
    return ActivateGrant(grant.wallet, grant.version)


def read_request_top_up(request: top_up_pb2.RequestTopUpRequest) -> RequestTopUp:
    """Return the command. Raises Refusal."""
    check_name(request.name, collection="wallets", field="name")
    check_idempotency_key(request.idempotency_key)
    top_up = request.top_up
    return RequestTopUp(
        wallet=request.name,
        amount_units=top_up.amount_units,
        price=read_money(top_up.price),
        valid_for=top_up.valid_for,
        expire_time=read_time(top_up.expire_time, field="top_up.expire_time")
        if top_up.HasField("expire_time")
        else None,
        priority=top_up.priority,
        scope=tuple(top_up.scope),
        reference=top_up.reference,
        finance=read_sale_terms(top_up.finance, field="top_up.finance")
        if top_up.HasField("finance")
        else None,
    )


def read_settle_top_up(request: top_up_pb2.SettleTopUpRequest) -> SettleTopUp:
    """Return the command. Raises Refusal."""
    top_up = read_part_name(request.name, collection="topUps")
    check_idempotency_key(request.idempotency_key)
    outcome = OUTCOME.get(request.outcome)
    if outcome is None:
        raise ValueUnspecified("outcome must be SUCCEEDED, FAILED or CANCELLED", field="outcome")
    return SettleTopUp(
        top_up.wallet,
        top_up.version,
        outcome,
        request.payment_reference,
        request.failure_reason,
        read_money(request.tax) if request.HasField("tax") else None,
        request.exchange_rate,
    )


def write_activated(outcome: Outcome) -> top_up_pb2.ActivateGrantResponse:
    """Return the answer to an ActivateGrant."""
    event = outcome.fact.event
    assert isinstance(event, GrantActivated)
    return top_up_pb2.ActivateGrantResponse(
        effective_time=write_time(event.lot.effective_time),
        granted_units=event.lot.granted_units,
        replayed=outcome.replayed,
        position=outcome.position,
    )


def write_requested(outcome: Outcome) -> top_up_pb2.RequestTopUpResponse:
    """Return the answer to a RequestTopUp."""
    event = outcome.fact.event
    assert isinstance(event, TopUpRequested)
    top_up = OpenTopUp(outcome.version, event, outcome.fact.effective_time)
    return top_up_pb2.RequestTopUpResponse(
        top_up=_write_top_up(outcome.stream, top_up), replayed=outcome.replayed, position=outcome.position
    )


def write_settled(outcome: Outcome) -> top_up_pb2.SettleTopUpResponse:
    """Return the answer to a SettleTopUp; the event after a success is its grant."""
    event = outcome.fact.event
    assert isinstance(event, TopUpSettled)
    response = top_up_pb2.SettleTopUpResponse(
        outcome=OUTCOME_WIRE[event.outcome],
        payment_reference=event.payment_reference,
        failure_reason=event.failure_reason,
        settle_time=write_time(outcome.fact.effective_time),
        replayed=outcome.replayed,
        position=outcome.position,
    )
    if event.outcome is TopUpOutcome.SUCCEEDED:
        response.grant = write_part_name(outcome.stream, "grants", outcome.version + 1)
    if event.retry_time is not None:
        response.retry_time.CopyFrom(write_time(event.retry_time))
    return response


def write_open_top_ups(balance: Balance) -> list[top_up_pb2.TopUp]:
    """Return a wallet's open top-ups."""
    return [_write_top_up(balance.name, top_up) for top_up in balance.open_top_ups]


def _write_top_up(wallet: str, top_up: OpenTopUp) -> top_up_pb2.TopUp:
    requested = top_up.requested
    message = top_up_pb2.TopUp(
        name=write_part_name(wallet, "topUps", top_up.top_up_version),
        amount_units=requested.amount_units,
        price=write_money(requested.price),
        valid_for=requested.valid_for,
        priority=requested.priority,
        scope=requested.scope,
        reference=requested.reference,
        automatic=requested.automatic,
        request_time=write_time(top_up.request_time),
    )
    if requested.expire_time is not None:
        message.expire_time.CopyFrom(write_time(requested.expire_time))
    if requested.finance is not None:
        message.finance.CopyFrom(write_stated_terms(requested.finance))
    return message
