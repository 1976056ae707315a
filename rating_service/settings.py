"""The settings of the service, read once from the environment.

Owns names, defaults and what values are possible; every error names the variable and the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final, TypeVar

import msgspec

T = TypeVar("T")

GRACE_SECONDS_DEFAULT: Final = 24 * 3600
MAX_LATENESS_SECONDS_DEFAULT: Final = 35 * 24 * 3600
MAX_LATENESS_SECONDS_MAX: Final = 36_500 * 24 * 3600
"""A hundred years: history that is loaded anew is not late."""
BILLING_INTERVAL_DEFAULT: Final[timedelta | None] = timedelta(seconds=5)
BILLING_INTERVAL_SECONDS_MAX: Final = 24 * 3600
GRACE_SECONDS_MAX: Final = 400 * 24 * 3600
LOG_LEVELS: Final = ("debug", "info", "warning", "error")


class SettingsError(Exception):
    """A setting is missing or impossible; the text names the variable and the cause."""


class Address(msgspec.Struct, frozen=True):
    """Where to listen or to connect: a host name or IP address, and a port; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return host:port, an IPv6 host in brackets."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can be at the address."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What the service needs to know before it starts."""

    database_url: str | None
    """PostgreSQL to use; None starts the embedded one in `data_directory`."""
    data_directory: Path
    """Where the embedded server keeps its data: a directory of its own."""
    listen: Address
    ledger_address: Address
    ledger_ca_file: Path | None
    """Set: the ledger is called by TLS and must show a certificate of this authority."""
    tls_certificate_file: Path | None
    """The service's own certificate, shown to its callers and, over TLS, to the ledger."""
    tls_key_file: Path | None
    tls_client_ca_file: Path | None
    """Set: callers must show a certificate of this authority."""
    allow_plaintext: bool
    grace: timedelta
    """How long after a cycle's end its invoice waits for late usage."""
    billing_interval: timedelta | None
    """How often billing looks for what is due; None bills only when asked to."""
    max_lateness: timedelta
    """How long after it happened a usage may be received; what comes later is quarantined."""
    metrics_port: int | None
    log_level: str
    limits_url: str | None
    """Redis that counts rate limits for several instances; None counts them in memory."""
    sandbox: bool
    """Take the time from the ledger's manual clock."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the settings in RATING_* variables. Raises SettingsError."""
    settings = Settings(
        database_url=read(environment, "RATING_DATABASE_URL", str, None),
        data_directory=read(environment, "RATING_DATA_DIRECTORY", Path, Path(".data/rating")),
        listen=read(environment, "RATING_LISTEN", parse_address, Address("127.0.0.1", 7402)),
        ledger_address=read(environment, "RATING_LEDGER_ADDRESS", parse_address, Address("127.0.0.1", 7401)),
        ledger_ca_file=read(environment, "RATING_LEDGER_CA_FILE", parse_file, None),
        tls_certificate_file=read(environment, "RATING_TLS_CERTIFICATE_FILE", parse_file, None),
        tls_key_file=read(environment, "RATING_TLS_KEY_FILE", parse_file, None),
        tls_client_ca_file=read(environment, "RATING_TLS_CLIENT_CA_FILE", parse_file, None),
        allow_plaintext=read(environment, "RATING_ALLOW_PLAINTEXT", parse_switch, False),
        grace=read(
            environment, "RATING_GRACE_SECONDS", parse_grace, timedelta(seconds=GRACE_SECONDS_DEFAULT)
        ),
        billing_interval=read(
            environment,
            "RATING_BILLING_INTERVAL_SECONDS",
            parse_billing_interval,
            BILLING_INTERVAL_DEFAULT,
        ),
        max_lateness=read(
            environment,
            "RATING_MAX_LATENESS_SECONDS",
            parse_lateness,
            timedelta(seconds=MAX_LATENESS_SECONDS_DEFAULT),
        ),
        metrics_port=read(environment, "RATING_METRICS_PORT", parse_port, None),
        log_level=read(environment, "RATING_LOG_LEVEL", parse_log_level, "info"),
        limits_url=read(environment, "RATING_LIMITS_URL", parse_limits_url, None),
        sandbox=read(environment, "RATING_SANDBOX", parse_switch, False),
    )
    refuse_half_tls(settings)
    refuse_plaintext(settings)
    return settings


def read(environment: Mapping[str, str], variable: str, parse: Callable[[str], T], default: T) -> T:
    """Return the parsed variable, or the default when it is unset or empty. Raises SettingsError."""
    text = environment.get(variable, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as cause:
        raise SettingsError(f"{variable}={text!r}: {cause}") from None


def refuse_half_tls(settings: Settings) -> None:
    """Refuse a certificate without its key, the reverse, and a client authority without either."""
    if (settings.tls_certificate_file is None) != (settings.tls_key_file is None):
        raise SettingsError(
            "RATING_TLS_CERTIFICATE_FILE and RATING_TLS_KEY_FILE: one is set without the other"
        )
    if settings.tls_client_ca_file is not None and settings.tls_certificate_file is None:
        raise SettingsError("RATING_TLS_CLIENT_CA_FILE: needs RATING_TLS_CERTIFICATE_FILE, which is not set")


def refuse_plaintext(settings: Settings) -> None:
    """Refuse plain text that could leave this machine, unless it is allowed by name."""
    if settings.allow_plaintext:
        return
    if settings.tls_certificate_file is None and not settings.listen.is_loopback:
        raise SettingsError(
            f"RATING_LISTEN={settings.listen}: plain text off loopback is refused;"
            " set RATING_TLS_CERTIFICATE_FILE and RATING_TLS_KEY_FILE, or RATING_ALLOW_PLAINTEXT=1"
        )
    if settings.ledger_ca_file is None and not settings.ledger_address.is_loopback:
        raise SettingsError(
            f"RATING_LEDGER_ADDRESS={settings.ledger_address}: plain text off loopback is refused;"
            " set RATING_LEDGER_CA_FILE, or RATING_ALLOW_PLAINTEXT=1"
        )


def parse_address(text: str) -> Address:
    """Return the host and port of `host:port` or `[ipv6]:port`. Raises ValueError."""
    host, separator, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not separator or not host:
        raise ValueError("expected host:port")
    return Address(host, parse_port(port))


def parse_port(text: str) -> int:
    """Return a TCP port, 0 to 65,535. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and int(text) <= 65_535):
        raise ValueError("expected a port, 0 to 65535")
    return int(text)


def parse_file(text: str) -> Path:
    """Return the path of a file that exists. Raises ValueError."""
    path = Path(text)
    if not path.is_file():
        raise ValueError("no such file")
    return path


def parse_limits_url(text: str) -> str:
    """Return the URL of a Redis. Raises ValueError."""
    if not text.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("expected redis://host:port/database, rediss:// or unix://")
    return text


def parse_switch(text: str) -> bool:
    """Return what 1, true, yes, on or their opposites mean. Raises ValueError."""
    switches = {"1": True, "true": True, "yes": True, "on": True}
    switches |= {"0": False, "false": False, "no": False, "off": False}
    if text.lower() not in switches:
        raise ValueError("expected 1 or 0")
    return switches[text.lower()]


def parse_grace(text: str) -> timedelta:
    """Return whole seconds, 0 to GRACE_SECONDS_MAX, as a duration. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and int(text) <= GRACE_SECONDS_MAX):
        raise ValueError(f"expected whole seconds, 0 to {GRACE_SECONDS_MAX}")
    return timedelta(seconds=int(text))


def parse_billing_interval(text: str) -> timedelta | None:
    """Return whole seconds, 1 to BILLING_INTERVAL_SECONDS_MAX, as a duration, None for 0. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and int(text) <= BILLING_INTERVAL_SECONDS_MAX):
        raise ValueError(f"expected whole seconds, 0 to {BILLING_INTERVAL_SECONDS_MAX}")
    return timedelta(seconds=int(text)) or None


def parse_lateness(text: str) -> timedelta:
    """Return whole seconds, 1 to MAX_LATENESS_SECONDS_MAX, as a duration. Raises ValueError."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LATENESS_SECONDS_MAX):
        raise ValueError(f"expected whole seconds, 1 to {MAX_LATENESS_SECONDS_MAX}")
    return timedelta(seconds=int(text))


def parse_log_level(text: str) -> str:
    """Return the level in small letters. Raises ValueError."""
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"expected one of {', '.join(LOG_LEVELS)}")
    return text.lower()
