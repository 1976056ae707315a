"""`rating authorize`, `rating settle` and `rating cancel`."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from google.protobuf.duration_pb2 import Duration
from rich.console import Console
from rich.table import Table

from credits.ledger.v1 import wallet_service_pb2
from credits.rating.v1 import authorization_pb2, rating_service_pb2_grpc
from rating_service.cli.connection import CALL_SECONDS_MAX, open_service, print_message, printed_json
from rating_service.cli.usage.usage_commands import Properties, Quantities, read_pairs, read_quantities

Authorization = Annotated[str, typer.Argument(help="What `authorize` answered.")]
HOLD_SECONDS_MAX: Final = 86_400
DENIED_CODE: Final = 3
"""Exit code of a request that may not run, so that scripts can tell no from error."""


def authorize(
    contract: Annotated[str, typer.Option(help="contracts/{contract}.")],
    quantity: Quantities,
    properties: Properties = [],  # noqa: B006, typer copies it
    feature: Annotated[str, typer.Option(help="Feature that is used.")] = "",
    api_key: Annotated[str, typer.Option(help="Identifies the API key whose limits count.")] = "",
    user: Annotated[str, typer.Option(help="User whose budget counts.")] = "",
    hold: Annotated[str, typer.Option(help="Hold what it needs, under this unique key.")] = "",
    hold_seconds: Annotated[
        int, typer.Option(min=0, max=HOLD_SECONDS_MAX, help="How long; 0 means 10 minutes.")
    ] = 0,
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Say whether a request may run now; exits 3 if not."""
    request = authorization_pb2.AuthorizeRequest(
        contract=contract,
        quantities=read_quantities(quantity),
        properties=read_pairs(properties),
        feature=feature,
        api_key=api_key,
        user=user,
        place_hold=bool(hold),
        idempotency_key=hold,
        hold_ttl=Duration(seconds=hold_seconds) if hold_seconds else None,
    )
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = stub.Authorize(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    else:
        _print_answer(answer)
    if not answer.allowed:
        raise typer.Exit(DENIED_CODE)


def settle(
    authorization: Authorization,
    quantity: Quantities,
    properties: Properties = [],  # noqa: B006, typer copies it
    reject_over_hold: Annotated[bool, typer.Option(help="Refuse what exceeds the hold.")] = False,
    allow_late: Annotated[bool, typer.Option(help="Debit also after the hold's time is over.")] = False,
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Debit what an authorized request really used, once."""
    request = authorization_pb2.SettleRequest(
        authorization=authorization,
        quantities=read_quantities(quantity),
        properties=read_pairs(properties),
        over_hold=wallet_service_pb2.OVER_HOLD_REJECT
        if reject_over_hold
        else wallet_service_pb2.OVER_HOLD_UNSPECIFIED,
        allow_late=allow_late,
    )
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = stub.Settle(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    debit = answer.debit
    again = " (settled before)" if answer.replayed else ""
    print(f"{debit.name}{again}: {debit.amount_units:,} units, {debit.overage_units:,} of them overage")


def cancel(authorization: Authorization, as_json: Annotated[bool, printed_json()] = False) -> None:
    """Give back what was taken for a request that did not run."""
    request = authorization_pb2.CancelAuthorizationRequest(authorization=authorization)
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = stub.CancelAuthorization(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    again = " (cancelled before)" if answer.replayed else ""
    print(f"{answer.released_units:,} units given back{again}")


def _print_answer(answer: authorization_pb2.AuthorizeResponse) -> None:
    console = Console(highlight=False)
    console.print("allowed" if answer.allowed else "not allowed", style="bold")
    for denial in answer.denials:
        reason = authorization_pb2.DenialReason.Name(denial.reason).removeprefix("DENIAL_REASON_")
        console.print(f"{reason}: {denial.message}")
    if answer.HasField("retry_after"):
        console.print(f"retry after {answer.retry_after.ToTimedelta()}")
    if answer.HasField("slow_down"):
        console.print(f"wait {answer.slow_down.ToTimedelta()} before it runs")
    if answer.upgrade_hint:
        console.print(f"upgrade: {answer.upgrade_hint}")
    _print_limits(console, answer)
    if answer.allowed:
        reserved = f"held by {answer.hold}" if answer.hold else "not reserved"
        console.print(f"{answer.estimated_units:,} units, {reserved}")
        # Alone on its line and never wrapped, to be copied.
        print(answer.authorization)


def _print_limits(console: Console, answer: authorization_pb2.AuthorizeResponse) -> None:
    if not answer.limits:
        return
    table = Table()
    table.add_column("limit", overflow="fold")
    table.add_column("of", overflow="fold")
    table.add_column("most", justify="right", overflow="fold")
    table.add_column("remaining", justify="right", overflow="fold")
    for limit in answer.limits:
        kind = authorization_pb2.LimitKind.Name(limit.kind).removeprefix("LIMIT_KIND_").lower()
        owner = limit.budget_id or limit.api_key or "contract"
        table.add_row(kind.replace("_", " "), owner, f"{limit.limit:,}", f"{limit.remaining:,}")
    console.print(table)
