"""Publishing rate cards: safe to repeat, because the idempotency keys come from what is published itself."""

from __future__ import annotations

from hashlib import sha256
from typing import cast

import grpc
import typer
from google.protobuf.message import Message

from credits.ledger.v1 import agreement_pb2, rate_card_service_pb2, rate_card_service_pb2_grpc
from rating_service.cli.cards.card_file import RateCardFile
from rating_service.cli.connection import CALL_SECONDS_MAX


def find_card(channel: grpc.Channel, name: str) -> agreement_pb2.RateCard | None:
    """Return a published card, or None if there is none of this name."""
    stub = rate_card_service_pb2_grpc.RateCardServiceStub(channel)
    request = rate_card_service_pb2.GetRateCardRequest(name=name)
    try:
        return stub.GetRateCard(request, timeout=CALL_SECONDS_MAX).rate_card
    except grpc.RpcError as failure:
        if cast(grpc.Call, failure).code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return None


def ensure_card(channel: grpc.Channel, card: RateCardFile) -> agreement_pb2.RateCard:
    """Create the card; one that exists keeps its titles and takes the phases if it counts the same asset."""
    found = find_card(channel, f"rateCards/{card.rate_card_id}")
    if found is None:
        stub = rate_card_service_pb2_grpc.RateCardServiceStub(channel)
        request = rate_card_service_pb2.CreateRateCardRequest(
            rate_card_id=card.rate_card_id,
            rate_card=card.rate_card,
            idempotency_key=content_key("create", card.rate_card),
        )
        return stub.CreateRateCard(request, timeout=CALL_SECONDS_MAX).rate_card
    if found.asset != card.rate_card.asset:
        raise typer.BadParameter(
            f"{found.name} counts {found.asset.code} at scale {found.asset.scale}, the file another"
        )
    return found


def publish_phase(
    channel: grpc.Channel, rate_card_id: str, phase: agreement_pb2.RateCardPhase, *, retroactive: bool
) -> rate_card_service_pb2.PublishRateCardPhaseResponse:
    """Publish one phase of a card that exists."""
    stub = rate_card_service_pb2_grpc.RateCardServiceStub(channel)
    request = rate_card_service_pb2.PublishRateCardPhaseRequest(
        name=f"rateCards/{rate_card_id}",
        idempotency_key=content_key("phase", phase),
        phase=phase,
        retroactive=retroactive,
    )
    return stub.PublishRateCardPhase(request, timeout=CALL_SECONDS_MAX)


def content_key(purpose: str, message: Message) -> str:
    """Return an idempotency key of what is sent: the same content gives the same key."""
    return f"{purpose}-{sha256(message.SerializeToString(deterministic=True)).hexdigest()}"
