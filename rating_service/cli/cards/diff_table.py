"""A difference between phases as people and machines read it."""

from __future__ import annotations

from itertools import groupby

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from rating_service.cli.cards.card_diff import Change, PhaseDiff


def print_diff(diff: PhaseDiff, *, title: str) -> None:
    """Print a difference as a table, with what it amounts to below."""
    console = Console()
    if diff.is_empty:
        console.print(f"{title}: no difference", highlight=False)
        return
    has_costs = any(change.old_cost or change.new_cost for change in diff.changes)
    table = Table(title=title, box=SIMPLE)
    table.add_column("rate", overflow="fold", min_width=24)
    for column in ("old", "new", "change", *(("old cost", "new cost") if has_costs else ())):
        table.add_column(column, justify="right", overflow="fold")
    for model, changes in groupby(diff.changes, key=lambda change: change.model):
        table.add_row(Text(model or "all models", style="bold"))
        for change in changes:
            table.add_row(*_cells(change, has_costs=has_costs))
    console.print(table)
    for term in diff.terms:
        console.print(f"{term} differ", highlight=False)
    counts = {
        kind: sum(each.kind == kind for each in diff.changes) for kind in ("changed", "added", "removed")
    }
    console.print(
        "rates: " + ", ".join(f"{count:,} {kind}" for kind, count in counts.items()),
        f"models: {len(diff.models_added):,} added, {len(diff.models_removed):,} removed",
        sep="; ",
        highlight=False,
    )


def _cells(change: Change, *, has_costs: bool) -> tuple[Text | str, ...]:
    """Return the row of a rate; what else it is for stands below its dimension."""
    rate = Text(f"  {change.dimension}")
    if change.applies_to:
        rate.append(f"\n  {change.applies_to}", style="dim")
    told = f"{change.percent} %" if change.percent else change.kind
    costs = (change.old_cost, change.new_cost) if has_costs else ()
    return (rate, change.old_price, change.new_price, told, *costs)


def diff_tree(diff: PhaseDiff) -> dict[str, object]:
    """Return a difference as values for JSON."""
    return {
        "changes": [each._asdict() for each in diff.changes],
        "models_added": diff.models_added,
        "models_removed": diff.models_removed,
        "terms": diff.terms,
    }
