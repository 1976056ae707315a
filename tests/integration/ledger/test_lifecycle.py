"""From start to end of a process: what stops it from starting, how it drains, and what it leaves behind."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from pathlib import Path

import grpc
import psutil
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from ledger_service.settings import SettingsError, read_settings
from tests.integration.ledger.client import Client, refusal
from tests.integration.ledger.test_store_trouble import stalled_log, waiting_appends
from tests.servers import WAIT_SECONDS, LedgerServer, Process, free_port, projector, serving, wait_until

SERVICES = {
    f"credits.ledger.v1.{name}"
    for name in ("WalletService", "RateCardService", "ContractService", "HistoryService", "FinanceService")
} | {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def failure(process: Process) -> str:
    """Return the one line with which a process that cannot start ends."""
    assert process.wait() == 2, process.output()
    lines = process.output().splitlines()
    assert [line for line in lines if line.startswith(("ledger: ", "Traceback"))] == lines[-1:]
    return lines[-1]


def metrics(port: int) -> str:
    """Return what the metrics port of a process on this host shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        return str(response.read().decode())


async def test_calls_in_flight_are_answered_before_the_process_ends(
    database_url: str, tmp_path: Path
) -> None:
    port = free_port()
    settings = {"database_url": database_url, "metrics_port": str(port)}
    with serving(tmp_path / "ledger.log", **settings) as server:
        async with Client(server.address) as client:
            wallet = await client.open_wallet(granted_units=100)
            with stalled_log(database_url):
                calls = [
                    asyncio.create_task(client.debit(wallet, 1, idempotency_key=f"k-{n}")) for n in range(10)
                ]
                await asyncio.to_thread(wait_until, lambda: waiting_appends(database_url) > 0, "the append")
                await asyncio.to_thread(
                    wait_until, lambda: "ledger_calls_waiting 10.0" in metrics(port), "all ten calls"
                )
                server.terminate()
                async with asyncio.timeout(WAIT_SECONDS):
                    while await client.serves():  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                refused = await refusal(client.debit(wallet, 1))
            answers = await asyncio.gather(*calls)

        assert refused.reason == "NOT_SERVING"
        assert len({answer.position for answer in answers}) == 10
        assert await asyncio.to_thread(server.wait) == 0
        assert server.lines()[-1]["event"] == "stopped"


def test_an_embedded_server_ends_with_its_ledger_and_its_projector(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    with (
        serving(tmp_path / "ledger.log", data_directory=str(directory)) as server,
        projector(tmp_path / "projector.log", data_directory=str(directory)) as follower,
    ):
        postmaster = psutil.Process(int((directory / "postmaster.pid").read_text().split()[0]))
        follower.wait_for_line("lag")
        processes = [
            postmaster,
            *postmaster.children(recursive=True),
            psutil.Process(server.pid),
            psutil.Process(follower.pid),
        ]

        assert server.stop() == 0
        assert postmaster.is_running(), "the projector still uses it"
        assert follower.stop() == 0
        wait_until(
            lambda: not any(each.is_running() and each.status() != "zombie" for each in processes),
            "the end of all processes",
        )

    assert not (directory / "postmaster.pid").exists()


def test_a_port_in_use_is_named(database_url: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        with LedgerServer(tmp_path / "ledger.log", database_url=database_url, listen=listen) as server:
            assert failure(server).startswith(f"ledger: LEDGER_LISTEN: cannot listen on {listen}")


def test_a_metrics_port_in_use_is_named(database_url: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with LedgerServer(tmp_path / "ledger.log", database_url=database_url, metrics_port=port) as server:
            assert failure(server).startswith(f"ledger: LEDGER_METRICS_PORT: cannot listen on {port}")


@pytest.mark.parametrize("command", ["serve", "project"])
def test_a_database_that_is_down_is_said_so_in_one_line(command: str, tmp_path: Path) -> None:
    url = f"host=127.0.0.1 port={free_port()} dbname=ledger connect_timeout=2"
    with Process(command, tmp_path / "ledger.log", database_url=url, listen="127.0.0.1:0") as process:
        assert failure(process).startswith("ledger: the database cannot be used: ")


def test_a_data_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine")
    with LedgerServer(tmp_path / "ledger.log", data_directory=str(path)) as server:
        assert failure(server) == f"ledger: LEDGER_DATA_DIRECTORY: data directory {path} is not a directory"
    assert path.read_text() == "mine"


def test_a_data_directory_that_holds_something_else_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "photos"
    path.mkdir()
    (path / "cat.jpg").write_text("mine")
    with LedgerServer(tmp_path / "ledger.log", data_directory=str(path)) as server:
        assert "LEDGER_DATA_DIRECTORY" in failure(server)
    assert [entry.name for entry in path.iterdir()] == ["cat.jpg"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEDGER_LISTEN", "nowhere"),
        ("LEDGER_LISTEN", "127.0.0.1:65536"),
        ("LEDGER_LISTEN", "0.0.0.0:7401"),
        ("LEDGER_LISTEN", "[::]:7401"),
        ("LEDGER_ALLOW_PLAINTEXT", "perhaps"),
        ("LEDGER_METRICS_PORT", "many"),
        ("LEDGER_METRICS_PORT", "65536"),
        ("LEDGER_METRICS_PORT", "-1"),
        ("LEDGER_LOG_LEVEL", "loud"),
        ("LEDGER_SCHEMA", "Ledger; DROP"),
        ("LEDGER_CACHED_STREAMS_MAX", "0"),
        ("LEDGER_CACHED_STREAMS_MAX", "1.5"),
        ("LEDGER_SANDBOX_START_TIME", "yesterday"),
        ("LEDGER_SANDBOX_START_TIME", "2026-01-01T00:00:00"),
        ("LEDGER_SWEEP_INTERVAL_SECONDS", "0"),
        ("LEDGER_DRAIN_SECONDS", "-1"),
        ("LEDGER_TLS_CERTIFICATE_FILE", "only-this.pem"),
        ("LEDGER_TLS_CLIENT_CA_FILE", "only-this.pem"),
        ("LEDGER_DATABASE_ULR", "mistyped"),
    ],
)
def test_a_malformed_setting_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as caught:
        read_settings({name: value})

    assert "\n" not in str(caught.value)


def test_files_that_hold_no_certificate_and_key_are_refused_by_the_names_of_their_settings(
    tmp_path: Path,
) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("neither")
    names = ("LEDGER_TLS_CERTIFICATE_FILE", "LEDGER_TLS_KEY_FILE")

    with pytest.raises(SettingsError, match=", ".join(names)):
        read_settings(dict.fromkeys(names, str(garbage)))


def test_a_malformed_setting_ends_the_process_with_one_line(tmp_path: Path) -> None:
    with LedgerServer(tmp_path / "ledger.log", drain_seconds="soon") as server:
        assert "LEDGER_DRAIN_SECONDS: 'soon'" in failure(server)


def test_plain_text_beyond_loopback_needs_to_be_asked_for(database_url: str, tmp_path: Path) -> None:
    listen = f"0.0.0.0:{free_port()}"
    with LedgerServer(tmp_path / "refused.log", database_url=database_url, listen=listen) as server:
        assert "LEDGER_ALLOW_PLAINTEXT=true" in failure(server)

    settings = {"database_url": database_url, "listen": listen, "allow_plaintext": "true"}
    with serving(tmp_path / "allowed.log", **settings) as server:
        assert server.stop() == 0


async def test_reflection_lists_the_services(running_ledger: LedgerServer) -> None:
    def listed() -> list[str]:
        with grpc.insecure_channel(running_ledger.address) as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    assert set(await asyncio.to_thread(listed)) == SERVICES


async def test_the_metrics_port_counts_calls_by_method_and_code(database_url: str, tmp_path: Path) -> None:
    port = free_port()
    settings = {"database_url": database_url, "metrics_port": str(port)}
    with serving(tmp_path / "ledger.log", **settings) as server:
        async with Client(server.address) as client:
            wallet = await client.open_wallet(granted_units=1)
            await client.debit(wallet, 1)
            await refusal(client.debit(wallet, 1))

        text = await asyncio.to_thread(metrics, port)

    assert 'ledger_calls_total{code="OK",method="WalletService/Debit"} 1.0' in text
    assert 'ledger_calls_total{code="FAILED_PRECONDITION",method="WalletService/Debit"} 1.0' in text
    assert 'ledger_call_seconds_count{method="WalletService/Debit"} 2.0' in text


async def test_health_turns_serving_only_when_requests_succeed(database_url: str, tmp_path: Path) -> None:
    with LedgerServer(tmp_path / "ledger.log", database_url=database_url) as server:
        async with Client(server.address) as client, asyncio.timeout(30):
            while not await client.serves("credits.ledger.v1.WalletService"):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            assert await client.serves()
            wallet = await client.open_wallet(granted_units=5)

            assert (await client.balance(wallet)).available_units == 5
