"""A difference between phases as people and machines read it."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from rating_service.cli.card_diff import PhaseDiff


def print_diff(diff: PhaseDiff, *, title: str) -> None:
    """Print a difference as a table, with what it amounts to below."""
    console = Console()
    if diff.is_empty:
        console.print(f"{title}: no difference", highlight=False)
        return
    table = Table(title=title)
    for column in ("model", "dimension", "applies to", "old", "new", "change", "old cost", "new cost"):
        number = column not in ("model", "dimension", "applies to")
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    for change in diff.changes:
        told = f"{change.percent} %" if change.percent else change.kind
        table.add_row(
            change.model,
            change.dimension,
            change.applies_to,
            change.old_price,
            change.new_price,
            told,
            change.old_cost,
            change.new_cost,
        )
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


def diff_tree(diff: PhaseDiff) -> dict[str, object]:
    """Return a difference as values for JSON."""
    return {
        "changes": [each._asdict() for each in diff.changes],
        "models_added": diff.models_added,
        "models_removed": diff.models_removed,
        "terms": diff.terms,
    }
