"""Settings: everything that an operator may choose, read once from the environment, named in every error."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

PREFIX: Final = "LEDGER_"
CLIENT_NAMES: Final = frozenset({"address", "ca_file"})
"""What the command line's reads take from the environment; not settings of the server."""


class SettingsError(Exception):
    """A setting is missing, malformed or unsafe; the message names the variable."""


class StartError(Exception):
    """The ledger cannot start; the message says why in one line."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ledger's settings; each is the environment variable LEDGER_ + its name in capitals."""

    database_url: str = ""
    """Any PostgreSQL 15 or later. Empty: an embedded server in `data_directory`."""
    data_directory: str = ".data/postgres"
    """Where the embedded server keeps its data."""
    schema: Annotated[str, Meta(pattern="^[a-z_][a-z0-9_]{0,39}$")] = "ledger"
    """Schema of the shard: lower case, at most 40 characters."""
    listen: str = "127.0.0.1:7401"
    """Address of the gRPC server; port 0 takes a free one."""
    tls_certificate_file: str = ""
    tls_key_file: str = ""
    tls_client_ca_file: str = ""
    """If set, callers must show a certificate signed by this authority; its common name is the actor."""
    allow_plaintext: bool = False
    """Serve without TLS on an address that is not loopback."""
    metrics_port: Annotated[int, Meta(ge=0, le=65_535)] = 0
    """Port for Prometheus on loopback; 0: none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    cached_streams_max: int = 100_000
    """Streams kept in memory, about 1.5 KB each."""
    sandbox: bool = False
    """Run on a manual clock that SandboxService moves."""
    sandbox_start_time: datetime | None = None
    """Where the manual clock begins; default: now."""
    sweep_interval_seconds: int = 60
    """How often idle wallets with expired lots are settled."""
    functional_currency: Annotated[str, Meta(pattern="^([A-Z]{3})?$")] = ""
    """Currency of the books, ISO 4217; a sale in another one states its exchange rate. Empty: each in its own."""
    chart_file: str = ""
    """JSON file of account codes and what they are called, for instance {"CASH": "1000 Cash"}; the rest by default."""
    drain_seconds: int = 10
    """How long calls inside may take to finish after SIGTERM."""

    @property
    def host(self) -> str:
        """Return the host part of `listen`."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def tls(self) -> bool:
        """Say whether the server speaks TLS."""
        return bool(self.tls_certificate_file)


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in an environment. Raises SettingsError."""
    given = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX) and value != "" and name.removeprefix(PREFIX).lower() not in CLIENT_NAMES
    }
    unknown = given.keys() - set(Settings.__struct_fields__)
    if unknown:
        names = ", ".join(PREFIX + name.upper() for name in sorted(unknown))
        raise SettingsError(f"{names}: no such setting")
    for name, value in given.items():
        _check_one(name, value)
    settings = msgspec.convert(given, Settings, strict=False)
    _check(settings)
    return settings


def _check_one(name: str, value: str) -> None:
    try:
        msgspec.convert({name: value}, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{PREFIX}{name.upper()}: {value!r}: {error}") from error


def _check(settings: Settings) -> None:
    _check_files(settings)
    host, _, port = settings.listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise SettingsError(f"LEDGER_LISTEN: {settings.listen!r} is not host:port")
    _check_certificates(settings)
    if not settings.tls and not settings.allow_plaintext and not is_loopback(settings.host):
        raise SettingsError(
            f"LEDGER_LISTEN: {settings.listen} is not loopback, and without TLS everything would cross the "
            "network in the clear; set LEDGER_TLS_CERTIFICATE_FILE, or LEDGER_ALLOW_PLAINTEXT=true to accept that"
        )
    for name in ("cached_streams_max", "sweep_interval_seconds", "drain_seconds"):
        if getattr(settings, name) < 1:
            raise SettingsError(f"LEDGER_{name.upper()}: must be at least 1")
    if settings.sandbox_start_time is not None and settings.sandbox_start_time.tzinfo is None:
        raise SettingsError("LEDGER_SANDBOX_START_TIME: needs a zone, for instance a final Z")


def _check_files(settings: Settings) -> None:
    if bool(settings.tls_certificate_file) != bool(settings.tls_key_file):
        raise SettingsError("LEDGER_TLS_CERTIFICATE_FILE and LEDGER_TLS_KEY_FILE go together")
    if settings.tls_client_ca_file and not settings.tls:
        raise SettingsError("LEDGER_TLS_CLIENT_CA_FILE needs LEDGER_TLS_CERTIFICATE_FILE")
    for name in ("tls_certificate_file", "tls_key_file", "tls_client_ca_file"):
        path = getattr(settings, name)
        if path and not Path(path).is_file():
            raise SettingsError(f"LEDGER_{name.upper()}: there is no file {path}")
    if settings.chart_file and not Path(settings.chart_file).is_file():
        raise SettingsError(f"LEDGER_CHART_FILE: there is no file {settings.chart_file}")


def _check_certificates(settings: Settings) -> None:
    # gRPC would only say that it cannot listen.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if settings.tls:
        try:
            context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(
                f"LEDGER_TLS_CERTIFICATE_FILE, LEDGER_TLS_KEY_FILE: not a certificate and its key: {error}"
            ) from error
    if settings.tls_client_ca_file:
        try:
            context.load_verify_locations(settings.tls_client_ca_file)
        except (ssl.SSLError, OSError) as error:
            raise SettingsError(f"LEDGER_TLS_CLIENT_CA_FILE: not a certificate: {error}") from error


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def sandbox_start(settings: Settings) -> datetime:
    """Return where the manual clock begins."""
    start = settings.sandbox_start_time
    return start.astimezone(UTC) if start is not None else datetime.now(UTC)
