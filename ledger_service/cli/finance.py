"""Commands of finance: estimates of breakage, escheat, refunds that were paid, pools and closed periods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer
from rich.table import Table

from credits.ledger.v1 import finance_commands_pb2, finance_service_pb2_grpc
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    fail,
    folded,
    print_json,
    read_instant,
    show_instant,
)
from ledger_service.cli.money import show_money
from ledger_service.cli.wallet_calls import Key, given_or_fresh

app = typer.Typer()
PAGE_SIZE = 1_000
Stub = finance_service_pb2_grpc.FinanceServiceStub
Answer = TypeVar("Answer")
Grants = Annotated[list[str], typer.Argument(help="wallets/{wallet}/grants/{grant} …")]
Entity = Annotated[str, typer.Option(help="Legal entity.")]


@app.command("revise-estimate")
def revise_estimate(
    names: Annotated[
        list[str], typer.Argument(help="wallets/{wallet}/grants/{grant} …, or breakagePools/{pool}")
    ],
    breakage: Annotated[str, typer.Option(help="Fraction of units never used, from 0 and below 1.")] = "",
    redeemed_units: Annotated[int, typer.Option(help="The same, as units expected to be used.")] = 0,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Expect another part of lots, or of a pool, never to be used: a cumulative catch-up."""
    if not breakage and not redeemed_units:
        raise typer.BadParameter("--breakage or --redeemed-units says what is expected from now on")
    pool = names[0].startswith("breakagePools/")
    request = finance_commands_pb2.ReviseBreakageEstimateRequest(
        name=names[0] if pool else _wallet_of(names[0]),
        idempotency_key=given_or_fresh(key),
        grants=[] if pool else names,
        expected_breakage=breakage,
        expected_redeemed_units=redeemed_units,
    )
    answer = _call(
        lambda stub: stub.ReviseBreakageEstimate(request, timeout=CALL_SECONDS_MAX), address, ca_file
    )
    _show(answer, f"estimate of {', '.join(names)} revised at position {answer.position:,}", json=json)


@app.command("declare-remote")
def declare_remote(
    grants: Grants,
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Expect what is left of lots never to be used: it is breakage at once."""
    request = finance_commands_pb2.DeclareBreakageRemoteRequest(
        name=_wallet_of(grants[0]), idempotency_key=given_or_fresh(key), grants=grants
    )
    answer = _call(
        lambda stub: stub.DeclareBreakageRemote(request, timeout=CALL_SECONDS_MAX), address, ca_file
    )
    _show(answer, f"declared remote at position {answer.position:,}", json=json)


@app.command()
def escheat(
    grant: Annotated[str, typer.Argument(help="wallets/{wallet}/grants/{grant}")],
    fraction: Annotated[str, typer.Argument(help="Of what was not used, above 0 and up to 1.")],
    jurisdiction: Annotated[str, typer.Option(help="To whom.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Note that a part of what was not used of a lot belongs to the state."""
    request = finance_commands_pb2.RecordEscheatRequest(
        name=grant, idempotency_key=given_or_fresh(key), fraction=fraction, jurisdiction=jurisdiction
    )
    answer = _call(lambda stub: stub.RecordEscheat(request, timeout=CALL_SECONDS_MAX), address, ca_file)
    _show(answer, f"escheated at position {answer.position:,}", json=json)


@app.command("settle-refund")
def settle_refund(
    refund: Annotated[str, typer.Argument(help="wallets/{wallet}/refunds/{refund}")],
    reference: Annotated[str, typer.Option(help="Of the payment.")] = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Note that a refund was paid."""
    request = finance_commands_pb2.SettleRefundRequest(
        name=refund, idempotency_key=given_or_fresh(key), reference=reference
    )
    answer = _call(lambda stub: stub.SettleRefund(request, timeout=CALL_SECONDS_MAX), address, ca_file)
    beside = f" and {show_money(answer.tax)} tax" if answer.HasField("tax") else ""
    _show(answer, f"{refund} paid: {show_money(answer.refund)}{beside}", json=json)


@app.command("create-pool")
def create_pool(
    pool_id: Annotated[str, typer.Argument(help="Last part of the pool's name.")],
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "USD",
    method: Annotated[str, typer.Option(help="NONE, REMOTE or PROPORTIONAL")] = "PROPORTIONAL",
    breakage: Annotated[str, typer.Option(help="Fraction of units never used; with PROPORTIONAL.")] = "",
    escheat_fraction: Annotated[str, typer.Option(help="Of what expires unused, 0 to 1.")] = "",
    term: Annotated[str, typer.Option(help="On which terms its lots are sold.")] = "",
    jurisdiction: Annotated[str, typer.Option(help="Whose law of unclaimed property applies.")] = "",
    entity: Entity = "",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Begin a cohort of lots whose breakage is estimated together."""
    if f"BREAKAGE_METHOD_{method}" not in finance_commands_pb2.BreakageMethod.keys():  # noqa: SIM118
        fail(f"--method {method!r} is none of NONE, REMOTE, PROPORTIONAL")
    request = finance_commands_pb2.CreateBreakagePoolRequest(
        pool_id=pool_id,
        idempotency_key=given_or_fresh(key),
        pool=finance_commands_pb2.BreakagePool(
            currency_code=currency,
            method=finance_commands_pb2.BreakageMethod.Value(f"BREAKAGE_METHOD_{method}"),
            entity=entity,
            term=term,
            jurisdiction=jurisdiction,
            expected_breakage=breakage,
            escheat_fraction=escheat_fraction,
        ),
    )
    answer = _call(lambda stub: stub.CreateBreakagePool(request, timeout=CALL_SECONDS_MAX), address, ca_file)
    _show(answer, f"{answer.pool.name} created", json=json)


@app.command("close-period")
def close_period(
    from_time: Annotated[str, typer.Option("--from", help="First day.")],
    to_time: Annotated[str, typer.Option("--to", help="Day after the last.")],
    entity: Entity = "default",
    key: Key = "",
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Close an accounting period, for good; periods are closed in order."""
    request = finance_commands_pb2.CloseAccountingPeriodRequest(
        name=f"accountingPeriods/{entity}",
        idempotency_key=given_or_fresh(key),
        from_time=read_instant(from_time, option="--from"),
        to_time=read_instant(to_time, option="--to"),
    )
    answer = _call(
        lambda stub: stub.CloseAccountingPeriod(request, timeout=CALL_SECONDS_MAX), address, ca_file
    )
    closed = answer.period
    _show(answer, f"closed at position {closed.locked_position:,}, figures {closed.figures_hash}", json=json)


@app.command()
def periods(
    entity: Annotated[str, typer.Argument(help="Legal entity.")] = "default",
    min_position: Annotated[int, typer.Option(help="As of this position of the log, or later.")] = 0,
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """List the accounting periods of an entity that take no entries any more."""
    request = finance_commands_pb2.ListAccountingPeriodsRequest(
        name=f"accountingPeriods/{entity}", min_position=min_position
    )
    answer = _call(
        lambda stub: stub.ListAccountingPeriods(request, timeout=CALL_SECONDS_MAX), address, ca_file
    )
    if json:
        print_json(answer)
        return
    table = Table("From", "To", "Locked at", "Closed", "Figures")
    for period in answer.periods:
        table.add_row(
            show_instant(period.from_time),
            show_instant(period.to_time),
            f"{period.locked_position:,}",
            show_instant(period.close_time) if period.HasField("close_time") else "locked",
            period.figures_hash[:16],
        )
    console.print(folded(table))


def _wallet_of(grant: str) -> str:
    return grant.partition("/grants/")[0]


def _call(call: Callable[[Stub], Answer], address: str, ca_file: str) -> Answer:
    with connect(address, ca_file) as channel:
        return call(finance_service_pb2_grpc.FinanceServiceStub(channel))


def _show(answer: object, text: str, *, json: bool) -> None:
    if json:
        print_json(answer)  # type: ignore[arg-type]
    else:
        console.print(text)
