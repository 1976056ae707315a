"""The channel to the ledger: credentials, keepalive and message sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import grpc

MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest answer taken from the ledger: 5,000 replayed debits with their charges stay far below."""
KEEPALIVE_SECONDS: Final = 20
KEEPALIVE_TIMEOUT_SECONDS: Final = 10
RECONNECT_SECONDS_MAX: Final = 2
"""Longest pause between attempts to connect, so that a ledger that restarts is found soon."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1_000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_SECONDS * 1_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", RECONNECT_SECONDS_MAX * 1_000),
)


def open_channel(
    address: str, *, ca_file: Path | None, certificate_file: Path | None, key_file: Path | None
) -> grpc.aio.Channel:
    """Return a channel: TLS with an authority to trust, plain text without. Raises OSError for the files."""
    if ca_file is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=ca_file.read_bytes(),
        private_key=key_file.read_bytes() if key_file else None,
        certificate_chain=certificate_file.read_bytes() if certificate_file else None,
    )
    return grpc.aio.secure_channel(address, credentials, options=OPTIONS)
