"""The tables of a simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from credits.ledger.v1 import money_pb2
from credits.rating.v1 import simulation_service_pb2
from rating_service.cli.amounts import money
from rating_service.cli.simulations.simulation_text import direction, number, percent, signed, whole

ROWS_SHOWN_MAX: Final = 20
"""Rows of a view; JSON and the HTML report have more."""
_COLOURS: Final = {-1: "green", 0: "dim", 1: "red"}

_COLUMNS_BARE: Final = 6
"""Columns of a summary without margins."""

Contracts = Sequence[simulation_service_pb2.SimulatedContract]


def print_simulation(
    result: simulation_service_pb2.SimulationResult, contracts: Contracts, *, threshold: str
) -> None:
    """Print the whole picture, one candidate after the other."""
    console = Console(highlight=False)
    left_out = result.other_asset_contract_count
    console.print(
        f"{result.total.usage_count:,} usages of {result.contract_count:,} contracts, charged"
        f" {whole(result.total.units_now, result.asset)} {result.asset.code}"
        + (f"; {result.reversed_count:,} taken back" if result.reversed_count else "")
        + (f"; {left_out:,} contracts in another asset" if left_out else ""),
        style="bold",
    )
    for place, candidate in enumerate(result.candidates):
        console.print(_summary(result, place))
        console.print(
            f"{candidate.cheaper_count:,} pay less, {candidate.dearer_count:,} more;"
            f" {candidate.moved_count:,} move by more than {threshold or '20'} %"
        )
        for title, movers in (("winners", candidate.winners), ("losers", candidate.losers)):
            if movers:
                console.print(_movers(title, movers, result.asset))
        if candidate.tiers:
            console.print(_tiers(candidate.tiers, result.asset))
        for kind in candidate.unrateable:
            console.print(
                f"[red]not priced[/]: {kind.usage_count:,} usages, {kind.reason}: {kind.message}"
                f" (for instance {', '.join(kind.examples)})"
            )
    if any(len(contract.bills) > 1 for contract in contracts):
        console.print(_plans(result, contracts))


def _summary(result: simulation_service_pb2.SimulationResult, place: int) -> Table:
    table = Table(title=result.candidates[place].label, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("", overflow="fold")
    for heading in ("usages", "now", "simulated", "difference", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    if result.total.margin_now or result.total.candidates[place].margin:
        for heading in ("margin\nnow", "margin\nsimulated"):
            table.add_column(heading, justify="right", no_wrap=True)
    _add_sums(table, "total", result.total, place, result.asset)
    for title, view in (
        ("", result.months),
        ("model ", result.models),
        ("feature ", result.features),
        ("", result.dimensions),
    ):
        shown = [each for each in view if each.key or len(view) > 1][:ROWS_SHOWN_MAX]
        if shown:
            table.add_section()
        for each in shown:
            _add_sums(table, f"{title}{each.key or '(none)'}", each, place, result.asset)
    bills_now = {bill.currency_code: bill for bill in result.bills_now}
    if result.candidates[place].bills:
        table.add_section()
    for bill in result.candidates[place].bills:
        now = bills_now.get(bill.currency_code)
        difference = bill.nanos - now.nanos if now else 0
        text = money(money_pb2.Money(currency_code=bill.currency_code, nanos=difference)) if now else ""
        table.add_row("bills", "", money(now) if now else "", money(bill), signed(text))
    return table


def _add_sums(
    table: Table,
    key: str,
    sums: simulation_service_pb2.SimulationSums,
    place: int,
    asset: money_pb2.Asset,
) -> None:
    side = sums.candidates[place]
    colour = _COLOURS[direction(side.difference_units)]
    table.add_row(
        key,
        f"{sums.usage_count:,}",
        whole(sums.units_now, asset),
        whole(side.units, asset),
        f"[{colour}]{signed(whole(side.difference_units, asset))}[/]",
        f"[{colour}]{percent(side.difference_percent)}[/]",
        *((number(sums.margin_now), number(side.margin)) if len(table.columns) > _COLUMNS_BARE else ()),
    )


def _movers(
    title: str,
    movers: Sequence[simulation_service_pb2.SimulationMover],
    asset: money_pb2.Asset,
) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("contract", overflow="fold")
    table.add_column("customer", overflow="fold")
    for heading in ("now", "simulated", "difference", ""):
        table.add_column(heading, justify="right", overflow="fold")
    for mover in movers[:ROWS_SHOWN_MAX]:
        colour = _COLOURS[direction(mover.difference)]
        scale = 0 if mover.currency_code else asset.scale
        table.add_row(
            mover.contract,
            mover.customer,
            number(mover.now, scale=scale),
            number(mover.simulated, scale=scale),
            f"[{colour}]{signed(number(mover.difference, scale=scale))}[/]",
            f"[{colour}]{percent(mover.difference_percent)}[/]"
            + (" [bold]moves[/]" if mover.is_moved else ""),
        )
    return table


def _tiers(tiers: Sequence[simulation_service_pb2.SimulatedTier], asset: money_pb2.Asset) -> Table:
    table = Table(title="tiers", title_justify="left")
    for heading in ("dimension", "model", "for", "tier"):
        table.add_column(heading, overflow="fold")
    for heading in ("price", "quantity", "share", "amount"):
        table.add_column(heading, justify="right", overflow="fold")
    for tier in tiers:
        table.add_row(
            tier.dimension,
            tier.model,
            tier.match or "all",
            str(tier.tier) if tier.tier else "free",
            tier.price,
            f"{tier.quantity:,}",
            f"{tier.share_percent or '0'} %",
            whole(tier.units, asset),
        )
    return table


def _plans(result: simulation_service_pb2.SimulationResult, contracts: Contracts) -> Table:
    """Return which plan is best for whom."""
    table = Table(title="best plan by contract", title_justify="left")
    table.add_column("contract", overflow="fold")
    table.add_column("now", justify="right", overflow="fold")
    for candidate in result.candidates:
        table.add_column(candidate.label, justify="right", overflow="fold")
    for contract in contracts[:ROWS_SHOWN_MAX]:
        bills = {bill.candidate: money(bill.bill) for bill in contract.bills}
        best = contract.best_candidate
        cells = [bills.get(place, "") for place in range(len(result.candidates))]
        table.add_row(
            contract.contract,
            money(contract.bill_now) if contract.HasField("bill_now") else "",
            *(f"[bold green]{text}[/]" if place == best else text for place, text in enumerate(cells)),
        )
    counts = [str(candidate.best_count) for candidate in result.candidates]
    table.add_section()
    table.add_row("best for", str(result.best_now_count), *counts)
    return table
