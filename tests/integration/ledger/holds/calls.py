"""The requests of this directory in few words; each takes a fresh idempotency key unless one is given."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from credits.ledger.v1 import wallet_service_pb2
from tests.integration.ledger.client import CALL_SECONDS, Client, key

MICROSECOND = timedelta(microseconds=1)


async def hold(
    client: Client, wallet: str, units: int, *, ttl: timedelta | None = None, **fields: Any
) -> wallet_service_pb2.HoldResponse:
    """Reserve credit."""
    request = wallet_service_pb2.HoldRequest(
        **{"name": wallet, "idempotency_key": key(), "amount_units": units} | fields
    )
    if ttl is not None:
        request.ttl.FromTimedelta(ttl)
    return await client.wallets.Hold(request, timeout=CALL_SECONDS)


async def capture(
    client: Client, name: str, units: int, **fields: Any
) -> wallet_service_pb2.CaptureHoldResponse:
    """Turn a hold into a debit."""
    request = wallet_service_pb2.CaptureHoldRequest(
        **{"name": name, "idempotency_key": key(), "amount_units": units} | fields
    )
    return await client.wallets.CaptureHold(request, timeout=CALL_SECONDS)


async def release(client: Client, name: str, **fields: Any) -> wallet_service_pb2.ReleaseHoldResponse:
    """Give a hold back."""
    request = wallet_service_pb2.ReleaseHoldRequest(**{"name": name, "idempotency_key": key()} | fields)
    return await client.wallets.ReleaseHold(request, timeout=CALL_SECONDS)


async def reverse(client: Client, name: str, **fields: Any) -> wallet_service_pb2.ReverseDebitResponse:
    """Take a debit back."""
    request = wallet_service_pb2.ReverseDebitRequest(**{"name": name, "idempotency_key": key()} | fields)
    return await client.wallets.ReverseDebit(request, timeout=CALL_SECONDS)


async def revoke(client: Client, name: str, **fields: Any) -> wallet_service_pb2.RevokeGrantResponse:
    """Withdraw a grant."""
    request = wallet_service_pb2.RevokeGrantRequest(**{"name": name, "idempotency_key": key()} | fields)
    return await client.wallets.RevokeGrant(request, timeout=CALL_SECONDS)


async def refund(client: Client, name: str, **fields: Any) -> wallet_service_pb2.RefundGrantResponse:
    """Pay a grant back."""
    request = wallet_service_pb2.RefundGrantRequest(**{"name": name, "idempotency_key": key()} | fields)
    return await client.wallets.RefundGrant(request, timeout=CALL_SECONDS)


async def extend(client: Client, name: str, **fields: Any) -> wallet_service_pb2.ExtendGrantResponse:
    """Let a grant live longer."""
    request = wallet_service_pb2.ExtendGrantRequest(**{"name": name, "idempotency_key": key()} | fields)
    return await client.wallets.ExtendGrant(request, timeout=CALL_SECONDS)
