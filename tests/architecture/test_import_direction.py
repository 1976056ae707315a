"""Imports point one way, in both services."""

import pytest

from tests.architecture.import_rules import FILES, ONLY_OF, PACKAGES, violations
from tests.architecture.sources import SERVICES, module_from_source, modules_below


@pytest.mark.parametrize("service", SERVICES)
def test_no_module_imports_against_the_direction(service: str) -> None:
    found = [sentence for module in modules_below(service) for sentence in violations(module)]

    assert found == []


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("package", PACKAGES)
def test_the_rules_saw_modules_in_every_layer(service: str, package: str) -> None:
    names = [module.name for module in modules_below(service)]

    assert [name for name in names if name.startswith(f"{service}.{package}.")] != []


@pytest.mark.parametrize(
    ("service", "file"), [(service, file) for file in FILES for service in ONLY_OF.get(file, SERVICES)]
)
def test_the_rules_saw_every_top_module(service: str, file: str) -> None:
    assert f"{service}.{file}" in [module.name for module in modules_below(service)]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("ledger_service.domain.wallet", "import msgspec, datetime, enum"),
        ("ledger_service.domain.wallet", "from ledger_service.domain.events import WalletOpened"),
        ("ledger_service.domain.wallet", "def at(clock): return clock.now()"),
        ("ledger_service.application.commands", "import asyncio, structlog"),
        ("ledger_service.rpc.wallets", "import grpc\nfrom ledger_service.application import commands"),
        ("ledger_service.adapters.store", "import psycopg\nfrom ledger_service.domain import events"),
        ("ledger_service.bootstrap", "from ledger_service.adapters.store import Store"),
        ("ledger_service.cli.main", "import typer, rich\nfrom credits.ledger.v1 import wallet_pb2"),
        ("rating_service.adapters.ledger", "import grpc\nfrom credits.ledger.v1 import wallet_pb2"),
    ],
)
def test_a_permitted_import_is_let_through(name: str, source: str) -> None:
    assert violations(module_from_source(name, source)) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("ledger_service", "import ledger_service.domain"),
        ("ledger_service.domain.wallet", "import grpc"),
        ("ledger_service.domain.wallet", "import structlog"),
        ("ledger_service.domain.wallet", "import time"),
        ("ledger_service.domain.wallet", "def late():\n    from os import environ"),
        ("ledger_service.domain.wallet", "from google.protobuf import timestamp_pb2"),
        ("ledger_service.domain.wallet", "from ledger_service.application import commands"),
        ("ledger_service.domain.wallet", "from ledger_service import application"),
        ("ledger_service.domain.wallet", "import datetime\nx = datetime.datetime.now()"),
        ("ledger_service.domain.wallet", "from datetime import date\nx = date.today()"),
        ("ledger_service.domain.wallet", "from . import events"),
        ("ledger_service.domain.utils", ""),
        ("ledger_service.application.commands", "from ledger_service.adapters import store"),
        ("ledger_service.application.commands", "import psycopg"),
        ("ledger_service.application.commands", "from credits.ledger.v1 import wallet_pb2"),
        ("ledger_service.rpc.wallets", "from ledger_service.adapters import store"),
        ("ledger_service.rpc.wallets", "import psycopg"),
        ("ledger_service.projections.views", "from ledger_service.rpc import wallets"),
        ("ledger_service.adapters.store", "from ledger_service.projections import views"),
        ("ledger_service.adapters.store", "import grpc"),
        ("ledger_service.rpc.wallets", "from rating_service.domain import rates"),
        ("rating_service.adapters.ledger", "import ledger_service.rpc"),
        ("ledger_service.cli.main", "from ledger_service.adapters import store"),
        ("ledger_service.elsewhere.thing", ""),
    ],
)
def test_a_forbidden_import_is_found(name: str, source: str) -> None:
    assert violations(module_from_source(name, source)) != []
