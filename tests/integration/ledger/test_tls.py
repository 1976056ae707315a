"""Transport security: who may talk to the ledger, and under which name it is remembered."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
import trustme

from ledger_service.settings import SettingsError, read_settings
from tests.integration.ledger.client import Client, key
from tests.integration.ledger.test_command_line import error_line
from tests.postgres import PostgresServer
from tests.servers import LedgerServer, environment, free_port, serving


class Authority:
    """A certificate authority, what it issued for a server, and what it issues for callers."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        server = self._authority.issue_cert("localhost", "127.0.0.1")
        server.private_key_pem.write_to_path(str(directory / "server.key"))
        server.cert_chain_pems[0].write_to_path(str(directory / "server.pem"))
        self._authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        self.ca_file = str(directory / "ca.pem")
        self.settings = {
            "tls_certificate_file": str(directory / "server.pem"),
            "tls_key_file": str(directory / "server.key"),
        }

    @property
    def root(self) -> bytes:
        """Return the authority's own certificate."""
        return self._authority.cert_pem.bytes()

    def caller(self, name: str, *, trusting: Authority) -> grpc.ChannelCredentials:
        """Return the credentials of a caller of this common name, who trusts a server's authority."""
        issued = self._authority.issue_cert("caller.example", common_name=name)
        return grpc.ssl_channel_credentials(
            trusting.root, issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the servers."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody here trusts."""
    return Authority(tmp_path_factory.mktemp("other_authority"))


@pytest.fixture(scope="module")
def url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database, which the servers of this module hold one after the other."""
    created = postgres_server.create_database()
    yield created
    postgres_server.drop_database(created)


@pytest.fixture
def server(url: str, authority: Authority, tmp_path: Path) -> Iterator[LedgerServer]:
    """A ledger with a certificate, for callers without."""
    with serving(tmp_path / "ledger.log", database_url=url, **authority.settings) as running:
        yield running


@pytest.fixture
def strict_server(url: str, authority: Authority, tmp_path: Path) -> Iterator[LedgerServer]:
    """A ledger that asks its callers for certificates of its own authority."""
    settings = authority.settings | {"tls_client_ca_file": authority.ca_file}
    with serving(tmp_path / "ledger.log", database_url=url, **settings) as running:
        yield running


async def is_refused(server: LedgerServer, credentials: grpc.ChannelCredentials | None) -> bool:
    """Say whether a channel with these credentials comes to nothing."""
    async with Client(server.address, credentials) as client:
        try:
            await client.open_wallet()
        except grpc.aio.AioRpcError as error:
            return error.code() is grpc.StatusCode.UNAVAILABLE
    return False


async def test_only_callers_who_trust_the_certificate_get_through(
    server: LedgerServer, authority: Authority, other_authority: Authority
) -> None:
    assert not await is_refused(server, grpc.ssl_channel_credentials(authority.root))
    assert await is_refused(server, grpc.ssl_channel_credentials(other_authority.root))
    assert await is_refused(server, None)


async def test_the_command_line_takes_the_authority_from_a_file(
    server: LedgerServer, authority: Authority
) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ledger_service", "health", *arguments],
            env=environment({"address": server.address}),
            capture_output=True,
            text=True,
            check=False,
        )

    trusted = await asyncio.to_thread(run, "--ca-file", authority.ca_file)
    untrusted = await asyncio.to_thread(run)

    assert (trusted.returncode, trusted.stdout) == (0, "SERVING\n")
    assert error_line(untrusted) == f"ledger: no ledger answers at {server.address}"


async def test_only_callers_with_a_certificate_of_the_authority_get_through(
    strict_server: LedgerServer, authority: Authority, other_authority: Authority
) -> None:
    assert not await is_refused(strict_server, authority.caller("billing", trusting=authority))
    assert await is_refused(strict_server, other_authority.caller("billing", trusting=authority))
    assert await is_refused(strict_server, grpc.ssl_channel_credentials(authority.root))
    assert await is_refused(strict_server, None)


async def test_the_common_name_of_the_certificate_is_the_actor_whatever_the_caller_says(
    strict_server: LedgerServer, authority: Authority
) -> None:
    async with Client(strict_server.address, authority.caller("billing", trusting=authority)) as client:
        wallet = await client.open_wallet()
        await client.grant(wallet, 5)
        assert await client.actors(wallet) == ["billing", "billing"]

        await client.debit_as("root", wallet, 1, key())
        assert await client.actors(wallet) == ["billing"] * 3


def test_with_a_certificate_a_ledger_serves_beyond_loopback(
    url: str, authority: Authority, tmp_path: Path
) -> None:
    listen = f"0.0.0.0:{free_port()}"
    settings = authority.settings | {"listen": listen}
    with serving(tmp_path / "ledger.log", database_url=url, **settings) as server:
        assert server.wait_for_line("listening")["tls"] is True


@pytest.mark.parametrize("name", ["tls_certificate_file", "tls_key_file", "tls_client_ca_file"])
def test_a_file_that_holds_no_certificate_or_key_is_refused_by_the_name_of_its_setting(
    authority: Authority, tmp_path: Path, name: str
) -> None:
    (tmp_path / "garbage.pem").write_text("not a certificate")
    settings = authority.settings | {"tls_client_ca_file": authority.ca_file}
    settings[name] = str(tmp_path / "garbage.pem")

    with pytest.raises(SettingsError, match=f"LEDGER_{name.upper()}"):
        read_settings(environment(settings))


def test_a_key_of_another_certificate_is_refused(authority: Authority, other_authority: Authority) -> None:
    settings = authority.settings | {"tls_key_file": other_authority.settings["tls_key_file"]}

    with pytest.raises(SettingsError, match="LEDGER_TLS_KEY_FILE"):
        read_settings(environment(settings))
