"""`rating quote` and `rating usage record`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from credits.ledger.v1 import price_model_pb2, wallet_pb2
from credits.rating.v1 import rating_service_pb2, rating_service_pb2_grpc
from rating_service.cli.connection import (
    CALL_SECONDS_MAX,
    open_service,
    print_json,
    print_message,
    printed_json,
)
from rating_service.cli.instants import parse_instant
from rating_service.cli.usage.usage_file import FORMATS, record_file

NO_TIME: Final = "usage.effective_time is required"
NUMBER_MAX: Final = 2**63 - 1
"""The largest number that a message takes."""

app = typer.Typer(help="Record usage, and report on it.", no_args_is_help=True)

Quantities = Annotated[
    list[str], typer.Option("--quantity", "-q", help="dimension=number; repeat for each dimension.")
]
Properties = Annotated[list[str], typer.Option("--property", "-p", help="name=value; repeat for each.")]
At = Annotated[str, typer.Option("--at", help="When it happened, ISO 8601. Default: now.")]


def quote(
    quantity: Quantities,
    contract: Annotated[str, typer.Option(help="contracts/{contract} to price by.")] = "",
    card: Annotated[str, typer.Option(help="rateCards/{rate_card} to price by, instead.")] = "",
    properties: Properties = [],  # noqa: B006, typer copies it
    at: At = "",
    before: Annotated[
        list[str],
        typer.Option(help="dimension=total or dimension=total/usages of the cycle before; repeat for each."),
    ] = [],  # noqa: B006, typer copies it
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Price a usage without recording anything."""
    usage = _usage("", contract, quantity, properties, at, feature="")
    totals = dict(_total(text) for text in before)
    request = rating_service_pb2.QuoteUsageRequest(usage=usage, rate_card=card, totals_before=totals)
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = stub.QuoteUsage(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
        return
    charge, asset = answer.charge, answer.asset.code
    cost = f"; provider cost {charge.provider_cost} {charge.cost_currency}" if charge.provider_cost else ""
    margin = f", margin {answer.margin} {asset}" if answer.margin else ""
    _print_charge(charge, f"{answer.exact_amount} {asset}{cost}{margin}")


@app.command()
def record(
    source: Annotated[
        str,
        typer.Argument(
            help="Unique id; sending it again changes nothing. With --format: a file of JSON lines.",
            metavar="ID|FILE",
        ),
    ],
    contract: Annotated[
        str, typer.Option(help="contracts/{contract}. With --format: of lines that name none, or of all.")
    ] = "",
    quantity: Quantities = [],  # noqa: B006, typer copies it
    at: Annotated[
        str,
        typer.Option(
            "--at",
            help="When it happened, ISO 8601. With --format: all the lines. Default: now, which another call is not.",
        ),
    ] = "",
    form: Annotated[
        str, typer.Option("--format", help="openai, anthropic, opentelemetry or cloudevents: record a file.")
    ] = "",
    id_prefix: Annotated[
        str, typer.Option(help="With --format: name usages by this and their line's number.")
    ] = "",
    properties: Properties = [],  # noqa: B006, typer copies it
    feature: Annotated[str, typer.Option(help="Opens the credit restricted to it.")] = "",
    api_key: Annotated[str, typer.Option(help="Identifies the API key on whose budget it counts.")] = "",
    user: Annotated[str, typer.Option(help="User on whose budget it counts.")] = "",
    refuse_when_short: Annotated[bool, typer.Option(help="Refuse if credit lacks under HARD.")] = False,
    as_json: Annotated[bool, printed_json()] = False,
) -> None:
    """Price a usage and debit it, or every usage of a file."""
    if not form and not (contract and quantity):
        raise typer.BadParameter("needs --contract and --quantity, or --format", param_hint="ID|FILE")
    usage = _usage("" if form else source, contract, quantity, properties, at, feature=feature)
    usage.api_key, usage.user = api_key, user
    if form:
        if not at:
            usage.ClearField("effective_time")
        _record_file(source, form, usage, id_prefix, refuse_when_short=refuse_when_short, as_json=as_json)
        return
    request = rating_service_pb2.RecordUsageRequest(usage=usage, refuse_when_short=refuse_when_short)
    with open_service() as channel:
        stub = rating_service_pb2_grpc.RatingServiceStub(channel)
        answer = stub.RecordUsage(request, timeout=CALL_SECONDS_MAX)
    if as_json:
        print_message(answer)
    elif answer.HasField("quarantined"):
        entry = answer.quarantined
        print(f"{entry.name}: {entry.reason}: {entry.message}")
    else:
        debit = answer.debit
        again = " (recorded before)" if answer.replayed else ""
        title = f"{debit.name}{again}: {debit.amount_units:,} units, {debit.overage_units:,} of them overage"
        _print_charge(answer.charge, title)


def _record_file(
    path: str,
    form: str,
    template: rating_service_pb2.Usage,
    id_prefix: str,
    *,
    refuse_when_short: bool,
    as_json: bool,
) -> None:
    """Record a file and print what became of it; exits 1 if lines were refused."""
    if form not in FORMATS:
        raise typer.BadParameter(f"{form!r} is none of {', '.join(FORMATS)}", param_hint="--format")
    template.raw.format = FORMATS[form]
    report = record_file(Path(path), template, id_prefix=id_prefix, refuse_when_short=refuse_when_short)
    if as_json:
        print_json(report.as_dict())
    else:
        print(", ".join(f"{count:,} {outcome}" for outcome, count in report.counts.items()))
        for problem in report.problems:
            print(f"{path}:{problem.line}: {problem.outcome} {problem.reason}: {problem.message}")
        if any(problem.message.startswith(NO_TIME) for problem in report.problems):
            print("Lines that do not tell when they happened need --at.", file=sys.stderr)
    if report.counts["refused"]:
        raise typer.Exit(1)


def _usage(
    usage_id: str, contract: str, quantities: list[str], properties: list[str], at: str, *, feature: str
) -> rating_service_pb2.Usage:
    usage = rating_service_pb2.Usage(
        id=usage_id,
        contract=contract,
        properties=read_pairs(properties),
        quantities=read_quantities(quantities),
        feature=feature,
    )
    usage.effective_time.FromDatetime(parse_instant(at) if at else datetime.now(UTC))
    return usage


def read_pairs(texts: list[str]) -> dict[str, str]:
    """Return properties given as name=value."""
    return dict(_pair(text, "--property") for text in texts)


def read_quantities(texts: list[str]) -> dict[str, int]:
    """Return quantities given as dimension=number."""
    return {name: _number(value) for name, value in (_pair(text, "--quantity") for text in texts)}


def _pair(text: str, option: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint=option)
    return name, value


def _total(text: str) -> tuple[str, price_model_pb2.RunningTotal]:
    dimension, value = _pair(text, "--before")
    quantity, _, usages = value.partition("/")
    return dimension, price_model_pb2.RunningTotal(
        quantity=_number(quantity, "--before"), usages=_number(usages or "0", "--before")
    )


def _number(text: str, option: str = "--quantity") -> int:
    try:
        number = int(text.replace("_", ""))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a whole number", param_hint=option) from None
    if abs(number) > NUMBER_MAX:
        raise typer.BadParameter(f"{text} is beyond 2^63-1", param_hint=option)
    return number


def _print_charge(charge: wallet_pb2.Charge, title: str) -> None:
    console = Console(highlight=False)
    console.print(title, style="bold")
    table = Table(caption=charge.rate_card_phase, show_footer=True)
    table.add_column("dimension", "total", overflow="fold")
    table.add_column("quantity", justify="right", overflow="fold")
    table.add_column("price", justify="right", overflow="fold")
    table.add_column("x", justify="right", overflow="fold")
    table.add_column("exact units", charge.exact_units, justify="right", overflow="fold")
    for line in charge.lines:
        table.add_row(
            line.dimension,
            f"{line.quantity:,}",
            f"{line.unit_price} / {line.unit_size:,}" if line.unit_price else line.model,
            line.multiplier or "1",
            line.exact_units,
        )
        for part in line.parts:
            _print_part(table, part)
        if line.HasField("total_before"):
            before = line.total_before.quantity
            table.add_row("  cycle total", f"{before:,} -> {before + line.quantity:,}", "", "", "")
    console.print(table)


def _print_part(table: Table, part: price_model_pb2.ChargePart) -> None:
    kind = price_model_pb2.ChargePartKind.Name(part.kind).removeprefix("CHARGE_PART_KIND_").lower()
    tier = f" tier {part.tier}" if part.tier else ""
    table.add_row(
        f"  {kind}{tier}", f"{part.quantity:,}" if part.quantity else "", part.price, "", part.exact_units
    )
