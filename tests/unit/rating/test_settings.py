"""Settings: every impossible one is refused by the name of its variable."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rating_service.settings import Address, SettingsError, read_settings


def test_nothing_set_means_loopback_plain_text_and_a_day_of_grace() -> None:
    settings = read_settings({})

    assert (str(settings.listen), str(settings.ledger_address)) == ("127.0.0.1:7402", "127.0.0.1:7401")
    assert (settings.database_url, settings.grace, settings.sandbox) == (None, timedelta(days=1), False)
    assert settings.limits_url is None
    url = "redis://limits:6379/0"
    assert read_settings({"RATING_LIMITS_URL": url}).limits_url == url


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("RATING_LISTEN", "7402"),
        ("RATING_LISTEN", "127.0.0.1:65536"),
        ("RATING_LEDGER_ADDRESS", ":7401"),
        ("RATING_GRACE_SECONDS", "-1"),
        ("RATING_GRACE_SECONDS", "1.5"),
        ("RATING_BILLING_INTERVAL_SECONDS", "86401"),
        ("RATING_BILLING_INTERVAL_SECONDS", "0.5"),
        ("RATING_METRICS_PORT", "http"),
        ("RATING_LOG_LEVEL", "loud"),
        ("RATING_SANDBOX", "maybe"),
        ("RATING_LEDGER_CA_FILE", "no/such/file"),
        ("RATING_TLS_KEY_FILE", "no/such/file"),
        ("RATING_LIMITS_URL", "localhost:6379"),
    ],
)
def test_an_impossible_value_is_refused_by_its_variable(variable: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable}='{text}': "):
        read_settings({variable: text})


@pytest.mark.parametrize(("variable"), ["RATING_LISTEN", "RATING_LEDGER_ADDRESS"])
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "[::]", "ledger.internal"])  # noqa: S104
def test_plain_text_off_loopback_needs_permission(variable: str, host: str) -> None:
    with pytest.raises(SettingsError, match=f"{variable}=.*plain text off loopback"):
        read_settings({variable: f"{host}:1"})

    read_settings({variable: f"{host}:1", "RATING_ALLOW_PLAINTEXT": "1"})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "[::1]", "localhost"])
def test_loopback_may_be_plain_text(host: str) -> None:
    assert read_settings({"RATING_LISTEN": f"{host}:1"}).listen.port == 1


def test_a_certificate_without_its_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()

    for variable in ("RATING_TLS_CERTIFICATE_FILE", "RATING_TLS_KEY_FILE", "RATING_TLS_CLIENT_CA_FILE"):
        with pytest.raises(SettingsError, match="RATING_TLS_"):
            read_settings({variable: str(file)})


def test_an_address_of_version_six_is_written_in_brackets() -> None:
    assert str(Address("::1", 7)) == "[::1]:7"


@pytest.mark.parametrize(
    ("text", "interval"), [("1", timedelta(seconds=1)), ("86400", timedelta(days=1)), ("0", None)]
)
def test_billing_looks_at_an_interval_or_only_when_asked_to(text: str, interval: timedelta | None) -> None:
    assert read_settings({}).billing_interval == timedelta(seconds=5)
    assert read_settings({"RATING_BILLING_INTERVAL_SECONDS": text}).billing_interval == interval
