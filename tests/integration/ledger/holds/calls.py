"""The requests of this directory in few words; each takes a fresh idempotency key unless one is given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from credits.ledger.v1 import wallet_service_pb2
from tests.integration.ledger.client import CALL_SECONDS, Client, key

MICROSECOND = timedelta(microseconds=1)


def _fields(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    return usual | given


async def hold(
    client: Client, wallet: str, units: int, *, ttl: timedelta | None = None, **fields: Any
) -> wallet_service_pb2.HoldResponse:
    """Reserve credit."""
    request = wallet_service_pb2.HoldRequest(
        **_fields(fields, {"name": wallet, "idempotency_key": key(), "amount_units": units})
    )
    if ttl is not None:
        request.ttl.FromTimedelta(ttl)
    return await client.wallets.Hold(request, timeout=CALL_SECONDS)


async def capture(
    client: Client, name: str, units: int, **fields: Any
) -> wallet_service_pb2.CaptureHoldResponse:
    """Turn a hold into a debit."""
    request = wallet_service_pb2.CaptureHoldRequest(
        **_fields(fields, {"name": name, "idempotency_key": key(), "amount_units": units})
    )
    return await client.wallets.CaptureHold(request, timeout=CALL_SECONDS)


async def release(client: Client, name: str, **fields: Any) -> wallet_service_pb2.ReleaseHoldResponse:
    """Give a hold back."""
    request = wallet_service_pb2.ReleaseHoldRequest(
        **_fields(fields, {"name": name, "idempotency_key": key()})
    )
    return await client.wallets.ReleaseHold(request, timeout=CALL_SECONDS)


async def reverse(client: Client, name: str, **fields: Any) -> wallet_service_pb2.ReverseDebitResponse:
    """Take a debit back."""
    request = wallet_service_pb2.ReverseDebitRequest(
        **_fields(fields, {"name": name, "idempotency_key": key()})
    )
    return await client.wallets.ReverseDebit(request, timeout=CALL_SECONDS)


async def revoke(client: Client, name: str, **fields: Any) -> wallet_service_pb2.RevokeGrantResponse:
    """Withdraw a grant."""
    request = wallet_service_pb2.RevokeGrantRequest(
        **_fields(fields, {"name": name, "idempotency_key": key()})
    )
    return await client.wallets.RevokeGrant(request, timeout=CALL_SECONDS)


async def refund(client: Client, name: str, **fields: Any) -> wallet_service_pb2.RefundGrantResponse:
    """Pay a grant back."""
    request = wallet_service_pb2.RefundGrantRequest(
        **_fields(fields, {"name": name, "idempotency_key": key()})
    )
    return await client.wallets.RefundGrant(request, timeout=CALL_SECONDS)


async def extend(client: Client, name: str, **fields: Any) -> wallet_service_pb2.ExtendGrantResponse:
    """Let a grant live longer."""
    request = wallet_service_pb2.ExtendGrantRequest(
        **_fields(fields, {"name": name, "idempotency_key": key()})
    )
    return await client.wallets.ExtendGrant(request, timeout=CALL_SECONDS)
