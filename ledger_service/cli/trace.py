"""The trace of a debit, as a tree: usage, price, units, lots, money, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Table
from rich.tree import Tree

from credits.ledger.v1 import (
    debit_trace_pb2,
    history_service_pb2_grpc,
    money_pb2,
    price_model_pb2,
    wallet_pb2,
)
from ledger_service.cli.client import (
    ADDRESS_DEFAULT,
    CALL_SECONDS_MAX,
    Address,
    AsJson,
    CaFile,
    connect,
    console,
    folded,
    print_json,
    show_instant,
    show_units,
)
from ledger_service.cli.money import show_money

app = typer.Typer()
_TRACE_SECONDS_MAX = 10 * CALL_SECONDS_MAX
"""A trace folds the whole stream of the wallet."""


@app.command()
def trace(
    name: Annotated[str, typer.Argument(help="wallets/{wallet}/debits/{debit}")],
    address: Address = ADDRESS_DEFAULT,
    ca_file: CaFile = "",
    json: AsJson = False,
) -> None:
    """Trace a debit: usage, phase, the arithmetic of each line, units, lots, cost basis, reversals."""
    request = debit_trace_pb2.TraceDebitRequest(name=name)
    with connect(address, ca_file) as channel:
        stub = history_service_pb2_grpc.HistoryServiceStub(channel)
        response = stub.TraceDebit(request, timeout=_TRACE_SECONDS_MAX)
    if json:
        print_json(response.trace)
    else:
        console.print(trace_tree(response.trace))


def trace_tree(trace: debit_trace_pb2.DebitTrace) -> Tree:
    """Return the tree of a trace."""
    debit, scale, code = trace.debit, trace.asset.scale, trace.asset.code
    total = f"[bold]{show_units(debit.amount_units, scale)} {code}[/]"
    tree = Tree(f"[bold]{debit.name}[/]  {total}  [dim]({debit.amount_units:,} units)[/]")
    tree.add(_facts(trace))
    if debit.charge.HasField("adjustment"):
        _add_adjustment(tree, debit.charge)
        _add_phase(tree, trace)
        _add_units(tree, trace.units)
    elif debit.HasField("charge"):
        _add_usage(tree, debit.charge)
        _add_phase(tree, trace)
        _add_lines(tree, trace)
        _add_units(tree, trace.units)
    _add_draws(tree, trace)
    for later in trace.repayments:
        branch = tree.add(f"[green]Repaid[/] {_later_text(later, trace.asset)}")
        branch.add(_draw_table(later.draws, trace.asset))
    for later in trace.reversals:
        branch = tree.add(f"[yellow]Reversed[/] {_later_text(later, trace.asset)}")
        if later.draws:
            branch.add(_draw_table(later.draws, trace.asset))
    return tree


def _facts(trace: debit_trace_pb2.DebitTrace) -> Table:
    debit = trace.debit
    table = Table.grid(padding=(0, 2))
    rows = [
        ("effective", show_instant(debit.effective_time)),
        ("recorded", f"{show_instant(debit.record_time)}, position {trace.position:,}"),
        ("usage id", trace.idempotency_key),
        ("caller", trace.actor),
        ("feature", debit.feature),
        ("api key", debit.api_key),
        ("user", debit.user),
        ("hold", debit.hold + (" (captured late)" if debit.late else "")),
        ("contract", f"{debit.charge.contract} {debit.charge.contract_phase}".strip()),
    ]
    for label, text in rows:
        if text:
            table.add_row(f"[dim]{label}[/]", text)
    return folded(table)


def _add_usage(tree: Tree, charge: wallet_pb2.Charge) -> None:
    branch = tree.add("[cyan]Usage[/]")
    table = Table.grid(padding=(0, 2))
    for line in charge.lines:
        table.add_row(line.dimension, f"{line.quantity:,}")
    for name, value in sorted(charge.properties.items()):
        table.add_row(f"[dim]{name}[/]", value)
    branch.add(folded(table))


def _add_adjustment(tree: Tree, charge: wallet_pb2.Charge) -> None:
    adjusted = charge.adjustment
    span = f"{show_instant(adjusted.cycle_start_time)} to {show_instant(adjusted.cycle_end_time)}"
    branch = tree.add(f"[cyan]Adjustment {adjusted.number}[/] of the cycle {span}")
    table = Table.grid(padding=(0, 2))
    for label, text in (
        ("was charged", adjusted.charged_units),
        ("is charged now", charge.exact_units),
        ("is left for the next", adjusted.left_units),
        ("costs", adjusted.rated_units),
    ):
        table.add_row(f"[dim]{label}[/]", text)
    branch.add(folded(table))
    for part in adjusted.taken_back:
        branch.add(f"{part.amount_units:,} units taken back of {part.debit}")
    for move in adjusted.meters:
        branch.add(f"[dim]cycle total {move.quantity_before:,} -> {move.quantity:,}: {move.meter}[/]")


def _add_phase(tree: Tree, trace: debit_trace_pb2.DebitTrace) -> None:
    if not trace.HasField("phase"):
        name = trace.debit.charge.rate_card_phase
        tree.add(f"[cyan]Phase[/] {name}  [yellow]never published: the caller's own reckoning[/]")
        return
    phase = trace.phase
    end = f"until {show_instant(phase.to_time)}" if phase.HasField("to_time") else "and no later phase"
    branch = tree.add(f"[cyan]Phase[/] {phase.name}  from {show_instant(phase.from_time)} {end}")
    branch.add(f"[dim]hash {phase.phase_hash}[/]")


def _add_lines(tree: Tree, trace: debit_trace_pb2.DebitTrace) -> None:
    branch = tree.add("[cyan]Price[/]")
    for line in trace.lines:
        title = f"[bold]{line.dimension}[/]  {line.arithmetic}"
        if trace.HasField("phase"):
            title += (
                "  [green]priced again: the same[/]"
                if line.agrees
                else "  [red]priced again: not the same[/]"
            )
        node = branch.add(title)
        if line.HasField("rate"):
            node.add(f"[dim]rate {_rate_text(line)}[/]")
        if line.HasField("total_before"):
            before, after = line.total_before, line.total_after
            node.add(
                f"[dim]cycle total {before.quantity:,} -> {after.quantity:,}, usage {after.usages:,}: {before.meter}[/]"
            )
        if line.parts:
            node.add(_part_table(line.parts))
    branch.add(f"[bold]{trace.debit.charge.exact_units}[/] units exactly")
    if trace.difference:
        branch.add(f"[red]{trace.difference}[/]")


def _rate_text(line: debit_trace_pb2.LineTrace) -> str:
    match = ", ".join(f"{name}={pattern}" for name, pattern in sorted(line.rate.match.items()))
    factors = "".join(f"; {each.property} x {each.factor}" for each in line.multipliers)
    return f"{line.rate.dimension} for {match or 'any usage'}, per {line.rate.unit_size or 1:,}{factors}"


def _part_table(parts: Iterable[debit_trace_pb2.PartTrace]) -> Table:
    table = Table("Part", "Tier", "Arithmetic", box=None, padding=(0, 2), header_style="dim")
    table.add_column("Sum so far", justify="right")
    for part in parts:
        kind = price_model_pb2.ChargePartKind.Name(part.kind).removeprefix("CHARGE_PART_KIND_").lower()
        table.add_row(kind, str(part.tier or ""), part.arithmetic, part.running_units)
    return folded(table)


def _add_units(tree: Tree, units: debit_trace_pb2.UnitsTrace) -> None:
    tree.add(
        f"[cyan]Units[/] {units.fraction_before} carried + {units.exact_units} = "
        f"[bold]{units.whole_units:,}[/] debited + {units.fraction_after} carried on"
    )


def _add_draws(tree: Tree, trace: debit_trace_pb2.DebitTrace) -> None:
    debit, asset = trace.debit, trace.asset
    branch = tree.add(f"[cyan]Lots[/] in the order {debit.burn_down_order}")
    if trace.draws:
        branch.add(_draw_table(trace.draws, asset))
    if debit.overage_units:
        price = debit.charge.overage_price
        at = f" at {price.price} {price.currency_code} per {asset.code}" if price.price else ""
        branch.add(f"overage {show_units(debit.overage_units, asset.scale)} {asset.code}{at}")
    if debit.debt_units:
        branch.add(f"owed {show_units(debit.debt_units, asset.scale)} {asset.code}")


def _draw_table(draws: Iterable[debit_trace_pb2.DrawTrace], asset: money_pb2.Asset) -> Table:
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for title in ("Lot", "Category", "Terms"):
        table.add_column(title)
    for title in (f"Drawn, {asset.code}", "Cost basis", "Revenue of the lot"):
        table.add_column(title, justify="right")
    for draw in draws:
        category = wallet_pb2.GrantCategory.Name(draw.category).removeprefix("GRANT_CATEGORY_").lower()
        paid = draw.HasField("cost_basis")
        table.add_row(
            draw.grant.rpartition("/")[2],
            category,
            _terms_text(draw, asset),
            show_units(draw.amount_units, asset.scale),
            show_money(draw.cost_basis) if paid else "-",
            f"{show_money(draw.recognised_before)} -> {show_money(draw.recognised_after)}" if paid else "-",
        )
    return folded(table)


def _terms_text(draw: debit_trace_pb2.DrawTrace, asset: money_pb2.Asset) -> str:
    texts = [f"of {show_units(draw.granted_units, asset.scale)}"]
    if draw.HasField("consideration"):
        texts.append(f"for {show_money(draw.consideration)}")
    if draw.HasField("expire_time"):
        texts.append(f"until {show_instant(draw.expire_time)}")
    if draw.priority:
        texts.append(f"priority {draw.priority}")
    if draw.scope:
        texts.append(f"only {', '.join(draw.scope)}")
    if draw.held_units:
        texts.append(f"{show_units(draw.held_units, asset.scale)} were held")
    if draw.late:
        texts.append("after its expiry")
    return ", ".join(texts)


def _later_text(later: debit_trace_pb2.LaterTrace, asset: money_pb2.Asset) -> str:
    rest = [
        f"{label} {show_units(units, asset.scale)}"
        for label, units in (("overage", later.overage_units), ("debt", later.debt_units))
        if units
    ]
    amount = f"{show_units(later.amount_units, asset.scale)} {asset.code}"
    return (
        f"{amount} at {show_instant(later.effective_time)}  [dim]{later.name}[/] {', '.join(rest)}".rstrip()
    )
