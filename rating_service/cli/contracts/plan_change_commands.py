"""`rating contract preview-plan-change|commit-plan-change|migrate`."""

from __future__ import annotations

import json
import sys
from collections import Counter
from hashlib import sha256
from typing import Annotated, Any, Final

import typer
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from credits.rating.v1 import invoice_service_pb2_grpc, plan_change_pb2
from rating_service.cli.amounts import money
from rating_service.cli.connection import CALL_SECONDS_MAX, open_service, print_message, printed_json
from rating_service.cli.instants import as_timestamp, day

REFUSED_EXIT_CODE: Final = 3

Json = Annotated[bool, printed_json()]
At = Annotated[str, typer.Option("--at", help="First instant under the new plan, ISO 8601.")]
AtCycleEnd = Annotated[bool, typer.Option(help="Change where the running cycle ends.")]
TakeTrial = Annotated[bool, typer.Option(help="Begin with the plan's first phase.")]


def preview_plan_change(
    contract: Annotated[str, typer.Argument(help="contracts/{contract}")],
    plan: Annotated[str, typer.Argument(help="plans/{plan}")],
    version: Annotated[int, typer.Option(help="Version of the plan. Default: the newest.")] = 0,
    at: At = "",
    at_cycle_end: AtCycleEnd = False,
    valid_for: Annotated[int, typer.Option(help="Seconds from now until it takes effect. Default: 120.")] = 0,
    take_trial: TakeTrial = False,
    as_json: Json = False,
) -> None:
    """Show what a change of plan would come to, and the token that commits just that."""
    request = plan_change_pb2.PreviewPlanChangeRequest(
        contract=contract,
        plan=plan,
        plan_version=version,
        timing=_timing(at_cycle_end=at_cycle_end),
        from_time=as_timestamp(at) if at else None,
        valid_for=Duration(seconds=valid_for) if valid_for else None,
        take_trial=take_trial,
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.PreviewPlanChange(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    _print_change(answer.change)
    print(f"token: {answer.token}")


def commit_plan_change(
    token: Annotated[str, typer.Argument(help="Token of the preview.")],
    key: Annotated[str, typer.Option(help="Idempotency key. Default: one made of the token.")] = "",
    as_json: Json = False,
) -> None:
    """Change the plan just as it was shown, once: doing it again shows what was changed."""
    request = plan_change_pb2.CommitPlanChangeRequest(
        token=token, idempotency_key=key or sha256(token.encode()).hexdigest()
    )
    with open_service() as channel:
        stub = invoice_service_pb2_grpc.InvoiceServiceStub(channel)
        answer = stub.CommitPlanChange(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    _print_change(answer.change)
    print("changed before" if answer.replayed else "changed now")


def migrate(
    migration_id: Annotated[str, typer.Argument(help="Names the migration; send it again to resume it.")],
    from_plan: Annotated[str, typer.Option(help="plans/{plan} whose contracts change.")],
    plan: Annotated[str, typer.Option(help="plans/{plan} that they change to.")],
    version: Annotated[int, typer.Option(help="Version of the new plan.")],
    from_version: Annotated[int, typer.Option(help="Only contracts on this version. Default: all.")] = 0,
    at: At = "",
    at_cycle_end: AtCycleEnd = False,
    take_trial: TakeTrial = False,
    dry_run: Annotated[bool, typer.Option(help="Show what would change, and change nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Change the plan of all contracts of a plan, at an instant or where cycles end; exits 3 if one was refused."""
    if bool(at) == at_cycle_end:
        raise typer.BadParameter(
            "give one of --at INSTANT and --at-cycle-end: a run that is resumed must not move it"
        )
    request = plan_change_pb2.MigrateContractsRequest(
        migration_id=migration_id,
        from_plan=from_plan,
        from_plan_version=from_version,
        plan=plan,
        plan_version=version,
        timing=_timing(at_cycle_end=at_cycle_end),
        from_time=as_timestamp(at) if at else None,
        take_trial=take_trial,
        validate_only=dry_run,
    )
    answers = _migrated(request)
    if as_json:
        print(json.dumps([MessageToDict(each, preserving_proto_field_name=True) for each in answers]))
    else:
        _print_migration(answers)
    if any(each.state == plan_change_pb2.MIGRATION_STATE_REFUSED for each in answers):
        raise typer.Exit(REFUSED_EXIT_CODE)


def _timing(*, at_cycle_end: bool) -> plan_change_pb2.PlanChangeTiming.ValueType:
    if at_cycle_end:
        return plan_change_pb2.PLAN_CHANGE_TIMING_AT_CYCLE_END
    return plan_change_pb2.PLAN_CHANGE_TIMING_AT_ONCE


def _migrated(
    request: plan_change_pb2.MigrateContractsRequest,
) -> list[plan_change_pb2.MigrateContractsResponse]:
    """Return what became of each contract; a bar on stderr if somebody looks."""
    columns = (TextColumn("Changing plans"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    answers = []
    with (
        open_service() as channel,
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress,
    ):
        bar = progress.add_task("Changing plans", total=None)
        for answer in invoice_service_pb2_grpc.InvoiceServiceStub(channel).MigrateContracts(request):
            answers.append(answer)
            progress.update(bar, completed=answer.contracts_done, total=answer.contracts_count)
    return answers


def _print_change(change: plan_change_pb2.PlanChange) -> None:
    before = f"{change.previous_plan} version {change.previous_plan_version}"
    after = f"{change.plan} version {change.plan_version}"
    table = Table(title=f"{change.contract}: {before} to {after}, from {day(change.from_time)}")
    table.add_column("on the invoice of this cycle", overflow="fold")
    table.add_column("service", overflow="fold")
    table.add_column("amount", justify="right", overflow="fold")
    for line in change.lines:
        about = f" of {line.prorated_kind}" if line.prorated_kind else ""
        span = f"{day(line.from_time)} to {day(line.to_time)}"
        table.add_row(f"{line.kind}{about}, {line.contract_phase}", span, money(line.amount))
    table.add_section()
    table.add_row("net of tax", "", money(change.amount))
    table.add_section()
    fees = f"{money(change.previous_cycle_fees)} to {money(change.cycle_fees)}"
    table.add_row("fees of a whole cycle", "", fees)
    included = f"{change.previous_included_units:,} to {change.included_units:,} units"
    table.add_row("included in this cycle", "", included)
    whole = f"{change.previous_cycle_included_units:,} to {change.cycle_included_units:,} units"
    table.add_row("included in a whole cycle", "", whole)
    Console().print(table)


def _print_migration(answers: list[plan_change_pb2.MigrateContractsResponse]) -> None:
    console = Console(highlight=False)
    if not answers:
        console.print("no contract follows that plan")
        return
    table = Table()
    for heading in ("contract", "state", "from"):
        table.add_column(heading, overflow="fold")
    table.add_column("more in that cycle", justify="right", overflow="fold")
    table.add_column("refused because", overflow="fold")
    for each in answers:
        table.add_row(each.contract, _state(each), *_figures(each), f"{each.reason} {each.message}".strip())
    console.print(table)
    counts = Counter(map(_state, answers))
    console.print(", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())))


def _figures(answer: plan_change_pb2.MigrateContractsResponse) -> tuple[str, str]:
    if not answer.HasField("change"):
        return "", ""
    return day(answer.change.from_time), money(answer.change.amount)


def _state(answer: Any) -> str:
    name = plan_change_pb2.MigrationState.Name(answer.state)
    return name.removeprefix("MIGRATION_STATE_").lower()
